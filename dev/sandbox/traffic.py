"""The synthetic traffic: what each stream of requests did in each hour.

A cell is one stream in one hour. It follows from the stream's seed and the hour alone, so that
any hour of any year can be computed without those before. All arithmetic is on integers.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from dev.sandbox.memory import Memory
from dev.sandbox.world import SandboxEnvironment, Stream

# Percent of the busiest hour, from midnight UTC, and of the busiest day, from Monday.
DAY = (8, 5, 4, 3, 4, 8, 18, 38, 66, 88, 97, 100, 92, 94, 98, 95, 86, 72, 58, 48, 40, 32, 22, 13)
WEEK = (96, 99, 100, 98, 91, 52, 41)
_MASK = (1 << 64) - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Cells kept in memory, about 80 MB: a week of 500 APIs.
_CACHED_CELLS = 400_000


class ErrorKind(NamedTuple):
    """Why requests failed: the console's category, and who answered with which status.

    An error is of the proxy or of the target: together they are all errors.
    """

    category: str
    reason: str
    status: int
    target: bool
    # The gateway did not know who called, or what was called.
    without_application: bool = False
    without_api: bool = False


ERROR_KINDS = (
    ErrorKind("auth", "Authentication failure, token expired", 401, target=False,
              without_application=True),
    ErrorKind("auth", "Resource forbidden", 403, target=False),
    ErrorKind("throttled", 'Limit "10KPerMin" exceeded', 429, target=False),
    ErrorKind("targetConnectivity", "Connection timed out", 504, target=False),
    ErrorKind("targetConnectivity", "Connection refused", 503, target=False),
    ErrorKind("other", "No matching resource", 404, target=False, without_api=True),
    ErrorKind("other", "Bad request", 400, target=True),
    ErrorKind("other", "Item not found, Größe unbekannt", 404, target=True),
    ErrorKind("other", "Internal error", 500, target=True),
    ErrorKind("other", "Bad gateway", 502, target=True),
)  # fmt: skip


class Latencies(NamedTuple):
    """Milliseconds of one cell, in the order of the schema's `Latency`."""

    response: int
    backend: int
    request_mediation: int
    response_mediation: int
    response_median: int
    backend_median: int
    request_mediation_median: int
    response_mediation_median: int


class Cell(NamedTuple):
    """One stream in one hour, or a part of it."""

    stream: Stream
    ok: int
    errors: int
    kind: ErrorKind
    hits: int
    # The hash that the cell was drawn from.
    bits: int

    @property
    def total(self) -> int:
        """Successes and errors."""
        return self.ok + self.errors

    @property
    def response(self) -> int:
        """Milliseconds of the response, the first of `latencies`."""
        bits = self.bits
        backend = self.stream.latency * (700 + (bits >> 33 & 1023)) // 1024 + 1
        return backend + 2 + (bits >> 43 & 7) + (bits >> 46 & 7)

    @property
    def latencies(self) -> Latencies:
        """All requests of a cell take equally long."""
        bits = self.bits
        backend = self.stream.latency * (700 + (bits >> 33 & 1023)) // 1024 + 1
        request, response = 1 + (bits >> 43 & 7), 1 + (bits >> 46 & 7)
        median = backend * (400 + (bits >> 49 & 255)) // 1024 + 1
        request_median, response_median = (request + 1) // 2, (response + 1) // 2
        return Latencies(
            self.response,
            backend,
            request,
            response,
            median + request_median + response_median,
            median,
            request_median,
            response_median,
        )

    def hits_of(self, ok: int) -> int:
        """The cache hits among so many successes: neither hits nor misses fall while they grow."""
        return ok * self.hits // self.ok if self.ok else 0

    def part(self, start: int, end: int, whole: int) -> "Cell":
        """The share from `start` to `end` of `whole`; shares side by side add up."""
        return self._replace(
            ok=self.ok * end // whole - self.ok * start // whole,
            errors=self.errors * end // whole - self.errors * start // whole,
            hits=self.hits * end // whole - self.hits * start // whole,
        )


class Alert(NamedTuple):
    """An alert; `minute` counts from 1970."""

    api: str
    minute: int
    category: str
    metric: str
    severity: str
    message: str


