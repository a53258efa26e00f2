"""The doctor's round: check after check, for each organisation."""

import base64
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import click
import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from graphql import GraphQLSchema

from choreo_insights.credentials import Credentials
from choreo_insights.dataset.partitions import Environment, safe_name
from choreo_insights.dataset.registry_merge import environments_of
from choreo_insights.errors import BadAnswer, InsightsError
from choreo_insights.export.insights_api import means_throttled
from choreo_insights.export.partition_file import records
from choreo_insights.export.throttle import Throttle
from choreo_insights.http import Http
from choreo_insights.redaction import redact
from choreo_insights.replies import Reply, parse_object, read_complaint
from choreo_insights.tokens.reader import Tokens
from choreo_insights_cli import options, output, spinner
from choreo_insights_cli.catalogue.errors import DocumentError
from choreo_insights_cli.catalogue.service_schema import for_own_documents, reduced
from choreo_insights_cli.commands.doctor.behaviour import Behaviour
from choreo_insights_cli.commands.doctor.compare import additions, compare
from choreo_insights_cli.commands.doctor.documents import Document, load, named
from choreo_insights_cli.commands.doctor.dry_run import Exporter
from choreo_insights_cli.commands.doctor.examiner import (
    MOST_REQUESTS,
    Examiner,
    without_subscription,
)
from choreo_insights_cli.commands.doctor.findings import Diagnosis, DoctorReport
from choreo_insights_cli.commands.doctor.live import SAMPLE, Live
from choreo_insights_cli.commands.doctor.probe import Prober
from choreo_insights_cli.commands.doctor.secret import from_given, from_stack
from choreo_insights_cli.commands.doctor.settings import DoctorOptions, DoctorSettings, resolve
from choreo_insights_cli.commands.doctor.show import show
from choreo_insights_cli.commands.doctor.token import lifetime, obtain, two_tokens
from choreo_insights_cli.commands.secret import FIELDS, problems
from choreo_insights_cli.errors import CommandError, WrongUsage
from choreo_insights_cli.paths import shipped
from choreo_insights_cli.stack import Stack

# As much as the exporter's own default.
_REQUESTS_PER_MINUTE = 120
# Days whose traffic shows whether a tenant is in use.
_TENANT_DAYS = 7
_EXAMPLES = """\b
Examples:
  insights doctor
  insights doctor --org acme --secret-file acme.json      before anything is deployed

Exit code 1: something differs or failed; 3: the service could not be asked at all.
"""


@click.command(epilog=_EXAMPLES)
@click.option("--org", metavar="HANDLE", default="", help="One organisation; left out: all.")
@click.option(
    "--secret-file",
    metavar="FILE",
    default="",
    help="Credentials in JSON, - for a pipe; left out: those in Secrets Manager.",
)
@click.option("--token-url", metavar="URL", default="", help="Another token endpoint.")
@click.option("--insights-url", metavar="URL", default="", help="Another endpoint of the API.")
@click.option("--scope", metavar="SCOPE", default="", help="Another scope.")
@click.option("--tenant", metavar="TENANT", default="", help="Other tenants, with commas.")
@click.option("--secret-prefix", metavar="PREFIX", default="", help="Another SecretPrefix.")
@click.option(
    "--probe",
    is_flag=True,
    help="Ask for every document, also with introspection, and find out how the service behaves, in"
    f" at most {MOST_REQUESTS} more requests.",
)
@click.option(
    "--save",
    "record",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write how the service behaves, without names, ids or figures. With --probe.",
)
@click.option(
    "--wait",
    metavar="MINUTES",
    type=options.CountType(0, 1440),
    default=0,
    help="Look twice, so many minutes apart, to see how late data arrive. With --probe.",
)
@click.option(
    "--mint",
    is_flag=True,
    help="Mint a second token, to see whether it ends the first: what uses that one then needs"
    " another. With --probe.",
)
@click.option(
    "--schema",
    metavar="FILE",
    default="",
    help="Write the schema that the service shows, such as custom/schema.graphql.",
)
@options.as_json
@options.of_stack
def command(
    stack: Stack,
    org: str,
    as_json: bool,
    record: Path | None,
    **given: Any,
) -> int:
    """Ask the real endpoints, and say what to change.

    The settings are those of the deployed stack, else the template's defaults.
    """
    needless = {"--save": record, "--wait": given["wait"], "--mint": given["mint"]}
    for option in [name for name, value in needless.items() if value and not given["probe"]]:
        raise click.UsageError(f"{option} needs --probe: without it nothing is found out")
    wish = DoctorOptions(organization=org, **given)
    with spinner.shown("reading the settings") as say:
        report = diagnose(wish, stack, sys.stdin.read, polite_http(), say)
    if as_json:
        output.as_json(report.as_dict())
    else:
        show(report, output.console())
    if record:
        save(report, record)
    return report.exit_code


