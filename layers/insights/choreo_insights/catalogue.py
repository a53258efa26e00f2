"""The compiled catalogue: the query of each table, and the columns that its answers fill.

`make tables` compiles the GraphQL documents into `catalogue.json`, so that a function
that starts needs neither a GraphQL parser nor the documents.
"""

import re
from pathlib import Path
from typing import Literal

import msgspec

from choreo_insights.errors import ConfigurationError
from choreo_insights.shapes import Shape

ColumnType = Literal["string", "bigint", "double", "timestamp", "boolean", "date"]
EnvironmentType = Literal["CHOREO", "CHOREO_PRIVATE", "ON_PREM"]
Covers = Literal["day", "past_day", "month", "list"]

# In the names of fields that give the first few alone: getTopPlatforms, topSlowestAPIs.
_TOP = re.compile(r"(^t|T)op(?=[A-Z])")
# The columns beside `api_id`: the id that it stands for, and what the answer to a query for one API
# names in its place.
RESOLVED = "api_id_resolved"
ANSWERED = "answered_api_id"
# In a list of tables: those that are exported without being named.
ALL = "all"
# The tenant that a row was queried for, where there are several.
TENANT = "tenant"
# The columns of the project that a list was queried for.
PROJECT, PROJECT_ID = "project", "project_id"


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column of a table: its name, its type in the words of Glue, and what it means.

    `former` are names that it had in earlier releases: older files may still have one of them.
    """

    name: str
    type: ColumnType
    meaning: str = ""
    former: tuple[str, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """A place in a reply: a value that fills `column`, or an object or list with `nodes`.

    `repeated` is true for a list, `tuples` for a list of lists whose inner ones are values. A leaf
    has a `type` and a `column`; a `granularity` that is compared with the requested one is such a
    leaf too. `nullable` speaks of the place itself.
    """

    key: str
    nullable: bool
    repeated: bool = False
    type: ColumnType | None = None
    integer: bool = False
    column: str | None = None
    nodes: tuple["Node", ...] = ()
    tuples: bool = False


class FanOut(msgspec.Struct, frozen=True):
    """Sends a document once for each value of a variable; `over` says where they come from.

    `over` is `api_names` (the environment's APIs one by one, each by all of its names), `api_id`
    (the same by their ids), `values` (those of an enum, in `values`) or `groups` (the sets of
    values that the query `source` returns). `columns` repeat the value in each row.
    """

    variable: str
    over: Literal["api_names", "api_id", "values", "groups"]
    values: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    source: "Table | None" = None


class Table(msgspec.Struct, frozen=True):
    """One document, compiled. `root` is its root field with `$name` for each variable.

    `otherwise` is another way to ask for the same, for when this one fails. `own` is a table that
    the project does not ship. What is `only_named` is exported only where `Tables` names it. A
    `monthly` table is queried over calendar months, a `past_only` one when its days have ended,
    a `per_project` one once a day for each project that the user names.
    """

    name: str
    document: str
    description: str
    field: str
    root: str
    variables: dict[str, str]
    shape: Node
    columns: tuple[Column, ...]
    scope: Literal["organization", "environment"]
    daily: bool
    granularity: str | None = None
    fan_out: tuple[FanOut, ...] = ()
    paged: bool = False
    environment_types: tuple[EnvironmentType, ...] = ()
    kept_days: int | None = None
    on_prem_key: Literal["argument", "header"] | None = None
    off: str | None = None
    only_named: bool = False
    monthly: bool = False
    past_only: bool = False
    per_project: bool = False
    own: bool = False
    otherwise: "Table | None" = None

    @property
    def covers(self) -> Covers:
        """What a partition covers."""
        if not self.daily:
            return "list"
        if self.monthly:
            return "month"
        return "past_day" if self.past_only else "day"

    @property
    def needs_apis(self) -> bool:
        """Whether the environment's APIs must be known: to fan out, or to resolve ids."""
        return self.is_by_api or self.resolves_apis

    @property
    def is_by_api(self) -> bool:
        """Whether it is queried for one API at a time: `api_id` is the queried one."""
        return any(fan.over in ("api_names", "api_id") for fan in self.fan_out)

    @property
    def resolves_apis(self) -> bool:
        """Whether its answers name APIs: by an id, by a name or by null."""
        return any(column.name == RESOLVED for column in self.columns)

    @property
    def per_tenant(self) -> bool:
        """Whether its queries name a tenant: `DataFilter` has one."""
        return "data" in self.variables

    @property
    def ranked(self) -> bool:
        """Whether its rows are a top list, in which other entries may take a place."""
        return _TOP.search(self.field) is not None

    @property
    def renamed(self) -> dict[str, str]:
        """The names of today by the former ones."""
        return {former: column.name for column in self.columns for former in column.former}

    @property
    def time_column(self) -> str | None:
        """The first instant of a row, by which rows outside the queried day are dropped."""
        names = (c.name for c in self.columns if c.type == "timestamp" and c.name != "exported_at")
        return next(names, None)


class Catalogue(msgspec.Struct, frozen=True):
    """All tables by name."""

    tables: tuple[Table, ...]

    def table(self, name: str) -> Table:
        """The table of this name. Raises ConfigurationError where there is none."""
        return self.chosen((name,))[0]

    def chosen(self, names: tuple[str, ...] | None) -> tuple[Table, ...]:
        """The tables of these names, in catalogue order.

        None, or the name `all`, is every table that is neither switched off nor exported only
        where it is named. Raises ConfigurationError for an unknown name, or one that is switched
        off.
        """
        wanted = set(names or (ALL,))
        if ALL in wanted:
            wanted.remove(ALL)
            wanted |= {t.name for t in self.tables if not (t.off or t.only_named)}
        known = {table.name: table for table in self.tables}
        for name in wanted:
            if name not in known:
                msg = f"Tables: unknown table {name!r}. The tables are: {', '.join(sorted(known))}"
                raise ConfigurationError(msg)
            if reason := known[name].off:
                raise ConfigurationError(f"Tables: {name!r} is switched off: {reason}")
        return tuple(table for table in self.tables if table.name in wanted)


_CATALOGUE = Shape(Catalogue)


def load(folder: Path | None = None) -> Catalogue:
    """The shipped tables and the user's own, as they were compiled into the layer.

    Raises ConfigurationError where a file is missing or was written by another version.
    """
    folder = folder or Path(__file__).parent
    own = folder / "custom_catalogue.json"
    shipped = read(folder / "catalogue.json")
    return Catalogue((*shipped, *(read(own) if own.exists() else ())))


def read(path: Path) -> tuple[Table, ...]:
    """The tables of one compiled file. Raises ConfigurationError."""
    try:
        return _CATALOGUE.decode(path.read_bytes()).tables
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"{path.name} cannot be read ({error}): run `make tables` and deploy again"
        raise ConfigurationError(msg) from error
