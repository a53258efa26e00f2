"""A day at the terminal: every command, right and wrong, and the faults that a user meets.

It is run in a terminal of 80 columns; one of 120 and a pipe show what was learnt there. With SOAK=1
all of it is run in each of them. What was seen is written to `day-80.txt`, `day-120.txt` and
`day-pipe.txt` in the folder TRANSCRIPTS, or in pytest's own, which stays where a test failed. Read
it line by line after a change of what commands say.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from choreo_insights_cli.errors import DONE, NOT_DONE, WRONG_USAGE
from choreo_insights_cli.main import COMMANDS
from dev.sandbox.faults import FAULTS, ON_DATA, ON_TOKEN, PLACES
from tests.integration.conftest import Deployment
from tests.integration.terminal import Ran, Session
from tests.integration.test_commands import environment, settings
from tests.integration.test_nothing_leaks import JWT, words

NARROW, WIDE, PIPE = 80, 120, None
EVERYWHERE = (NARROW, WIDE, PIPE)
TERMINALS = (NARROW, WIDE)
# The sessions beside each other: the first does it, the others show it.
ROUNDS = [(NARROW,), (WIDE,), (PIPE,)] if os.environ.get("SOAK") else [EVERYWHERE]


@dataclass
class Day:
    """The sessions of a day, and what must never be seen in one."""

    deployment: Deployment
    sessions: dict[int | None, Session]
    folder: Path
    hidden: set[str]
    # The faults that were put in by then: place and name.
    met: set[tuple[str, str]] = field(default_factory=set)

    def run(
        self,
        line: str,
        code: int,
        *says: str,
        places: Sequence[int | None] = EVERYWHERE,
        terminal: Sequence[str] = (),
        piped: Sequence[str] = (),
        **more: Any,
    ) -> Ran:
        """Runs a command in some sessions, and looks at what it says; `line` ends with the SQL.

        What stands in `terminal` or `piped` is said there alone.
        """
        head, _, sql = line.format(**self.names).partition(" -- ")
        arguments = [*head.split(), *([sql] if sql else [])]
        ran = Ran((), 0, "")
        for place in (place for place in self.sessions if place in places):
            ran = self.sessions[place].run(*arguments, learnt=ran.learnt, **more)
            shown = f"{ran.text}\n[{ran.code}] of insights {line}, {place or 'piped'}"
            assert ran.code == code, shown
            for text in (*says, *(terminal if place else piped)):
                # A terminal wraps between words.
                assert flat(text.format(**self.names)) in flat(ran.text), shown
            assert "Traceback" not in ran.text, shown
            assert "failed unexpectedly" not in ran.text, shown
            assert "\x1b" not in ran.text, shown
            assert not any(word in ran.text for word in self.hidden), "a secret is shown"
            assert not JWT.search(ran.text), "a token is shown"
            assert not place or ran.fits(place), shown
        return ran

    @contextmanager
    def faults(
        self, *faults: tuple[str, Mapping[str, Any]], where: str = "query"
    ) -> Iterator[None]:
        """Puts faults into the sandbox for a while; each stays unless it says how often."""
        for name, values in faults:
            self.deployment.sandbox.faults.add(name, **{"where": where, "times": None, **values})
            self.met.add((where, name))
        try:
            yield
        finally:
            self.deployment.sandbox.faults.clear()

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


@pytest.fixture(scope="module", params=ROUNDS, ids=str)
def day(
    request: pytest.FixtureRequest, deployed: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Day]:
    """The sessions, in the project's folder, on a dataset that is complete."""
    deployed.sandbox.faults.clear()
    deployed.complete()
    folder = tmp_path_factory.mktemp("day")
    shell = environment(
        deployed.folder, **settings(deployed.folder.env), XDG_CACHE_HOME=str(deployed.cache)
    )
    shell.pop("INSIGHTS_CALLED_BY", None)
    with ExitStack() as stack:
        sessions = {width: stack.enter_context(Session(shell, width)) for width in request.param}
        yield Day(deployed, sessions, folder, words(deployed))
    deployed.sandbox.faults.clear()
    for width, session in sessions.items():
        kept = Path(os.environ.get("TRANSCRIPTS") or folder)
        (kept / f"day-{width or 'pipe'}.txt").write_text(session.transcript, "utf-8")


