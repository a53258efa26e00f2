"""Compiles the GraphQL documents of a folder into tables.

A document is one query with one root field. Its variables say what the exporter fills and over
what it fans out, its selection and the schema give the columns:

| variable                  | filled with                                                |
| ------------------------- | ---------------------------------------------------------- |
| `$time: TimeFilter!`      | the UTC day; without it the table is a list of today       |
| `$data: DataFilter!`      | organisation, tenant and all ids of one environment        |
| `$tenantData: …!`         | the same for `listTenants`                                 |
| `$org: OrgFilter!`        | the organisation                                           |
| `$apiIds: [String]`       | the ids of the environment's APIs, in fives                |
| `$apiId: ID!` or `String` | each of these ids; fills the column `api_id`               |
| `$limit: Int` `$offset`   | page after page until `pagination.total` is reached        |
| `$onPremKey: String!`     | the organisation's on-prem key, where its secret holds one |
| `$groupByValues: …!`      | each set of values of the `groupByFields` beside it        |
| of an enum's type         | each value of the enum; fills a column of its name         |

A column that gets another name says what it was called before, and keeps its history:
`hits: value @was(columns: ["value"])`. A column whose type or meaning changes gets another name
without that: what was written under the old one is something else.

A document named `<table>.<anything>.graphql` is another way to ask for that table, for when the
first one fails.
"""

import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Literal

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
    get_named_type,
    parse,
    print_ast,
    strip_ignored_characters,
    validate,
    visit,
)
from graphql.utilities import value_from_ast_untyped

from catalogue.columns import has_field, shape_and_columns, snake
from catalogue.errors import DocumentError, located
from insights.catalogue import FanOut, Node, Table
from insights.decode import GROUPS

FOLDER = Path(__file__).parent
GRANULARITIES = ("1m", "15m", "1h", "1d", "7d")
# The exporter's own tables, in the same database.
RESERVED = ("runs", "checks")
FILLED = {
    "time": ("TimeFilter!", "TimeFilter"),
    "data": ("DataFilter!",),
    "tenantData": ("TenantDataFilter!",),
    "org": ("OrgFilter!",),
    "apiIds": ("[String]", "[String]!", "[String!]", "[String!]!"),
    "apiId": ("ID!", "String", "String!"),
    "limit": ("Int", "Int!"),
    "offset": ("Int", "Int!"),
    "onPremKey": ("String!",),
    "groupByValues": ("[String]!",),
}


def schema(folder: Path = FOLDER) -> GraphQLSchema:
    """The project's schema with the directives that a document may use."""
    texts = [
        (folder / name).read_text("utf-8") for name in ("schema.graphql", "directives.graphql")
    ]
    return build_schema("\n".join(texts))


def compile_folder(
    folder: Path, against: GraphQLSchema, taken: tuple[str, ...] = ()
) -> list[Table]:
    """The tables of all documents in a folder, by name.

    Raises DocumentError for the first broken document, or one whose table is `taken`.
    """
    tables: dict[str, Table] = {}
    for path in sorted(folder.rglob("*.graphql"), key=lambda path: (path.stem, path)):
        table = compile_document(path, path.read_text("utf-8"), against)
        first = tables.get(table.name)
        if "." in path.stem and not first:
            raise DocumentError(path, f"it is another way to ask for {table.name!r}: there is none")
        if first and "." in path.stem:
            tables[table.name] = _with_other_way(path, first, table)
        elif first or table.name in taken:
            raise DocumentError(path, f"there is a table {table.name!r} already: rename the file")
        else:
            tables[table.name] = table
    return [tables[name] for name in sorted(tables)]


def _with_other_way(path: Path, first: Table, other: Table) -> Table:
    """The first table with another way to ask for it, which must give the same rows."""
    if first.otherwise:
        raise DocumentError(path, f"there is another way to ask for {first.name!r} already")
    if [(c.name, c.type) for c in first.columns] != [(c.name, c.type) for c in other.columns]:
        raise DocumentError(path, f"its columns are not those of {first.document}")
    if (first.scope, first.daily) != (other.scope, other.daily):
        raise DocumentError(
            path, f"it is not asked for the same days and places as {first.document}"
        )
    return msgspec.structs.replace(first, otherwise=other)


def compile_document(path: Path, text: str, against: GraphQLSchema) -> Table:
    """One document as a table. Raises DocumentError with file, line, reason and remedy."""
    name = path.stem.partition(".")[0]
    if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)?", path.stem) or name in RESERVED:
        reason = "the file's name becomes the table's: lower case, digits and underscores"
        raise DocumentError(path, f"{reason}, and none of {', '.join(RESERVED)}")
    operation = _operation(path, text, against)
    root = _root(path, operation)
    variables = {v.variable.name.value: v for v in operation.variable_definitions or ()}
    for variable in variables.values():
        _check_variable(path, variable, against)
    kind = against.query_type
    field = kind.fields[root.name.value] if kind else None
    if field is None:
        raise DocumentError(path, f"the schema has no query field {root.name.value!r}", root)
    selected = get_named_type(field.type)
    daily = "time" in variables
    entity = None if daily or not isinstance(selected, GraphQLObjectType) else snake(selected.name)
    scope: Literal["environment", "organization"]
    scope = "environment" if {"data", "tenantData"} & variables.keys() else "organization"
    fans = tuple(_fan_outs(path, root, variables, against))
    shape, columns = shape_and_columns(
        path, root, field, table=name, entity=entity, fans=fans, resolve=scope == "environment"
    )
    directives = {d.name.value: d for d in operation.directives or ()}
    arguments = {
        key: {a.name.value: value_from_ast_untyped(a.value) for a in d.arguments or ()}
        for key, d in directives.items()
    }
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
        environment_types=tuple(arguments.get("environments", {}).get("types", ())),
        kept_days=arguments.get("kept", {}).get("days"),
        on_prem_key=_on_prem_key(variables, directives),
        off=arguments.get("off", {}).get("reason"),
    )


