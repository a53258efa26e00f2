"""A client that calls the sandbox within the process: as its server would, without sockets."""

from typing import Any
from urllib.parse import urlencode, urlsplit

from choreo_insights.errors import Retriable
from choreo_insights.http import Http
from choreo_insights.replies import Reply
from dev.sandbox.service import BrokenConnectionError, Service


class DirectHttp(Http):
    """Posts to a sandbox's service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def post(
        self,
        url: str,
        *,
        data: Any = None,
        json_body: bytes | None = None,
        headers: Any = None,
        **_: Any,
    ) -> Reply:
        kind = "application/json" if data is None else "application/x-www-form-urlencoded"
        body = (json_body or b"") if data is None else urlencode(data).encode()
        sent = {"Content-Type": kind, **(headers or {})}
        try:
            reply = self._service.answer(urlsplit(url).path, sent, body)
        except BrokenConnectionError:
            raise Retriable("no reply") from None
        return Reply(reply.status, reply.headers, reply.body)