# ------------------------------------------------------------------ A good day


def test_the_program_explains_itself(day: Day) -> None:
    day.run("--help", 0, "Show how the dataset stands", "Exit codes:")
    day.run("--version", 0, ".")
    for name in COMMANDS:
        day.run(f"{name} --help", 0, f"Usage: insights {name} [OPTIONS]")
    day.run("tables", 0, "traffic_daily View: Requests")
    day.run("tables traffic_daily", 0, "error_percent double")
    day.run("query --saved", 0, "busiest_apis")


def test_credentials_and_tokens(day: Day) -> None:
    secret = day.deployment.world.secret("acme")
    day.run("secret acme", 0, "Next: insights doctor --org acme", stdin=json.dumps(secret))
    # Each answer is looked at before the next question.
    answers = (
        ("Consumer key of the application: ", "short"),
        ("Consumer key of the application: ", secret["consumer_key"]),
        ("Consumer secret of the application: ", secret["consumer_secret"]),
        ("UUID of the organisation: ", "no-uuid"),
        ("UUID of the organisation: ", secret["org_id"]),
        ("On-prem key", secret.get("on_prem_key", "")),
    )
    says = ("too few for a credential", "It is not a UUID", "Stored as choreo-insights/acme.")
    day.run("secret acme", 0, *says, places=TERMINALS, typed=answers)
    day.run("doctor --org acme", 0, "ok", "All is well.")
    # The secret has another version now, though the same content: the doctor renewed the token.
    day.run("token", 0, "minted with the stored secret")
    said = "The cached token is deleted, and the token service was asked to revoke it."
    day.run("token revoke --org acme", 0, "acme revoked, expires", said)
    day.run("token status", 0, "absent", "Next: insights token ensure --org acme")
    day.run("token ensure --org acme", 0, "minted")
    says = ("This revokes the tokens of all organisations", "Nothing was revoked.")
    day.run("token revoke", 130, *says, places=TERMINALS, typed=[("Go on?", "n")])


def test_the_dataset_is_brought_up_to_date_and_looked_at(day: Day) -> None:
    day.run("export --tables apis,success_summary", 0, "exported", "failed 0")
    day.run("export --tables apis --to {yesterday} --again", 0, "Nothing was due")
    day.run("status", 0, "All is well: complete")
    day.run("status --all", 0, "Headquarters, Zürich")
    day.run("status --day yesterday", 0, "{yesterday} is complete so far")
    day.run("status --state failed", 0, "No day is failed.")
    day.run("logs", 0, "exported=")
    day.run("logs token --since 1d", 0, "ensure organization=acme status=minted")
    day.run("logs report", 0, "Nothing was logged in the last 1h. --since looks further back.")
    day.run("logs --errors --since 2d", 0)


def test_questions_are_answered(day: Day) -> None:
    sql = "SELECT environment, day, sum(requests) AS requests FROM traffic_daily GROUP BY 1, 2"
    day.run(f"query -- {sql}", 0, "Headquarters, Zürich")
    wide = "SELECT * FROM traffic_daily LIMIT 2"
    day.run(f"query -- {wide}", 0, terminal=["row 1 of 2", "environment_id "])
    empty = "SELECT * FROM traffic_daily WHERE 1 = 0"
    names = "organization, environment, environment_id"
    day.run(f"query -- {empty}", 0, terminal=[names, "0 rows"], piped=["day,organization,"])
    day.run("query -- SHOW TABLES", 0, "access_rules", "traffic_daily")
    day.run("query -- DESCRIBE traffic_daily", 0, "environment_id", "VARCHAR")
    day.run("query --json -- SELECT 1 AS a, 2 AS a", 0, '"a": 1', '"a_2": 2')
    day.run(
        "query --json -- SELECT CAST('NaN' AS double) AS a, CAST('Infinity' AS double) AS b",
        0,
        '"a": null',
        '"b": null',
    )
    numbers = "SELECT 1.5 AS a UNION ALL SELECT 22.25"
    day.run(f"query -- {numbers}", 0, terminal=["2 rows"], piped=["a 1.50 22.25"])
    day.run("query --saved busiest_apis", 0, "error_percent")
    day.run("cost", 0, "USD a month", "Lambda")


