"""A day at the terminal: every command, right and wrong, and the faults that a user meets.

It is run in a terminal of 80 columns, in one of 120 and in a pipe. What was seen is written to
`day-80.txt`, `day-120.txt` and `day-pipe.txt` in the folder TRANSCRIPTS, or in pytest's own, which
stays where a test failed. Read it line by line after a change of what commands say.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from choreo_insights_cli.errors import DONE, NOT_DONE, WRONG_USAGE
from choreo_insights_cli.main import COMMANDS
from tests.integration.conftest import Deployment
from tests.integration.terminal import Ran, Session
from tests.integration.test_commands import environment, settings
from tests.integration.test_nothing_leaks import JWT, words

NARROW, WIDE, PIPE = 80, 120, None
# As a script sees them: nobody runs these by hand, or all three look alike.
ONCE = (NARROW,)
EVERYWHERE = (NARROW, WIDE, PIPE)


@dataclass
class Day:
    """The sessions of a day, and what must never be seen in one."""

    deployment: Deployment
    sessions: dict[int | None, Session]
    folder: Path
    hidden: set[str]

    def run(
        self,
        line: str,
        code: int,
        *says: str,
        places: tuple[int | None, ...] = ONCE,
        fits: bool = False,
        **more: Any,
    ) -> Ran:
        """Runs a command in some sessions, and looks at what it says; `line` ends with the SQL."""
        head, _, sql = line.format(**self.names).partition(" -- ")
        arguments = [*head.split(), *([sql] if sql else [])]
        for place in places:
            ran = self.sessions[place].run(*arguments, **more)
            shown = f"{ran.text}\n[{ran.code}] of insights {line}"
            assert ran.code == code, shown
            for text in says:
                # A terminal wraps between words.
                assert flat(text.format(**self.names)) in flat(ran.text), shown
            assert "Traceback" not in ran.text, shown
            assert "failed unexpectedly" not in ran.text, shown
            assert "\x1b" not in ran.text, shown
            assert not any(word in ran.text for word in self.hidden), "a secret is shown"
            assert not JWT.search(ran.text), "a token is shown"
            if fits and place:
                assert ran.longest <= place, shown
        return ran

    @property
    def names(self) -> dict[str, str]:
        """What stands in braces in the lines below."""
        today = self.deployment.now.date()
        return {
            "today": today.isoformat(),
            "yesterday": (today - timedelta(days=1)).isoformat(),
            "this_month": today.isoformat()[:7],
            "since": self.deployment.since.isoformat(),
            "folder": str(self.folder),
        }


def flat(text: str) -> str:
    """The text without the places where lines are broken."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def day(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """The sessions, in the project's folder, on a dataset that is complete."""
    deployed.sandbox.faults.clear()
    deployed.complete()
    folder = tmp_path_factory.mktemp("day")
    shell = environment(
        deployed.folder, **settings(deployed.folder.env), XDG_CACHE_HOME=str(deployed.cache)
    )
    shell.pop("INSIGHTS_CALLED_BY", None)
    with ExitStack() as stack:
        sessions = {width: stack.enter_context(Session(shell, width)) for width in EVERYWHERE}
        yield Day(deployed, sessions, folder, words(deployed))
    deployed.sandbox.faults.clear()
    for width, session in sessions.items():
        kept = Path(os.environ.get("TRANSCRIPTS") or folder)
        (kept / f"day-{width or 'pipe'}.txt").write_text(session.transcript, "utf-8")


# ------------------------------------------------------------------ A good day


def test_the_program_explains_itself(day: Day) -> None:
    day.run("--help", 0, "Show how the dataset stands", "Exit codes:", places=EVERYWHERE)
    day.run("--version", 0, ".")
    day.run("tables", 0, "traffic_daily View: Requests", places=EVERYWHERE, fits=True)
    day.run("tables traffic_daily", 0, "error_percent double", places=EVERYWHERE, fits=True)


def test_credentials_and_tokens(day: Day) -> None:
    secret = json.dumps(day.deployment.world.secret("acme"))
    day.run("secret acme", 0, "Next: insights doctor --org acme", stdin=secret, places=EVERYWHERE)
    day.run("doctor --org acme", 0, "ok", "All is well.", places=(NARROW, PIPE), fits=True)
    # The secret has another version now, though the same content: the doctor renewed the token.
    day.run("token", 0, "minted with the stored secret", places=EVERYWHERE)
    day.run("token revoke --org acme", 0, "revoked")
    day.run("token status", 0, "absent", "Next: insights token ensure --org acme")
    day.run("token ensure --org acme", 0, "minted")
    answers = {"typed": "n\n"}
    day.run("token revoke", 130, "This revokes the tokens", "Nothing was revoked.", **answers)


