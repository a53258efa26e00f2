"""What is written to a terminal and to a pipe: text of strangers stays text."""

import ast
import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from choreo_insights_cli import main, output
from choreo_insights_cli.commands import query, token
from choreo_insights_cli.commands.query import QueryResult
from choreo_insights_cli.console import Console
from choreo_insights_cli.fitting import fitted
from choreo_insights_cli.paths import PACKAGE, ROOT

# One of each class of text that a stranger may choose: a User-Agent, a path, a name.
HOSTILE = {
    "markup": "/orders/[id]",
    "closing markup": "[/items] [bold]x",
    "emoji code": ":dog:",
    "terminal title": "\x1b]0;pwned\x07ok",
    "clipboard": "\x1b]52;c;ZXZpbA==\x1b\\ok",
    "C1 control": "\x9b31mred",
    "return": "good\rbad\b\b\bxx",
    "newline": "one\ntwo",
    "direction": "abc\u202efed",
    "surrogate": "\ud800x",
    "formula": "=HYPERLINK(1)",
    "long": "x" * 300,
    "wide": "注文" * 10,
    "right to left": "שלום",
    "inherited name": "__proto__",
    "path": "../../etc/passwd",
}
WRITES = ("print", "Console", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write")
FORBIDDEN = [chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), 0x202E)]


def is_harmless(text: str) -> bool:
    return not any(character in text for character in FORBIDDEN)