def test_what_is_made_of_it(day: Day) -> None:
    day.run("dashboard --out {folder}/board.html --days 3", 0, "board.html")
    month = day.names["today"][:7]
    said = (f"acme, {month}: not final yet", "report.html")
    day.run(f"report --out {{folder}} --month {month}", 0, *said)
    day.run("migrate --dry-run --tables latency", 0, "none was changed")
    said = "There is nothing to restore."
    day.run("restore --before {yesterday} --tables latency --dry-run", 0, said)
    day.run("compact --before {this_month} --tables latency --dry-run", 0, "There is no month")
    rules = day.folder / "rules.csv"
    # As a spreadsheet writes it, with a byte order mark.
    rules.write_text("GroupName,organization,environment\npartners,acme,Production\n", "utf-8-sig")
    day.run("access {folder}/rules.csv --check", 0, "1 rule of 0 users and 1 group would be stored")
    rules.write_text("GroupName,organization,environment\npartners,acme,Prodution\n", "utf-8")
    day.run("access {folder}/rules.csv", 2, "'Prodution' is not known. Did you mean Production?")
    rules.write_bytes("GroupName,organization\nBüro,acme\n".encode("latin-1"))
    day.run("access {folder}/rules.csv", 2, "rules.csv is not UTF-8 text: save it as UTF-8")


def test_a_backfill_is_followed(day: Day) -> None:
    first = [*day.sessions][:1]
    days = "--from {yesterday} --to {yesterday} --tables success_summary"
    day.run("backfill --list", 0)
    day.run(f"backfill {days}", 0, "All parts are done.", places=first)
    day.run("backfill --list", 0, "succeeded", "UTC 6 parts")
    day.run("backfill --attach", 0, "All parts are done.")
    day.run("backfill --resume", 0, "is whole: there is nothing to resume.")
    day.run("backfill --stop", 3, "No backfill runs")
    forbidden = {"status": 403, "organization": "lotus"}
    with day.faults(("status", forbidden)):
        day.run(f"backfill {days} --again", 1, "parts failed; the others are done.", places=first)
    day.run("backfill --attach", 1, "subscribe the application", "To try again what is missing:")
    day.run("backfill --resume", 0, "goes on with what is missing.", places=first)


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
    ("backfill --attach nosuch", 3, "There is no backfill nosuch. The newest are: "),
    ("backfill --resume --tables latency", 2, "--tables cannot be given beside --resume"),
    ("access", 2, "Missing argument 'FILE'"),
    ("access {folder}/no.csv", 2, "does not exist"),
    ("compact --before 2099-01 --dry-run", 2, "is not over"),
    ("compact --before {this_month} --tables latncy --dry-run", 2, "Did you mean latency?"),
    ("compact --before {this_month}", 3, "The local AWS has no Iceberg tables: use --dry-run"),
    ("migrate --tables latncy", 2, "Did you mean latency?"),
    ("cost --organizations two", 2, "'two' is not a valid whole number"),
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
        day.run(line, code, *says)
    day.run("secret acme", 2, "Give a JSON object with consumer_key", stdin="{")
    for variables, says in ELSEWHERE:
        day.run("status", 3, "cannot be read", says, **variables)


# ------------------------------------------------------------------ A bad day