def test_the_dataset_is_brought_up_to_date_and_looked_at(day: Day) -> None:
    day.run("export --tables apis,success_summary", 0, "exported", "failed 0")
    day.run("export --tables apis --to {yesterday} --again", 0, "Nothing was due", places=ONCE)
    day.run("status", 0, "All is well: complete", places=EVERYWHERE, fits=True)
    day.run("status --all", 0, "Headquarters, Zürich", places=(WIDE,), fits=True)
    day.run("status --day yesterday", 0, "{yesterday} is complete so far", fits=True)
    day.run("status --state failed", 0, "No day is failed.")
    day.run("logs", 0, "exported=")
    day.run("logs token --since 1d", 0, "ensure organization=acme status=minted")
    day.run("logs --errors --since 2d", 0)


def test_questions_are_answered(day: Day) -> None:
    sql = "SELECT environment, day, sum(requests) AS requests FROM traffic_daily GROUP BY 1, 2"
    day.run(f"query -- {sql}", 0, "Headquarters, Zürich", places=EVERYWHERE, fits=True)
    wide = "SELECT * FROM traffic_daily LIMIT 2"
    day.run(f"query -- {wide}", 0, "row 1 of 2", "environment_id ", fits=True)
    empty = "SELECT * FROM traffic_daily WHERE 1 = 0"
    day.run(f"query -- {empty}", 0, "organization, environment, environment_id", "0 rows")
    day.run("query -- SHOW TABLES", 0, "access_rules", "traffic_daily")
    day.run("query --json -- SELECT 1 AS a, 2 AS a", 0, '"a": 1', '"a_2": 2', places=(PIPE,))
    day.run("cost", 0, "USD a month", "Lambda")


def test_what_is_made_of_it(day: Day) -> None:
    day.run("dashboard --out {folder}/board.html --days 3", 0, "board.html")
    month = day.names["today"][:7]
    said = (f"acme, {month}: not final yet", "report.html")
    day.run(f"report --out {{folder}} --month {month}", 0, *said)
    day.run("migrate --dry-run --tables latency", 0, "none was changed")
    said = "There is nothing to restore."
    day.run("restore --before {yesterday} --tables latency --dry-run", 0, said)
    day.run("backfill --list", 0)
    day.run("compact --before {this_month} --tables latency --dry-run", 0, "There is no month")
    rules = day.folder / "rules.csv"
    rules.write_text("GroupName,organization,environment\npartners,acme,Production\n", "utf-8")
    day.run("access {folder}/rules.csv --check", 0, "1 rule of 0 users and 1 group would be stored")
    rules.write_text("GroupName,organization,environment\npartners,acme,Prodution\n", "utf-8")
    day.run("access {folder}/rules.csv", 2, "Prodution")


# ------------------------------------------------------------------ Wrong input

