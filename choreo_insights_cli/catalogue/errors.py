"""The error of a document."""

from pathlib import Path

from graphql import GraphQLError, Node


class DocumentError(Exception):
    """A document that does not compile: file, line, reason and remedy."""

    def __init__(self, path: Path, reason: str, where: Node | int | None = None) -> None:
        """`where` is the node or the line at fault, None where it is unknown."""
        line = where.loc.start_token.line if isinstance(where, Node) and where.loc else where
        super().__init__(f"{path}:{line}: {reason}" if line else f"{path}: {reason}")


def line_of(error: GraphQLError) -> int:
    """The line that graphql-core names, the first one where it names none."""
    return error.locations[0].line if error.locations else 1
