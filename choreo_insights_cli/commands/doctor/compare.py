"""Compares the documents with a live schema: what the service would refuse, and what is new.

graphql-core validates the queries and their values. Its `find_breaking_changes` is not used: it
looks at whole schemas, not at what a document selects, and counts ID to String as breaking.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_input_type,
    is_non_null_type,
    parse,
    parse_type,
    type_from_ast,
    validate,
)
from graphql.utilities import validate_input_value

from choreo_insights.catalogue import Table
from choreo_insights.credentials import Credentials
from choreo_insights.dataset.partitions import Environment
from choreo_insights.export.insights_api import day_values
from choreo_insights.export.queries import PAGE_SIZE
from choreo_insights_cli.commands.doctor.documents import Document, with_other_ways
from choreo_insights_cli.commands.doctor.findings import Finding

SCHEMA = "choreo_insights_cli/catalogue/schema.graphql"
_DEPLOY = "then `make tables` and `make deploy`"
REMEDY = (
    f"Change the document to what the service takes (and {SCHEMA} with it), {_DEPLOY}; or leave"
    " its table out by the parameter Tables"
)
_TEXTS = ("String", "ID")
_MOST = 5
# Values like those that the exporter fills in; real ones would stand in what graphql-core says.
_VALUES: dict[str, Any] = {
    **day_values(
        date(2026, 1, 31),
        Credentials("handle", "org-id", "key", "secret", "on-prem-key"),
        "carbon.super",
        Environment("id", "name", "CHOREO", ("id",), "name"),
    ),
    "apiNames": ["id"],
    "apiId": "id",
    "limit": PAGE_SIZE,
    "offset": 0,
    "groupByValues": ["value"],
}


@dataclass(frozen=True)
class _Selected:
    """A field that a document selects, as both schemas have it."""

    kind: str
    name: str
    ours: GraphQLField
    live: GraphQLField

    @property
    def place(self) -> str:
        return f"{self.kind}.{self.name}"


@dataclass
class _Differences:
    """What of a document the service would refuse, which fields have another type by now, and
    what is only worth knowing.
    """

    refused: list[str] = field(default_factory=list)
    changed: list[_Selected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compare(
    documents: Sequence[Document], ours: GraphQLSchema, live: GraphQLSchema
) -> Iterator[Finding]:
    """A finding about each document."""
    return with_other_ways(documents, _compared(documents, ours, live))


def _compared(
    documents: Iterable[Document], ours: GraphQLSchema, live: GraphQLSchema
) -> Iterator[Finding]:
    for document in documents:
        found = _look(document, ours, live)
        says = [*found.refused, *map(_change_of_type, found.changed), *found.notes]
        if document.table.off:
            off = f"switched off: {document.table.off}"
            yield Finding(document.path, "skipped", _listed([off, *says]))
        elif found.refused:
            yield Finding(document.path, "differs", _listed(says), REMEDY)
        elif found.changed:
            lines = [f"`{s.name}: {s.live.type}` at type {s.kind}" for s in found.changed]
            change = f"In {SCHEMA} write {_listed(lines)}, {_DEPLOY}"
            yield Finding(document.path, "differs", _listed(says), change)
        else:
            yield Finding(document.path, "note" if says else "ok", _listed(says))


def _listed(texts: Sequence[str]) -> str:
    texts = list(dict.fromkeys(texts))
    more = [f"and {len(texts) - _MOST} more"] if len(texts) > _MOST else []
    return "; ".join([*texts[:_MOST], *more])


def _look(document: Document, ours: GraphQLSchema, live: GraphQLSchema) -> _Differences:
    found = _Differences()
    found.refused += map(_located, validate(live, document.query))
    found.refused += _refused_values(document.table, live)
    for fan in document.table.fan_out:
        if fan.source:
            found.refused += _refused_source(fan.source, live)
    for selected in _selected(document, ours, live):
        if reason := selected.live.deprecation_reason:
            found.notes.append(f"{selected.place} is deprecated: {reason}")
        if str(selected.ours.type) == str(selected.live.type):
            continue
        if _is_harmful(selected.ours.type, selected.live.type):
            found.changed.append(selected)
        else:
            found.notes.append(f"{_change_of_type(selected)}, which does no harm")
    return found


def _located(error: GraphQLError) -> str:
    line = f"line {error.locations[0].line}: " if error.locations else ""
    return line + error.message


# What is asked


def _refused_source(table: Table, live: GraphQLSchema) -> Iterator[str]:
    """What is wrong with the question that a fan-out's values come from."""
    declared = ", ".join(f"${name}: {kind}" for name, kind in table.variables.items())
    query = parse(f"query ({declared}) {{ {table.root} }}")
    return (error.message for error in validate(live, query))


