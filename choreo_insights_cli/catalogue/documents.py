"""The documents of a folder as files."""

from collections.abc import Iterator
from pathlib import Path

from choreo_insights_cli.catalogue.errors import DocumentError

# The service's schema in the folder of own documents.
SCHEMA = "schema.graphql"
# The extensions that other tools use for GraphQL documents, in lower case.
_SUFFIXES = (".graphql", ".graphqls", ".gql")


def paths(folder: Path) -> Iterator[Path]:
    """The documents below a folder, the alternatives of a table after its first one.

    A schema of the service that lies in the folder is not a document.
    Raises DocumentError for one that would be passed over by its name.
    """
    for path in sorted(folder.rglob("*"), key=lambda path: (path.stem, path)):
        if path == folder / SCHEMA:
            continue
        if path.suffix == ".graphql":
            yield path
        elif path.suffix.lower() in _SUFFIXES:
            raise DocumentError(path, "a document's name ends in .graphql: rename the file", 1)


def text(path: Path) -> str:
    """A document's text. Raises DocumentError where it cannot be read."""
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DocumentError(path, "it is not UTF-8: save it as UTF-8", line) from None
    except OSError as error:
        reason = f"it cannot be read ({error.strerror}): a document is a file of text"
        raise DocumentError(path, reason, 1) from None
