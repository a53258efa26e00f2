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
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    parse,
    print_ast,
    validate,
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
    try:
        document = parse(text)
    except GraphQLError:
        return  # who compiles it says so
    types = TypeInfo(against)
    without = _Without(types)
    derived = print_ast(visit(document, TypeInfoVisitor(types, without)))
    # Printed first: an empty selection is none only then.
    if without.names and not validate(against, parse(derived)):
        names = " and ".join(dict.fromkeys(without.names))
        comment = f"# As the published schema has it: without {names}.\n"
        yield path.with_suffix(".published.graphql"), f"{comment}{derived}\n"


class _Without(Visitor):
    """Removes newer fields and filter fields."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self.names: list[str] = []

    def enter_field(self, node: FieldNode, *_: object) -> object:
        return self._left_out(self._types.get_parent_type(), node.name.value)

    def enter_object_field(self, node: ObjectFieldNode, *_: object) -> object:
        return self._left_out(self._types.get_parent_input_type(), node.name.value)

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
