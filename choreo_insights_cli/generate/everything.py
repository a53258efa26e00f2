"""What follows from the documents, views and panels: the files that `make tables` writes."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from choreo_insights.catalogue import Catalogue, Column, Table
from choreo_insights.dataset.store import VERSION
from choreo_insights_cli.catalogue.compiler import compile_folder, schema
from choreo_insights_cli.catalogue.errors import DocumentError
from choreo_insights_cli.dashboard.panels import SHEETS
from choreo_insights_cli.generate import athena, glue, quicksight, tables_page, views_page
from choreo_insights_cli.sql import statements
from choreo_insights_cli.sql.shipped import OWN, ROOT, version


def generated(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Every derived file below `root` with its content. Raises DocumentError."""
    against = schema()
    shipped = compile_folder(root / "choreo_insights_cli/catalogue/tables", against)
    # Tables and views share the names of one database.
    taken = (
        *(table.name for table in shipped),
        *(v.stem for v in (root / "choreo_insights_cli/sql/views").glob("*.sql")),
    )
    found = compile_folder(root / "custom", against, taken)
    own = [msgspec.structs.replace(table, own=True) for table in found]
    yield root / "layers/insights/choreo_insights/catalogue.json", _compiled(shipped)
    yield root / "generated/custom_catalogue.json", _compiled(own)
    versions = {"Version": version(), "DatasetVersion": str(VERSION)}
    yield root / "generated/tables.yaml", glue.render([*map(_described, shipped), *OWN], versions)
    yield root / "generated/custom_tables.yaml", glue.render(map(_described, own))
    yield root / "docs/generated/tables.md", tables_page.render(shipped, OWN)
    yield root / "docs/generated/custom_tables.md", tables_page.render_own(own)
    tables = {name: columns for name, _, columns in [*map(_described, shipped), *OWN]}
    views = statements.views(root / "choreo_insights_cli/sql/views", tables)
    queries = statements.queries(root / "choreo_insights_cli/sql/queries", tables, views)
    yield root / "generated/views.yaml", athena.render_views(views)
    yield root / "generated/queries.yaml", athena.render_queries(queries)
    yield root / "docs/generated/views.md", views_page.render(views, queries)
    yield root / "generated/quicksight.yaml", quicksight.render(SHEETS, views)


def _compiled(tables: Sequence[Table]) -> str:
    encoded = msgspec.json.encode(Catalogue(tuple(tables)))
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


def _described(table: Table) -> tuple[str, str, Sequence[Column]]:
    return table.name, table.description, table.columns


def write(*, check: bool) -> int:
    """Writes what is stale, or only names it; 1 where a document is broken or a check fails."""
    try:
        files = list(generated())
    except DocumentError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    stale = [path for path, text in files if not path.exists() or path.read_text("utf-8") != text]
    for path, text in files:
        if path in stale and not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    if stale and check:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        sys.stderr.write(f"{names}: older than the documents. Run `make tables`\n")
        return 1
    return 0
