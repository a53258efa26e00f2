"""Imports run down: from what developers need to the program, from the program to the library."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from choreo_insights_cli.paths import ROOT

LIBRARY = (
    "choreo_insights",
    "choreo_insights.tokens",
    "choreo_insights.dataset",
    "choreo_insights.export",
    "choreo_insights.report",
)
PROGRAM = (
    "choreo_insights_cli",
    "choreo_insights_cli.catalogue",
    "choreo_insights_cli.sql",
    "choreo_insights_cli.costs",
    "choreo_insights_cli.dashboard",
    "choreo_insights_cli.generate",
    "choreo_insights_cli.releases",
)
# What each room may import, beside itself: a package's own modules, or those of a folder in it.
MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "choreo_insights": (),
    "choreo_insights.tokens": ("choreo_insights",),
    "choreo_insights.dataset": ("choreo_insights",),
    "choreo_insights.export": (
        "choreo_insights",
        "choreo_insights.tokens",
        "choreo_insights.dataset",
    ),
    "choreo_insights.report": ("choreo_insights", "choreo_insights.dataset"),
    "functions": LIBRARY,
    # What the commands share. `main` names them as texts, and imports the one that is called.
    "choreo_insights_cli": LIBRARY,
    "choreo_insights_cli.catalogue": LIBRARY,
    "choreo_insights_cli.sql": (*LIBRARY, "choreo_insights_cli", "choreo_insights_cli.catalogue"),
    "choreo_insights_cli.costs": LIBRARY,
    "choreo_insights_cli.dashboard": (*LIBRARY, "choreo_insights_cli.sql"),
    "choreo_insights_cli.generate": (
        *LIBRARY,
        "choreo_insights_cli",
        "choreo_insights_cli.catalogue",
        "choreo_insights_cli.costs",
        "choreo_insights_cli.dashboard",
        "choreo_insights_cli.sql",
    ),
    "choreo_insights_cli.releases": (*LIBRARY, "choreo_insights_cli", "choreo_insights_cli.sql"),
    "choreo_insights_cli.commands": (*LIBRARY, *PROGRAM),
    # The sandbox must not know what it tests.
    "dev.sandbox": (),
    "dev.checks": PROGRAM,
    "dev.picture": (*LIBRARY, *PROGRAM, "dev.sandbox"),
    "dev.local": (*LIBRARY, *PROGRAM, "choreo_insights_cli.commands"),
    "dev.bench": (
        *(*LIBRARY, *PROGRAM, "choreo_insights_cli.commands"),
        *("dev.local", "dev.picture", "dev.sandbox"),
    ),
    "dev": (*LIBRARY, *PROGRAM),
}
OURS = {name.split(".")[0] for name in MAY_IMPORT} | {"tests"}


def sources() -> dict[str, str]:
    """The text of every module outside of the tests, by dotted name."""
    found = {}
    for base, folder in (("layers/insights", "choreo_insights"), *(("", n) for n in OURS)):
        if folder == "tests":
            continue
        for path in (ROOT / base / folder).rglob("*.py"):
            name = path.relative_to(ROOT / base).with_suffix("").as_posix().replace("/", ".")
            found[name.removesuffix(".__init__")] = path.read_text("utf-8")
    return found


def room(module: str, modules: Mapping[str, str]) -> str:
    """The folder of a module in its package, or the package itself."""
    package, *inner = module.split(".")
    if package == "functions":
        return package
    folder = f"{package}.{inner[0]}" if inner else package
    below = any(name.startswith(f"{folder}.") for name in modules)
    return folder if inner and below else package


def imports(text: str, modules: Mapping[str, str]) -> Iterator[str]:
    """The modules of this project that a module imports, those for types included."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "an import without a package is relative: write it out"
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else node.module for name in full]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in OURS)


def upward(modules: Mapping[str, str], importers: Iterable[str]) -> list[str]:
    """The imports of these modules that no rule allows, as `importer -> imported`."""
    return [
        f"{module} -> {imported}"
        for module in sorted(importers)
        for imported in imports(modules[module], modules)
        if room(imported, modules)
        not in (room(module, modules), *MAY_IMPORT[room(module, modules)])
    ]


def test_every_import_runs_down() -> None:
    modules = sources()
    assert upward(modules, modules) == []


def test_the_rules_have_no_circle() -> None:
    tuple(TopologicalSorter(MAY_IMPORT).static_order())


def test_every_room_has_a_rule() -> None:
    modules = sources()
    assert {room(module, modules) for module in modules} == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("choreo_insights.errors", "from choreo_insights.dataset import store"),
        ("choreo_insights.dataset.store", "from choreo_insights.export.run import Export"),
        ("choreo_insights.tokens.reader", "import choreo_insights.dataset.store"),
        ("choreo_insights.export.run", "def f():\n    from dev.sandbox import world"),
        ("choreo_insights_cli.sql.duckdb", "from choreo_insights_cli.commands import query"),
        ("choreo_insights_cli.stack", "from tests.fakes import s3"),
        ("dev.sandbox.world", "from choreo_insights.catalogue import load"),
    ],
)
def test_an_import_that_runs_up_is_found(module: str, line: str) -> None:
    modules = {**sources(), module: line}
    (found,) = upward(modules, [module])
    assert found.startswith(f"{module} -> ")


def test_the_program_imports_no_command_before_it_is_called() -> None:
    """Together they bring a database and a plotting library."""
    text = (ROOT / Path("choreo_insights_cli/main.py")).read_text("utf-8")
    light = {"errors", "fitting", "names", "output", "paths", "redaction"}
    assert {name.split(".")[1] for name in imports(text, sources())} <= light
