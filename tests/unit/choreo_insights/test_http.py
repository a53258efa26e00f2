"""HTTP: bounded in time and size, and patient as asked."""

import gzip
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import formatdate

import pytest

from choreo_insights.errors import BadAnswer, Held, InsightsError, PersonMustAct, Refused, Retriable
from choreo_insights.http import Http, Timeouts
from choreo_insights.replies import Reply, parse_object, retry_after, sort_failure
from tests.fakes.clock import Clock
from tests.fakes.server import Answer, Behaviour, Received, Server, Wire

OK = Answer.of({"data": {}})
NOW = 1_800_000_000.0
QUICK = Timeouts(connect=5.0, read=5.0, total=0.3)


@contextmanager
def serving(*answers: Answer | Behaviour) -> Iterator[Server]:
    """Gives these answers in order, the last one for ever."""
    left = list(answers)
    lock = threading.Lock()

    def respond(_: Received) -> Answer | Behaviour:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    with Server(respond) as server:
        yield server


def client(clock: Clock, timeouts: Timeouts = Timeouts(), **options: object) -> Http:  # noqa: B008
    return Http(
        timeouts,
        sleep=clock.sleep,
        clock=clock,
        wall=lambda: NOW,
        random=lambda: 0.5,
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


# One request


def test_a_byte_order_mark_is_no_part_of_a_reply(clock: Clock) -> None:
    with serving(Answer(200, b"\xef\xbb\xbf" + OK.body)) as server:
        assert client(clock).post(server.url, json_body=b"{}").body == OK.body
    assert parse_object('\ufeff{"a": 1}') == parse_object(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_a_form_and_json(clock: Clock) -> None:
    with serving(OK) as server:
        http = client(clock)
        http.post(server.url, data=(("b", "ü&="), ("a", "1 2")))
        http.post(server.url, json_body=b'{"query":""}', headers={"Authorization": "Bearer t"})
        form, query = server.requests
    assert form.body == b"b=%C3%BC%26%3D&a=1+2"
    assert form.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert query.body == b'{"query":""}'
    assert query.headers["Content-Type"] == "application/json"
    assert query.headers["Authorization"] == "Bearer t"


def test_a_compressed_body_and_header_names(clock: Clock) -> None:
    body = gzip.compress(b"many words " * 1_000)
    with serving(Answer(200, body, {"content-encoding": "gzip", "x-thing": "1"})) as server:
        reply = client(clock).post(server.url)
    assert reply.body == b"many words " * 1_000
    assert reply.headers["X-Thing"] == "1"
    assert reply.ok


def test_the_repr_of_a_reply_hides_it() -> None:
    assert "secret" not in repr(Reply(200, {"x": "secret"}, b"secret"))


def test_the_environment_does_not_decide_where_a_token_goes(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with serving(OK) as server:
        assert client(clock, retries=0).post(server.url).ok


def test_redirects_are_not_followed(clock: Clock) -> None:
    with serving(OK) as other:
        with serving(Answer(307, b"", {"Location": other.url})) as server:
            reply = client(clock).post(server.url, headers={"Authorization": "Bearer t"})
        assert other.requests == []
    assert reply.status == 307
    assert isinstance(sort_failure(reply), PersonMustAct)


def test_cookies_are_not_kept(clock: Clock) -> None:
    with serving(Answer(200, b"", {"Set-Cookie": "session=1; Path=/"})) as server:
        http = client(clock)
        http.post(server.url)
        http.post(server.url)
        assert "Cookie" not in server.requests[1].headers


def test_threads_share_it(clock: Clock) -> None:
    with serving(OK) as server, ThreadPoolExecutor(16) as pool:
        http = client(clock)
        calls = [pool.submit(http.post, server.url, json_body=b"{}") for _ in range(100)]
        assert all(call.result().ok for call in calls)


# Servers that misbehave


def drip_headers(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\n")
    wire.drip(b"X-Drip: 1\r\n")


def drip_body(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    wire.drip(b"x")


def drip_endless_body(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
    wire.drip(b"x")


def drip_chunks(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    wire.drip(b"1\r\nx\r\n")


def hang_in_body(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    wire.hang()


def hang(wire: Wire) -> None:
    wire.hang()


@pytest.mark.parametrize(
    "behaviour",
    [drip_headers, drip_body, drip_endless_body, drip_chunks, hang_in_body, hang],
)
def test_a_slow_answer_ends_in_time(clock: Clock, behaviour: Callable[[Wire], None]) -> None:
    with serving(behaviour, OK) as server:
        assert client(clock, QUICK).post(server.url).ok
        assert len(server.requests) == 2
    with serving(behaviour) as server:
        with pytest.raises(Retriable, match=r"127\.0\.0\.1 took longer than 0\.3 s"):
            client(clock, QUICK, retries=1).post(server.url)
        assert len(server.requests) == 2


def cut_before_the_answer(_: Wire) -> None:
    """Closes at once."""


def cut_body(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")


def cut_chunks(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123")


def no_http(wire: Wire) -> None:
    wire.send(b"220 mail.example.com ESMTP\r\n")


def broken_gzip(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\n\r\n12345")


@pytest.mark.parametrize(
    "behaviour", [cut_before_the_answer, cut_body, cut_chunks, no_http, broken_gzip]
)
def test_a_broken_answer_is_asked_for_again(
    clock: Clock, behaviour: Callable[[Wire], None]
) -> None:
    with serving(behaviour, OK) as server:
        assert client(clock).post(server.url).ok
    with serving(behaviour) as server:
        with pytest.raises(Retriable, match=r"127\.0\.0\.1 could not be reached or did not answer"):
            client(clock).post(server.url)
        assert len(server.requests) == 4


@pytest.mark.parametrize(("seconds", "total"), [(65, 120), (300, 355), (2, 4)])
def test_a_server_may_think_for_so_long(seconds: float, total: float) -> None:
    assert Timeouts.of_answer(seconds) == Timeouts(5.0, seconds, total)


def test_nobody_there(clock: Clock) -> None:
    with serving(OK) as server:
        url = server.url
    with pytest.raises(Retriable, match="ConnectionRefusedError"):
        client(clock).post(url)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_body_that_is_too_large(clock: Clock, encoding: str) -> None:
    body = b"x" * 200_000
    sent = gzip.compress(body) if encoding == "gzip" else body
    with (
        serving(Answer(200, sent, {"Content-Encoding": encoding})) as server,
        # A request for less may pass.
        pytest.raises(Refused, match="more than 100000 bytes"),
    ):
        client(clock, max_body=100_000).post(server.url)


def test_what_was_sent_is_in_no_error(clock: Clock) -> None:
    token = "".join(("syn", "thetic\ntoken"))
    with serving(OK) as server, pytest.raises(InsightsError) as raised:
        client(clock).post(server.url, headers={"Authorization": token})
    assert "synthetic" not in "".join(traceback.format_exception(raised.value))


# Patience


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(clock: Clock, status: int) -> None:
    with serving(Answer(status), Answer(status), OK) as server:
        assert client(clock).post(server.url).ok
    assert clock.sleeps == [0.25, 0.5]


PAST = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize("after", ["0", "0.0", PAST, "-1", "soon", "1445412480", "9" * 40])
def test_a_pause_that_is_none_does_not_remove_the_back_off(clock: Clock, after: str) -> None:
    refusal = Answer(503, b"", {"Retry-After": after})
    with serving(refusal) as server:
        assert client(clock).post(server.url).status == 503
        assert len(server.requests) == 4
    assert clock.sleeps == [0.25, 0.5, 1.0]


def test_the_back_off_is_kept_where_the_pause_is_shorter(clock: Clock) -> None:
    with serving(Answer(503, b"", {"Retry-After": "0.1"})) as server:
        client(clock).post(server.url)
    assert clock.sleeps == [0.25, 0.5, 1.0]


def test_throttling_without_a_time_holds_longer_each_time(clock: Clock) -> None:
    holds: list[tuple[float, str]] = []
    with serving(Answer(429)) as server:
        http = client(clock, on_throttle=lambda *hold: holds.append(hold))
        assert http.post(server.url, sender="acme").status == 429
    assert holds == [(4, "acme"), (8, "acme"), (16, "acme"), (32, "acme")]
    assert clock.sleeps == [4.5, 8.5, 16.5]


def test_a_reply_that_means_throttling_is_treated_as_429(clock: Clock) -> None:
    holds: list[tuple[float, str]] = []
    hidden = Answer(200, b"slow down", {"Retry-After": "7"})
    with serving(hidden, OK) as server:
        http = client(clock, on_throttle=lambda *hold: holds.append(hold))
        reply = http.post(server.url, throttled=lambda reply: reply.body == b"slow down")
    assert reply.body == OK.body
    assert holds == [(7, "")]
    assert clock.sleeps == [7.5]


@pytest.mark.parametrize("code", [900820, "900821"])
def test_a_query_that_is_too_complex_is_not_sent_again(clock: Clock, code: object) -> None:
    holds: list[tuple[float, str]] = []
    body = {"fault": {"code": code, "message": "QUERY TOO COMPLEX"}}
    with serving(Answer.of(body, 429)) as server:
        http = client(clock, on_throttle=lambda *hold: holds.append(hold))
        reply = http.post(server.url)
        assert len(server.requests) == 1
    assert reply.status == 429
    assert holds == []
    assert isinstance(sort_failure(reply), BadAnswer)


def test_what_may_not_be_sent_is_not(clock: Clock) -> None:
    def held(deadline: float | None, sender: str) -> None:
        raise Held(f"{sender} until {deadline}")

    with serving(OK) as server:
        with pytest.raises(Held, match="acme until 9"):
            client(clock, before_attempt=held).post(server.url, sender="acme", deadline=9.0)
        assert server.requests == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_what_will_not_pass_is_not(clock: Clock, status: int) -> None:
    with serving(Answer(status)) as server:
        assert client(clock).post(server.url).status == status
        assert len(server.requests) == 1
    assert clock.sleeps == []


def test_the_last_reply_is_given(clock: Clock) -> None:
    with serving(Answer(503)) as server:
        assert client(clock, retries=2).post(server.url).status == 503
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "7"},
        {"Retry-After": formatdate(NOW + 1_007, usegmt=True), "Date": formatdate(NOW + 1_000)},
    ],
)
def test_a_pause_is_kept_with_some_jitter(clock: Clock, headers: Mapping[str, str]) -> None:
    waits: list[float] = []
    refusal = Answer(429, b"", headers)
    with serving(refusal, OK) as server:
        # The fake's own Date would stand beside the one given here.
        http = client(clock, on_throttle=lambda seconds, _: waits.append(seconds))
        reply = Reply(429, headers, b"")
        assert retry_after(reply, NOW) == 7
        if "Date" not in headers:
            assert http.post(server.url).ok
            assert clock.sleeps == [7.5]
            assert waits == [7]


def test_nothing_reaches_beyond_the_deadline(clock: Clock) -> None:
    with serving(Answer(503, b"", {"Retry-After": "30"})) as server:
        reply = client(clock).post(server.url, deadline=20.0)
        assert reply.status == 503
        assert len(server.requests) == 1
        assert clock.sleeps == []


def test_a_deadline_in_the_past(clock: Clock) -> None:
    with serving(OK) as server:
        with pytest.raises(Retriable, match="no time was left"):
            client(clock).post(server.url, deadline=-1.0)
        assert server.requests == []


def test_a_long_pause_is_the_callers(clock: Clock) -> None:
    with serving(Answer(429, b"", {"Retry-After": "3600"})) as server:
        reply = client(clock).post(server.url)
    assert clock.sleeps == []
    failure = sort_failure(reply)
    assert isinstance(failure, Retriable)
    assert failure.retry_after == 3600


def test_throttling_is_told(clock: Clock) -> None:
    waits: list[float] = []
    last = Answer(200, b"", {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "11"})
    free = Answer(
        200,
        b"",
        {
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": "12",
            "x-ratelimit-enforced": "false",
        },
    )
    plenty = Answer(200, b"", {"x-ratelimit-remaining": "9", "x-ratelimit-reset": "13"})
    enforced = Answer(200, b"", {**last.headers, "x-ratelimit-reset": "14",
                                 "x-ratelimit-enforced": "true"})  # fmt: skip
    with serving(Answer(429), last, free, plenty, enforced) as server:
        http = client(clock, on_throttle=lambda seconds, _: waits.append(seconds))
        for _ in range(4):
            http.post(server.url)
    assert waits == [4, 11, 14]