def save(report: DoctorReport, path: Path) -> None:
    """Writes the behaviour that the first organisation showed. Raises CommandError for none."""
    found = [diagnosis.behaviour for diagnosis in report.diagnoses if diagnosis.behaviour]
    if not found:
        raise CommandError(f"Nothing was found out, so {path} is not written")
    path.write_text(json.dumps(found[0], indent=2) + "\n", "utf-8")


def polite_http() -> Http:
    """A client that keeps to the exporter's budget, and waits for as long as a 429 says.

    Its attempts outlast a limit that is counted by the minute where nothing says how long it lasts.
    """
    throttle = Throttle(_REQUESTS_PER_MINUTE)
    return Http(retries=4, on_throttle=throttle.hold, before_attempt=throttle.wait)


def diagnose(
    wish: DoctorOptions,
    stack: Stack,
    read_stdin: Callable[[], str],
    http: Http,
    progress: Callable[[str], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> DoctorReport:
    """All checks for all organisations that the user or the stack names."""
    try:
        settings = resolve(wish, stack, read_stdin)
    except WrongUsage as error:
        return DoctorReport(failure=str(error), refused=True)
    except (CommandError, InsightsError) as error:
        return DoctorReport(failure=str(error))
    try:
        ours = for_own_documents(shipped("custom"))
    except DocumentError as error:
        return DoctorReport(failure=str(error))
    documents, broken = load(ours)
    report = DoctorReport(settings.shown())
    for handle in settings.organizations:
        diagnosis = Diagnosis(handle, settings.from_options())
        report.diagnoses.append(diagnosis)
        diagnosis.add(diagnosis.documents, broken)
        exported = options.names(settings.deployed.get("Organizations", handle))
        if handle not in exported:
            says = f"the stack does not export {handle}, only {', '.join(exported)}"
            change = "Add it to the parameter Organizations, and deploy"
            diagnosis.check("organisation", "note", says, change)
        _Round(settings, diagnosis, http, documents, ours, progress, now).make(wish)
    return report


class _Round:
    """The checks of one organisation. Each that fails ends those that need it."""

    def __init__(
        self,
        settings: DoctorSettings,
        diagnosis: Diagnosis,
        http: Http,
        documents: Sequence[Document],
        ours: GraphQLSchema,
        progress: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._found = diagnosis
        self._http = http
        self._documents = documents
        self._ours = ours
        self._progress = progress
        self._now = now
        self._probes = False
        self._tenants_have_traffic: bool | None = None

    def make(self, wish: DoctorOptions) -> None:
        """Adds all findings to the diagnosis."""
        self._probes = wish.probe
        credentials = self._secret()
        if credentials is None:
            return
        self._progress(f"{credentials.org_handle}: getting a token")
        tokens = obtain(self._settings, credentials, self._http, self._found)
        if tokens is None:
            return
        live = Live(self._http, self._settings, credentials, tokens)
        self._progress(f"{credentials.org_handle}: asking the Insights API")
        reply = self._endpoint(live, credentials.org_id)
        if reply is None:
            return
        exporter = Exporter(live, credentials, self._settings, self._now)
        environments = self._environments(live, reply, exporter)
        self._tenant(exporter, environments)
        self._extra_ids(environments)
        their = self._introspection(live)
        if wish.schema:
            self._write_schema(their, Path(wish.schema))
        if their is not None:
            self._compare(their)
        if their is None or wish.probe:
            prober = Prober(exporter, environments)
            self._found.add(self._found.probes, prober.probe(self._documents, self._progress))
        if wish.probe:
            self._progress(f"{credentials.org_handle}: finding out how the service behaves")
            behaviour = self._behaviour(live, wish, environments, introspection=their is not None)
            more = self._second_token(live, tokens) if wish.mint else {}
            self._show(behaviour, {**more, "tenants_have_traffic": self._tenants_have_traffic})

    def _behaviour(
        self,
        live: Live,
        wish: DoctorOptions,
        environments: Sequence[Environment],
        *,
        introspection: bool,
    ) -> Behaviour | None:
        def pause() -> None:
            self._progress(f"waiting {wish.wait} minutes, to see how late data arrive")
            time.sleep(60 * wish.wait)

        tenant = self._settings.tenants[0]
        wait = pause if wish.wait else None
        examiner = Examiner(live, tenant, self._documents, now=self._now, pause=wait)
        try:
            return examiner.examine(environments, introspection=introspection)
        except InsightsError as error:
            self._found.check("behaviour", "note", live.words(error), "Try again later")
            return None

    def _second_token(self, live: Live, tokens: Tokens) -> dict[str, Any]:
        """Whether a second token ends the first one, how long it lives and how long it is."""
        settings, handle = self._settings, self._found.organization
        try:
            first, second = two_tokens(settings.stack, tokens, handle)
            self._found.hidden.update({first.access_token, second.access_token})
            works = [live.sample(each.access_token).status == 200 for each in (second, first)]
        except (CommandError, InsightsError, ClientError, BotoCoreError) as error:
            self._found.check("second token", "failed", redact(str(error)))
            return {}
        self._found.check("second token", "note", f"minted, fingerprint {second.fingerprint}")
        found = {"token_lifetime": lifetime(second), "token_size": len(second.access_token)}
        return found | ({"one_token": not works[1]} if works[0] else {})

    def _show(self, behaviour: Behaviour | None, more: Mapping[str, Any]) -> None:
        if behaviour is None:
            return
        behaviour = msgspec.structs.replace(behaviour, **more)
        self._found.behaviour = behaviour.as_settings()
        self._found.add(self._found.seen, behaviour.findings())

    def _secret(self) -> Credentials | None:
        settings, handle = self._settings, self._found.organization
        try:
            if settings.given is not None:
                found, says = from_given(handle, settings.given), "read from the file"
            else:
                prefix = settings.secret_prefix
                found = from_stack(handle, settings.stack, prefix)
                says = f"{prefix}/{handle}, from Secrets Manager"
        except InsightsError as error:
            change = ""
            # Where a secret lacks something, the reason says how it is stored.
            if settings.given is None and " secret " not in str(error).partition("`")[2]:
                change = f"Store it with `insights secret {handle}`, or give --secret-file"
            self._found.check("secret", "failed", str(error), change)
            return None
        pair = f"{found.consumer_key}:{found.consumer_secret}"
        self._found.hidden.update(found.secrets, {base64.b64encode(pair.encode()).decode()})
        more = "" if found.on_prem_key else "; without an on_prem_key, which few need"
        self._found.check("secret", "ok", says + more)
        values = {name: getattr(found, name) or "" for name in FIELDS}
        for problem in problems(values):
            change = f"Store it again with `insights secret {handle}`, if that is a mistake"
            self._found.check("secret", "note", problem, change)
        return found

    def _endpoint(self, live: Live, org_id: str) -> Reply | None:
        """The reply to the documented sample, where it is a success."""
        try:
            reply = live.post(SAMPLE, {"org": {"orgId": org_id}})
        except InsightsError as error:
            self._found.asked = error.status is not None
            change = "Check InsightsUrl, and that this machine gets there"
            self._found.check("endpoint", "failed", live.words(error), change)
            return None
        self._found.asked = True
        if reply.status != 200 or means_throttled(reply):
            self._found.check("endpoint", "failed", live.says(reply), live.remedy(reply))
            if self._probes:
                self._show(without_subscription(reply, read_complaint(reply.body).code), {})
            if live.no_other_token:
                self._found.check("new token", "failed", *live.why_no_other_token())
            return None
        if not parse_object(reply.body):
            kind = redact(reply.headers.get("Content-Type", "no content type"), most=60)
            says = f"HTTP 200 without a GraphQL reply ({kind}, {len(reply.body):,} bytes)"
            change = "Check InsightsUrl: what answers there is not the Insights API"
            self._found.check("endpoint", "failed", says, change)
            return None
        self._found.check("endpoint", "ok", "answers, and takes the token")
        return reply

    def _environments(self, live: Live, reply: Reply, exporter: Exporter) -> Sequence[Environment]:
        """The environments, with all of their ids where the catalogue's own document works."""
        answer = parse_object(reply.body)
        data = answer.get("data")
        listed = data.get("listEnvironments") if isinstance(data, dict) else None
        change = "Check the org_id in the secret: it is the organisation's UUID"
        if answer.get("errors") or not isinstance(listed, list):
            self._found.check("listEnvironments", "failed", live.says(reply), change)
            return ()
        pairs = [(str(e.get("id")), str(e.get("name"))) for e in listed if isinstance(e, dict)]
        if not pairs:
            self._found.check("listEnvironments", "differs", "there is none", change)
            return ()
        names = "; ".join(name for _, name in pairs)
        self._found.check("listEnvironments", "ok", f"{len(pairs)}: {names}")
        table = named(self._documents, "environments")
        with suppress(InsightsError):  # it is compared with the others, and says why
            if table:
                rows = records(exporter.rows(table, None))
                return environments_of(rows, datetime.now(UTC).date())
        return [Environment(id_, name, "", (id_,), safe_name(name)) for id_, name in pairs]

    def _tenant(self, exporter: Exporter, places: Sequence[Environment]) -> None:
        """Whether environments have the tenants: with a wrong one all answers are empty.

        A listed tenant that is not exported matters where it has traffic.
        """
        table = named(self._documents, "tenants")
        if table is None or not places:
            return
        try:
            listed = {p: exporter.rows(table, p).columns.get("tenant", ()) for p in places}
        except InsightsError as error:
            self._found.check("tenant", "note", f"not to be listed: {redact(str(error))}")
            return
        tenants, found = self._settings.tenants, {*chain.from_iterable(listed.values())} - {None}
        if not found:
            self._found.check("tenant", "note", "no environment lists one yet")
            return
        if unknown := [name for name in tenants if name not in found]:
            says = f"no environment has {', '.join(map(repr, unknown))}, but "
            says += ", ".join(sorted(found))
            self._found.check("tenant", "differs", says, "Set the parameter Tenant to one of these")
            return
        self._found.check("tenant", "ok", ", ".join(tenants))
        self._other_tenants(exporter, listed)

    def _other_tenants(
        self, exporter: Exporter, listed: Mapping[Environment, Sequence[str | None]]
    ) -> None:
        table, tenants = named(self._documents, "total_traffic"), self._settings.tenants
        requests: Counter[str] = Counter()
        if table is None:
            return
        try:
            for place, names in listed.items():
                for name in filter(None, names):
                    if name not in tenants:
                        requests[name] += exporter.requests(table, place, name, _TENANT_DAYS)
        except InsightsError as error:
            says = f"their traffic cannot be queried: {redact(str(error))}"
            self._found.check("other tenants", "note", says)
            return
        if requests:
            self._tenants_have_traffic = any(requests.values())
        if with_traffic := [f"{name} has {count}" for name, count in requests.items() if count]:
            says = f"{', '.join(with_traffic)} requests in {_TENANT_DAYS} days, not exported"
            names = ",".join((*tenants, *(name for name, count in requests.items() if count)))
            change = f"Set the parameter Tenant to {names}"
            self._found.check("other tenants", "differs", says, change)
        elif requests:
            says = f"without traffic in {_TENANT_DAYS} days: {', '.join(requests)}"
            self._found.check("other tenants", "ok", says)

    def _extra_ids(self, places: Sequence[Environment]) -> None:
        """Whether each entry of ExtraEnvironmentIds means an environment, and adds to it."""
        extra = self._settings.extra_environment_ids
        known = {name for place in places for name in (place.id, place.name)}
        change = "Correct the parameter ExtraEnvironmentIds"
        for name, ids in extra.items() if places else ():
            others = [p for p in places if name not in (p.id, p.name) and {*ids} & {*p.ids}]
            if name not in known:
                says = f"{name!r} is neither the id nor the name of an environment here"
                self._found.check("extra ids", "note", says, change)
            elif others:
                says = f"an id of {name} is one of {others[0].name} too: its data would count twice"
                self._found.check("extra ids", "differs", says, change)
            else:
                self._found.check("extra ids", "ok", f"{name}: {len(ids)} more")

    def _compare(self, their: GraphQLSchema) -> None:
        found, documents = self._found, self._documents
        found.add(found.documents, compare(documents, self._ours, their))
        found.add(found.new, additions(documents, self._ours, their))

    def _write_schema(self, their: GraphQLSchema | None, path: Path) -> None:
        """Writes what the service shows to a file."""
        if their is None:
            change = "Write by hand what your documents need"
            self._found.check("schema", "failed", "the service does not show it", change)
            return
        try:
            path.write_text(reduced(their), "utf-8")
        except OSError as error:
            self._found.check("schema", "failed", f"{path}: {error.strerror}", "Give another file")
        else:
            self._found.check("schema", "ok", f"written to {path}")

    def _introspection(self, live: Live) -> GraphQLSchema | None:
        try:
            found = live.schema()
        except BadAnswer as error:
            says = f"not allowed ({live.words(error)}): each document is asked in its place"
            self._found.check("introspection", "note", f"{says}, over an empty time range")
            return None
        except InsightsError as error:
            self._found.check("introspection", "failed", live.words(error), "Try again later")
            return None
        count = len(found.query_type.fields) if found.query_type else 0
        self._found.check("introspection", "ok", f"{count} query fields")
        return found
