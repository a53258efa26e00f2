"""Compiles the GraphQL documents of a folder into tables.

A document is one query with one root field. Its variables say what the exporter fills and over
what it fans out, its selection and the schema give the columns:

| variable                  | filled with                                                |
| ------------------------- | ---------------------------------------------------------- |
| `$time: TimeFilter!`      | the UTC day; without it the table is a list of today       |
| `$data: DataFilter!`      | organisation, tenant and all ids of one environment        |
| `$tenantData: …!`         | the same for `listTenants`                                 |
| `$org: OrgFilter!`        | the organisation                                           |
| `$apiNames: [String]`     | each API by all of its names; fills the column `api_id`    |
| `$apiId: ID!` or `String` | each API by its id; fills the column `api_id`              |
| `$limit: Int` `$offset`   | page after page until `pagination.total` is reached        |
| `$onPremKey: String!`     | the organisation's on-prem key, where its secret holds one |
| `$groupByValues: …!`      | each set of values of the `groupByFields` beside it        |
| of an enum's type         | each value of the enum; fills a column of its name         |

A column that gets another name says what it was called before, and keeps its history:
`hits: value @was(columns: ["value"])`. A column whose type or meaning changes gets another name
without that: what was written under the old one is something else.

A document named `<table>.<anything>.graphql` is another way to query that table, for when the
first one fails. It may lack columns of the first one, which are null then. Of a document with newer
fields (`newer.graphql`, `newer_filters.graphql`) it is derived: the same without them.
"""

import re
from collections.abc import Container, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import msgspec
from graphql import (
    REMOVE,
    DirectiveNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSyntaxError,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    Source,
    StringValueNode,
    VariableDefinitionNode,
    Visitor,
    build_schema,
    get_directive_values,
    get_named_type,
    parse,
    print_ast,
    strip_ignored_characters,
    validate,
    visit,
)

from choreo_insights.catalogue import FanOut, Node, Table
from choreo_insights.export.decode import GROUPS
from choreo_insights_cli.catalogue import documents
from choreo_insights_cli.catalogue.columns import has_field, shape_and_columns, snake
from choreo_insights_cli.catalogue.errors import DocumentError, line_of
from choreo_insights_cli.catalogue.fallback import NEWER, with_fallback
from choreo_insights_cli.catalogue.suggestions import advice

FOLDER = Path(__file__).parent
GRANULARITIES = ("1m", "15m", "1h", "1d", "7d")
# The exporter's own tables, in the same database.
RESERVED = ("runs", "checks")
_EMPTY = "the document is empty: write one query with one root field"
FILLED = {
    "time": ("TimeFilter!", "TimeFilter"),
    "data": ("DataFilter!",),
    "tenantData": ("TenantDataFilter!",),
    "org": ("OrgFilter!",),
    "apiNames": ("[String]", "[String]!", "[String!]", "[String!]!"),
    "apiId": ("ID!", "String", "String!"),
    "limit": ("Int", "Int!"),
    "offset": ("Int", "Int!"),
    "onPremKey": ("String!",),
    "groupByValues": ("[String]!",),
}


@cache
def schema(folder: Path = FOLDER) -> GraphQLSchema:
    """The project's schema, newer fields, and the directives that a document may use."""
    return build_schema(schema_text(folder))


def schema_text(folder: Path = FOLDER) -> str:
    """The same as text."""
    names = ("schema.graphql", *NEWER, "directives.graphql")
    return "\n".join((folder / name).read_text("utf-8") for name in names)


def compile_folder(
    folder: Path, against: GraphQLSchema, taken: tuple[str, ...] = ()
) -> list[Table]:
    """The tables of all documents in a folder, by name.

    Raises DocumentError for the first broken document, or one whose table's name is `taken`.
    """
    tables: dict[str, Table] = {}
    # The Glue template names its resources without underscores.
    alike: dict[str, str] = {}
    read = ((path, documents.text(path)) for path in documents.paths(folder))
    for path, text in chain.from_iterable(with_fallback(*each, against) for each in read):
        table = compile_document(path, text, against)
        name, first = table.name, tables.get(table.name)
        if "." in path.stem:
            if not first:
                reason = f"it is another way to ask for {name!r}: there is none"
                raise DocumentError(path, f"{reason}. Rename the file, or add {name}.graphql", 1)
            tables[name] = _with_other_way(path, first, table)
            continue
        if first or name in taken:
            raise DocumentError(path, f"there is a table or view {name!r} already: rename it", 1)
        if (other := alike.setdefault(name.replace("_", ""), name)) != name:
            reason = f"the table {other!r} differs by underscores alone: rename one of them"
            raise DocumentError(path, reason, 1)
        tables[name] = table
    return [tables[name] for name in sorted(tables)]


