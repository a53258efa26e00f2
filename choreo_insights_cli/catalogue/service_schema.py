"""The schema that a service shows, for documents that select more than the published one has."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    NonNullTypeNode,
    Visitor,
    build_schema,
    parse,
    print_ast,
    print_schema,
    visit,
)

from choreo_insights_cli.catalogue.compiler import schema, schema_text
from choreo_insights_cli.catalogue.documents import SCHEMA
from choreo_insights_cli.catalogue.errors import DocumentError, line_of

# What the service calls the instants of its rows.
_INSTANTS = ("timeSpan", "timestamp")
_HEADER = """# The schema that the service showed, reduced to what documents can use. As
# custom/schema.graphql it adds to the published one for your own documents. A field with @instant
# is a timestamp, one with @milliseconds a double.
"""


def reduced(their: GraphQLSchema) -> str:
    """A schema's query fields and all that they reach, as text with the marks that columns need."""

    class Marked(Visitor):
        def enter_field_definition(self, node: FieldDefinitionNode, *_: object) -> object:
            if node.name.value not in _INSTANTS or "String" not in print_ast(node.type):
                return None
            marked: Any = parse(f"type T {{ {print_ast(node)} @instant }}").definitions[0]
            return marked.fields[0]

    queries = parse(print_schema(GraphQLSchema(query=their.query_type)))
    return f"{_HEADER}\n{print_ast(visit(queries, Marked()))}\n"


def for_own_documents(custom: Path) -> GraphQLSchema:
    """The schema for the documents of the folder `custom`: with what its schema.graphql adds.

    What the published schema has stays as it is. Raises DocumentError for a file without a schema.
    """
    path = custom / SCHEMA
    if not path.exists():
        return schema()
    try:
        more = parse(path.read_text("utf-8-sig"))
        return build_schema(print_ast(_extended(parse(schema_text()), more)))
    except (GraphQLError, TypeError, UnicodeDecodeError) as error:
        line = line_of(error) if isinstance(error, GraphQLError) else None
        reason = "write it with `insights doctor --schema`, or correct it"
        raise DocumentError(path, f"it is not a schema ({error}): {reason}", line) from None


def _extended(published: DocumentNode, more: DocumentNode) -> DocumentNode:
    by_name: dict[str, Any] = {}
    ours = sorted(published.definitions, key=lambda each: "extension" in each.kind)
    theirs = (each for each in more.definitions if _name(each) and "directive" not in each.kind)
    # A directive may have the name of a type.
    for each in (*ours, *theirs):
        name = f"{_name(each)} {'directive' in each.kind}"
        by_name[name] = _merged(by_name[name], each) if name in by_name else each
    return replace(published, definitions=tuple(by_name.values()))


def _name(node: Any) -> str:
    """The name of a definition; empty for what has none."""
    return node.name.value if getattr(node, "name", None) else ""


def _merged(mine: Any, theirs: Any) -> Any:
    """A definition with the fields, arguments and values that the other one has beside its own."""
    for part in ("fields", "values", "arguments"):
        if not (hasattr(mine, part) and hasattr(theirs, part)):
            continue
        other = {_name(each): each for each in getattr(theirs, part) or ()}
        own = getattr(mine, part) or ()
        both = [_merged(each, other.pop(_name(each), each)) for each in own]
        # The published documents do not fill what is required.
        added = [each for each in other.values() if not _is_required(each)]
        mine = replace(mine, **{part: (*both, *added)})
    return mine


def _is_required(node: Any) -> bool:
    is_input = node.kind == "input_value_definition"
    return is_input and isinstance(node.type, NonNullTypeNode) and node.default_value is None
