"""Suggests what the schema has in place of a name that a document gets wrong."""

from collections.abc import Iterable
from typing import Any

from graphql import (
    BREAK,
    ArgumentNode,
    DirectiveLocation,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLSchema,
    NamedTypeNode,
    Node,
    ObjectFieldNode,
    TypeInfo,
    TypeInfoVisitor,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    is_specified_directive,
    visit,
)

# The published schema is older than the service [Choreo].
_NEWER = "If the service has it, write its schema: insights doctor --schema custom/schema.graphql"


def advice(error: GraphQLError, document: DocumentNode, schema: GraphQLSchema) -> str:
    """The names that fit where a fault is; empty where the error names them itself."""
    node = error.nodes[0] if error.nodes else None
    if isinstance(node, VariableDefinitionNode):
        return "Use it or take it away" if len(error.nodes or ()) == 1 else "Declare it as that"
    if isinstance(node, VariableNode):
        return "Declare it above, as in query q($time: TimeFilter!)"
    if isinstance(node, NamedTypeNode):
        return _choice("enums", _enums(schema))
    if isinstance(node, DirectiveNode):
        return _choice("directives", _directives(schema))
    info = TypeInfo(schema)
    finder = _Finder(node, info)
    visit(document, TypeInfoVisitor(info, finder))
    return finder.advice


def _choice(what: str, names: Iterable[str]) -> str:
    return f"The {what} are: {', '.join(names)}"


def _enums(schema: GraphQLSchema) -> list[str]:
    kinds = schema.type_map.values()
    return [k.name for k in kinds if isinstance(k, GraphQLEnumType) and k.name[:2] != "__"]


def _directives(schema: GraphQLSchema) -> list[str]:
    """Those that are for documents."""
    return [
        f"@{each.name}"
        for each in schema.directives
        if not is_specified_directive(each)
        and DirectiveLocation.FIELD_DEFINITION not in each.locations
    ]


class _Finder(Visitor):
    """Walks to a node, and notes the names that fit there."""

    def __init__(self, node: Node | None, info: TypeInfo) -> None:
        super().__init__()
        self._node = node
        self._info = info
        self.advice = ""

    def enter(self, node: Node, *_: object) -> Any:
        if node is not self._node:
            return None
        self.advice = self._advice(node)
        return BREAK

    def _advice(self, node: Node) -> str:
        if isinstance(node, ArgumentNode):
            return self._arguments()
        if isinstance(node, FieldNode):
            fields = getattr(self._info.get_parent_type(), "fields", {})
            if node.name.value not in fields:
                return f"{_choice('fields', fields)}. {_NEWER}"
            selected = getattr(get_named_type(fields[node.name.value].type), "fields", {})
            if selected and not node.selection_set:
                return _choice("fields", selected)
            return self._arguments()
        if isinstance(node, ObjectFieldNode):
            return self._input(self._info.get_parent_input_type())
        return self._input(self._info.get_input_type()) if isinstance(node, ValueNode) else ""

    def _arguments(self) -> str:
        field = self._info.get_field_def()
        taken = field.args.items() if field else ()
        return _choice("arguments", (f"{name}: {argument.type}" for name, argument in taken))

    def _input(self, kind: Any) -> str:
        named = get_named_type(kind)
        if isinstance(named, GraphQLEnumType):
            return _choice("values", named.values)
        if isinstance(named, GraphQLInputObjectType):
            return _choice("fields", (f"{name}: {f.type}" for name, f in named.fields.items()))
        return f"It takes {named}" if named else ""