# The fault of each organisation, and what is said of it.
GATEWAY: tuple[
    tuple[tuple[str, Mapping[str, Any]], tuple[str, Mapping[str, Any]], tuple[str, ...]], ...
]
GATEWAY = (
    (
        ("status", {"status": 401}),
        ("status", {"status": 403}),
        ("401", "check the application's subscription", "subscribe the application"),
    ),
    (
        ("status", {"status": 404}),
        ("status", {"status": 429, "wait": "seconds", "seconds": 3600}),
        ("the address has moved or is mistyped", "429", "may pass by itself", "doctor --org acme"),
    ),
    (
        ("html", {}),
        ("invalid_json", {}),
        (
            *("not a GraphQL reply", "The response is kept under quarantine/environments/"),
            "Next: `insights doctor --org",
        ),
    ),
    (("deep", {}), ("data_null", {}), ("nested too deeply", "neither data nor errors")),
    (
        ("missing_field", {}),
        ("complexity", {"size": 0}),
        ("missing required field `id`", "QUERY TOO COMPLEX"),
    ),
    (
        ("status", {"status": 503}),
        ("reset", {}),
        ("503", "127.0.0.1 could not be reached", "may pass by themselves"),
    ),
    (("empty", {}), ("not_json", {}), ("not a GraphQL reply",)),
    (("truncated", {}), ("gzip_unannounced", {}), ("not a GraphQL reply",)),
    (("cut", {}), ("throttled_200", {}), ("could not be reached", "Rate limit exceeded")),
    (("kill_tokens", {}), ("invalid_client", {}), ("the token was refused",)),
)
# How long a test waits is the setting RequestSeconds, here of a second.
# Slower than any test: a mint that ends later would end the token that is used by then.
_LONG = {"seconds": 3600}
SLOW = (
    (("hang", {}), ("slow", _LONG)),
    (("drip", _LONG), ("hang", {})),
)
# Faults of a query's data, each of another table, so that one run meets all.
DATA: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    "acme": {
        "success_summary": ("wrong_type", "getSuccessSummary", "Expected `int`, got `str`"),
        "error_summary": ("field_error", "getErrorSummary", "GraphQL says: internal system error"),
        "latency_summary": ("wrong_time", "getLatencySummary", "is not an ISO-8601 time"),
        "cache_hits_and_misses": ("duplicate_rows", "getCacheHitsAndMisses", "a time twice"),
        "total_traffic": ("huge_int", "getTotalTraffic", "Expected `int` <= 9223372036854775807"),
        "resource_usage": ("missing_rows", "getResourceUsage", "items came where total says"),
    },
    "lotus": {
        "success_summary": ("null_item", "getSuccessSummary", "Expected `object`, got `null`"),
        "error_summary": ("field_null", "getErrorSummary", "is null, and no error says why"),
        "latency_summary": ("wrong_granularity", "getLatencySummary", "where 1h was requested"),
        "cache_hits_and_misses": ("nan", "getCacheHitsAndMisses", "not a GraphQL reply"),
        "resource_usage": ("wrong_total", "getResourceUsage", "items came where total says"),
    },
}
TODAY = "--from {today} --to {today}"
# What no user can meet, and why.
UNMET = {
    **{
        (place, name): "of data, which no token is"
        for place in ("token", "revoke")
        for name in ON_DATA
    },
    **{(place, name): "of a new token" for place in ("query", "revoke") for name in ON_TOKEN},
    **{
        (place, name): "the Insights API's own"
        for place in ("token", "revoke")
        for name in ("kill_tokens", "complexity", "throttled_200")
    },
    # https://www.rfc-editor.org/rfc/rfc7009#section-2.2
    **{
        ("revoke", name): "a revocation is done whatever its response says"
        for name in (
            *("html", "empty", "not_json", "truncated", "invalid_json", "gzip", "gzip_unannounced"),
            *("deep", "drip", "cut"),
        )
    },
}


