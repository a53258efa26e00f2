"""The catalogue's documents, the user's own included."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, parse

from catalogue.compiler import FOLDER, compile_document
from catalogue.errors import DocumentError
from cli.doctor.findings import Finding
from cli.places import shipped
from insights.catalogue import Table


@dataclass(frozen=True)
class Document:
    """A document: its path below the project, its query as the service gets it, its table."""

    path: str
    query: DocumentNode
    table: Table


def folders() -> dict[str, Path]:
    """Where the shipped documents and the user's own lie, by the name of the folder."""
    return {"catalogue/tables": FOLDER / "tables", "custom": shipped("custom")}


def load(
    ours: GraphQLSchema, among: Mapping[str, Path] | None = None
) -> tuple[list[Document], list[Finding]]:
    """All documents in these folders, and findings about those that are broken."""
    documents, broken = [], []
    for name, folder in (folders() if among is None else among).items():
        for path in sorted(folder.rglob("*.graphql")):
            shown, text = name / path.relative_to(folder), path.read_text("utf-8")
            try:
                table = compile_document(shown, text, ours)
            except DocumentError as error:
                broken.append(Finding(shown.as_posix(), "failed", str(error), "Mend the document"))
            else:
                documents.append(Document(shown.as_posix(), _as_sent(text), table))
    return documents, broken


def named(documents: Iterable[Document], name: str) -> Table | None:
    """The table of this name, None where its document is broken."""
    return next((d.table for d in documents if d.table.name == name), None)


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