def test_nothing_but_the_output_module_writes() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.name == "output.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in (
                    "print",
                    "Console",
                    "click.secho",
                    "sys.stdout.write",
                    "sys.stderr.write",
                ), path
                assert called != "click.echo", f"{path}:{node.lineno}: use output.line"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_text_is_shown_as_it_is_or_escaped(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output.line(text)
    output.line(text, error=True)
    console = output.console(width=400)
    console.print(text)
    table = Table()
    table.add_column("a")
    table.add_row(text)
    console.print(table)
    monkeypatch.setattr(token, "call", lambda *_: {text: {"status": "failed", "error": text}})
    assert main.main(["token", "status"]) == 1
    shown = "".join(capsys.readouterr())
    assert is_harmless(shown)
    assert shown.count(output.escaped(text, keep="\n").splitlines()[0]) >= 4


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_cell_is_safe_in_every_form_of_an_answer(text: str) -> None:
    answer = QueryResult(["name", text], [(text, 3), (None, 4)])
    console = Console(file=io.StringIO(), width=80)
    for part in query.readable(answer, 80):
        console.print(part)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert is_harmless(shown)
    assert output.escaped(text).replace(" ", "")[:20] in shown.replace("\n", "").replace(" ", "")
    read = [*csv.reader(io.StringIO(query.as_csv_text(answer)))]
    assert is_harmless("".join(map("".join, read)))
    assert not read[1][0].startswith(("=", "+", "-", "@"))
    as_stored = [*csv.reader(io.StringIO(query.as_csv_text(answer, raw=True), newline=""))]
    assert as_stored[1] == [text, "3"]
    written = output.json_text(answer.records())
    assert is_harmless(written)
    written.encode()
    assert json.loads(written)[0] == {"name": text, text: 3}


def test_json_has_neither_nan_nor_lost_columns() -> None:
    answer = QueryResult(
        ["day", "day", "day_2", "rate"],
        [("a", "b", "c", float("nan")), ("d", "e", "f", float("inf"))],
    )
    found = json.loads(output.json_text(answer.records()))
    assert found[0] == {"day": "a", "day_3": "b", "day_2": "c", "rate": None}
    assert found[1]["rate"] is None


def run(*arguments: str, **streams: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/insights'}"}
    environment |= {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "choreo_insights_cli", *arguments],
        env=environment, stderr=subprocess.PIPE, **streams,  # type: ignore[call-overload]
    )  # fmt: skip


def test_a_reader_that_goes_away_changes_no_exit_code() -> None:
    child = run("query", "--saved", stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.close()
    _, error = child.communicate()
    assert (child.returncode, error) == (0, b"")


@pytest.mark.parametrize(
    ("redirected", "code", "says"),
    [
        ("--saved >&- <&-", 0, ""),
        ("- <&-", 2, "Give a query"),
        ("--saved > /dev/full", 3, "No space left"),
    ],
)
def test_closed_streams_and_a_full_disk_are_survived(redirected: str, code: int, says: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m choreo_insights_cli query {redirected}"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/insights'}"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ended.returncode == code
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) <= 1


def test_output_to_a_pipe_is_utf_8() -> None:
    child = run("tables", "resource_usage", stdout=subprocess.PIPE)
    out, error = child.communicate()
    assert (child.returncode, error) == (0, b"")
    out.decode("utf-8")


def test_a_terminal_shows_what_a_stranger_wrote_as_text(tmp_path: Path) -> None:
    script = tmp_path / "stubbed.py"
    script.write_text(
        "import sys\n"
        "from choreo_insights_cli import main\n"
        "from choreo_insights_cli.commands import query\n"
        f"rows = {[(text, 1) for text in HOSTILE.values()]!r}\n"
        "query.ask = lambda *_: query.QueryResult(['user_agent', 'requests'], rows)\n"
        "sys.exit(main.main(['query', 'SELECT 1', '--no-pager']))\n",
        "utf-8",
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", PYTHONPATH=f"{ROOT}:{ROOT / 'layers/insights'}")
        os.execv(sys.executable, [sys.executable, str(script)])
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:
        pass
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"/orders/[id]" in shown
    assert b":dog:" in shown
    assert b"\x1b]" not in shown
    assert b"\x07" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no word is cut in two where it ends", "no word is cut in\n  two where it ends"),
        ("  its indentation stays as it is", "  its indentation\n    stays as it is"),
        ("注文 注文 注文 注文 注文", "注文 注文 注文 注文\n  注文"),
        (
            "Next: insights logs --errors, or insights doctor --org acme",
            "Next: insights logs --errors,\n  or\n  insights doctor --org acme",
        ),
        ("settled 18, remaining 0, rows 1,234", "settled 18,\n  remaining 0,\n  rows 1,234"),
        ("of 38, remaining 10", "of 38, remaining 10"),
        ("see `insights query 'a b c d e f'` for", "see\n  `insights query 'a b c d e f'`\n  for"),
        ("/a/path/that/is/longer/than/it stays", "/a/path/that/is/longer/than/it\n  stays"),
        ("", ""),
        ("one\n\ntwo", "one\n\ntwo"),
    ],
)
def test_a_terminal_gets_whole_words_and_commands(text: str, shown: str) -> None:
    assert fitted(text, 20, 2) == shown
    out = io.StringIO()
    Console(file=out, width=20, force_terminal=True, color_system=None).prose(text, 2)
    assert out.getvalue() == f"{shown}\n"


def test_a_broken_line_keeps_its_colours() -> None:
    out = io.StringIO()
    console = Console(file=out, width=10, force_terminal=True, color_system="standard")
    console.prose(Text.assemble(("red", "red"), " and what else"))
    assert out.getvalue() == "\x1b[31mred\x1b[0m and\nwhat else\n"


def test_a_pipe_gets_lines_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    output.line("word " * 60)
    assert capsys.readouterr().out == "word " * 60 + "\n"


@pytest.mark.parametrize("arguments", [["query", "-"], ["secret", "acme", "--prefix", "p"]])
def test_what_is_not_utf_8_is_refused_with_what_to_do(arguments: list[str]) -> None:
    ran = run(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    _, said = ran.communicate("SELECT 'Zürich'".encode("latin-1"))
    assert ran.returncode == 2
    assert said.decode("utf-8").startswith("The standard input is not UTF-8 text: save it as")


def test_a_byte_order_mark_is_no_part_of_what_is_read() -> None:
    marked = "\ufeff{}".encode()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/insights'}"}
    code = "import sys; from choreo_insights_cli import output; output.prepare();"
    code += "print(ascii(sys.stdin.read()))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=marked, env=environment, capture_output=True, check=True
    )
    assert done.stdout == b"'{}'\n"