def _on_prem_key(
    variables: Container[str], directives: Container[str]
) -> Literal["argument", "header"] | None:
    if "onPremKey" in directives:
        return "header"
    return "argument" if "onPremKey" in variables else None


def _operation(path: Path, text: str, against: GraphQLSchema) -> OperationDefinitionNode:
    if not re.sub(r"#[^\n]*", "", text).strip():
        raise DocumentError(path, "the document is empty: write one query with one root field")
    try:
        document = parse(Source(text, str(path)))
    except GraphQLSyntaxError as error:
        raise located(path, error) from None
    if faults := validate(against, document):
        raise located(path, faults[0])
    if len(document.definitions) != 1:
        reason = "one document holds one query: no fragments and no second operation"
        raise DocumentError(path, reason, document.definitions[1])
    operation = document.definitions[0]
    if not isinstance(operation, OperationDefinitionNode) or (
        operation.operation is not OperationType.QUERY
    ):
        raise DocumentError(path, "a table is a query", operation)
    return operation


def _root(path: Path, operation: OperationDefinitionNode) -> FieldNode:
    selections = operation.selection_set.selections
    if len(selections) != 1 or not isinstance(selections[0], FieldNode):
        raise DocumentError(path, "a table has one root field: split the document", operation)
    if selections[0].name.value.startswith("__"):
        raise DocumentError(path, "introspection is no table", selections[0])
    return selections[0]


def _check_variable(path: Path, variable: VariableDefinitionNode, against: GraphQLSchema) -> None:
    name, kind = variable.variable.name.value, print_ast(variable.type)
    if isinstance(against.type_map.get(kind.rstrip("!")), GraphQLEnumType):
        return
    if kind not in FILLED.get(name, ()):
        known = ", ".join(f"${key}: {kinds[0]}" for key, kinds in FILLED.items())
        reason = f"nothing fills ${name}: {kind}. What is filled: {known}, and enums"
        raise DocumentError(path, f"{reason}. Write any other value into the document", variable)
    if variable.default_value:
        raise DocumentError(path, f"${name} is filled always: take its default away", variable)


def _fan_outs(
    path: Path,
    root: FieldNode,
    variables: dict[str, VariableDefinitionNode],
    against: GraphQLSchema,
) -> Iterator[FanOut]:
    for name, variable in variables.items():
        if name == "apiIds":
            yield FanOut(name, "api_ids")
        elif name == "apiId":
            yield FanOut(name, "api_id", columns=("api_id",))
        elif name == "groupByValues":
            yield _groups(path, root, variables)
        else:
            kind = against.type_map.get(print_ast(variable.type).rstrip("!"))
            if isinstance(kind, GraphQLEnumType):
                yield FanOut(name, "values", tuple(kind.values), (snake(name),))


def _groups(path: Path, root: FieldNode, variables: Container[str]) -> FanOut:
    """A fan-out over what `getGroupByValues` says there is for the same fields."""
    given = next((a.value for a in root.arguments or () if a.name.value == "groupByFields"), None)
    fields = value_from_ast_untyped(given) if isinstance(given, ListValueNode) else []
    if not 1 <= len(fields) <= 3 or "data" not in variables:
        reason = "$groupByValues needs $data: DataFilter!, and groupByFields with one to three"
        raise DocumentError(path, f"{reason} fields, as in groupByFields: [API_NAME]", root)
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
    """The root field as it is sent, without an alias: aliases tell the questions apart."""

    class Sent(Visitor):
        def enter_directive(self, node: DirectiveNode, *_: object) -> object:
            return REMOVE if node.name.value == "was" else None

        def enter_string_value(self, node: StringValueNode, *_: object) -> None:
            if "$" in node.value:
                reason = "a '$' inside a text cannot be told from a variable"
                raise DocumentError(path, reason, node)

    text = strip_ignored_characters(print_ast(visit(root, Sent())))
    return text.partition(":")[2] if root.alias else text


def _granularity(path: Path, root: FieldNode, field: GraphQLField, selected: object) -> str | None:
    """The granularity that the document asks for; it must be there where the field takes one."""
    given = re.search(r'granularity:\s*"([^"]*)"', print_ast(root))
    if given and given[1] not in GRANULARITIES:
        reason = f"granularity {given[1]!r} is none of {', '.join(GRANULARITIES)}"
        raise DocumentError(path, reason, root)
    if "granularity" not in _argument_names(field):
        return None
    if not given:
        reason = "without a granularity the answer depends on the time range: give one"
        raise DocumentError(path, f'{reason}, as in granularity: "1h"', root)
    if has_field(selected, "granularity") and "granularity" not in _selected(root):
        raise DocumentError(path, "select granularity too: the one answered is compared", root)
    return given[1]


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
        reason += ": a page has 5 rows unless told otherwise, and does not say that there are more"
        raise DocumentError(path, reason, root)
    return True