def _with_other_way(path: Path, first: Table, other: Table) -> Table:
    """The first table with another way to query it, which must give the same rows."""
    if first.otherwise:
        reason = f"there is another way to ask for {first.name!r} already: take one away"
        raise DocumentError(path, reason, 1)
    columns = {(column.name, column.type) for column in first.columns}
    if not columns.issuperset((column.name, column.type) for column in other.columns):
        reason = f"it has columns that {first.document} lacks: select the same fields"
        raise DocumentError(path, reason, 1)
    if (first.scope, first.covers) != (other.scope, other.covers):
        reason = f"it is not asked for the same days and places as {first.document}"
        raise DocumentError(path, f"{reason}: both need the same of $time, $data", 1)
    other = msgspec.structs.replace(other, columns=first.columns)
    return msgspec.structs.replace(first, otherwise=other)


def compile_document(path: Path, text: str, against: GraphQLSchema) -> Table:
    """One document as a table. Raises DocumentError with file, line, reason and remedy."""
    name = path.stem.partition(".")[0]
    if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)?", path.stem) or name in RESERVED:
        reason = "the file's name becomes the table's: lower case, digits and underscores"
        raise DocumentError(path, f"{reason}, and none of {', '.join(RESERVED)}. Rename it", 1)
    operation = _operation(path, text, against)
    root = _root(path, operation)
    variables = {v.variable.name.value: v for v in operation.variable_definitions or ()}
    for variable in variables.values():
        _check_variable(path, variable, against)
    field = against.query_type.fields[root.name.value] if against.query_type else None
    if field is None:
        raise LookupError("the schema has no queries")
    selected = get_named_type(field.type)
    daily = "time" in variables
    entity = None if daily or not isinstance(selected, GraphQLObjectType) else snake(selected.name)
    scope: Literal["environment", "organization"]
    scope = "environment" if {"data", "tenantData"} & variables.keys() else "organization"
    fans = tuple(_fan_outs(path, root, variables, against))
    directives = _directives(path, operation, against)
    # No query lists projects, and days of history times projects would be very many queries
    # [Choreo].
    if "perProject" in directives and (daily or "data" not in variables):
        reason = "@perProject is for lists of an environment: $data: DataFilter! without $time"
        raise DocumentError(path, reason, operation)
    shape, columns = shape_and_columns(
        path,
        root,
        field,
        table=name,
        entity=entity,
        fans=fans,
        resolve=scope == "environment",
        per_tenant="data" in variables,
        per_project="perProject" in directives,
    )
    if not daily and (found := {"monthly", "pastOnly"} & directives.keys()):
        reason = f"@{min(found)} is for queries over a time: add $time: TimeFilter!"
        raise DocumentError(path, reason, operation)
    return Table(
        name=name,
        document=path.name,
        description=_description(text),
        field=root.name.value,
        root=_minified(path, root),
        variables={key: print_ast(v.type) for key, v in variables.items()},
        shape=shape,
        columns=columns,
        scope=scope,
        daily=daily,
        granularity=_granularity(path, root, field, selected),
        fan_out=fans,
        paged=_paged(path, root, selected, variables),
        environment_types=tuple(directives.get("environments", {}).get("types", ())),
        kept_days=directives.get("kept", {}).get("days"),
        on_prem_key=_on_prem_key(variables, directives),
        off=directives.get("off", {}).get("reason"),
        only_named="onlyNamed" in directives,
        monthly="monthly" in directives,
        past_only="pastOnly" in directives,
        per_project="perProject" in directives,
    )


