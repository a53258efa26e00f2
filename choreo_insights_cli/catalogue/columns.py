"""From a selection and the schema: the shape of the reply, and the columns it fills."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from graphql import (
    EnumValueNode,
    FieldNode,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
)
from graphql.utilities import value_from_ast_untyped

from choreo_insights.catalogue import (
    ANSWERED,
    RESOLVED,
    Column,
    ColumnType,
    FanOut,
    Node,
)
from choreo_insights.dataset.common_columns import (
    ANSWERED_ID,
    COMMON,
    PROJECT_COLUMNS,
    RESOLVED_ID,
    TENANT_COLUMN,
)
from choreo_insights_cli.catalogue.errors import DocumentError

# The partition column, and what the exporter makes of `api_id`.
NOT_ANSWERED = ("day", RESOLVED, ANSWERED)
# A page speaks of itself, not of the row.
NO_COLUMNS = ("pagination",)
TYPES: Mapping[str, ColumnType] = {
    "Int": "bigint",
    "Float": "double",
    "String": "string",
    "ID": "string",
    "Boolean": "boolean",
}


def snake(name: str) -> str:
    """A GraphQL name as a column's: `timeSpan` is `time_span`, `API` is `api`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower().lstrip("_")


class _Shaper:
    """Walks the selection beside the schema, noting names and lists that a table cannot have."""

    def __init__(
        self, path: Path, table: str, entity: str | None, *, latency: bool, by_api: bool
    ) -> None:
        self._path = path
        self._table = table
        self._entity = entity
        self._latency = latency
        self._by_api = by_api
        self._fields: dict[str, FieldNode] = {}
        self.meanings: dict[str, str] = {}

    def former(self, columns: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The earlier names of each selected column, none of them one of `columns`."""
        taken = {"day", *columns}
        by_name: dict[str, tuple[str, ...]] = {}
        for name, field in self._fields.items():
            by_name[name] = tuple(_was(field))
            for former in by_name[name]:
                if former in taken:
                    reason = f"{former!r} cannot be an earlier name of {name!r}: it is taken"
                    raise DocumentError(self._path, reason, field)
                taken.add(former)
        return by_name

    def node(self, field: FieldNode, definition: GraphQLField, prefix: str | None) -> Node:
        """`prefix` is None at the root, else the names of the objects around it."""
        kind, nullable = _unwrapped(definition.type)
        repeated = isinstance(kind, GraphQLList)
        if isinstance(kind, GraphQLList):
            kind, _ = _unwrapped(kind.of_type)
        if isinstance(kind, GraphQLList):
            reason = "a list of lists gives no rows"
            raise DocumentError(self._path, f"{reason}: ask for a list of objects", field)
        alias = field.alias.value if field.alias and prefix is not None else None
        key = alias or field.name.value
        if isinstance(kind, GraphQLObjectType):
            nested = self._nested(prefix, key, repeated=repeated)
            nodes = tuple(self._children(field, kind, nested))
            self._one_list(field, nodes)
            return Node(key, nullable, repeated, nodes=nodes)
        column = None
        if prefix is None or not prefix.startswith(NO_COLUMNS):
            column = self._column(field, alias, prefix, repeated=repeated)
            self._note(column, field, definition.description or "")
        marks = _marks(definition)
        if self._latency and field.name.value == "value":
            marks.add("milliseconds")
        column_type, integer = _column_type(getattr(kind, "name", "String"), marks)
        return Node(key, nullable, repeated, column_type, integer, column)

    def _nested(self, prefix: str | None, key: str, *, repeated: bool) -> str:
        if prefix is None or (repeated and key not in NO_COLUMNS):
            return prefix or ""
        return "_".join(filter(None, (prefix, snake(key))))

    def _children(self, field: FieldNode, kind: GraphQLObjectType, prefix: str) -> Iterator[Node]:
        selections = field.selection_set.selections if field.selection_set else ()
        for selection in selections:
            if not isinstance(selection, FieldNode) or selection.name.value.startswith("__"):
                raise DocumentError(self._path, "write the fields out, one by one", selection)
            yield self.node(selection, kind.fields[selection.name.value], prefix)

    def _one_list(self, field: FieldNode, nodes: Iterable[Node]) -> None:
        lists = [node.key for node in nodes if _holds_list(node)]
        if len(lists) > 1:
            reason = f"{' and '.join(lists)} are lists side by side: a row comes from one of them"
            raise DocumentError(self._path, f"{reason}. Split the document", field)

    def _column(
        self, field: FieldNode, alias: str | None, prefix: str | None, *, repeated: bool
    ) -> str:
        if prefix is None:
            return self._table.removesuffix("s") if repeated else self._table
        name = snake(field.name.value)
        if self._by_api and name == "api_id":
            return ANSWERED
        if self._entity and not alias and not prefix and name in ("id", "name"):
            return f"{self._entity}_{name}"
        return "_".join(filter(None, (prefix, snake(alias) if alias else name)))

    def _note(self, column: str, field: FieldNode, meaning: str) -> None:
        if not column:
            reason = "an alias of underscores alone is not a column name: name it"
            raise DocumentError(self._path, reason, field)
        common = [c.name for c in COMMON if self._entity != "environment"]
        forbidden = NOT_ANSWERED if snake(field.name.value) != "api_id" else ("day", RESOLVED)
        if column in (*self.meanings, *common, *forbidden):
            reason = f"the column {column!r} is there already: give the field an alias"
            raise DocumentError(self._path, reason, field)
        self._fields[column], self.meanings[column] = field, meaning


def _was(field: FieldNode) -> Iterator[str]:
    """What the directive @was of a field says."""
    for directive in field.directives or ():
        if directive.name.value == "was":
            for argument in directive.arguments or ():
                value = value_from_ast_untyped(argument.value)
                # A single value may stand for a list of one.
                yield from [value] if isinstance(value, str) else value


def _unwrapped(kind: GraphQLOutputType) -> tuple[GraphQLOutputType, bool]:
    if isinstance(kind, GraphQLNonNull):
        return kind.of_type, False
    return kind, True


def _holds_list(node: Node) -> bool:
    return node.repeated or any(_holds_list(child) for child in node.nodes)


def _marks(definition: GraphQLField) -> set[str]:
    directives = (definition.ast_node and definition.ast_node.directives) or ()
    return {directive.name.value for directive in directives}


def _column_type(named: str, marks: Container[str]) -> tuple[ColumnType, bool]:
    """The type, and whether the reply has whole numbers although the column is a double."""
    if "instant" in marks:
        return "timestamp", False
    if "milliseconds" in marks:
        return "double", named == "Int"
    return TYPES.get(named, "string"), False


def _of_latency(root: FieldNode) -> bool:
    """Whether a custom report's metric is a latency."""
    metric = next((a.value for a in root.arguments or () if a.name.value == "metric"), None)
    return isinstance(metric, EnumValueNode) and metric.value.endswith("_LATENCY")


def shape_and_columns(
    path: Path,
    root: FieldNode,
    definition: GraphQLField,
    *,
    table: str,
    entity: str | None,
    fans: tuple[FanOut, ...],
    resolve: bool,
    per_tenant: bool = False,
    per_project: bool = False,
) -> tuple[Node, tuple[Column, ...]]:
    """The reply's shape, and the table's columns in order: fan-out, selection, common ones.

    With `resolve`, a selected `apiId` gets the API's real id in a column beside it. Where the
    table is queried for one API at a time, `api_id` is that one, and what was selected stands in
    `answered_api_id`. With `per_tenant` there is a column for the
    tenant, with `per_project` there are two for the project.

    Raises DocumentError for two lists side by side, a list of lists, two columns of one name, or
    an earlier name that is taken.
    """
    by_api = any(fan.over in ("api_names", "api_id") for fan in fans)
    shaper = _Shaper(path, table, entity, latency=_of_latency(root), by_api=by_api)
    shape = shaper.node(root, definition, None)
    meanings = shaper.meanings
    types = dict(_leaf_types(shape))
    common = (*COMMON[:-1], TENANT_COLUMN, COMMON[-1]) if per_tenant else COMMON
    for name in (name for fan in fans for name in fan.columns):
        if name in (*NOT_ANSWERED, *(column.name for column in common)):
            raise DocumentError(path, f"the column {name!r} is there already: rename it", root)
    columns = [
        Column(name, "string", _meaning(fan, name))
        for fan in fans
        for name in fan.columns
        if name not in meanings
    ]
    if ANSWERED in meanings:
        columns.append(RESOLVED_ID)
    for name, meaning in meanings.items():
        columns.append(ANSWERED_ID if name == ANSWERED else Column(name, types[name], meaning))
        if name == "api_id" and resolve and entity is None:
            columns.append(RESOLVED_ID)
    names = [column.name for column in columns]
    common = (*(PROJECT_COLUMNS if per_project else ()), *common)
    for column in common:
        if column.name in names and column not in COMMON:
            reason = f"the column {column.name!r} is there already: give the field an alias"
            raise DocumentError(path, reason, root)
    columns += [column for column in common if column.name not in names]
    former = shaper.former(column.name for column in columns)
    return shape, tuple(
        msgspec.structs.replace(column, former=former.get(column.name, ())) for column in columns
    )


def _meaning(fan: FanOut, column: str) -> str:
    """The meaning of a column that repeats a queried value."""
    if fan.over == "groups":
        return f"Value of the group-by field {column.upper()} that was queried."
    if fan.over == "values":
        return f"The queried value: {' or '.join(fan.values)}."
    return "Id of the API that was queried."


def _leaf_types(node: Node) -> Iterator[tuple[str, ColumnType]]:
    if node.column and node.type:
        yield node.column, node.type
    for child in node.nodes:
        yield from _leaf_types(child)


def has_field(kind: object, name: str) -> bool:
    """Whether a type has a field of this name."""
    return isinstance(kind, GraphQLObjectType) and name in kind.fields