def _mixed(value: int) -> int:
    """Spreads a number over 64 bits (the finaliser of splitmix64)."""
    value = (value * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31


def _cells(streams: Iterable[Stream], hour: int) -> Iterator[Cell]:
    # 1970 began on a Thursday, the fourth day of the week: hence the 3.
    rhythm = DAY[hour % 24] * WEEK[(hour // 24 + 3) % 7]
    for stream in streams:
        bits = _mixed(stream.seed ^ hour)
        count = stream.weight * rhythm * (512 + (bits & 1023)) // 10_240_000
        if not count:
            continue
        errors = _errors(count, bits >> 10 & 255)
        ok = count - errors
        hits = ok * (bits >> 26 & 127) // 200 if stream.cached else 0
        kind = ERROR_KINDS[(bits >> 18 & 255) % len(ERROR_KINDS)]
        yield Cell(stream, ok, errors, kind, hits, bits)


def _errors(count: int, chance: int) -> int:
    # More than half of the cells have no errors, most others few, and some a burst: as in reality,
    # and as dashboards must show.
    if chance < 140:
        return 0
    if chance < 246:
        return count * (chance - 139) // 2048
    return count * (chance - 230) // 64


def _arrived(cell: Cell, seconds: int, late_hours: int) -> Cell | None:
    """What of a cell has arrived so many seconds after its hour began; it only ever grows."""
    if seconds >= 3600 * (1 + late_hours):
        return cell
    bits = cell.bits
    late = bits >> 57 & 127 if bits >> 56 & 1 and late_hours else 0
    # In 256ths: a share that grows with time, so that no count ever falls.
    share = (256 - late) * min(seconds, 3600) // 3600
    if late:
        delay = 3600 * (1 + (bits >> 51 & 31) % late_hours)
        share += late * min(max(seconds - 3600, 0), delay) // delay
    if share >= 256:
        return cell
    ok, errors = cell.ok * share // 256, cell.errors * share // 256
    if not ok + errors:
        return None
    return cell._replace(ok=ok, errors=errors, hits=cell.hits_of(ok))


def _lived(arrived: Cell, whole: Cell, hour: int, until: int | None) -> Cell | None:
    """What of a cell has arrived from the part of the hour in which its API was deployed."""
    api, begin = arrived.stream.api, 3600 * hour
    first = max(api.since - begin, 0)
    ends = (end for end in (api.until, until) if end is not None)
    last = min([3600, *(end - begin for end in ends)])
    if last <= first:
        return None
    if (first, last) == (0, 3600):
        return arrived

    def within(count: int, of: int) -> int:
        low, high = of * first // 3600, of * last // 3600
        return max(min(count, high) - low, 0)

    ok, errors = within(arrived.ok, whole.ok), within(arrived.errors, whole.errors)
    if not ok + errors:
        return None
    return arrived._replace(ok=ok, errors=errors, hits=whole.hits_of(ok))


def _multiplied(cell: Cell, quarters: int) -> Cell:
    ok = cell.ok * quarters // 4
    return cell._replace(ok=ok, errors=cell.errors * quarters // 4, hits=cell.hits_of(ok))


def _so_far(
    environment: SandboxEnvironment, cells: Iterable[Cell], hour: int, seconds: int, late_hours: int
) -> Iterator[Cell]:
    """What of these cells has arrived so many seconds after their hour began."""
    quarters = environment.quarters.get((_EPOCH + timedelta(hours=hour)).date(), 4)
    for whole in cells:
        cell = _arrived(whole, seconds, late_hours)
        cell = cell and _lived(cell, whole, hour, environment.until)
        if cell and quarters != 4:
            cell = _multiplied(cell, quarters)
        if cell and cell.total:
            yield cell


def id_of(environment: SandboxEnvironment, number: int, hour: int) -> str:
    """The id that holds the share of a stream (or an alert) in an hour: each in its turn."""
    return environment.ids[(number + hour) % len(environment.ids)]


class Traffic:
    """Computes cells, and caches the most recent ones. Safe to share among threads."""

    def __init__(self) -> None:
        self._whole: Memory[tuple[Cell, ...]] = Memory(_CACHED_CELLS, len)

    def hour(
        self,
        environment: SandboxEnvironment,
        hour: int,
        now: datetime,
        late_hours: int = 20,
        streams: Sequence[Stream] | None = None,
    ) -> Sequence[Cell]:
        """The cells of an hour since 1970 that have arrived by `now`, of all its ids.

        `streams` picks some of the environment's streams (None: all).
        """
        seconds = int(now.timestamp()) - hour * 3600
        if seconds <= 0 or not environment.streams:
            return ()
        cells: Iterable[Cell]
        if streams is None:
            # Another world may have an environment of the same id.
            cells = self._whole.get(
                (environment, hour), lambda: tuple(_cells(environment.streams, hour))
            )
        else:
            cells = _cells(streams, hour)
        # The usual case: nothing is missing any more, so that cells need not be copied.
        if environment.is_steady and seconds >= 3600 * (1 + late_hours):
            return tuple(cells)
        return tuple(_so_far(environment, cells, hour, seconds, late_hours))

    def alerts(
        self, environment: SandboxEnvironment, start: int, end: int, now: datetime
    ) -> Iterator[tuple[str, Alert]]:
        """Alerts of the minutes [start, end) since 1970, each with the id that holds it.

        They are there at once, and gone after a week.
        """
        if not environment.streams:
            return
        present = int(now.timestamp()) // 60
        # Alerts are kept for one week [Choreo].
        start, end = max(start, present - 7 * 24 * 60), min(end, present + 1)
        for hour in range(start // 60, -(-end // 60)):
            for number, api in enumerate(environment.apis):
                bits = _mixed(environment.seed ^ hour * 4099 + number)
                minute = hour * 60 + (bits >> 8) % 60
                if bits % 47 == 0 and start <= minute < end:
                    alert = _alert(api.shown, minute, bits)
                    yield id_of(environment, number, hour), alert


_ALERTS = (
    ("latency", "response_latency", 'Response time of "{}" is above its bound, {} ms'),
    ("traffic", "request_count", "Traffic of {} is unusual: {} requests"),
    ("error", "error_rate", "Größere Fehlerrate: {}, {} per mille"),
)


def _alert(api: str, minute: int, bits: int) -> Alert:
    category, metric, message = _ALERTS[(bits >> 16) % len(_ALERTS)]
    severity = ("low", "medium", "high")[(bits >> 20) % 3]
    return Alert(api, minute, category, metric, severity, message.format(api, bits >> 24 & 4095))


def percentile(values: Iterable[tuple[int, int]], percent: int) -> int | None:
    """The nearest-rank percentile of (value, how often) pairs; None where there are none."""
    ordered = sorted(values)
    # In hundredths, as whole numbers: floats would differ between machines.
    rank = percent * sum(weight for _, weight in ordered)
    if not rank:
        return None
    seen = 0
    for value, weight in ordered:
        seen += 100 * weight
        if seen >= rank:
            return value
    return ordered[-1][0]
