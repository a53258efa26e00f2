"""The catalogue's documents, the user's own included."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, parse

from choreo_insights.catalogue import Table
from choreo_insights_cli.catalogue.compiler import FOLDER, compile_document
from choreo_insights_cli.catalogue.documents import paths, text
from choreo_insights_cli.catalogue.errors import DocumentError
from choreo_insights_cli.catalogue.fallback import with_fallback
from choreo_insights_cli.commands.doctor.findings import Finding
from choreo_insights_cli.paths import shipped


@dataclass(frozen=True)
class Document:
    """A document: its path below the project, its query as the service gets it, its table."""

    path: str
    query: DocumentNode
    table: Table


def folders() -> dict[str, Path]:
    """Where the shipped documents and the user's own lie, by the name of the folder."""
    return {"choreo_insights_cli/catalogue/tables": FOLDER / "tables", "custom": shipped("custom")}


def load(
    ours: GraphQLSchema, among: Mapping[str, Path] | None = None
) -> tuple[list[Document], list[Finding]]:
    """All documents in these folders, and findings about those that are broken."""
    documents: list[Document] = []
    broken: list[Finding] = []
    for name, folder in (folders() if among is None else among).items():
        try:
            for path in paths(folder):
                _read(name, path, path.relative_to(folder), ours, documents, broken)
        except DocumentError as error:
            broken.append(Finding(name, "failed", str(error), "Mend the name"))
    return documents, broken


def _read(
    folder: str,
    path: Path,
    name: Path,
    ours: GraphQLSchema,
    documents: list[Document],
    broken: list[Finding],
) -> None:
    """Adds a document to those of its kind, and the one that is derived from it."""
    shown = folder / name
    try:
        for each, said in with_fallback(path, text(path), ours):
            way = shown.with_name(each.name)
            table = compile_document(way, said, ours)
            documents.append(Document(way.as_posix(), _as_sent(said), table))
    except DocumentError as error:
        broken.append(Finding(shown.as_posix(), "failed", str(error), "Mend the document"))


def named(documents: Iterable[Document], name: str) -> Table | None:
    """The table of this name, None where its document is broken."""
    return next(ways(documents, name), None)


def ways(documents: Iterable[Document], name: str) -> Iterator[Table]:
    """The table of this name by each of its documents, the one that is tried first first."""
    return (document.table for document in documents if document.table.name == name)


def with_other_ways(
    documents: Sequence[Document], findings: Iterable[Finding]
) -> Iterator[Finding]:
    """Findings about documents: one that is refused is not a fault where another replaces it."""
    tables = {document.path: document.table.name for document in documents}
    found = list(findings)
    works = {tables[each.what]: each.what for each in found if each.status in ("ok", "note")}
    for each in found:
        other = works.get(tables[each.what])
        if each.status == "differs" and other:
            yield replace(
                each,
                status="skipped",
                says=f"{other.rpartition('/')[2]} is used ({each.says})",
                change="",
            )
        else:
            yield each


def _as_sent(text: str) -> DocumentNode:
    """Without the directives that are for the exporter alone."""
    document = parse(text)
    definitions = tuple(
        replace(definition, directives=())
        if isinstance(definition, OperationDefinitionNode)
        else definition
        for definition in document.definitions
    )
    return replace(document, definitions=definitions)
