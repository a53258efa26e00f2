"""The doctor at the sandbox: what works, what does not, and the exit codes."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema, extend_schema, graphql_sync, parse

from choreo_insights_cli.catalogue.compiler import FOLDER
from choreo_insights_cli.catalogue.service_schema import for_own_documents
from choreo_insights_cli.commands.doctor.findings import DoctorReport, Finding
from dev.sandbox import SandboxServer
from tests.fakes.server import Answer, Received, Server

Doctor = Callable[..., DoctorReport]
Checks = Callable[[DoctorReport], dict[str, Finding]]
OFF = "choreo_insights_cli/catalogue/tables/overall_latency_by_api.graphql"
NEWER = "choreo_insights_cli/catalogue/tables/apis.graphql"
# Documents that a service of the published schema refuses: another one beside them is used.
REFUSED = {
    f"choreo_insights_cli/catalogue/tables/{path.name}"
    for path in (FOLDER / "tables").glob("*.graphql")
    if re.search("trafficType|displayName", path.read_text("utf-8"))
}
SUCCESSES = "choreo_insights_cli/catalogue/tables/success_summary.graphql"
LATENCY = "choreo_insights_cli/catalogue/tables/latency.graphql"
LATENCY_DAILY = "choreo_insights_cli/catalogue/tables/latency_daily_by_api.graphql"


def statuses(findings: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.status for finding in findings}


# All is well


def test_all_is_well(doctor: Doctor, checks: Checks, sandbox: SandboxServer) -> None:
    report = doctor()
    assert report.exit_code == 0
    found = checks(report)
    assert [*found] == [
        *("secret", "token", "scope", "expiry", "endpoint"),
        *("listEnvironments", "tenant", "other tenants", "introspection"),
    ]
    assert {finding.status for finding in found.values()} == {"ok"}
    assert "Production" in found["listEnvironments"].says
    (diagnosis,) = report.diagnoses
    documents = statuses(diagnosis.documents)
    assert {documents.pop(name) for name in (OFF, *REFUSED)} == {"skipped"}
    assert set(documents.values()) == {"ok"}
    assert (diagnosis.probes, diagnosis.new) == ([], [])
    assert sandbox.statistics.mints_by_organization == {"acme": 1}


def test_a_one_letter_secret_is_noted_and_leaves_the_words_whole(doctor: Doctor) -> None:
    report = doctor({"consumer_secret": "e", "org_id": "acme"})
    said = [finding for finding in report.diagnoses[0].checks if finding.status != "ok"]
    assert [finding.says for finding in said if finding.what == "secret"] == [
        (
            "consumer_secret (Consumer secret of the application): It has 1 character, too few for"
            " a credential."
        ),
        "org_id (UUID of the organisation): It is not a UUID (8-4-4-4-12 hex digits).",
    ]
    assert "***" not in json.dumps(report.as_dict())


def test_without_introspection_each_document_is_asked(
    doctor: Doctor, checks: Checks, sandbox: SandboxServer
) -> None:
    sandbox.settings.introspection = False
    report = doctor()
    assert report.exit_code == 0
    assert checks(report)["introspection"].status == "note"
    (diagnosis,) = report.diagnoses
    assert not diagnosis.documents
    probes = statuses(diagnosis.probes)
    assert {probes.pop(name) for name in (OFF, *REFUSED)} == {"skipped"}
    assert set(probes.values()) == {"ok"}
    asked = sandbox.statistics.root_fields
    query = build_schema(schema_text()).query_type
    assert query
    assert query.fields.keys() - asked.keys() <= {"getOverallLatencyByAPI"}
    assert sandbox.statistics.mints == 1


def test_both_can_be_wished_for(doctor: Doctor) -> None:
    (diagnosis,) = doctor(probe=True).diagnoses
    assert len(diagnosis.documents) == len(diagnosis.probes) > 30


def test_new_fields_are_told_and_are_no_fault(doctor: Doctor, sandbox: SandboxServer) -> None:
    sandbox.settings.newer_fields = True
    report = doctor()
    assert report.exit_code == 0
    new = {finding.what: finding for finding in report.diagnoses[0].new}
    assert {*new} == {"Environment.region: String"}
    assert statuses(report.diagnoses[0].documents)[NEWER] == "ok"
    assert "environments.graphql" in new["Environment.region: String"].says


# What differs


def schema_text() -> str:
    return (FOLDER / "schema.graphql").read_text("utf-8")


class Changed:
    """The sandbox behind a server that shows another schema."""

    def __init__(self, sandbox: SandboxServer, shown: GraphQLSchema) -> None:
        self._sandbox = sandbox
        self._shown = shown

    def respond(self, received: Received) -> Answer:
        if b"__schema" in received.body:
            result = graphql_sync(self._shown, json.loads(received.body)["query"])
            return Answer.of(result.formatted)
        reply = self._sandbox.service.answer(
            received.path, dict(received.headers.items()), received.body
        )
        return Answer(reply.status, reply.body, reply.headers)


def test_a_changed_schema_is_told_document_by_document(
    doctor: Doctor, sandbox: SandboxServer
) -> None:
    shown = build_schema(schema_text().replace("  backend: Int", "  backendTime: Int"))
    shown = extend_schema(shown, parse("extend type Query { getCarbon(org: String): Float }"))
    with Server(Changed(sandbox, shown).respond) as server:
        insights = sandbox.insights_url.replace(sandbox.url, server.url)
        report = doctor(insights_url=insights)
    assert report.exit_code == 1
    (diagnosis,) = report.diagnoses
    wrong = [finding for finding in diagnosis.documents if finding.status == "differs"]
    assert [finding.what for finding in wrong] == [LATENCY, LATENCY_DAILY]
    assert "line 15" in wrong[0].says
    assert "'backend' on type 'Latency'" in wrong[0].says
    assert "make tables" in wrong[0].change
    new = {finding.what for finding in diagnosis.new}
    assert new == {"Latency.backendTime: Int", "Query.getCarbon: Float"}


@pytest.mark.parametrize(
    "answer",
    [
        Answer.of({"data": {"__schema": {"queryType": None}}}),
        Answer.of({"data": {"__schema": {"types": "none"}}}),
        Answer.of({"errors": [{"message": "no"}]}),
        Answer.of({"data": None}),
        Answer(200, b"<html>"),
        Answer(422, b"{}"),
    ],
)
def test_introspection_that_is_none(
    doctor: Doctor, checks: Checks, sandbox: SandboxServer, answer: Answer
) -> None:
    changed = Changed(sandbox, build_schema(schema_text()))

    def respond(received: Received) -> Answer:
        return answer if b"__schema" in received.body else changed.respond(received)

    with Server(respond) as server:
        report = doctor(insights_url=sandbox.insights_url.replace(sandbox.url, server.url))
    assert report.exit_code == 0
    assert checks(report)["introspection"].status == "note"
    assert report.diagnoses[0].probes


def test_a_document_that_fails_has_the_words_of_the_service(
    doctor: Doctor, sandbox: SandboxServer
) -> None:
    sandbox.settings.introspection = False
    sandbox.faults.add("field_error", field="getLatency", times=None)
    sandbox.faults.add("wrong_type", field="getSuccessSummary", times=None)
    report = doctor()
    assert report.exit_code == 1
    found = {finding.what: finding for finding in report.diagnoses[0].probes}
    assert found[LATENCY].status == "differs"
    assert found[LATENCY].says.startswith("GraphQL says: ")
    assert "Expected `str`, got `object`" in found[SUCCESSES].says
    wrong = {what for what, f in found.items() if f.status not in ("ok", "skipped")}
    assert wrong == {LATENCY, LATENCY_DAILY, SUCCESSES}


def test_a_wrong_tenant(doctor: Doctor, checks: Checks) -> None:
    report = doctor(tenant="other.example")
    assert report.exit_code == 1
    assert checks(report)["tenant"].status == "differs"
    assert "carbon.super" in checks(report)["tenant"].says


def test_a_tenant_with_traffic_that_is_not_exported(
    doctor: Doctor, checks: Checks, sandbox: SandboxServer
) -> None:
    assert checks(doctor())["other tenants"].says == "without traffic in 7 days: partners.example"
    sandbox.settings.tenants_have_traffic = True
    sandbox.settings.now = None
    report = doctor()
    assert report.exit_code == 1
    found = checks(report)["other tenants"]
    assert (found.status, found.change) == (
        "differs",
        "Set the parameter Tenant to carbon.super,partners.example",
    )
    assert "other tenants" not in checks(doctor(tenant="carbon.super,partners.example"))


def test_the_schema_is_written_for_own_documents(
    doctor: Doctor, checks: Checks, sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.settings.newer_fields = True
    report = doctor(schema=str(tmp_path / "schema.graphql"))
    assert checks(report)["schema"].status == "ok"
    assert "displayName" in (tmp_path / "schema.graphql").read_text("utf-8")
    assert "getLatency" in str(for_own_documents(tmp_path).query_type.fields.keys())
    sandbox.settings.introspection = False
    assert checks(doctor(schema=str(tmp_path / "no.graphql")))["schema"].status == "failed"
    assert not (tmp_path / "no.graphql").exists()


def test_a_lesser_scope_is_told_before_it_is_refused(doctor: Doctor, checks: Checks) -> None:
    report = doctor(scope="apim:view")
    assert report.exit_code == 1
    found = checks(report)
    assert (found["scope"].status, found["endpoint"].status) == ("differs", "failed")
    assert "'apim:view' is not enough" in found["endpoint"].change


def test_a_short_life_is_worth_a_note(
    doctor: Doctor, checks: Checks, sandbox: SandboxServer
) -> None:
    sandbox.settings.token_lifetime = 120
    report = doctor()
    assert report.exit_code == 0
    assert checks(report)["expiry"].status == "note"


# What the endpoint refuses


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        ({"status": 403, "code": "900908"}, "Subscribe"),
        ({"status": 404}, "moved"),
        ({"status": 410}, "moved"),
        ({"status": 401}, "same region"),
        ({"status": 422}, "sample is refused"),
        ({"status": 302}, "redirects"),
        ({"status": 418}, "does not answer as the API does"),
        ({"status": 429, "wait": "seconds", "seconds": 1}, "too often"),
        ({"status": 503}, "try again later"),
    ],
)
def test_a_refusal_is_told_with_a_remedy(
    doctor: Doctor,
    checks: Checks,
    sandbox: SandboxServer,
    fault: Mapping[str, Any],
    change: str,
) -> None:
    sandbox.faults.add("status", times=None, **fault)
    report = doctor()
    assert report.exit_code == 1
    endpoint = checks(report)["endpoint"]
    assert endpoint.status == "failed"
    assert f"HTTP {fault['status']}" in endpoint.says
    assert change in endpoint.change
    assert [*checks(report)][-1] == "endpoint"


def test_another_organisations_id(doctor: Doctor, checks: Checks) -> None:
    report = doctor({"org_id": "00000000-0000-4000-8000-000000000000"})
    assert report.exit_code == 1
    listed = checks(report)["listEnvironments"]
    assert listed.status == "failed"
    assert "Not authorized" in listed.says
    assert "org_id" in listed.change


def test_the_service_goes_away_while_it_is_asked(doctor: Doctor, sandbox: SandboxServer) -> None:
    sandbox.settings.introspection = False
    sandbox.faults.add("status", status=503, skip=20, times=None)
    report = doctor()
    assert report.exit_code == 1
    found = [*statuses(report.diagnoses[0].probes).values()]
    assert found.count("failed") == 3
    assert set(found[found.index("failed") + 3 :]) == {"skipped"}


# What cannot be asked at all


def test_a_wrong_secret(doctor: Doctor, checks: Checks, sandbox: SandboxServer) -> None:
    report = doctor({"consumer_secret": "synthetic"})
    assert report.exit_code == 3
    assert checks(report)["token"].status == "failed"
    assert "refused the consumer key" in checks(report)["token"].says
    assert sandbox.statistics.queries == 0


@pytest.mark.parametrize("fault", ["reset", "html", "empty", "not_json", "status"])
def test_the_token_service_is_down(
    doctor: Doctor, checks: Checks, sandbox: SandboxServer, fault: str
) -> None:
    status = 503 if fault == "status" else None
    sandbox.faults.add(fault, where="token", times=None, status=status)
    report = doctor()
    assert report.exit_code == 3
    assert checks(report)["token"].status == "failed"


def test_nobody_is_at_the_address(doctor: Doctor, checks: Checks) -> None:
    with Server(lambda _: Answer()) as server:
        gone = server.url
    report = doctor(insights_url=gone)
    assert report.exit_code == 3
    assert checks(report)["endpoint"].change.startswith("Check --insights-url")
    assert doctor(token_url=gone).exit_code == 3


# Nothing secret


@pytest.mark.parametrize("introspection", [True, False])
@pytest.mark.parametrize("fault", [None, "invalid_client", "field_error", "status"])
def test_nothing_secret_is_told(
    doctor: Doctor, sandbox: SandboxServer, fault: str | None, introspection: bool
) -> None:
    sandbox.settings.introspection = introspection
    if fault:
        where = "token" if fault == "invalid_client" else "query"
        status = 403 if fault == "status" else None
        sandbox.faults.add(fault, where=where, times=None, status=status)
    text = json.dumps(doctor().as_dict(), ensure_ascii=False)
    secret = sandbox.world.secret("acme")
    for key in ("consumer_key", "consumer_secret", "on_prem_key"):
        assert secret.get(key, "\0") not in text
    assert "eyJ" not in text


def test_what_a_service_repeats_is_hidden(doctor: Doctor, sandbox: SandboxServer) -> None:
    """A gateway that says what it was sent, and sends what a terminal would obey."""

    def respond(received: Received) -> Answer:
        said = f"\x1b[2J{received.headers['Authorization']} {received.body.decode()}"
        return Answer.of({"code": "900901", "message": said}, status=403)

    with Server(respond) as server:
        report = doctor({"consumer_key": "kurz", "on_prem_key": "prem"}, insights_url=server.url)
        refused = doctor(insights_url=server.url)
        tokens = [r.headers["Authorization"].split()[1] for r in server.requests]
    assert report.exit_code == 3
    assert refused.exit_code == 1
    text = json.dumps(refused.as_dict(), ensure_ascii=False)
    assert tokens
    assert not any(token in text for token in tokens)
    assert "\\u001b" not in text
