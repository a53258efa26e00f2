"""The Insights API over GraphQL: the one module that knows how Choreo is queried.

Several queries travel in one request, each under an alias of its own. To read from another
service, replace this module: `Choreo.ask` is all that the export needs of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from choreo_insights.dataset.partitions import day_end, day_start
from choreo_insights.errors import ConfigurationError, InsightsError, Refused, Retriable
from choreo_insights.export.blame import SentDocument, blamed
from choreo_insights.redaction import redact, redact_body
from choreo_insights.replies import is_throttled, is_too_complex, sort_failure
from choreo_insights.shapes import Shape

if TYPE_CHECKING:
    from choreo_insights.credentials import Credentials, Secrets
    from choreo_insights.dataset.partitions import Environment
    from choreo_insights.export.jobs import BatchKey
    from choreo_insights.export.queries import Query
    from choreo_insights.http import Http
    from choreo_insights.replies import Reply
    from choreo_insights.tokens.reader import Tokens

# One re-read of the shared cache, and one new token.
_NEW_TOKENS = 2
_MAX_MESSAGE = 2_000
# Of very many errors, or of long extensions, the first ones or none are looked at.
_MAX_ERRORS = 100
_MAX_EXTENSIONS = 20_000
_MAX_DEPTH = 6
_CODE_NAMES = frozenset(
    {"code", "type", "errorcode", "errortype", "classification", "reason", "status", "statuscode"}
)
# Letters and digits alone: TOO_MANY_REQUESTS, tooManyRequests, ThrottlingException.
# The numbers are HTTP's and the gateway's [WSO2].
_THROTTLED = frozenset(
    {
        *("THROTTLED", "THROTTLING", "THROTTLINGEXCEPTION", "THROTTLINGERROR"),
        *("RATELIMITED", "RATELIMIT", "RATELIMITEXCEEDED", "RATELIMITREACHED"),
        *("TOOMANYREQUESTS", "TOOMANYREQUESTSEXCEPTION", "429", "HTTP429"),
        *(str(code) for code in (900800, *range(900802, 900808))),
    }
)
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")

Outcome = msgspec.Raw | InsightsError


class _Error(msgspec.Struct):
    message: msgspec.Raw = msgspec.Raw()
    path: list[str | int] | None = None
    extensions: msgspec.Raw = msgspec.Raw()
    # Some servers put beside `extensions` what belongs into it.
    code: msgspec.Raw = msgspec.Raw()
    type: msgspec.Raw = msgspec.Raw()
    error_type: msgspec.Raw = msgspec.field(name="errorType", default=msgspec.Raw())


class _Reply(msgspec.Struct):
    data: dict[str, msgspec.Raw] | None = None
    errors: list[_Error] | None = None


_REPLY = Shape(_Reply)


class Choreo:
    """Queries the Insights API. Safe to share between threads.

    `throttled` says which replies mean the same as a 429.
    """

    def __init__(
        self,
        http: Http,
        url: str,
        tokens: Tokens,
        secrets: Secrets,
        *,
        throttled: Callable[[Reply], bool] | None = None,
    ) -> None:
        self._throttled = throttled or means_throttled
        self._http = http
        self._url = url
        self._tokens = tokens
        self._secrets = secrets

    def ask(self, key: BatchKey, queries: Sequence[Query], deadline: float) -> list[Outcome]:
        """Sends all in one request; for each the root field's JSON, or why there is none.

        Raises Refused where the request may pass when it is smaller, Retriable, and
        PersonMustAct or Unauthenticated where no request of the key will pass.
        """
        document, body = request_of(queries)
        hidden = {str(query.variables.get("onPremKey") or "") for query in queries} - {""}
        try:
            return self._asked(key, document, body, hidden, deadline)
        except Refused as error:
            if error.reply is None:
                raise
        # A body that breaks off is a passing fault more often than an answer.
        return self._asked(key, document, body, hidden, deadline)

    def _asked(
        self,
        key: BatchKey,
        document: SentDocument,
        body: bytes,
        hidden: Iterable[str],
        deadline: float,
    ) -> list[Outcome]:
        if key.with_on_prem_key:
            bearer = self._on_prem_key(key.organization)
            reply = self._post(key, body, bearer, deadline)
        else:
            bearer, reply = self._post_with_token(key, body, deadline)
        # Nothing secret is left in what comes back.
        secrets = (bearer, *hidden)
        text = redact_body(reply.body, secrets)
        try:
            return outcomes(_of_success(reply, text, secrets), len(document.starts))
        except Refused as error:
            error.blamed = {
                number: Refused(_said(message, secrets))
                for number, message in blamed(text, document).items()
            }
            raise

    def _post_with_token(self, key: BatchKey, body: bytes, deadline: float) -> tuple[str, Reply]:
        token = self._tokens.get(key.organization)
        reply = self._post(key, body, token.access_token, deadline)
        # Never more: a credential that lacks the subscription is refused with every token.
        for _ in range(_NEW_TOKENS):
            if reply.status != 401:
                break
            token = self._tokens.rejected(key.organization, token)
            reply = self._post(key, body, token.access_token, deadline)
        return token.access_token, reply

    def _post(self, key: BatchKey, body: bytes, bearer: str, deadline: float) -> Reply:
        return self._http.post(
            self._url,
            json_body=body,
            headers={"Authorization": f"Bearer {bearer}"},
            deadline=deadline,
            sender=key.organization,
            throttled=self._throttled,
        )

    def _on_prem_key(self, organization: str) -> str:
        key = self._secrets.get(organization).on_prem_key
        if not key:
            raise ConfigurationError(f"{organization}: its secret holds no on_prem_key")
        return key


def _of_success(reply: Reply, body: bytes, secrets: Iterable[str]) -> bytes:
    """The body of a reply with success. Raises what another one means."""
    # 413: too large a request. 422: the gateway refuses the GraphQL [Choreo].
    if reply.status in (400, 413, 422) or is_too_complex(reply):
        raise Refused(str(sort_failure(reply, secrets)))
    if reply.status != 200:
        raise sort_failure(reply, secrets)
    return body


def request_of(queries: Sequence[Query]) -> tuple[SentDocument, bytes]:
    """The GraphQL request for these queries: its document, and its body with the values as well.

    Equal values are one variable.
    """
    names: dict[tuple[str, bytes], str] = {}
    values: dict[str, Any] = {}
    fields: list[str] = []
    for number, query in enumerate(queries):
        mine: dict[str, str] = {}
        for variable, kind in query.table.variables.items():
            value = query.variables[variable]
            key = (kind, msgspec.json.encode(value))
            # Twenty queries share one filter: each value is sent once, which keeps the request
            # small.
            mine[variable] = names.setdefault(key, f"v{len(names)}")
            values[mine[variable]] = value
        fields.append(f"t{number}:{_renamed(query.table.root, mine)}")
    declared = ",".join(f"${name}:{kind}" for (kind, _), name in names.items())
    head = f"query insights_export{f'({declared})' if declared else ''}{{"
    document = SentDocument(f"{head}{' '.join(fields)}}}", [*_starts(len(head), fields)])
    return document, msgspec.json.encode({"query": document.text, "variables": values})


def _starts(offset: int, fields: Iterable[str]) -> Iterator[int]:
    for field in fields:
        yield offset
        offset += len(field) + 1


def _renamed(root: str, names: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: f"${names[match[1]]}", root)


def outcomes(body: bytes, count: int) -> list[Outcome]:
    """Splits a reply by alias; an error that names an alias is that one's alone.

    Raises Refused where the reply is none, or an error concerns the whole request, and Retriable
    where that error is throttling.
    """
    reply = _decoded(body)
    aliases = [f"t{number}" for number in range(count)]
    failed = _failures(reply.errors or (), set(aliases))
    if reply.data is None and not failed:
        raise Refused("the reply has neither data nor errors", reply=body)
    data: Mapping[str, msgspec.Raw] = reply.data or {}
    if not data and not failed.keys() >= set(aliases):
        # A null root that may not be null empties the whole reply [GraphQL, section 6.4.4].
        throttled = next((e for e in failed.values() if isinstance(e, Retriable)), None)
        raise throttled or Refused("; ".join(map(str, list(failed.values())[:3])))
    missing = InsightsError("the reply does not hold the answer")
    return [failed.get(alias) or data.get(alias) or missing for alias in aliases]


def _decoded(body: bytes) -> _Reply:
    try:
        return _REPLY.decode(body)
    except msgspec.MsgspecError as error:
        raise Refused(f"the reply is not a GraphQL reply: {error}", reply=body) from error
    except RecursionError:
        raise Refused("the reply is nested too deeply to be read", reply=body) from None


def _failures(errors: Sequence[_Error], aliases: Set[str]) -> dict[str, InsightsError]:
    """The errors that name an alias, by alias; without any, the first of the others."""
    failed: dict[str, InsightsError] = {}
    for error in errors:
        name = str(error.path[0]) if error.path else None
        if name is None:
            raise _as_error(error, Refused)
        if name not in failed and (name in aliases or not failed):
            failed[name] = _as_error(error, InsightsError)
    return failed


def _as_error(error: _Error, kind: type[InsightsError]) -> InsightsError:
    text = _said(_message(error))
    return Retriable(text, status=429) if _means_throttled(error) else kind(text)


def _said(message: str, secrets: Iterable[str] = ()) -> str:
    return f"GraphQL says: {redact(message, secrets)}"


def _message(error: _Error) -> str:
    """The message in one line; its JSON where that is not a string."""
    raw = bytes(error.message)[:_MAX_MESSAGE]
    try:
        message = msgspec.json.decode(bytes(error.message)) if raw else None
    except (msgspec.MsgspecError, RecursionError):
        message = raw.decode(errors="replace")
    return str(message or "an error without a message")


# Throttling inside HTTP 200


def means_throttled(reply: Reply) -> bool:
    """Whether a reply means the same as a 429.

    GraphQL servers report throttling as an error of a reply with success.
    """
    # A cheap look first: nearly all replies have no errors, and are decoded later.
    if reply.status != 200 or b'"errors"' not in reply.body:
        return is_throttled(reply)
    try:
        errors = _decoded(reply.body).errors or ()
    except Refused:
        return False
    return any(map(_means_throttled, errors[:_MAX_ERRORS]))


def _means_throttled(error: _Error) -> bool:
    values = (error.extensions, error.code, error.type, error.error_type)
    return any(_holds_throttled(value) for raw in values if (value := _plain(raw)) is not None)


def _plain(raw: msgspec.Raw) -> Any:
    text = bytes(raw)
    if not text or len(text) > _MAX_EXTENSIONS:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _holds_throttled(value: Any, depth: int = 0) -> bool:
    """Whether a code or a type that means throttling is in there, at any depth that is usual."""
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, dict):
        return any(
            _holds_throttled(inner, depth + 1)
            for name, inner in value.items()
            if isinstance(inner, dict | list) or name.lower() in _CODE_NAMES
        )
    if isinstance(value, list):
        return any(_holds_throttled(inner, depth + 1) for inner in value)
    if isinstance(value, str | int):
        return re.sub("[^A-Z0-9]", "", str(value).upper()[:80]) in _THROTTLED
    return False


def day_values(
    day: date,
    credentials: Credentials,
    tenant: str,
    environment: Environment | None,
    more_ids: Iterable[str] = (),
    last_day: date | None = None,
) -> dict[str, Any]:
    """The variables that a document may use, but for its fan-out and pages.

    The time is a UTC day, or the days from it to `last_day`.
    `more_ids` are ids of the environment that no list contains. Times have a `Z`: without one, or
    in another zone, the answers follow it [Choreo].
    """
    org_id = credentials.org_id
    values: dict[str, Any] = {
        "time": time_filter(day, last_day or day),
        "org": {"orgId": org_id},
        "onPremKey": credentials.on_prem_key,
    }
    if environment:
        # All ids of the environment: each holds a part of its data [Choreo].
        ids = list(dict.fromkeys((*environment.ids, *more_ids)))
        values["data"] = {"orgId": org_id, "environmentIds": ids, "tenant": tenant}
        values["tenantData"] = {"orgId": org_id, "environmentIds": ids}
    return values


def time_filter(first: date, last: date) -> dict[str, str]:
    """The time from the beginning of one UTC day to the end of another one."""
    return {"from": _instant(day_start(first)), "to": _instant(day_end(last))}


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
