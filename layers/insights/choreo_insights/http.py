"""HTTP with limits on everything: time, size and the number of attempts.

Redirects are not followed and cookies not kept: a token goes only where a setting sends it.
"""

import random
import ssl
import threading
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from socket import SHUT_RDWR, socket
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import HTTPResponse

from choreo_insights.errors import InsightsError, PersonMustAct, Refused, Retriable
from choreo_insights.replies import Reply, is_retriable, is_throttled, retry_after, used_up

Form = tuple[tuple[str, str], ...]

# Choreo's gateway allows payloads of 10 MB [Choreo]; other gateways, and compression, more.
MAX_BODY = 64 * 1024 * 1024
# Lambda bills for sleep: the caller reschedules a longer wait.
LONGEST_WAIT = 120.0
# Full jitter: a random part of the base, doubled each time, so that clients spread out.
# https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
_BACKOFF_BASE = 0.5
_BACKOFF_CAP = 20.0
# Throttling that does not say how long it lasts: so many seconds, twice as many each time. All
# attempts of a request together outlast a limit that is counted by the minute.
_THROTTLE_BASE = 4.0


class Timeouts(NamedTuple):
    """Seconds: to connect, from one byte to the next, and for one whole attempt.

    Choreo ends a request after a minute by default and after five at the most [Choreo].
    """

    connect: float = 5.0
    read: float = 65.0
    total: float = 120.0

    @classmethod
    def of_answer(cls, seconds: float) -> "Timeouts":
        """For a server that may take so long to answer, and up to a minute to send."""
        return cls(read=seconds, total=seconds + min(55.0, seconds))


DEFAULT_TIMEOUTS = Timeouts()


class Http:
    """A pooled client for threads to share.

    `retries` counts further attempts after the first. `on_throttle` gets the seconds to wait and
    the sender whenever the server throttles, so that its other requests hold back as well;
    `before_attempt` gets the deadline and the sender and may wait, so that a budget covers retries
    too.
    """

    def __init__(
        self,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        *,
        retries: int = 3,
        max_body: int = MAX_BODY,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        random: Callable[[], float] = random.random,
        on_throttle: Callable[[float, str], None] | None = None,
        before_attempt: Callable[[float | None, str], None] | None = None,
    ) -> None:
        self._timeouts = timeouts
        self._retries = retries
        self._max_body = max_body
        self._sleep = sleep
        self._clock = clock
        self._wall = wall
        self._random = random
        self._on_throttle = on_throttle
        self._before_attempt = before_attempt
        self._session = _session()

    def post(
        self,
        url: str,
        *,
        data: Form | None = None,
        json_body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
        sender: str = "",
        throttled: Callable[[Reply], bool] = is_throttled,
    ) -> Reply:
        """Posts a form or JSON and returns the last reply, whatever its status.

        429, 408, 5xx and failures of the transport are tried again, after a back-off with full
        jitter or what the server asks for, whichever is longer, never beyond `deadline` (on the
        clock of `clock`). `throttled` says which replies mean the same as a 429. `sender` names
        who is throttled together.

        Raises Retriable where no reply came, Refused for one that is too large, PersonMustAct
        for a certificate that is not trusted, and what `before_attempt` raises. For a reply
        without success see `choreo_insights.replies.sort_failure`.
        """
        body: Form | bytes | None = data if json_body is None else json_body
        sent = dict(headers or {})
        if json_body is not None:
            sent["Content-Type"] = "application/json"
        for attempt in range(self._retries + 1):
            reply: Reply | None = None
            failure: Retriable | None = None
            if self._before_attempt:
                self._before_attempt(deadline, sender)
            try:
                reply = self._exchange(url, body, sent, deadline)
            except Retriable as error:
                failure = error
            wait = self._backoff(attempt)
            if reply:
                least = self._least_wait(attempt, reply, sender, is_throttled=throttled(reply))
                if least is None:
                    break
                # Jitter: clients must not all retry in the same second.
                wait = max(wait, least + self._random() * min(1.0, least))
            if not self._has_time(wait, attempt, deadline):
                break
            self._sleep(wait)
        if failure:
            raise failure
        assert reply is not None  # noqa: S101 - for the type checker: one of both is there
        return reply

    def _backoff(self, attempt: int) -> float:
        return self._random() * min(_BACKOFF_CAP, _BACKOFF_BASE * 2.0**attempt)

    def _least_wait(
        self, attempt: int, reply: Reply, sender: str, *, is_throttled: bool
    ) -> float | None:
        """The least number of seconds before the next attempt, None where there should be none."""
        now = self._wall()
        if is_throttled:
            least = retry_after(Reply(429, reply.headers, reply.body), now)
            if least is None:
                least = _THROTTLE_BASE * 2.0**attempt
            self._hold(least, sender)
            return least
        # A 429 that is not throttling is a query that is too complex: it stays so.
        if reply.status != 429 and is_retriable(reply.status):
            return retry_after(reply, now) or 0.0
        # The next request would be refused, so hold it back before it is sent.
        if (pause := used_up(reply, now)) is not None:
            self._hold(pause, sender)
        return None

    def _hold(self, seconds: float, sender: str) -> None:
        if self._on_throttle:
            self._on_throttle(seconds, sender)

    def _has_time(self, wait: float, attempt: int, deadline: float | None) -> bool:
        if attempt >= self._retries or wait > LONGEST_WAIT:
            return False
        return deadline is None or self._clock() + wait < deadline

    def _exchange(
        self,
        url: str,
        body: Form | bytes | None,
        headers: Mapping[str, str],
        deadline: float | None,
    ) -> Reply:
        seconds = self._timeouts.total
        if deadline is not None:
            seconds = min(seconds, deadline - self._clock())
        host = urlsplit(url).hostname
        if seconds <= 0:
            raise Retriable(f"{host}: no time was left for a request")
        timeout = (min(self._timeouts.connect, seconds), min(self._timeouts.read, seconds))
        # `timeout` bounds connecting and the pause between two bytes, the watch the whole exchange.
        with _Watch(seconds) as watch:
            try:
                with self._session.post(
                    url,
                    data=body,
                    headers=headers,
                    timeout=timeout,
                    stream=True,
                    allow_redirects=False,
                ) as response:
                    # A mark before UTF-8 is no part of the JSON, and msgspec refuses it.
                    content = self._read(response, host).removeprefix(BOM_UTF8)
                    reply = Reply(response.status_code, response.headers, content)
            except (OSError, HTTPError) as error:
                # Without the cause: its text may hold the request.
                if not watch.over and not _was_late(error):
                    raise _transport_failure(host, error) from None
                watch.over = True
        if watch.over:
            msg = f"{host} took longer than {min(timeout[1], seconds):.3g} s to answer"
            raise Retriable(msg)
        return reply

    def _read(self, response: requests.Response, host: str | None) -> bytes:
        body = bytearray()
        for piece in response.iter_content(65_536):
            body += piece
            # After decompression: a small compressed body may hold gigabytes.
            if len(body) > self._max_body:
                msg = f"{host} answered with more than {self._max_body} bytes: ask for less at once"
                raise Refused(msg, status=response.status_code)
        return bytes(body)


