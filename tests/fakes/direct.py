"""A client that calls the sandbox within the process: as its server would, without sockets."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from choreo_insights.errors import Retriable
from choreo_insights.http import Http
from choreo_insights.replies import Reply, is_throttled
from dev.sandbox.service import BrokenConnectionError, Service


class DirectHttp(Http):
    """Posts to a sandbox's service.

    `wait` is called before what was throttled is sent again; without it nothing is.
    """

    def __init__(self, service: Service, wait: Callable[[], None] | None = None) -> None:
        self._service = service
        self._wait = wait

    def post(
        self,
        url: str,
        *,
        data: Any = None,
        json_body: bytes | None = None,
        headers: Any = None,
        throttled: Callable[[Reply], bool] = is_throttled,
        **_: Any,
    ) -> Reply:
        kind = "application/json" if data is None else "application/x-www-form-urlencoded"
        body = (json_body or b"") if data is None else urlencode(data).encode()
        sent = {"Content-Type": kind, **(headers or {})}
        answered = self._answer(url, sent, body)
        if throttled(answered) and self._wait:
            self._wait()
            answered = self._answer(url, sent, body)
        return answered

    def _answer(self, url: str, sent: dict[str, str], body: bytes) -> Reply:
        try:
            reply = self._service.answer(urlsplit(url).path, sent, body)
        except BrokenConnectionError:
            raise Retriable("no reply") from None
        return Reply(reply.status, reply.headers, reply.body)
