"""The registry's two tables: their columns, and how their objects are read and written."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from choreo_insights.catalogue import Column
from choreo_insights.dataset.access_rules import ACCESS_RULES
from choreo_insights.dataset.parquet import Constant, decode, encode
from choreo_insights.dataset.partitions import Environment, safe_name, table_prefix
from choreo_insights.dataset.registry_merge import KnownEnvironment, KnownName
from choreo_insights.errors import PersonMustAct
from choreo_insights.shapes import Shape

REBUILD = "insights migrate --rebuild-registry"

REGISTRY_ENVIRONMENTS = "registry_environments"
REGISTRY_ENVIRONMENTS_DESCRIPTION = (
    "Every environment that was ever listed, and the part of the objects' keys that its id is "
    "bound to. One object per organisation."
)
REGISTRY_ENVIRONMENTS_COLUMNS: tuple[Column, ...] = (
    Column("organization", "string", "Handle of the organisation."),
    Column("environment_id", "string", "Id of the environment."),
    Column("key", "string", "The environment's part of object keys. It never changes."),
    Column("first_name", "string", "The name under which it was listed first."),
    Column("name", "string", "The name in the newest list that has it."),
    Column("type", "string", "CHOREO, CHOREO_PRIVATE or ON_PREM."),
    Column("ids", "string", "All ids under which its data is stored, separated by commas."),
    Column("first_listed", "date", "Day of the first list that has it (UTC)."),
    Column("last_listed", "date", "Day of the newest list that has it (UTC)."),
    Column("listed", "boolean", "Whether the newest list has it."),
    Column(
        "unmerged_keys",
        "string",
        "Keys of its objects, separated by commas, where release 0.1.0 used several or shared one "
        "with another environment: it is not exported until `insights migrate` has merged them.",
    ),
    Column(
        "refused_documents",
        "string",
        "Documents that the service does not answer, each with the day of its refusal (UTC), "
        "separated by commas. Another document is used, and these are tried again a week later.",
    ),
)
REGISTRY_NAMES = "registry_names"
REGISTRY_NAMES_DESCRIPTION = (
    "Every API and application that was ever listed, with its newest name. One object per "
    "environment."
)
REGISTRY_NAMES_COLUMNS: tuple[Column, ...] = (
    Column("organization", "string", "Handle of the organisation."),
    Column("environment", "string", "Name of the environment when the object was written."),
    Column("environment_id", "string", "Id of the environment."),
    Column("kind", "string", "api or application."),
    Column("id", "string", "Id of the API or application."),
    Column("name", "string", "Its name in the newest list that has it."),
    Column("version", "string", "Version of the API; null for an application."),
    Column("display_name", "string", "The API's display name; null where none is known."),
    Column("provider", "string", "Creator of the API; null for an application."),
    Column("owner", "string", "Owner of the application; null for an API."),
    Column("project", "string", "The API's project; null where Projects names none that has it."),
    Column("first_listed", "date", "Day of the first list that has it (UTC)."),
    Column("last_listed", "date", "Day of the newest list that has it (UTC)."),
    Column("listed", "boolean", "Whether the newest list has it."),
)
# Tables whose objects are not in folders `day=`.
UNPARTITIONED = frozenset({REGISTRY_ENVIRONMENTS, REGISTRY_NAMES, ACCESS_RULES})


Row = TypeVar("Row", KnownEnvironment, KnownName)
_ENVIRONMENT, _NAME = Shape(KnownEnvironment), Shape(KnownName)


class Unreadable(PersonMustAct):
    """An object of the registry is damaged, or of a newer release."""


class RegistryObject(Generic[Row]):
    """One object of the registry: how its rows are read and written."""

    def __init__(
        self,
        key: str,
        row: Shape[Row],
        columns: Sequence[Column],
        constants: Mapping[str, str],
        renamed: Mapping[str, str],
    ) -> None:
        self.key = key
        self._row: Shape[Row] = row
        self._columns = columns
        self._constants = constants
        # Fields by the columns that are called otherwise.
        self._fields = {
            column.name: renamed.get(column.name, column.name)
            for column in columns
            if column.name not in constants
        }

    def rows(self, body: bytes) -> tuple[Row, ...]:
        """The rows of a body. Raises Unreadable where it is not what `body` makes."""
        try:
            columns = decode(body)
            unknown = columns.keys() - {column.name for column in self._columns}
            if unknown:
                raise Unreadable(
                    f"{self.key} has columns of a newer release ({', '.join(sorted(unknown))}):"
                    f" deploy that release again, or make the object anew with `{REBUILD}`"
                )
            named = [columns[name] for name in self._fields if name in columns]
            fields = [field for name, field in self._fields.items() if name in columns]
            return tuple(
                self._row.convert(_parsed(dict(zip(fields, row, strict=True))))
                for row in zip(*named, strict=True)
            )
        except (ValueError, msgspec.ValidationError) as error:
            raise Unreadable(
                f"{self.key} cannot be read ({error}): make it anew from the dataset with"
                f" `{REBUILD}`, or restore its earlier version in S3"
            ) from error

    def body(self, rows: Sequence[Row]) -> bytes:
        values: dict[str, Any] = {
            name: [_plain(getattr(row, field)) for row in rows]
            for name, field in self._fields.items()
        }
        constants = {name: Constant(value) for name, value in self._constants.items()}
        return encode(self._columns, values | constants, len(rows))


def _plain(value: Any) -> Any:
    # Ids are stored as one text, so that SQL needs no array.
    return (",".join(value) or None) if isinstance(value, tuple) else value


def _parsed(row: dict[str, Any]) -> dict[str, Any]:
    for name in ("ids", "unmerged_keys", "refused_documents"):
        if name in row:
            row[name] = row[name].split(",") if row[name] else ()
    return row


def environments_object(organization: str) -> RegistryObject[KnownEnvironment]:
    """The object that binds keys to the ids of an organisation's environments."""
    key = f"{table_prefix(REGISTRY_ENVIRONMENTS)}{safe_name(organization)}.parquet"
    return RegistryObject(
        key,
        _ENVIRONMENT,
        REGISTRY_ENVIRONMENTS_COLUMNS,
        {"organization": organization},
        {"environment_id": "id"},
    )


def names_object(organization: str, environment: Environment) -> RegistryObject[KnownName]:
    """The object of an environment's APIs and applications."""
    place = f"{safe_name(organization)}.{environment.key_name}"
    constants = {
        "organization": organization,
        "environment": environment.name,
        "environment_id": environment.id,
    }
    key = f"{table_prefix(REGISTRY_NAMES)}{place}.parquet"
    return RegistryObject(key, _NAME, REGISTRY_NAMES_COLUMNS, constants, {})
