"""Runs of the export in time that is made up, to see how long they take.

The exporter's own code plans, asks, throttles, reads, writes, checks and goes on in the next
invocation. Made up are the clock, the Insights API, which answers after a given time with as many
pages as `costs/traffic.toml` says, and the bucket.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from costs.asking import Size, groups, rows_a_member
from costs.inputs import Inputs
from costs.scenarios import Scenario, Simulated, Told
from costs.usage import (
    GET_SECONDS,
    INVOCATION_SECONDS,
    KEYS_A_PAGE,
    LIST_SECONDS,
    PUT_SECONDS,
    START_SECONDS,
    Usage,
)
from costs.virtual import Timeline, VirtualDriver
from functions.export.app import following_event
from insights.bounds import Bounds
from insights.catalogue import Catalogue, Node, Table, load
from insights.choreo import Choreo, Outcome
from insights.config import ExportConfig
from insights.credentials import Credentials, Secrets
from insights.dataset import Dataset, Kept, Overtaken, Stored
from insights.decode import Answer
from insights.driver import Asker
from insights.errors import InsightsError
from insights.export import Export
from insights.partitions import day_prefix
from insights.questions import PAGE_SIZE, Ask
from insights.report import Report
from insights.throttle import Throttle

# Not the key of any field.
_DAY = ""
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


class VirtualExport(Export):
    """The export over a made-up clock. What it has read once it knows: answers are the same."""

    driver = VirtualDriver

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        # By the reply's identity: the Insights API below keeps each of them.
        self._known: dict[int, Answer | InsightsError] = {}

    def _read(self, table: Table, raw: msgspec.Raw) -> Answer | InsightsError:
        if id(raw) not in self._known:
            self._known[id(raw)] = super()._read(table, raw)
        return self._known[id(raw)]


class _Choreo(Choreo):
    """An Insights API that answers everything after the same time."""

    def __init__(self, timeline: Timeline, inputs: Inputs, catalogue: Catalogue) -> None:
        self._timeline = timeline
        self._seconds = inputs.seconds_a_request
        self._throttle = Throttle(inputs.requests_per_minute, timeline, timeline.sleep)
        self._answers = _Answers(inputs.size, inputs.environments, catalogue)
        self.questions = 0

    def ask(self, asker: Asker, asks: Sequence[Ask], deadline: float) -> list[Outcome]:
        """As `Choreo.ask`."""
        self._throttle.wait(deadline)
        self._timeline.sleep(self._seconds)
        self.questions += len(asks)
        return [self._answers.to(ask) for ask in asks]


class _Answers:
    """Answers of the right shape: lists and pages as long as they are, series without a row."""

    def __init__(self, size: Size, environments: int, catalogue: Catalogue) -> None:
        self._size = size
        self._lists = {"environments": environments, "apis": size.apis}
        self._reports = {
            fan.source.root: table
            for table in catalogue.tables
            for fan in table.fan_out
            if fan.source
        }
        self._known: dict[tuple[str, int, str], msgspec.Raw] = {}

    def to(self, ask: Ask) -> msgspec.Raw:
        """The JSON of the root field."""
        offset = int(ask.variables.get("offset") or 0)
        day = str(ask.variables["time"]["from"]) if "time" in ask.variables else ""
        key = (ask.table.root, offset, day)
        if key not in self._known:
            value = _filled(ask.table.shape, self._rows(ask.table, offset), self._fixed(ask, day))
            self._known[key] = msgspec.Raw(json.dumps(value).encode())
        return self._known[key]

    def _rows(self, table: Table, offset: int) -> range:
        if report := self._reports.get(table.root):
            return range(groups(report, self._size))
        if table.paged:
            total = rows_a_member(table, self._size)
            return range(offset, min(offset + PAGE_SIZE, total))
        return range(0 if table.daily else self._lists.get(table.name, 1))

    def _fixed(self, ask: Ask, day: str) -> dict[str, Any]:
        total = rows_a_member(ask.table, self._size) if ask.table.paged else 0
        return {"granularity": ask.table.granularity, "total": total, "limit": PAGE_SIZE, _DAY: day}


def _filled(node: Node, rows: Sequence[int], fixed: Mapping[str, Any]) -> Any:
    """A value of this shape whose outermost list has these rows, told apart by their texts."""
    if node.repeated:
        return [_filled(msgspec.structs.replace(node, repeated=False), (n,), fixed) for n in rows]
    if node.tuples:
        return [_text(rows[0])] * 2
    if node.nodes:
        return {child.key: _filled(child, rows, fixed) for child in node.nodes}
    return _leaf(node, rows, fixed)


def _leaf(node: Node, rows: Sequence[int], fixed: Mapping[str, Any]) -> Any:
    if node.key in fixed:
        return fixed[node.key]
    if node.type == "timestamp":
        return fixed[_DAY]
    return _text(rows[0]) if node.type == "string" and rows else _NOTHING[node.type or "string"]


def _text(number: int) -> str:
    """A text that looks like an id, as most are."""
    return f"{number:08x}-0000-4000-8000-000000000000"


_NOTHING: Mapping[str, Any] = {"string": "", "bigint": 0, "double": 0, "boolean": False}


class _Secrets(Secrets):
    """Secrets without AWS."""

    def __init__(self, *, on_prem_key: bool) -> None:
        self._on_prem_key = "synthetic" if on_prem_key else None

    def get(self, handle: str, *, fresh: bool = False) -> Credentials:
        """As `Secrets.get`."""
        return Credentials(handle, handle, "", "", self._on_prem_key)


class _Bucket(Dataset):
    """A dataset in memory beside a history that makes listings long."""

    def __init__(self, timeline: Timeline, history: Mapping[str, float]) -> None:
        self._timeline = timeline
        self._history = history
        self._kept: dict[str, tuple[datetime, Kept]] = {}
        self.calls: Counter[str] = Counter()

    def claim(self) -> None:
        """As `Dataset.claim`. Its one request a run is too little to be counted."""

    def listing(self, table: str, first: date, last: date) -> dict[str, Stored]:
        """As `Dataset.listing`."""
        start, end = day_prefix(table, first), day_prefix(table, last) + "~"
        found = {
            key: Stored(written, kept.etag)
            for key, (written, kept) in self._kept.items()
            if start <= key <= end
        }
        pages = max(1, math.ceil((len(found) + self._history[table]) / KEYS_A_PAGE))
        self._call("LIST", LIST_SECONDS, pages)
        return found

    def read(self, key: str) -> Kept | None:
        """As `Dataset.read`."""
        self._call("GET", GET_SECONDS)
        return self._kept[key][1] if key in self._kept else None

    def put(self, key: str, body: bytes, *, asked: datetime, run: str) -> None:
        """As `Dataset.put`."""
        self._call("PUT", PUT_SECONDS)
        now = self._timeline.instant()
        self._kept[key] = now, Kept(f"{self.calls['PUT']}", now, asked, run, body)

    def replace(
        self,
        key: str,
        body: bytes,
        *,
        over: str | None,
        asked: datetime,
        run: str,
        confirmed: bool = True,
    ) -> None:
        """As `Dataset.replace`."""
        if (self._kept[key][1].etag if key in self._kept else None) != over:
            raise Overtaken(f"{key} was written by somebody else")
        self.put(key, body, asked=asked, run=run)

    def _call(self, name: str, seconds: float, times: int = 1) -> None:
        self.calls[name] += times
        self._timeline.sleep(seconds * times)


class Simulation:
    """A stack of this size, whose dataset begins the day before `begin`.

    It is nothing but the open days, today and yesterday: final ones are listed and not asked for.
    """

    def __init__(
        self, inputs: Inputs, catalogue: Catalogue | None = None, begin: datetime = NOON
    ) -> None:
        self._inputs = inputs
        self._catalogue = catalogue or load()
        self._timeline = Timeline(begin)
        self._choreo = _Choreo(self._timeline, inputs, self._catalogue)
        usage = Usage(inputs, self._catalogue)
        history = {table.name: usage.objects_of(table) for table in usage.tables}
        self._bucket = _Bucket(self._timeline, history)
        self._config = _config(inputs, begin.date() - timedelta(days=1))
        self._runs = 0

    def wait_until(self, seconds: float) -> None:
        """Lets the time come to so many seconds after the beginning."""
        self._timeline.now = max(self._timeline.now, seconds)

    def run(self) -> Simulated:
        """One run that the schedule starts now, with what goes on from it."""
        begin, before = self._timeline.now, self._bucket.calls.copy()
        asked = self._choreo.questions
        reports = list(self._invocations())
        return Simulated(
            rounds=len(reports),
            seconds=self._timeline.now - begin,
            questions=self._choreo.questions - asked,
            requests=sum(report.requests for report in reports),
            exported=sum(report.exported for report in reports),
            remaining=reports[-1].remaining,
            calls=dict(self._bucket.calls - before),
        )

    def _invocations(self) -> Iterator[Report]:
        event: dict[str, Any] | None = {}
        while event is not None:
            started = self._timeline.instant()
            bounds = Bounds.from_event(event, self._config, self._catalogue, started.date())
            report = self._invoke(bounds)
            yield report
            event = following_event(event, bounds, report, started)

    def _invoke(self, bounds: Bounds) -> Report:
        self._runs += 1
        ends = self._timeline.now + INVOCATION_SECONDS
        self._timeline.sleep(START_SECONDS)
        return VirtualExport(
            self._config,
            self._catalogue,
            bounds,
            dataset=self._bucket,
            choreo=self._choreo,
            secrets=_Secrets(on_prem_key=self._inputs.on_prem_key),
            run_id=f"run-{self._runs}",
            ends=ends,
            clock=self._timeline,
            now=self._timeline.instant,
        ).run()


def told(scenario: Scenario) -> Told:
    """Simulates one run. Deterministic: the same scenario gives the same outcome."""
    return Told(scenario, Simulation(scenario.inputs).run())


def _config(inputs: Inputs, since: date) -> ExportConfig:
    given = {
        "ORGANIZATIONS": ",".join(f"org{number}" for number in range(inputs.organizations)),
        "SECRET_PREFIX": "simulated",
        "TOKEN_PARAMETER_PREFIX": "/simulated",
        "STACK_NAME": "simulated",
        "INSIGHTS_URL": "https://insights.invalid",
        "TENANT": "simulated",
        "TOKEN_FUNCTION_NAME": "simulated",
        "DATASET_BUCKET": "simulated",
        "EXPORT_SINCE": since.isoformat(),
        "SETTLE_HOURS": f"{inputs.settle_hours:g}",
        "TABLES": ",".join(inputs.tables or ("all",)),
        "CONCURRENCY": str(inputs.concurrency),
        "REQUESTS_PER_MINUTE": str(inputs.requests_per_minute),
        "BATCH_SIZE": str(inputs.batch_size),
    }
    return ExportConfig.from_environment(given)
