"""What the documents name is there: targets, commands, options, files; documents compile."""

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from graphql import build_schema

from choreo_insights_cli.catalogue.compiler import compile_document, schema, schema_text
from choreo_insights_cli.main import COMMANDS, program
from choreo_insights_cli.paths import ROOT
from tests.documents import PAGES, blocks, inline
from tests.unit.choreo_insights_cli.catalogue.test_service_schema import AUTOMATION

MAKEFILES = "".join(
    path.read_text("utf-8") for path in (ROOT / "Makefile", *(ROOT / "dev/make").glob("*.mk"))
)
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILES, re.M))
COMMANDS_TYPED = [(block.page, command) for block in blocks("sh") for command in block.commands] + [
    *inline("make"),
    *inline("insights"),
]
# In a page's address, or the words of an address.
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def typed(program_name: str) -> list[tuple[str, list[str]]]:
    """Page and words of each command of a program, the variables before it left out."""
    found = []
    for page, text in COMMANDS_TYPED:
        words = shlex.split(text.replace("…", ""))
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words and words[0] == program_name:
            found.append((page, words[1:]))
    return found


@pytest.mark.parametrize(("page", "words"), typed("make"))
def test_a_target_that_is_named_is_there(page: str, words: list[str]) -> None:
    targets = [word for word in words if "=" not in word and not word.startswith("-")]
    assert set(targets) <= TARGETS, page
    for word in words:
        if "=" in word:
            name = word.partition("=")[0]
            code = MAKEFILES + "".join(
                p.read_text("utf-8") for p in (ROOT / "dev/local").glob("*.py")
            )
            assert re.search(rf"\b{name}\b", code), f"{page}: {name}"


@pytest.mark.parametrize(("page", "words"), typed("insights"))
def test_a_command_that_is_named_is_there(page: str, words: list[str]) -> None:
    if not words or words[0] in ("--help", "--version"):
        return
    assert words[0] in COMMANDS, page
    command = program.get_command(click.Context(program), words[0])
    assert command
    known = {"--help"}.union(*(p.opts for p in command.params if isinstance(p, click.Option)))
    assert {word.partition("=")[0] for word in words[1:] if word.startswith("-")} <= known | {"-"}


def test_there_is_something_to_find() -> None:
    assert len(typed("make")) > 40
    assert len(typed("insights")) > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_points_to_is_there(page: Path) -> None:
    for target in _LINK.findall(page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("block", [*blocks("graphql")], ids=lambda block: block.page)
def test_a_document_that_is_shown_compiles(block: object) -> None:
    text = block.text  # type: ignore[attr-defined]
    (name,) = re.findall(r"^query (\w+)", text, re.M)
    # One shows what a newer service has.
    against = build_schema(schema_text() + AUTOMATION) if "Automation" in text else schema()
    assert compile_document(Path(f"custom/{name}.graphql"), text, against).name == name


def test_the_modules_of_the_architecture_are_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    named = set(re.findall(r"`([\w./-]+(?:\.\w+|/))`", text)) - {"quarantine/", "catalogue.json"}
    bases = (ROOT, ROOT / "layers/insights/choreo_insights", ROOT / "layers/insights")
    assert len(named) > 50
    assert [name for name in named if not any((base / name).exists() for base in bases)] == []


def test_every_block_says_what_it_is() -> None:
    """A block without a language would be run by nobody."""
    assert [block.page for block in blocks("") if block.text.strip()] == []


def test_no_file_holds_a_conflict() -> None:
    """What a merge leaves in a page or a template fails no other check."""
    names = subprocess.run(
        ["git", "ls-files", "*.md", "*.sql", "*.js", "*.css", "*.mk", "*.toml", "*.graphql"],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=True,
    ).stdout.split()  # fmt: skip
    marked = re.compile(r"^(<{7}|>{7}) ", re.M)
    assert [name for name in names if marked.search((ROOT / name).read_text("utf-8"))] == []
