"""The Insights API as it answers now."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from graphql import GraphQLError, GraphQLSchema, build_client_schema, get_introspection_query

from choreo_insights.credentials import Credentials, Secrets
from choreo_insights.errors import BadAnswer, InsightsError, PersonMustAct, Unauthenticated
from choreo_insights.export.decode import Answer, Reader
from choreo_insights.export.insights_api import Choreo, means_throttled
from choreo_insights.export.jobs import BatchKey
from choreo_insights.export.queries import Query
from choreo_insights.http import Http
from choreo_insights.redaction import redact
from choreo_insights.replies import Reply, parse_object, read_complaint
from choreo_insights.tokens.reader import Tokens
from choreo_insights_cli.commands.doctor.settings import DoctorSettings

# As long as throttling that is counted by the minute lasts, and the attempts of `polite_http`.
_SECONDS = 120.0
# The sample of Choreo's documentation: what works at all, works with it.
SAMPLE = "query ($org: OrgFilter!) {listEnvironments(org: $org){id name}}"


_MOVED = "The endpoint has moved or is mistyped: look it up, and set InsightsUrl"
_CHANGED = "The documented sample is refused: check InsightsUrl, or the API has changed"
_REMEDIES = {
    400: _CHANGED,
    401: (
        "Check that TokenUrl and InsightsUrl are of the same region, and that nothing else mints"
        " tokens with this consumer key"
    ),
    403: (
        "Subscribe the application to the API Insights in the developer portal of the organisation"
        " Choreo System, and check that the parameter Scope is what the API needs"
    ),
    404: _MOVED,
    410: _MOVED,
    413: _CHANGED,
    422: _CHANGED,
    429: "The service is asked too often: wait, and lower the parameter RequestsPerMinute",
}


@dataclass(frozen=True)
class _Kept:
    """One organisation's credentials in place of all secrets."""

    credentials: Credentials

    def get(self, _handle: str) -> Credentials:
        return self.credentials


class Live:
    """Asks the API for one organisation."""

    def __init__(
        self, http: Http, settings: DoctorSettings, credentials: Credentials, tokens: Tokens
    ) -> None:
        self._http = http
        self._url = settings.insights_url
        self._scope = settings.scope
        self._handle = credentials.org_handle
        self._credentials = credentials
        self._tokens = tokens
        # Why there was none where the API refused one, for a reason other than the API's refusals.
        self.no_other_token: InsightsError | None = None
        # Whether throttling came in a reply with HTTP 200; None where nothing was throttled.
        self.throttled_in_200: bool | None = None
        secrets = cast("Secrets", _Kept(credentials))
        self._choreo = Choreo(http, self._url, tokens, secrets, throttled=self._throttled)

    @property
    def org_id(self) -> str:
        """The organisation's id, which queries name."""
        return self._credentials.org_id

    def post(self, query: str, variables: Mapping[str, Any] | None = None) -> Reply:
        """The reply to a query, whatever its status. Raises InsightsError where none came."""
        body = msgspec.json.encode({"query": query, "variables": variables or {}})
        token = self._tokens.get(self._handle)
        reply = self._send(body, token.access_token)
        if reply.status != 401:
            return reply
        try:
            token = self._tokens.rejected(self._handle, token)
        except Unauthenticated:
            return reply  # the service's own words say more
        except InsightsError as error:
            self.no_other_token = error
            return reply
        return self._send(body, token.access_token)

    def refused(self) -> Reply:
        """The reply to a token that is none."""
        return self.sample("none")

    def sample(self, bearer: str) -> Reply:
        """The reply to the documented sample with this token, whatever its status."""
        variables = {"org": {"orgId": self.org_id}}
        return self._send(msgspec.json.encode({"query": SAMPLE, "variables": variables}), bearer)

    def outcomes(self, queries: Sequence[Query]) -> list[Answer | InsightsError]:
        """What the exporter would read from one request, or why it would not, for each query.

        Raises InsightsError where the request failed as a whole.
        """
        found: list[Answer | InsightsError] = []
        outcomes = self._choreo.ask(BatchKey(self._handle), queries, time.monotonic() + _SECONDS)
        for query, outcome in zip(queries, outcomes, strict=True):
            if isinstance(outcome, InsightsError):
                found.append(outcome)
                continue
            try:
                found.append(Reader(query.table).read(outcome))
            except BadAnswer as error:
                found.append(error)
        return found

    def ask(self, queries: Sequence[Query], *, with_on_prem_key: bool) -> list[Answer]:
        """What the exporter would read from one request for all of them.

        Raises InsightsError for the first that has no answer, with the service's words.
        """
        key = BatchKey(self._handle, with_on_prem_key)
        answers = []
        outcomes = self._choreo.ask(key, queries, time.monotonic() + _SECONDS)
        for query, found in zip(queries, outcomes, strict=True):
            if isinstance(found, InsightsError):
                raise found
            answers.append(Reader(query.table).read(found))
        return answers

    def schema(self) -> GraphQLSchema:
        """The schema that introspection shows.

        Raises BadAnswer where it is refused or cannot be read, InsightsError where none came.
        """
        reply = self.post(get_introspection_query(descriptions=False))
        data = parse_object(reply.body).get("data")
        if reply.status != 200 or not isinstance(data, dict) or not data.get("__schema"):
            raise BadAnswer(self.says(reply), status=reply.status)
        try:
            return build_client_schema(cast("Any", data))
        except (GraphQLError, TypeError, KeyError, ValueError, AttributeError) as error:
            kind = type(error).__name__
            raise BadAnswer(f"its answer is not a schema ({kind})", status=reply.status) from None

    def says(self, reply: Reply) -> str:
        """A refusal in the service's words, without secrets."""
        complaint = read_complaint(reply.body, self._credentials.secrets)
        words = " ".join(filter(None, (complaint.code, complaint.text)))
        return f"HTTP {reply.status}: {words or f'{len(reply.body)} bytes without a known error'}"

    def words(self, error: InsightsError) -> str:
        """An error's text, without secrets: GraphQL repeats what it was given."""
        return redact(str(error), self._credentials.secrets)

    def why_no_other_token(self) -> tuple[str, str]:
        """Why no token was to be had in place of the refused one, and what to do."""
        says = self.words(self.no_other_token) if self.no_other_token else ""
        if isinstance(self.no_other_token, PersonMustAct):
            return says, f"Store the present credentials with `insights secret {self._handle}`"
        return says, "Try again later"

    def remedy(self, reply: Reply) -> str:
        """What a person should do about a refusal."""
        status = 429 if means_throttled(reply) else reply.status
        if self.no_other_token:
            return "The token is not valid any more, and no other was to be had: see there"
        if status == 403 and read_complaint(reply.body).code == "900910":
            return f"The scope {self._scope!r} is not enough: set Scope to what the API needs"
        if status >= 500:
            return "The service has a failure of its own: try again later"
        if 300 <= status < 400:
            return "It redirects, which is not followed: set InsightsUrl to the new address"
        return _REMEDIES.get(status, "Check InsightsUrl: it does not answer as the API does")

    def _send(self, body: bytes, bearer: str) -> Reply:
        headers = {"Authorization": f"Bearer {bearer}"}
        deadline = time.monotonic() + _SECONDS
        return self._http.post(
            self._url,
            json_body=body,
            headers=headers,
            deadline=deadline,
            throttled=self._throttled,
        )

    def _throttled(self, reply: Reply) -> bool:
        """Whether a reply means the same as a 429; its form is noted."""
        found = means_throttled(reply)
        if found:
            self.throttled_in_200 = reply.status == 200
        return found