@contextmanager
def impatient(deployment: Deployment) -> Iterator[None]:
    """The functions wait for a second at the most."""
    functions, kept = deployment.stack.functions, {}
    for output, change in (
        ("ExportFunctionName", {"REQUEST_SECONDS": "1"}),
        ("TokenFunctionName", {}),
    ):
        name = deployment.stack.outputs[output]
        found = functions.get_function_configuration(FunctionName=name)
        kept[name] = {
            "Environment": {"Variables": found["Environment"]["Variables"]},
            "Timeout": found["Timeout"],
        }
        variables = {"Variables": found["Environment"]["Variables"] | change}
        timeout = found["Timeout"] if change else 5
        functions.update_function_configuration(
            FunctionName=name, Environment=variables, Timeout=timeout
        )
    try:
        yield
    finally:
        for name, values in kept.items():
            functions.update_function_configuration(FunctionName=name, **values)


def both(first: tuple[str, Mapping[str, Any]], second: tuple[str, Mapping[str, Any]]) -> Any:
    """A fault of each organisation."""
    return [
        (name, {**values, "organization": handle})
        for handle, (name, values) in (("acme", first), ("lotus", second))
    ]


def test_what_the_gateway_refuses_is_named_with_what_to_do(day: Day) -> None:
    for acme, lotus, says in GATEWAY:
        with day.faults(*both(acme, lotus)):
            day.run(f"export --tables success_summary {TODAY}", 1, "Nothing was exported of", *says)
    day.run("status", 1, "last errors", "Needs attention: ", "Next: insights logs --errors")
    day.run("logs --errors --since 5m", 0, "partition failed table=environments organization=acme")


def test_what_takes_too_long_is_named(day: Day) -> None:
    with impatient(day.deployment):
        for acme, lotus in SLOW:
            with day.faults(*both(acme, lotus)):
                says = ("took longer than", "may pass by themselves")
                day.run(f"export --tables success_summary {TODAY}", 1, *says)
            with day.faults(*both(acme, lotus), where="token"):
                day.run("token renew", 1, "took longer than", "Next: `insights doctor --org acme`")
    # A token that the service has ended itself is revoked whatever happens.
    forget(day.deployment)
    day.run("token renew", 0, "acme minted, expires", "lotus minted, expires")
    with impatient(day.deployment), day.faults(*both(*SLOW[0]), where="revoke"):
        day.run("token revoke --yes", 1, "NOT revoked: acme, lotus", "revoke again")


def test_data_that_do_not_fit_are_named(day: Day) -> None:
    faults = [
        (fault, {"organization": handle, "field": field_name, "size": 3 * (fault == "wrong_total")})
        for handle, tables in DATA.items()
        for fault, field_name, _ in tables.values()
    ]
    tables = ",".join(dict.fromkeys(name for tables in DATA.values() for name in tables))
    with day.faults(*faults):
        day.run(
            f"export --tables {tables} {TODAY}",
            1,
            *(says for tables in DATA.values() for *_, says in tables.values()),
            "Next: `insights doctor --org acme`",
        )
    # Less than is stored is kept back, and that is said.
    with day.faults(("forgotten", {"organization": "acme", "field": "getSuccessSummary"})):
        says = "3 partitions stay as they are stored"
        day.run(f"export --tables success_summary --org acme {TODAY}", 0, says)
    says = "kept, as Choreo gives less than is stored"
    day.run("status --tables success_summary --org acme", 0, says)
    # What is new is left out, and compression is read: nothing is to be seen of either.
    with day.faults(("extra_field", {}), ("gzip", {}), ("slow", {"seconds": 0.01})):
        day.run(f"export --tables success_summary {TODAY}", 0, "failed 0")


TOKEN = (
    (("invalid_client", {}), ("status", {"status": 503}), ("`insights secret acme`", "HTTP 503")),
    (("html", {}), ("reset", {}), ("check the setting TokenUrl", "127.0.0.1 could not be reached")),
    (("empty", {}), ("not_json", {}), ("check the setting TokenUrl",)),
    (("invalid_json", {}), ("truncated", {}), ("check the setting TokenUrl",)),
    (("gzip_unannounced", {}), ("deep", {}), ("check the setting TokenUrl",)),
    (("cut", {}), ("token_size", {"size": 9_000}), ("could not be reached", "holds 8192")),
    (
        ("status", {"status": 403}),
        ("status", {"status": 429, "wait": "seconds", "seconds": 3600}),
        ("403", "429"),
    ),
)


