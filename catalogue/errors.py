"""What is wrong with a document."""

from pathlib import Path

from graphql import GraphQLError, Node


class DocumentError(Exception):
    """A document that cannot be a table: file, line, reason and remedy."""

    def __init__(self, path: Path, reason: str, node: Node | None = None) -> None:
        line = f":{node.loc.start_token.line}" if node and node.loc else ""
        super().__init__(f"{path}{line}: {reason}")


def located(path: Path, error: GraphQLError) -> DocumentError:
    """What graphql-core says of a document, with the line it names."""
    line = f":{error.locations[0].line}" if error.locations else ""
    return DocumentError(Path(f"{path}{line}"), error.message)