WRONG = (
    ("stats", 2, "No such command 'stats'. Did you mean status?"),
    ("export --tables latncy", 2, "--tables latncy: no such table. Did you mean latency?"),
    ("export --tables nosuch", 2, "no such table. `insights tables` lists them."),
    ("export --org acne", 2, "no such organisation. Did you mean acme?"),
    ("export --from tomorrow", 2, "'tomorrow' is not a date; use YYYY-MM-DD (UTC)"),
    ("export --from 2099-01-01", 2, "lies in the future: today is {today} (UTC)"),
    ("export --from {today} --to {yesterday}", 2, "lies after --to {yesterday}"),
    ("export --event [", 2, "is not JSON"),
    ("status --org nobody", 2, "The stack exports acme, lotus."),
    ("status --tables latncy", 2, "Did you mean latency?"),
    ("status --environment nowhere", 2, "There are Development, Headquarters, Zürich"),
    ("status --day 2099-01-01", 2, "lies in the future"),
    ("status --day 2020-01-01", 2, "lies before ExportSince ({since})"),
    ("token steal", 2, "'steal' is not one of 'ensure', 'renew', 'revoke', 'status'"),
    ("token ensure --org acne", 2, "no such organisation. Did you mean acme?"),
    ("secret", 2, "Missing argument 'HANDLE'"),
    ("secret no/handle", 2, "no/handle is not a handle"),
    ("doctor --org acme --insights-url nowhere", 2, "neither https nor loopback"),
    ("doctor --secret-file {folder}/no.json", 2, "no.json cannot be read: No such file"),
    ("doctor --save x.json", 2, "--save needs --probe"),
    ("doctor --org nobody", 3, "does not export nobody", "`insights secret nobody`"),
    ("tables trafic_daily", 2, "Did you mean traffic_daily?"),
    ("query", 2, "Give a query, as in: insights query"),
    ("query --saved bussiest_apis", 2, "Did you mean busiest_apis?"),
    ("query -- SELEC 1", 2, "The query is not SQL in line 1"),
    ("query -- SELECT nothing FROM traffic_daily", 2, "nothing"),
    ("query -- SELECT * FROM trafic_daily", 2, "Did you mean traffic_daily?"),
    ("query -- SELECT * FROM latency WHERE day = '{today}'", 2, "Write DATE '{today}'"),
    ("query -- DROP TABLE latency", 2, "the dataset is only read"),
    ("dashboard --days 0", 2, "0 is not in the range"),
    ("dashboard --for nobody", 3, "`insights access FILE.csv` stores them"),
    ("report --month 2026-13", 2, "is not a month; use YYYY-MM"),
    ("report --month 2099-01", 2, "lies in the future"),
    ("report --month 2020-01", 3, "`insights report --month"),
    ("report --org acne", 2, "Did you mean acme?"),
    ("report --prices {folder}/no.toml", 2, "does not exist"),
    ("cost --apis -1", 2, "-1 is not in the range"),
    ("logs --since yesterday", 2, "is not a time span; use 30m, 6h or 2d"),
    ("logs exprt", 2, "'export', 'token', 'report'"),
    ("backfill", 2, "insights backfill --from 2026-01-01 --to 2026-01-31"),
    ("backfill --from {today} --to {yesterday}", 2, "lies after"),
    ("backfill --attach nosuch", 3, "There is no backfill nosuch"),
    ("access", 2, "Missing argument 'FILE'"),
    ("access {folder}/no.csv", 2, "does not exist"),
    ("compact --before 2099-01 --dry-run", 2, "is not over"),
    ("compact --before {this_month} --tables latncy --dry-run", 2, "Did you mean latency?"),
    ("compact --before {this_month}", 3, "The local AWS has no Iceberg tables: use --dry-run"),
    ("migrate --tables latncy", 2, "Did you mean latency?"),
    ("cost --organizations two", 2, "'two' is not a valid integer"),
    ("restore", 2, "--before TIME or --from-bucket NAME"),
    ("restore --before tomorrow", 2, "is not a time"),
    ("restore --from-bucket no-such-bucket-1", 2, "there is no such bucket"),
    ("status --stack nosuch", 3, "Stack with id nosuch does not exist. Deploy it first"),
    ("status --profile nobody", 3, "(nobody) could not be found", "list-profiles"),
)
ELSEWHERE = (
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}, "`make local`"),
    (
        {
            **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ""),
            **dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull),
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        "Unable to locate credentials. Log in to AWS",
    ),
)


def test_wrong_input_is_refused_with_what_is_right(day: Day) -> None:
    for line, code, *says in WRONG:
        day.run(line, code, *says, places=EVERYWHERE)
    day.run("secret acme", 2, "Give a JSON object with consumer_key", stdin="{", places=EVERYWHERE)
    for variables, says in ELSEWHERE:
        day.run("status", 3, "cannot be read", says, **variables)


# ------------------------------------------------------------------ A bad day

# The fault of each organisation, and what is said of it.
GATEWAY = (
    (
        {"acme": ("status", {"status": 401}), "lotus": ("status", {"status": 403})},
        ("401", "check the application's subscription", "subscribe the application"),
    ),
    (
        {
            "acme": ("status", {"status": 404}),
            "lotus": ("status", {"status": 429, "wait": "seconds", "seconds": 3600}),
        },
        ("the address has moved or is mistyped", "429", "may pass by itself"),
    ),
    (
        {"acme": ("html", {}), "lotus": ("invalid_json", {})},
        ("not a GraphQL reply", "The response is kept under quarantine/environments/"),
    ),
    (
        {"acme": ("deep", {}), "lotus": ("data_null", {})},
        ("nested too deeply", "neither data nor errors"),
    ),
    (
        {"acme": ("missing_field", {}), "lotus": ("complexity", {"size": 0})},
        ("missing required field `id`", "QUERY TOO COMPLEX"),
    ),
    (
        {"acme": ("status", {"status": 503}), "lotus": ("reset", {})},
        ("503", "127.0.0.1 could not be reached", "may pass by themselves"),
    ),
)
# Faults of a query's data, each of another table, so that one run meets all.
DATA = {
    "success_summary": ("wrong_type", "getSuccessSummary", "Expected `int`, got `str`"),
    "error_summary": ("field_error", "getErrorSummary", "GraphQL says: internal system error"),
    "latency_summary": ("wrong_time", "getLatencySummary", "is not an ISO-8601 time"),
    "cache_hits_and_misses": ("duplicate_rows", "getCacheHitsAndMisses", "a time twice"),
    "total_traffic": ("huge_int", "getTotalTraffic", "Expected `int` <= 9223372036854775807"),
}
TODAY = "--from {today} --to {today}"