class _Watch:
    """Ends an exchange when its time is over.

    A socket's own timeout restarts with every byte, so that a server which sends a byte now
    and then would hold the function for as long as it likes.
    """

    current = threading.local()

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._socket: socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> "_Watch":
        self.current.watch = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.current.watch = None

    def guard(self, connection: socket | None) -> None:
        self._socket = connection
        if self.over:
            self._end()

    def _end(self) -> None:
        self.over = True
        if self._socket is not None:
            with suppress(OSError):  # it may be closed already
                # Not the method of an SSL socket, which would drop the state under its reader.
                socket.shutdown(self._socket, SHUT_RDWR)


def _guard(connection: socket | None) -> None:
    watch = getattr(_Watch.current, "watch", None)
    if watch is not None:
        watch.guard(connection)


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as its base
        _guard(self.sock)
        return super().getresponse()


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as its base
        _guard(self.sock)
        return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def _session() -> requests.Session:
    session = requests.Session()
    # No proxies and no .netrc from the environment: a token goes only where a setting sends it.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update(
        {"User-Agent": "choreo-insights-export", "Accept-Encoding": "gzip, deflate"}
    )
    # urllib3 does not retry: each attempt must count against the request budget.
    adapter = _Adapter(pool_connections=4, pool_maxsize=64, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _was_late(error: BaseException) -> bool:
    """Whether an answer was waited for in vain, at its beginning or in the midst of it."""
    link: BaseException | None = error
    # Chains of causes can be circular.
    for _ in range(10):
        if isinstance(link, ReadTimeoutError):
            return True
        link = (link.__cause__ or link.__context__) if link else None
    return False


def _transport_failure(host: str | None, error: Exception) -> InsightsError:
    """The kinds of the errors, without their texts."""
    chain: list[BaseException] = [error]
    while len(chain) < 10 and (inner := chain[-1].__cause__ or chain[-1].__context__):
        chain.append(inner)
    kinds = " < ".join(type(link).__name__ for link in chain)
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in chain):
        msg = f"the certificate of {host} is not trusted: check the address in the settings"
        return PersonMustAct(msg)
    if isinstance(error, ValueError):
        return InsightsError(f"the request to {host} could not be made ({kinds})")
    return Retriable(f"{host} could not be reached or did not answer to the end ({kinds})")
