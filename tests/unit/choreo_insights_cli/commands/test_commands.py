"""The commands as the user calls them: their options, what they print, how they end."""

import csv
import io
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import click
import pytest
from botocore.exceptions import NoCredentialsError
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from choreo_insights.errors import PersonMustAct, Retriable
from choreo_insights.export.report import Report
from choreo_insights_cli import main, options
from choreo_insights_cli.called import called
from choreo_insights_cli.commands import export, logs, query, token
from choreo_insights_cli.commands import secret as secret_command
from choreo_insights_cli.commands.query import QueryResult
from choreo_insights_cli.commands.secret import ask as ask_for_secret
from choreo_insights_cli.commands.secret import read
from choreo_insights_cli.errors import BadNews, CommandError, WrongUsage
from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.stack import Stack

Ran = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Runs `insights`, without any AWS: its exit code, output and error output."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "STACK_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main.main(arguments)
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", [*main.COMMANDS])
def test_each_command_explains_itself_with_examples(ran: Ran, name: str) -> None:
    code, out, error = ran(name, "--help")
    assert (code, error) == (0, "")
    assert "--json " in out
    assert "Examples:\n" in out
    assert f"    insights {name}" in out
    summary = ran("--help")[1]
    assert f"\n  {name} " in summary
    assert "..." not in summary.partition("Examples:")[0].replace("[ARGS]...", "")


@pytest.mark.parametrize("name", ["token", "export", "status", "query", "dashboard", "logs"])
def test_without_a_stack_it_says_what_to_do(ran: Ran, name: str) -> None:
    given = ("SELECT 1",) if name == "query" else ()
    code, out, error = ran(name, *given, "--stack", "no-such-stack")
    assert (code, out) == (3, "")
    assert "The stack no-such-stack cannot be read" in error
    assert "Unable to locate credentials. Log in to AWS" in error
    assert "Traceback" not in error


