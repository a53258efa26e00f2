"""The document for a service of the published schema, derived from one that uses newer fields.

Nothing of a document is written twice: the newer fields and filter fields are left out, the rest is
the same.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    REMOVE,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    InputObjectTypeExtensionNode,
    ObjectFieldNode,
    ObjectTypeExtensionNode,
    SelectionSetNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    parse,
    print_ast,
    visit,
)

# Fields and filter fields that clients of 2026 use and the published schema lacks [Choreo].
NEWER = ("newer.graphql", "newer_filters.graphql")
_FOLDER = Path(__file__).parent


def with_fallback(path: Path, text: str, against: GraphQLSchema) -> Iterator[tuple[Path, str]]:
    """A document, and behind it the one without newer fields, `<table>.published.graphql`.

    None is derived where the folder has another document of the table, where there are no newer
    fields, or where nothing would be left.
    """
    yield path, text
    if "." in path.stem or any(path.parent.glob(f"{path.stem}.*.graphql")):
        return
    types = TypeInfo(against)
    without = _Without(types)
    try:
        derived = print_ast(visit(parse(text), TypeInfoVisitor(types, without)))
    except GraphQLError:
        return  # who compiles the document says what is wrong with it
    if without.names and not without.is_empty:
        names = " and ".join(dict.fromkeys(without.names))
        comment = f"# As the published schema has it: without {names}.\n"
        yield path.with_suffix(".published.graphql"), f"{comment}{derived}\n"


class _Without(Visitor):
    """Removes newer fields and filter fields."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self.names: list[str] = []
        self.is_empty = False

    def enter_field(self, node: FieldNode, *_: object) -> object:
        return self._left_out(self._types.get_parent_type(), node.name.value)

    def enter_object_field(self, node: ObjectFieldNode, *_: object) -> object:
        return self._left_out(self._types.get_parent_input_type(), node.name.value)

    def leave_selection_set(self, node: SelectionSetNode, *_: object) -> None:
        self.is_empty |= not node.selections

    def _left_out(self, kind: Any, name: str) -> object:
        if kind is None or (get_named_type(kind).name, name) not in _newer():
            return None
        self.names.append(name)
        return REMOVE


@cache
def _newer() -> frozenset[tuple[str, str]]:
    """The newer fields by their types."""
    return frozenset(
        (kind.name.value, field.name.value)
        for file in NEWER
        for kind in parse((_FOLDER / file).read_text("utf-8")).definitions
        if isinstance(kind, ObjectTypeExtensionNode | InputObjectTypeExtensionNode)
        for field in kind.fields or ()
    )
