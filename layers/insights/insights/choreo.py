"""The Insights API over GraphQL: the one module that knows how Choreo is asked.

Several questions travel in one request, each under an alias of its own. To read from another
service, replace this module: `Choreo.ask` is all that the export needs of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from insights.errors import ConfigurationError, InsightsError, Refused
from insights.partitions import day_end, day_start
from insights.replies import sort_failure

if TYPE_CHECKING:
    from insights.credentials import Credentials, Secrets
    from insights.http import Http
    from insights.partitions import Environment
    from insights.questions import Query
    from insights.replies import Reply
    from insights.scheduler import BatchKey
    from insights.tokens import Tokens

# One re-read of the shared cache, and one new token.
_NEW_TOKENS = 2
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")

Outcome = msgspec.Raw | InsightsError


class _Error(msgspec.Struct):
    message: str | None = None
    path: list[str | int] | None = None


class _Reply(msgspec.Struct):
    data: dict[str, msgspec.Raw] | None = None
    errors: list[_Error] | None = None


_replies = msgspec.json.Decoder(_Reply)


class Choreo:
    """Asks the Insights API. Safe to share between threads."""

    def __init__(self, http: Http, url: str, tokens: Tokens, secrets: Secrets) -> None:
        self._http = http
        self._url = url
        self._tokens = tokens
        self._secrets = secrets

    def ask(self, key: BatchKey, queries: Sequence[Query], deadline: float) -> list[Outcome]:
        """Asks all in one request; for each the root field's JSON, or why there is none.

        Raises Refused where the request may pass when it is smaller, Retriable, and
        PersonMustAct or Unauthenticated where no request of the key will pass.
        """
        body = request_body(queries)
        try:
            return outcomes(self._body(key, body, deadline), len(queries))
        except Refused as error:
            if error.reply is None:
                raise
        # A body that breaks off is a passing fault more often than an answer.
        return outcomes(self._body(key, body, deadline), len(queries))

    def _body(self, key: BatchKey, body: bytes, deadline: float) -> bytes:
        if key.with_on_prem_key:
            reply = self._post(body, self._on_prem_key(key.organization), deadline)
        else:
            reply = self._post_with_token(key.organization, body, deadline)
        if reply.status in (400, 413, 422):
            raise Refused(str(sort_failure(reply)))
        if reply.status != 200:
            raise sort_failure(reply)
        return reply.body

    def _post_with_token(self, organization: str, body: bytes, deadline: float) -> Reply:
        token = self._tokens.get(organization)
        reply = self._post(body, token.access_token, deadline)
        for _ in range(_NEW_TOKENS):
            if reply.status != 401:
                break
            token = self._tokens.rejected(organization, token)
            reply = self._post(body, token.access_token, deadline)
        return reply

    def _post(self, body: bytes, bearer: str, deadline: float) -> Reply:
        headers = {"Authorization": f"Bearer {bearer}"}
        return self._http.post(self._url, json_body=body, headers=headers, deadline=deadline)

    def _on_prem_key(self, organization: str) -> str:
        key = self._secrets.get(organization).on_prem_key
        if not key:
            raise ConfigurationError(f"{organization}: its secret holds no on_prem_key")
        return key


def request_body(queries: Sequence[Query]) -> bytes:
    """The GraphQL request for these queries; equal values are one variable."""
    names: dict[tuple[str, bytes], str] = {}
    values: dict[str, Any] = {}
    fields: list[str] = []
    for number, query in enumerate(queries):
        mine: dict[str, str] = {}
        for variable, kind in query.table.variables.items():
            value = query.variables[variable]
            key = (kind, msgspec.json.encode(value))
            mine[variable] = names.setdefault(key, f"v{len(names)}")
            values[mine[variable]] = value
        fields.append(f"t{number}:{_renamed(query.table.root, mine)}")
    declared = ",".join(f"${name}:{kind}" for (kind, _), name in names.items())
    document = f"query insights_export{f'({declared})' if declared else ''}{{{' '.join(fields)}}}"
    return msgspec.json.encode({"query": document, "variables": values})


def _renamed(root: str, names: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: f"${names[match[1]]}", root)


def outcomes(body: bytes, count: int) -> list[Outcome]:
    """Splits a reply by alias; an error that names an alias is that one's alone.

    Raises Refused where the reply is none, or an error concerns the whole request.
    """
    try:
        reply = _replies.decode(body)
    except msgspec.MsgspecError as error:
        raise Refused(f"the reply is no GraphQL reply: {error}", reply=body) from error
    failed = dict(_failures(reply.errors or ()))
    if reply.data is None and not failed:
        raise Refused("the reply has neither data nor errors", reply=body)
    data: Mapping[str, msgspec.Raw] = reply.data or {}
    if len(failed) < count and not data:
        # A null root that may not be null empties the whole reply [GraphQL, section 6.4.4].
        raise Refused("; ".join(map(str, failed.values())))
    found: list[Outcome] = []
    for number in range(count):
        alias = f"t{number}"
        missing = InsightsError("the reply does not hold the answer")
        found.append(failed.get(alias) or data.get(alias) or missing)
    return found


def _failures(errors: Sequence[_Error]) -> Iterator[tuple[str, InsightsError]]:
    for error in errors:
        message = (error.message or "an error without a message")[:300]
        if not error.path:
            raise Refused(f"GraphQL says: {message}")
        yield str(error.path[0]), InsightsError(f"GraphQL says: {message}")


def day_values(
    day: date, credentials: Credentials, tenant: str, environment: Environment | None
) -> dict[str, Any]:
    """The variables that a document may use, but for its fan-out and pages.

    Times have a `Z`: without one, or in another zone, the answers follow it [Choreo].
    """
    org_id = credentials.org_id
    values: dict[str, Any] = {
        "time": {"from": _instant(day_start(day)), "to": _instant(day_end(day))},
        "org": {"orgId": org_id},
        "onPremKey": credentials.on_prem_key,
    }
    if environment:
        ids = list(environment.ids)
        values["data"] = {"orgId": org_id, "environmentIds": ids, "tenant": tenant}
        values["tenantData"] = {"orgId": org_id, "environmentIds": ids}
    return values


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
