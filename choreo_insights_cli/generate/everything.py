"""Generates every file that follows from the documents, views and panels: `make tables`."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import msgspec

from choreo_insights.catalogue import Catalogue, Column, Table
from choreo_insights.dataset.store import VERSION
from choreo_insights_cli import output
from choreo_insights_cli.catalogue.compiler import compile_folder, schema
from choreo_insights_cli.catalogue.errors import DocumentError
from choreo_insights_cli.catalogue.service_schema import for_own_documents
from choreo_insights_cli.dashboard.panels import SHEETS
from choreo_insights_cli.errors import WrongUsage
from choreo_insights_cli.generate import (
    athena,
    cli_page,
    costs_page,
    glue,
    quicksight,
    tables_page,
    views_page,
)
from choreo_insights_cli.paths import DISTRIBUTION, PACKAGE, ROOT, is_project
from choreo_insights_cli.sql import shipped as shipped_sql
from choreo_insights_cli.sql.model import Statement, View
from choreo_insights_cli.sql.shipped import COMPILED, OWN


def version(root: Path) -> str:
    """The version of a project's folder: its release, or the last one before it."""
    with (root / "pyproject.toml").open("rb") as file:
        number: str = tomllib.load(file)["project"]["version"]
    return number


def own_version() -> str:
    """The version of this program."""
    return version(ROOT) if is_project(ROOT) else metadata.version(DISTRIBUTION)


def generated(root: Path) -> Iterator[tuple[Path, str]]:
    """Every derived file below `root`, a project's folder, with its content.

    Reads only the documents, never compiled output. Raises DocumentError.
    """
    against = schema()
    program = root / PACKAGE.name if (root / PACKAGE.name).exists() else PACKAGE
    shipped = compile_folder(program / "catalogue/tables", against)
    # Tables and views share the names of one database.
    taken = (
        *(table.name for table in shipped),
        *(view.stem for view in (program / "sql/views").glob("*.sql")),
    )
    custom = compile_folder(root / "custom", for_own_documents(root / "custom"), taken)
    own = [msgspec.structs.replace(table, own=True) for table in custom]
    yield root / "layers/insights/choreo_insights/catalogue.json", _compiled(shipped)
    yield root / "generated/custom_catalogue.json", _compiled(own)
    versions = {"Version": version(root), "DatasetVersion": str(VERSION)}
    yield root / "generated/tables.yaml", glue.render([*map(_described, shipped), *OWN], versions)
    yield root / "generated/custom_tables.yaml", glue.render(map(_described, own))
    yield root / "docs/generated/tables.md", tables_page.render(shipped, OWN)
    yield root / "docs/generated/custom_tables.md", tables_page.render_own(own)
    tables = {name: columns for name, _, columns in [*map(_described, shipped), *OWN]}
    views, queries = _sql(program, tables)
    yield root / PACKAGE.name / COMPILED, shipped_sql.compiled(views, queries)
    yield root / "generated/views.yaml", athena.render_views(views)
    yield root / "generated/queries.yaml", athena.render_queries(queries)
    yield root / "docs/generated/views.md", views_page.render(views, queries)
    yield root / "docs/cli.md", cli_page.render()
    yield root / "docs/generated/costs.md", costs_page.render(Catalogue(tuple(shipped)))
    yield root / "generated/quicksight.yaml", quicksight.render(SHEETS, views)


def _sql(
    program: Path, tables: Mapping[str, Sequence[Column]]
) -> tuple[Sequence[View], Sequence[Statement]]:
    """The views and saved queries of a project. Raises DocumentError, or WrongUsage.

    An installation has no parser of SQL. It needs none while the project's files are its own: a
    user's documents make tables, and no view reads these.
    """
    try:
        from choreo_insights_cli.sql import statements  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "sqlglot":
            raise
        if changed := _sql_files(program) ^ _sql_files(PACKAGE):
            raise WrongUsage(
                f"The project's SQL is not this program's ({min(changed)[0]}): `make tables` in"
                " the project's folder compiles it, with the tools of its developers."
            ) from None
        return shipped_sql.views(), shipped_sql.queries()
    views = statements.views(program / "sql/views", tables)
    return views, statements.queries(program / "sql/queries", tables, views)


def _sql_files(program: Path) -> set[tuple[str, str]]:
    folder = program / "sql"
    return {
        (path.relative_to(folder).as_posix(), path.read_text("utf-8"))
        for path in folder.glob("*/*.sql")
    }


def _compiled(tables: Sequence[Table]) -> str:
    encoded = msgspec.json.encode(Catalogue(tuple(tables)))
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


def _described(table: Table) -> tuple[str, str, Sequence[Column]]:
    return table.name, table.description, table.columns


def write(root: Path, *, check: bool) -> int:
    """Writes stale files, or with `check` names them. Returns the exit code.

    Raises WrongUsage where the folder is of another release than this program.
    """
    if (theirs := version(root)) != (ours := own_version()):
        raise WrongUsage(
            f"{root} is version {theirs} of the project, and this program is version {ours}:"
            f" install the program from there (pipx install --force {root})."
        )
    try:
        files = list(generated(root))
    except DocumentError as error:
        output.line(f"{error}", error=True)
        return 1
    stale = [path for path, text in files if not path.exists() or path.read_text("utf-8") != text]
    for path, text in files:
        if path in stale and not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            output.line(f"wrote {path.relative_to(root)}")
    if stale and check:
        names = ", ".join(str(path.relative_to(root)) for path in stale)
        output.line(f"{names}: older than the documents. Run `make tables`", error=True)
        return 1
    return 0