def test_without_a_region_it_says_so(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    code, _, error = ran("status")
    assert code == 3
    assert "You must specify a region. Name the region by --region" in error


def test_a_profile_that_there_is_not_is_named(ran: Ran) -> None:
    code, _, error = ran("status", "--profile", "nobody")
    assert code == 3
    assert "nobody" in error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nonsense",), "No such command"),
        (("token", "steal"), "'steal' is not one of"),
        (("export", "--from", "2026-02-30"), "'2026-02-30' is not a date"),
        (("export", "--from", "tomorrow"), "'tomorrow' is not a date"),
        (("export", "--from", "2026-03-02", "--to", "2026-03-01"), "lies after --to"),
        (("export", "--event", "tables=apis"), "is not JSON"),
        (("export", "--event", "[]"), "is not a JSON object"),
        (("export", "--event", '{"tablez": []}'), "no such key of an event. Did you mean tables?"),
        (("export", "--event", "{}", "--force"), "--event is the whole event: force"),
        (("backfill",), "--from 2026-01-01 --to"),
        (("backfill", "--span", "0"), "--span"),
        (("backfill", "--stop", "a", "--resume", "a"), "give one of these"),
        (
            ("backfill", "--attach", "--from", "2026-01-01"),
            "--from cannot be given beside --attach",
        ),
        (
            ("backfill", "--resume", "--tables", "latency"),
            "--tables cannot be given beside --resume",
        ),
        (("backfill", "--list", "--stop"), "--stop and --list: give one of these"),
        (("restore", "--before", "0001-01-01T00:00+14:00"), "is not a time; use 2026-01-31T18:30"),
        (("dashboard", "--days", "0"), "--days"),
        (("dashboard", "--days", "a week"), "--days"),
        (("dashboard", "--days", "999999"), "--days"),
        (("query",), "Give a query"),
        (("query", "SELECT 1", "--saved", "busiest_apis"), "not both"),
        (("query", "--saved", "nothing"), "no such saved query. There are alerts_of_the_week"),
        (("query", "SELECT 1", "--csv", "--json"), "exclude each other"),
        (("tables", "nothing"), "nothing: no such table or view"),
        (("logs", "--since", "yesterday"), "is not a time span"),
        (("secret",), "Missing argument 'HANDLE'"),
    ],
)
def test_a_wrong_call_is_refused_with_what_is_right(
    ran: Ran, arguments: tuple[str, ...], says: str
) -> None:
    code, out, error = ran(*arguments)
    assert code == 2
    assert says in error
    assert out == ""


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (BadNews("2 failed"), 1, "2 failed"),
        (WrongUsage("not so"), 2, "not so"),
        (CommandError("no stack"), 3, "no stack"),
        (PersonMustAct("403: subscribe"), 3, "403: subscribe"),
        (NoCredentialsError(), 3, "AWS refused: Unable to locate credentials"),
        (PermissionError(13, "Permission denied", "/x"), 3, "[Errno 13] Permission denied: '/x'"),
        (KeyboardInterrupt(), 130, "Interrupted."),
    ],
)
def test_the_exit_code_tells_how_it_ended(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, says: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(token, "call", fail)
    ended, out, error = ran("token")
    assert (ended, out, error.strip()) == (code, "", says)


# What the makefile's targets give to the commands


@pytest.mark.parametrize(
    ("call", "given"),
    [
        ("token ORG='a b' ACTION=renew", ["token", "renew", "--org", "a b"]),
        ("token", ["token", "status"]),
        ("token ACTION=revoke YES=1", ["token", "revoke", "--yes"]),
        ("secret ORG=acme", ["secret", "acme"]),
        (
            """export EVENT='{"tables": ["apis"]}' JSON=1""",
            ["export", "--event", '{"tables": ["apis"]}', "--json"],
        ),
        ("status JSON=0 ALL=1", ["status", "--all"]),
        (
            "backfill FROM=2026-01-01 TO=2026-01-31 TABLES=apis,latency ORG=acme SPAN=7",
            [
                *("backfill", "--from", "2026-01-01", "--to", "2026-01-31"),
                *("--tables", "apis,latency", "--org", "acme", "--span", "7"),
            ],
        ),
        ("backfill ATTACH=1", ["backfill", "--attach", ""]),
        ("backfill RESUME=2026-01_ab", ["backfill", "--resume", "2026-01_ab"]),
        ("query SQL='SELECT 1'", ["query", "SELECT 1"]),
        (
            "dashboard OUT='my board.html' DAYS=9 LOCAL_DIR=here",
            ["dashboard", "--out", "my board.html", "--cache", "here/dataset", "--days", "9"],
        ),
        (
            "doctor ORG=acme SECRET_FILE=- PROBE=1",
            ["doctor", "--org", "acme", "--secret-file", "-", "--probe"],
        ),
        ("tables", ["tables", "--compile"]),
        ("tables LIST=1", ["tables"]),
    ],
)
def test_a_target_of_make_is_a_thin_caller(call: str, given: list[str]) -> None:
    command = ["make", "-s", "INSIGHTS=printf '%s\\n'", "DEV=", *shlex.split(call)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split("\n")[:-1] == given


@pytest.mark.parametrize("name", [name for name in main.COMMANDS if name != "tables"])
def test_make_has_every_option_under_the_name_that_messages_use(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = import_module(main.COMMANDS[name]).command
    # Where the stack is, the makefile's users say by variables; these are the whole of an event.
    left = {"stack", "region", "profile", *(("event",) if name == "export" else ("list",))}
    left |= {"model", *usage_options()} if name == "cost" else set()
    words = [name]
    for parameter in command.params:
        option = parameter.opts[-1]
        if isinstance(parameter, click.Argument):
            values = getattr(parameter.type, "choices", ["a b"])
            words.append(shlex.quote(values[-1]))
        elif option.removeprefix("--") not in left:
            words += [option] if parameter.is_flag else [option, "'c d'"]
    line = f"insights {' '.join(words)}"
    assert called(" ".join(words)) == line
    monkeypatch.setenv("INSIGHTS_CALLED_BY", "make")
    make = shlex.split(called(" ".join(words)))
    assert make[:2] == ["make", name]

    shown = subprocess.run(
        ["make", "-s", "INSIGHTS=printf '%s\\n'", "DEV=", "LOCAL_DIR=here", *make[1:]],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout.split("\n")[:-1]

    if name == "dashboard":
        del shown[shown.index("--cache") : shown.index("--cache") + 2]
        words = [*words[: words.index("--cache")], *words[words.index("--cache") + 2 :]]
    assert sorted(shown) == sorted(shlex.split(" ".join(words)))


def usage_options() -> set[str]:
    """The sizes of a stack to come, for the installed program alone."""
    names = ("organizations", "environments", "apis", "applications", "history-days")
    return {*names, "queries-a-day", "authors", "readers"}


# Single commands


class Typed:
    """Answers prompts, one after the other."""

    def __init__(self, *answers: str) -> None:
        self.answers = [*answers]
        self.questions: list[str] = []

    def __call__(self, question: str) -> str:
        self.questions.append(question.partition(" ")[0])
        return self.answers.pop(0)


GOOD = ("consumer-key", "consumer-secret", "00000000-0000-4000-8000-000000000000")


def test_a_prompt_is_asked_again_until_its_value_can_be_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    key, secret, uuid = GOOD
    typed = Typed(
        "", key, "x", "hush hush", f"  {secret} ", uuid[:-1], uuid.upper(), "y" * 4001, ""
    )
    assert secret_command.ask(typed) == {
        "consumer_key": key,
        "consumer_secret": secret,
        "org_id": uuid.upper(),
    }
    assert typed.questions == [*["Consumer"] * 5, "UUID", "UUID", "On-prem", "On-prem"]
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "It cannot be empty. Once more:",
        "It has 1 character, too few for a credential. Once more:",
        "It has spaces or characters that no credential has: copy it again. Once more:",
        "It is not a UUID (8-4-4-4-12 hex digits). Once more:",
        "It has 4,001 characters, too many for a credential. Once more:",
    ]


def test_what_was_typed_is_kept_where_it_cannot_be_stored(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expired AWS credentials, say: they are renewed in another terminal."""
    stored: list[Any] = []

    def store(*given: Any) -> str:
        stored.append(given[2:])
        if len(stored) == 1:
            raise NoCredentialsError
        return "choreo-insights/acme"

    typed = Typed(*GOOD, "")
    monkeypatch.setattr(secret_command, "store", store)
    monkeypatch.setattr(secret_command, "ask", lambda: ask_for_secret(typed))
    monkeypatch.setattr(secret_command, "is_asked", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: True)
    code, out, error = ran("secret", "acme", "--prefix", "choreo-insights")
    assert code == 0
    assert out == "Stored as choreo-insights/acme.\nNext: insights doctor --org acme\n"
    assert "Not stored. AWS refused: Unable to locate credentials" in error
    assert len(typed.questions) == 4
    assert stored[0] == stored[1] == ("acme", dict(zip(FIELDS, GOOD, strict=True)))


FIELDS = ("consumer_key", "consumer_secret", "org_id")


@pytest.mark.parametrize(
    ("handle", "says"),
    [
        ("acme", []),
        ("acne", ["does not export acne, only acme, lotus. Did you mean acme?"]),
        ("zzz", ["does not export zzz", "Add it to the parameter Organizations"]),
    ],
)
def test_a_handle_that_the_stack_does_not_export_is_warned_about(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, handle: str, says: list[str]
) -> None:
    monkeypatch.setattr(Stack, "parameters", {"Organizations": "acme, lotus", "SecretPrefix": "p"})
    monkeypatch.setattr(secret_command, "store", lambda _, prefix, handle, __: f"{prefix}/{handle}")
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(dict(zip(FIELDS, "abc", strict=True)))))
    code, out, error = ran("secret", handle)
    assert (code, out) == (0, f"Stored as p/{handle}.\nNext: insights doctor --org {handle}\n")
    assert all(text in error for text in says)
    assert ("does not export" in error) == bool(says)
    # What is piped in is for scripts: it is stored, and what looks wrong is said.
    assert "Warning: consumer_key (Consumer key of the application): It has 1 character" in error
    assert "Warning: org_id (UUID of the organisation): It is not a UUID" in error


def test_what_is_no_handle_is_refused_before_anything_is_asked(ran: Ran) -> None:
    code, _, error = ran("secret", "acme/../lotus")
    assert code == 2
    assert "acme/../lotus is not a handle" in error


def test_ctrl_d_at_a_prompt_is_an_interruption(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: Any) -> str:
        raise EOFError

    monkeypatch.setattr(secret_command, "ask", end)
    monkeypatch.setattr(secret_command, "is_asked", lambda: True)
    code, _, error = ran("secret", "acme", "--prefix", "p")
    assert (code, error.strip()) == (130, "Interrupted.")


@pytest.mark.parametrize(
    ("action", "entry", "following"),
    [
        ("status", {"status": "cached", "secret": "current"}, ""),
        ("status", {"status": "cached", "secret": "other"}, "token renew --org acme"),
        ("status", {"status": "absent"}, "token ensure --org acme"),
        ("renew", {"status": "failed", "error": "HTTP 401"}, "doctor --org acme"),
        ("revoke", {"status": "failed", "error": "HTTP 401"}, ""),
        ("revoke", {"status": "absent"}, ""),
    ],
)
def test_token_names_the_next_command(action: str, entry: dict[str, Any], following: str) -> None:
    assert token.following_command(action, {"lotus": {"status": "minted"}, "acme": entry}) == (
        following
    )


def test_the_version_of_a_checkout_is_its_own(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", missing)
    code, out, _ = ran("--version")
    assert code == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\S* \(checkout\)\n", out)


def test_the_lines_of_a_traceback_are_one_entry() -> None:
    """The local AWS gives each line an event of its own."""
    texts = [
        *("{}", "Traceback (most recent call last):", '  File "app.py", line 1, in f', "    f()"),
        *(
            "KeyError: 1",
            "",
            "The above exception was the direct cause of the following exception:",
        ),
        *("", "Traceback (most recent call last):", "ValueError: 2\n", "START RequestId: x"),
    ]
    events = [{"timestamp": n, "message": text} for n, text in enumerate(texts)]
    found = [each["message"] for each in logs.together(events)]
    assert [logs.own_line(text) for text in found if text] == [
        "{}",
        "KeyError: 1",
        "The above exception was the direct cause of the following exception:",
        "ValueError: 2",
        "START RequestId: x",
    ]


def test_a_numbers_column_is_never_broken() -> None:
    text = "word " * 30
    answer = QueryResult(("number", "what"), [(1_234_567.25, text), (0.5, text)])
    console = Console(width=40, file=io.StringIO())
    console.print(query.as_table(answer))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1,234,567.25 " in shown
    assert max(map(len, shown.splitlines())) <= 40


def test_an_answer_without_rows_names_its_columns_whole() -> None:
    names = [f"column_number_{n}" for n in range(9)]
    (text,) = query.readable(QueryResult(names, []), 80)
    assert str(text).split() == ", ".join(names).split()
    assert max(map(len, str(text).splitlines())) <= 80


def test_a_stack_of_another_kind_is_named(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stack, "_describe", lambda _: {})
    for name in ("token", "export", "status", "logs", "dashboard"):
        code, _, error = ran(name)
        assert code == 3
        assert "The stack choreo-insights has no" in error
        assert "another project's" in error


def test_without_a_report_function_its_logs_are_refused(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "outputs", {})
    code, _, error = ran("logs", "report")
    assert code == 3
    assert "no report function: the parameter ReportSchedule" in error


def test_days_and_names() -> None:
    assert str(options.DAY.convert("2026-01-31", None, None)) == "2026-01-31"
    for text in ("2026-1-31", "31.01.2026", "", "2026-01-31T00:00"):
        with pytest.raises(click.BadParameter, match="is not a date"):
            options.DAY.convert(text, None, None)
    assert options.names(" apis,latency ,apis,") == ("apis", "latency")


def test_a_secret_that_cannot_be_read_is_not_shown() -> None:
    with pytest.raises(CommandError) as refused:
        read('{"consumer_secret": "hush"')
    assert "hush" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_the_token_reply_for_a_reader() -> None:
    reply = {
        "acme": {"status": "minted", "expires_at": "2026-01-31T12:00:00Z", "fingerprint": "ab12"},
        "globex-east": {"status": "failed", "error": "invalid_client"},
    }
    assert token.lines(reply) == [
        "acme         minted, expires 2026-01-31T12:00:00Z, fingerprint ab12",
        "globex-east  failed, invalid_client",
    ]


def test_what_is_said_of_all_tokens_is_said_once() -> None:
    entry = {"status": "revoked", "fingerprint": "ab12", "note": "It is deleted. It may live on"}
    both = {"acme": entry, "lotus": entry}
    assert token.lines(both) == [
        "acme   revoked, fingerprint ab12",
        "lotus  revoked, fingerprint ab12",
        "It is deleted. It may live on.",
    ]
    failed = {"status": "failed", "error": "globex: no token"}
    assert token.lines({"acme": entry, "globex": failed}) == [
        "acme    revoked, fingerprint ab12",
        "globex  failed, no token",
        "acme: It is deleted. It may live on.",
    ]


class TokenFunction:
    """Answers in place of the deployed function, and keeps what it was called for."""

    def __init__(self, **entries: dict[str, Any]) -> None:
        self.entries = entries
        self.called: list[tuple[str, str]] = []

    def __call__(self, _: Any, action: str, organization: str = "") -> dict[str, Any]:
        self.called.append((action, organization))
        return self.entries


TOKEN = {"status": "cached", "expires_at": "2026-01-31T12:00:00Z", "fingerprint": "ab12"}


def test_the_token_status_says_which_secret_minted_it() -> None:
    shown = token.lines(
        {state: {**TOKEN, "secret": state} for state in ("current", "other", "unknown")}
    )
    current, other, unknown = shown
    assert current.endswith("fingerprint ab12, minted with the stored secret")
    assert "an earlier version of the secret" in other
    assert "`insights token renew --org other`" in other
    assert unknown.endswith("not known whether the stored secret minted it")


def test_a_failed_revoke_says_that_the_token_lives_on(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = {**TOKEN, "status": "failed", "error": "HTTP 503"}
    monkeypatch.setattr(token, "call", TokenFunction(acme=failed))
    monkeypatch.setattr(Stack, "parameters", {"Organizations": "acme"})
    code, out, error = ran("token", "revoke", "--org", "acme")
    assert code == 1
    assert out == (
        "acme  NOT revoked: fingerprint ab12, valid until 2026-01-31T12:00:00Z: HTTP 503\n"
    )
    assert error.startswith("NOT revoked: acme.")
    assert "revoke again" in error


@pytest.mark.parametrize(("answer", "code"), [("n\n", 130), ("", 130), ("y\n", 0)])
def test_revoking_all_tokens_is_asked_first(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    function = TokenFunction(acme=TOKEN, globex=TOKEN)
    monkeypatch.setattr(token, "call", function)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    ended, _, error = ran("token", "revoke")
    assert ended == code
    assert "globex  cached, expires 2026-01-31T12:00:00Z, fingerprint ab12" in error
    revokes = [("revoke", "")] if code == 0 else []
    assert function.called == [("status", ""), *revokes]


def test_a_script_revokes_all_tokens_unasked(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    function = TokenFunction(acme=TOKEN)
    monkeypatch.setattr(token, "call", function)
    assert ran("token", "revoke", "--yes")[0] == 0
    assert function.called == [("revoke", "")]


def test_an_export_for_a_reader() -> None:
    failure = {"table": "apis", "organization": "acme", "environment": "Production"}
    alike = [{**failure, "day": f"2026-01-0{day}", "reason": "HTTP 503"} for day in (3, 2, 1)]
    other = {**failure, "organization": None, "environment": None, "day": "2026-01-03"}
    counts = dict.fromkeys(("settled", "rows", "bytes", "requests"), 0)
    reply = {
        **counts,
        "exported": 1200,
        "failed": 4,
        "remaining": 2,
        "failures": [*alike, {**other, "reason": "no secret"}],
    }
    head, first, second, last = export.lines(reply)
    assert head.startswith("exported 1,200, settled 0, failed 4, remaining 2")
    assert first == ("acme Production: apis failed for 3 days, 2026-01-01 to 2026-01-03: HTTP 503")
    assert second == "apis failed for 2026-01-03: no secret"
    assert last == "What remains is exported by the next runs of the schedule."


def test_an_organisation_of_which_nothing_came_is_named_with_the_reason() -> None:
    report = Report()
    day = date(2026, 1, 3)
    for table in ("environments", "apis", "latency", "errors_details"):
        report.count_failure(table, "lotus", None, day, PersonMustAct("403: not subscribed"))
    report.exported_of["acme"] = report.exported = 7

    assert [*export.lines(report.reply())][1:] == ["lotus: nothing exported (403: not subscribed)"]
    assert export.failed(report.reply()) == (
        "Nothing was exported of lotus. Everything else is exported."
        " Next: `insights doctor --org lotus`"
    )


def test_the_doctor_is_asked_about_what_does_not_pass_by_itself() -> None:
    report = Report()
    day = date(2026, 1, 3)
    report.count_failure("environments", "lotus", None, day, Retriable("HTTP 429 (too many)"))
    assert "doctor" not in export.failed(report.reply())
    report.count_failure("environments", "acme", None, day, PersonMustAct("HTTP 404: has moved"))
    assert export.failed(report.reply()) == (
        "Nothing was exported of lotus, acme. Next: `insights doctor --org acme`"
    )
    report = Report()
    report.count_failure("environments", "acme", None, day, Retriable("not a GraphQL reply"))
    assert export.failed(report.reply()).endswith("Next: `insights doctor --org acme`")


def test_what_remains_is_not_called_exported() -> None:
    report = Report(exported=3, remaining=2)
    report.exported_of["acme"] = 3
    report.count_failure("apis", "acme", None, date(2026, 1, 3), Retriable("HTTP 503"))
    assert export.failed(report.reply()) == "acme: apis failed for 2026-01-03."


def test_failures_that_differ_in_their_quarantined_file_are_one_line() -> None:
    report = Report(exported=1)
    report.exported_of["acme"] = 1
    for number in (1, 2, 3):
        reason = f"no such field. The response is kept under quarantine/apis/day={number}/a.json"
        error = PersonMustAct("no such field")
        report.count_failure("apis", "acme", "Production", date(2026, 1, number), error, reason)

    (line,) = [*export.lines(report.reply())][1:]

    assert line == (
        "acme Production: apis failed for 3 days, 2026-01-01 to 2026-01-03: no such field."
        " The response is kept under quarantine/apis/day=1/a.json and 2 more"
    )
    assert export.failed(report.reply()) == (
        "acme Production: apis failed for 3 days, 2026-01-01 to 2026-01-03."
        " Everything else is exported. Next: `insights doctor --org acme`"
    )


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"tables": ("latenci",)}, r"--tables latenci: no such table. Did you mean latency\?"),
        ({"organizations": ("nobody",)}, r"--org nobody: no such organisation. The stack exports"),
        ({"organizations": ("acne",)}, r"Did you mean acme\?"),
    ],
)
def test_a_name_that_there_is_not_is_refused_before_anything_runs(
    chosen: dict[str, Any], says: str
) -> None:
    export.check({"tables": ["all"], "organizations": ["acme"]}, {"Organizations": "acme, lotus"})
    with pytest.raises(WrongUsage, match=says):
        export.check(chosen, {"Organizations": "acme, lotus"})


def test_a_command_that_there_is_not_is_refused_with_the_nearest(ran: Ran) -> None:
    code, out, error = ran("stauts")
    assert (code, out) == (2, "")
    assert "No such command 'stauts'. Did you mean status?" in error
    assert "The commands are " in ran("xyz")[2]


def test_an_unexpected_error_is_a_sentence_and_debug_says_where(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("eyJhbGciOiJIUzI1NiJ9.secret.token")

    monkeypatch.setattr(token, "call", fail)
    code, out, error = ran("token")
    assert (code, out) == (3, "")
    assert error.startswith("insights failed unexpectedly: KeyError: ")
    assert "--debug shows where." in error
    assert "eyJ" not in error
    assert "Traceback" in ran("token", "--debug")[2]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, []),
        ({"exported": 0}, [r"^Nothing was due: no day"]),
        (
            {"exported": 0, "kept": 2},
            [r"^2 partitions stay as they are stored, .* Next: `insights status`"],
        ),
        ({"retriable": 1}, [r"^1 of the failures may pass by itself: "]),
        ({"retriable": 1_200}, [r"^1,200 of the failures may pass by themselves"]),
        ({"remaining": 5, "catch_up": "catchup-1"}, [r"backfill --attach catchup-1\)"]),
        ({"remaining": 2, "waiting": True}, [r"^Other runs have the request budget"]),
        (
            {"remaining": 5, "retriable": 2, "catch_up": "catchup-1"},
            [r"^2 of the failures", r"^What remains is left to the backfill catchup-1 "],
        ),
    ],
)
def test_an_export_says_what_follows(more: dict[str, Any], says: list[str]) -> None:
    reply = Report(exported=1).reply() | more
    for line, pattern in zip([*export.lines(reply)][1:], says, strict=True):
        assert re.search(pattern, line)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.none(),
            st.integers() | st.none(),
        )
    )
)
def test_csv_and_json_keep_every_value(rows: list[tuple[str | None, int | None]]) -> None:
    answer = QueryResult(["name", "count"], rows)
    read_again = list(csv.reader(io.StringIO(query.as_csv_text(answer, raw=True))))
    assert read_again[0] == ["name", "count"]
    assert read_again[1:] == [["" if v is None else str(v) for v in row] for row in rows]
    assert [tuple(r.values()) for r in json.loads(json.dumps(answer.records()))] == rows


def test_an_answer_on_a_terminal() -> None:
    answer = QueryResult(
        ["api", "requests", "share", "new"],
        [("orders", 1234567, 0.5, True), (None, None, 12.3456, False)],
    )
    console = Console(file=io.StringIO(), width=60)
    console.print(query.as_table(answer))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[1].split() == ["orders", "1,234,567", "0.5", "true"]
    assert lines[2].split() == ["-", "-", "12.346", "false"]
    assert lines[0].index("requests") + len("requests") == lines[1].index("567") + 3


def test_the_time_of_logs() -> None:
    assert logs.ago("90m") == timedelta(hours=1.5)
    assert logs.ago("2d") == timedelta(days=2)
    with pytest.raises(WrongUsage, match="kept for 1827 days"):
        logs.ago("999999d")
    for text in ("", "0h", "2", "2w", "h", "-1h"):
        with pytest.raises(WrongUsage, match="is not a time span"):
            logs.ago(text)


def test_a_log_line_for_a_reader() -> None:
    at = datetime(2026, 1, 31, 12, 30, 15, tzinfo=UTC)

    def event(message: str) -> dict[str, Any]:
        return {"timestamp": int(at.timestamp() * 1000), "message": message}

    fields = {"level": "ERROR", "message": "partition failed", "service": "export", "table": "apis"}
    entry = logs.parsed(event(json.dumps(fields)))
    assert entry
    assert logs.line(entry).plain == "2026-01-31 12:30:15 ERROR   partition failed table=apis"
    for unread in ('{"_aws": {}, "Rows": 1}', "START RequestId: 1", "REPORT RequestId: 1 Duration"):
        assert logs.parsed(event(unread)) is None
    broken = logs.parsed(event("2026 7c3 Task timed out after 900.00 seconds"))
    assert broken
    assert broken["level"] == "ERROR"
    plain = logs.parsed(event("anything else"))
    assert plain
    assert plain["level"] == "INFO"


@pytest.mark.parametrize(
    "logged",
    [
        (
            '{"message": "failed", "level": "ERROR", "exception_name": "ValueError", "exception":'
            '"Traceback (most recent call last):\\n  File a.py\\nValueError: no day",'
            ' "stack_trace": {"frames": []}}'
        ),
        (
            '{"errorType": "ValueError", "errorMessage": "no day", "stackTrace": ["File a.py"],'
            ' "level": "ERROR"}'
        ),
        "[ERROR] ValueError: no day\nTraceback (most recent call last):\n  File a.py, line 1",
        "Traceback (most recent call last):\n  File a.py, line 1\nValueError: no day\n",
    ],
)
def test_an_exception_is_shown_by_its_own_line(logged: str) -> None:
    entry = logs.parsed({"timestamp": 0, "message": logged})
    assert entry
    assert entry["level"] == "ERROR"
    shown = logs.line(entry).plain
    assert shown.endswith("ValueError: no day")
    assert "a.py" not in shown
    assert "\n" not in shown


def test_the_tables_are_listed_with_their_columns(ran: Ran) -> None:
    code, out, _ = ran("tables")
    assert all(line.endswith(".") for line in out.splitlines())
    assert code == 0
    assert "\nlatency " in out
    assert "\nruns " in out
    code, out, _ = ran("tables", "latency", "--json")
    (found,) = json.loads(out)
    assert {column["name"]: column["type"] for column in found["columns"]}["api_id"] == "string"
    assert "\napi_id " in ran("tables", "latency")[1]
    assert "\ntraffic_daily " in ran("tables")[1]
    code, out, _ = ran("tables", "traffic_daily", "--json")
    (found,) = json.loads(out)
    assert {column["name"]: column["type"] for column in found["columns"]}["day"] == "date"
    assert "Did you mean traffic_daily" in ran("tables", "trafic_daily")[2]


def test_saved_queries_are_listed(ran: Ran) -> None:
    code, out, _ = ran("query", "--saved")
    assert code == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert names == sorted(
        path.stem for path in (Path(ROOT) / "choreo_insights_cli/sql/queries").glob("*.sql")
    )


def test_the_cost_of_a_stack_to_come(ran: Ran) -> None:
    small = json.loads(ran("cost", "--model", "--json")[1])
    large = json.loads(ran("cost", "--model", "--json", "--apis", "1000", "--growth")[1])
    assert small["month"]["counted"] == {}
    assert large["month"]["usd"] > small["month"]["usd"] > 4
    assert {row["apis"] for row in large["growth"]} >= {1000}
    assert any(limit["step"] is not None for limit in large["limits"])
    assert "growth" not in small


def test_the_cost_for_a_reader(ran: Ran) -> None:
    code, out, error = ran("cost", "--model", "--growth", "--region", "nowhere-1")
    assert code == 0
    assert "No prices are known for nowhere-1: those of eu-central-1" in error
    assert " USD a month, " in out
    lines = [line.split() for line in out.splitlines()]
    items = [line for line in lines if line and line[0] in ("Lambda", "S3", "KMS", "CloudWatch")]
    assert len(items) > 4
    assert "Limits, in the order" in out
    code, out, _ = ran("cost", "--model", "--organizations", "10", "--apis", "1000")
    assert "Beyond a limit: " in out
    assert ran("cost", "--model", "--apis", "-1")[0] == 2