def _directives(
    path: Path, operation: OperationDefinitionNode, against: GraphQLSchema
) -> dict[str, dict[str, Any]]:
    """The arguments of the document's directives by name."""
    arguments = {}
    for directive in against.directives:
        values = get_directive_values(directive, operation)
        if values is not None:
            arguments[directive.name] = values
    for name, argument, missing, remedy in (
        ("off", "reason", lambda text: not text.strip(), 'say why, as in reason: "it fails"'),
        ("kept", "days", lambda days: days < 1, "it takes one day or more"),
        ("environments", "types", lambda types: not types, "name one, as in types: [ON_PREM]"),
    ):
        if name in arguments and missing(arguments[name][argument]):
            raise DocumentError(path, f"@{name} without {argument}: {remedy}", operation)
    return arguments


def _on_prem_key(
    variables: Container[str], directives: Container[str]
) -> Literal["argument", "header"] | None:
    if "onPremKey" in directives:
        return "header"
    return "argument" if "onPremKey" in variables else None


def _operation(path: Path, text: str, against: GraphQLSchema) -> OperationDefinitionNode:
    if not re.sub(r"#[^\n]*", "", text).strip():
        raise DocumentError(path, _EMPTY, 1)
    try:
        document = parse(Source(text, str(path)))
    except GraphQLSyntaxError as error:
        raise DocumentError(path, error.message, line_of(error)) from None
    # The exporter puts several documents into one request: names of fragments could collide.
    if len(document.definitions) != 1:
        reason = "one document holds one query: no fragments and no second operation"
        raise DocumentError(path, reason, document.definitions[1])
    operation = document.definitions[0]
    if not isinstance(operation, OperationDefinitionNode) or (
        operation.operation is not OperationType.QUERY
    ):
        raise DocumentError(path, "a table is a query: begin it with that word", operation)
    if faults := validate(against, document):
        # A variable that is not used is mostly what another fault leaves behind.
        fault = min(faults, key=lambda each: "is never used" in each.message)
        reason = f"{fault.message} {advice(fault, document, against)}".rstrip()
        raise DocumentError(path, reason, line_of(fault))
    return operation


def _root(path: Path, operation: OperationDefinitionNode) -> FieldNode:
    selections = operation.selection_set.selections
    if not selections:
        raise DocumentError(path, _EMPTY, operation)
    if len(selections) != 1 or not isinstance(selections[0], FieldNode):
        raise DocumentError(
            path, "a table has one root field, written out: split the document", operation
        )
    if selections[0].name.value.startswith("__"):
        reason = "introspection cannot be a table: select a query field"
        raise DocumentError(path, reason, selections[0])
    return selections[0]


def _check_variable(path: Path, variable: VariableDefinitionNode, against: GraphQLSchema) -> None:
    name, kind = variable.variable.name.value, print_ast(variable.type)
    # A default would hide that nothing fills the variable.
    if variable.default_value:
        raise DocumentError(path, f"${name} is filled always: take its default away", variable)
    if isinstance(against.type_map.get(kind.rstrip("!")), GraphQLEnumType):
        return
    if name == "apiIds":
        reason = "the ids of APIs are not sent in groups any more: call the variable $apiNames"
        raise DocumentError(path, f"{reason}. It is filled with the names of one API", variable)
    if kind not in FILLED.get(name, ()):
        known = ", ".join(f"${key}: {kinds[0]}" for key, kinds in FILLED.items())
        reason = f"nothing fills ${name}: {kind}. What is filled: {known}, and enums"
        raise DocumentError(path, f"{reason}. Write any other value into the document", variable)


def _fan_outs(
    path: Path,
    root: FieldNode,
    variables: dict[str, VariableDefinitionNode],
    against: GraphQLSchema,
) -> Iterator[FanOut]:
    fields = _group_by(path, root)
    for name, variable in variables.items():
        if name == "apiNames":
            yield FanOut(name, "api_names", columns=("api_id",))
        elif name == "apiId":
            yield FanOut(name, "api_id", columns=("api_id",))
        elif name == "groupByValues":
            yield _groups(path, root, fields, variables)
        else:
            kind = against.type_map.get(print_ast(variable.type).rstrip("!"))
            if isinstance(kind, GraphQLEnumType):
                yield FanOut(name, "values", tuple(kind.values), (snake(name),))