def _refused_values(table: Table, live: GraphQLSchema) -> Iterator[str]:
    """What the live schema does not take of the values that the exporter fills in."""
    enums = {fan.variable: fan.values for fan in table.fan_out if fan.over == "values"}
    for variable, kind in table.variables.items():
        taken = type_from_ast(live, parse_type(kind))
        if taken is None or not is_input_type(taken):
            continue  # an unknown type is found with the query
        for value in enums.get(variable, (_VALUES.get(variable),)):
            errors: list[GraphQLError] = []
            validate_input_value(value, taken, partial(_note, errors))
            yield from (f"${variable}: {error.message}" for error in errors)


def _note(errors: list[GraphQLError], error: GraphQLError, _path: object) -> None:
    errors.append(error)


# What is answered


def _selected(document: Document, ours: GraphQLSchema, live: GraphQLSchema) -> Iterator[_Selected]:
    """The selected fields that both schemas have."""
    operation = document.query.definitions[0]
    if isinstance(operation, OperationDefinitionNode) and ours.query_type and live.query_type:
        yield from _walk(operation.selection_set, ours.query_type, live.query_type)


def _walk(
    selections: SelectionSetNode | None, ours: GraphQLObjectType, live: GraphQLObjectType
) -> Iterator[_Selected]:
    for node in selections.selections if selections else ():
        if not isinstance(node, FieldNode):
            continue
        name = node.name.value
        mine, theirs = ours.fields.get(name), live.fields.get(name)
        if mine is None or theirs is None:
            continue
        yield _Selected(ours.name, name, mine, theirs)
        below, live_below = get_named_type(mine.type), get_named_type(theirs.type)
        if isinstance(below, GraphQLObjectType) and isinstance(live_below, GraphQLObjectType):
            yield from _walk(node.selection_set, below, live_below)


def _change_of_type(selected: _Selected) -> str:
    return f"{selected.place} is {selected.live.type}, was {selected.ours.type}"


def _is_harmful(ours: GraphQLOutputType, live: GraphQLOutputType) -> bool:
    """Whether answers of the live type may not fit into what was made for ours."""
    if is_non_null_type(ours) and not is_non_null_type(live):
        return True
    if str(ours).count("[") != str(live).count("["):
        return True
    mine, theirs = get_named_type(ours), get_named_type(live)
    if isinstance(mine, GraphQLObjectType) or isinstance(theirs, GraphQLObjectType):
        return type(mine) is not type(theirs)
    # A whole number is a float too, and every text is a text.
    kinds = {_kind(mine), _kind(theirs)}
    return len(kinds) > 1 and (mine.name, theirs.name) != ("Float", "Int")


def _kind(named: Any) -> str:
    is_text = isinstance(named, GraphQLEnumType) or named.name in _TEXTS
    return "String" if is_text else str(named.name)


# What is new


def additions(
    documents: Iterable[Document], ours: GraphQLSchema, live: GraphQLSchema
) -> list[Finding]:
    """What the live schema has beyond ours: query fields, and fields and values that the
    documents could use.
    """
    found: dict[str, Finding] = {}
    used: dict[tuple[str, str], set[str]] = {}
    for document in documents:
        for kind, name in _new_fields(document, ours, live):
            used.setdefault((kind, name), set()).add(document.path)
        for value in _new_values(document.table, live):
            change = f"Add it to {SCHEMA}: {document.table.name} is asked for each value"
            found[value] = Finding(value, "note", f"of use for {document.path}", change)
    for (kind, name), paths in used.items():
        line = f"{name}: {_fields(live.get_type(kind))[name].type}"
        change = f"To have it, write `{line}` at type {kind} in {SCHEMA}, and select it, {_DEPLOY}"
        found[line] = Finding(
            f"{kind}.{line}", "note", f"of use for {_listed(sorted(paths))}", change
        )
    known = _fields(ours.query_type)
    for name, definition in _fields(live.query_type).items():
        if name not in known:
            change = f"To have it, add it to {SCHEMA}, and write a document into custom/, {_DEPLOY}"
            found[name] = Finding(f"Query.{name}: {definition.type}", "note", "", change)
    return list(found.values())


def _fields(kind: object) -> dict[str, GraphQLField]:
    return dict(kind.fields) if isinstance(kind, GraphQLObjectType) else {}


def _new_fields(
    document: Document, ours: GraphQLSchema, live: GraphQLSchema
) -> Iterator[tuple[str, str]]:
    for selected in _selected(document, ours, live):
        mine = _fields(get_named_type(selected.ours.type))
        theirs = get_named_type(selected.live.type)
        for name in _fields(theirs).keys() - mine.keys() if mine else ():
            yield theirs.name, name


def _new_values(table: Table, live: GraphQLSchema) -> Iterator[str]:
    for fan in table.fan_out:
        kind = live.get_type(table.variables.get(fan.variable, "").rstrip("!"))
        if fan.over == "values" and isinstance(kind, GraphQLEnumType):
            yield from (f"{kind.name}.{v}" for v in kind.values if v not in fan.values)