def test_what_the_token_service_refuses_is_named(day: Day) -> None:
    for acme, lotus, says in TOKEN:
        with day.faults(*both(acme, lotus), where="token"):
            said = ("Not renewed: acme, lotus", "An earlier token stays", "Next: `insights doctor")
            day.run("token renew", 1, *says, *said)
        forget(day.deployment)
    # A life that is not named is taken for a short one, and compression is read.
    for acme, lotus in (
        (("no_expires_in", {}), ("wrong_expires_in", {})),
        (("gzip", {}), ("token_size", {"size": 5_000})),
    ):
        with day.faults(*both(acme, lotus), where="token"):
            day.run("token renew", 0, "acme minted, expires", "lotus minted, expires")
    for fault in (*(("status", {"status": 503}), ("invalid_client", {}), ("reset", {})),):
        with day.faults(fault, where="revoke"):
            day.run("token revoke --org acme", 1, "NOT revoked: fingerprint", "revoke again")


def test_the_doctor_names_the_cause(day: Day) -> None:
    subscribe = "Subscribe the application to the API Insights"
    for fault, values, code, says in (
        ("status", {"status": 401}, 1, "the same region"),
        ("status", {"status": 403}, 1, subscribe),
        ("status", {"status": 404}, 1, "The endpoint has moved or is mistyped"),
        ("status", {"status": 503}, 1, "503"),
        ("html", {}, 1, "what answers there is not the Insights API"),
        ("reset", {}, 3, "Check InsightsUrl, and that this machine gets there"),
    ):
        with day.faults((fault, values)):
            day.run("doctor --org acme", code, says)
    with turned(day, subscribed=False):
        day.run("doctor --org acme", 1, subscribe)
    with turned(day, introspection=False):
        day.run("doctor --org acme", 0, "each document is asked in its place")
    with turned(day, newer_fields=True):
        day.run("doctor --org acme", 0, "Environment.region", "`make tables` and `make deploy`")
    day.run("token revoke --org acme", 0)
    for fault, values, code, says in (
        ("invalid_client", {}, 3, "`insights secret acme`"),
        ("status", {"status": 503}, 3, "Try again later. Where it stays, check the parameter"),
        ("html", {}, 3, "check the setting TokenUrl"),
    ):
        with day.faults((fault, values), where="token"):
            day.run("doctor --org acme", code, says)
        forget(day.deployment)


@contextmanager
def turned(day: Day, **values: Any) -> Iterator[None]:
    """The sandbox with other settings."""
    settings = day.deployment.sandbox.settings
    before = {name: getattr(settings, name) for name in values}
    settings.update(values)
    try:
        yield
    finally:
        settings.update(before)


def test_the_next_day_all_is_well(day: Day) -> None:
    forget(day.deployment)
    day.run("token revoke --yes", 0, "revoked")
    day.run("export", 0, "failed 0, remaining 0")
    day.run("status", 0, "All is well: complete")


def test_every_command_was_run_right_and_wrong(day: Day) -> None:
    for session in day.sessions.values():
        right = {ran.arguments[0] for ran in session.seen if ran.code == DONE}
        wrong = {ran.arguments[0] for ran in session.seen if ran.code in (WRONG_USAGE, NOT_DONE)}
        assert right >= {*COMMANDS}
        assert wrong >= {*COMMANDS}


def test_every_fault_was_met_that_can_be(day: Day) -> None:
    there = {(place, fault) for place in PLACES for fault in FAULTS}
    assert there - day.met == UNMET.keys() - day.met


def forget(deployment: Deployment) -> None:
    """Makes the token function forget refusals, which it remembers for a minute."""
    for handle in deployment.world.organizations:
        name = f"/{deployment.stack.name}/mint/{handle}"
        deployment.stack.ssm.delete_parameters(Names=[name])


@pytest.fixture(autouse=True)
def _no_fault_is_left(day: Day) -> Iterator[None]:
    yield
    day.deployment.sandbox.faults.clear()