def test_what_the_gateway_refuses_is_named_with_what_to_do(day: Day) -> None:
    faults = day.deployment.sandbox.faults
    for met, says in GATEWAY:
        faults.clear()
        for handle, (fault, values) in met.items():
            faults.add(fault, times=None, organization=handle, **values)
        day.run(f"export --tables success_summary {TODAY}", 1, "Nothing was exported of", *says)
    faults.clear()
    day.run("status", 1, "last errors", "Needs attention: ", "Next: insights logs --errors")
    day.run("logs --errors --since 5m", 0, "partition failed table=environments organization=acme")


def test_data_that_do_not_fit_are_named(day: Day) -> None:
    faults = day.deployment.sandbox.faults
    for fault, field, _ in DATA.values():
        faults.add(fault, times=None, organization="acme", field=field)
    ran = day.run(
        f"export --tables {','.join(DATA)} --org acme {TODAY}",
        1,
        *(says for *_, says in DATA.values()),
        "Next: `insights doctor --org acme`",
    )
    faults.clear()
    assert "Everything else is exported" not in ran.text
    # Less than is stored is kept back, and that is said.
    faults.add("forgotten", times=None, organization="acme", field="getSuccessSummary")
    day.run(f"export --tables success_summary --org acme {TODAY}", 0, "stay as they are stored")
    faults.clear()
    day.run("status --tables success_summary", 0, "kept, as Choreo gives less than is stored")


def test_what_the_token_service_refuses_is_named(day: Day) -> None:
    faults = day.deployment.sandbox.faults
    for fault, values, says in (
        ("invalid_client", {}, "`insights secret acme`"),
        ("status", {"status": 503}, "HTTP 503"),
        ("html", {}, "check the setting TokenUrl"),
        ("reset", {}, "127.0.0.1 could not be reached"),
    ):
        faults.add(fault, where="token", times=None, **values)
        says_all = (says, "Not renewed: acme", "An earlier token stays")
        day.run("token renew --org acme", 1, *says_all, "Next: `insights doctor --org acme`")
        faults.clear()
        forget(day.deployment)
    faults.add("status", where="revoke", times=None, status=503)
    day.run("token revoke --org acme", 1, "NOT revoked: fingerprint", "revoke again")
    faults.clear()


def test_the_doctor_names_the_cause(day: Day) -> None:
    faults = day.deployment.sandbox.faults
    for fault, values, code, says in (
        ("status", {"status": 403}, 1, "Subscribe the application to the API Insights"),
        ("status", {"status": 404}, 1, "The endpoint has moved or is mistyped"),
        ("html", {}, 1, "what answers there is not the Insights API"),
        ("reset", {}, 3, "Check InsightsUrl, and that this machine gets there"),
    ):
        faults.add(fault, times=None, **values)
        day.run("doctor --org acme", code, says, fits=True)
        faults.clear()


def test_the_next_day_all_is_well(day: Day) -> None:
    forget(day.deployment)
    day.run("token revoke --yes", 0, "revoked")
    day.run("export", 0, "failed 0, remaining 0")
    day.run("status", 0, "All is well: complete", places=EVERYWHERE)


def test_every_command_was_run_right_and_wrong(day: Day) -> None:
    seen = [ran for session in day.sessions.values() for ran in session.seen]
    right = {ran.arguments[0] for ran in seen if ran.code == DONE}
    wrong = {ran.arguments[0] for ran in seen if ran.code in (WRONG_USAGE, NOT_DONE)}
    assert right >= {*COMMANDS}
    assert wrong >= {*COMMANDS}


def forget(deployment: Deployment) -> None:
    """Makes the token function forget refusals, which it remembers for a minute."""
    for handle in deployment.world.organizations:
        name = f"/{deployment.stack.name}/mint/{handle}"
        deployment.stack.ssm.delete_parameters(Names=[name])


@pytest.fixture(autouse=True)
def _no_fault_is_left(day: Day) -> Iterator[None]:
    yield
    day.deployment.sandbox.faults.clear()