def _group_by(path: Path, root: FieldNode) -> list[str]:
    """The fields that a custom report is grouped by, as they are written."""
    value = next((a.value for a in root.arguments or () if a.name.value == "groupByFields"), None)
    if value is None:
        return []
    items = value.values if isinstance(value, ListValueNode) else (value,)
    fields = [print_ast(item) for item in items]
    if not 1 <= len(fields) <= 3 or len(set(fields)) < len(fields) or "null" in fields:
        reason = "a report is grouped by one to three fields, each once"
        raise DocumentError(path, f"{reason}, as in groupByFields: [API_NAME]", root)
    return fields


def _groups(
    path: Path, root: FieldNode, fields: Sequence[str], variables: Container[str]
) -> FanOut:
    """A fan-out over what `getGroupByValues` says there is for the same fields."""
    if not fields or "$" in "".join(fields) or "data" not in variables:
        reason = "$groupByValues needs $data: DataFilter!, and groupByFields written out"
        raise DocumentError(path, f"{reason}, as in groupByFields: [API_NAME]", root)
    names = " ".join(fields)
    source = Table(
        name="group_by_values",
        document=path.name,
        description="",
        field="getGroupByValues",
        root=f"getGroupByValues(dataFilter:$data groupByFields:[{names}]groupByValues:[])",
        variables={"data": "DataFilter!"},
        shape=Node("getGroupByValues", True, True, "string", column=GROUPS, tuples=True),
        columns=(),
        scope="environment",
        daily=False,
    )
    columns = tuple(field.lower() for field in fields)
    return FanOut("groupByValues", "groups", columns=columns, source=source)


def _description(text: str) -> str:
    """The comment above the query."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return "\n".join(lines).strip()


def _minified(path: Path, root: FieldNode) -> str:
    """The root field as it is sent, without an alias: aliases distinguish the queries."""

    class Sent(Visitor):
        def enter_directive(self, node: DirectiveNode, *_: object) -> object:
            if node.name.value == "was":
                return REMOVE
            reason = "a field that an answer may leave out cannot be a column: remove the directive"
            raise DocumentError(path, reason, node)

        def enter_string_value(self, node: StringValueNode, *_: object) -> None:
            if "$" in node.value:
                reason = "a '$' inside a text looks like a variable: leave it out"
                raise DocumentError(path, reason, node)

    text = strip_ignored_characters(print_ast(visit(root, Sent())))
    return text.partition(":")[2] if root.alias else text


def _granularity(path: Path, root: FieldNode, field: GraphQLField, selected: object) -> str | None:
    """The granularity that the document asks for; it must be there where the field takes one."""
    match = re.search(r'granularity:\s*"([^"]*)"', print_ast(root))
    if match and match[1] not in GRANULARITIES:
        reason = f"granularity {match[1]!r} is none of {', '.join(GRANULARITIES)}"
        raise DocumentError(path, reason, root)
    if "granularity" not in _argument_names(field):
        return None
    if not match:
        reason = "without a granularity the answer depends on the time range: give one"
        raise DocumentError(path, f'{reason}, as in granularity: "1h"', root)
    if has_field(selected, "granularity") and "granularity" not in _selected(root):
        raise DocumentError(path, "select granularity too: the one answered is compared", root)
    return match[1]


def _selected(field: FieldNode | None) -> dict[str, FieldNode]:
    selections = field.selection_set.selections if field and field.selection_set else ()
    return {s.name.value: s for s in selections if isinstance(s, FieldNode)}


def _argument_names(field: GraphQLField) -> list[str]:
    names: list[str] = []
    for name, argument in field.args.items():
        names.append(name)
        names += getattr(get_named_type(argument.type), "fields", {}).keys()
    return names


def _paged(
    path: Path, root: FieldNode, selected: object, variables: dict[str, VariableDefinitionNode]
) -> bool:
    page = _selected(root).get("pagination")
    names = {"limit", "offset"} & variables.keys()
    if not has_field(selected, "pagination") and not names:
        return False
    if len(names) < 2 or not {"total", "limit"} <= _selected(page).keys():
        reason = "pages need $limit: Int, $offset: Int and pagination {total limit}"
        reason += ": a page has 5 rows by default, and does not say that there are more"
        raise DocumentError(path, reason, root)
    return True
