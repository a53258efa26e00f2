"""A cause sends a mail when it comes and one when it goes, on schedules of a minute to a day."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from choreo_insights_cli.template import Template
from tests.alarms import Mail, Point, custom_metrics, mails

TEMPLATE = Template(Path(__file__).parents[3] / "template.yaml")
HOUR, DAY = 60, 24 * 60
# From the minute on which a cause comes to the one on which it goes; the days before and after are
# quiet.
COMES, GOES = DAY + 90, DAY + 14 * HOUR
# Of the slowest schedule one run meets the cause.
SCHEDULES = (1, 15, HOUR, 6 * HOUR, DAY)
DAYS = 3


class Stack:
    """Writes the points that a stack would, by the function's own rule."""

    def __init__(self, app: ModuleType) -> None:
        self._app = app
        self.points: list[Point] = []

    def run(
        self, minute: int, *, whole: bool = True, part: bool = False, left: int = 0, **counts: int
    ) -> None:
        """A run that completes, with these counts."""
        values = Counter(counts, Exported=3, Complete=int(whole and not left))
        names = self._app._metrics(values, whole=whole, part=part)
        self.points += [Point(name, minute, values[name]) for name in names]
        self.points.append(Point("Errors of ExportFunction", minute, 0))

    def crash(self, minute: int) -> None:
        """A run that raises, and its one retry."""
        self.points += [Point("Errors of ExportFunction", minute + n, 1) for n in (0, 1)]

    def mails(self, *, aligned: bool = False, stale_after: int = 26) -> list[Mail]:
        """The mails after the first quiet day."""
        sent = mails(
            TEMPLATE, self.points, DAYS * DAY, aligned=aligned,
            parameters={"StaleAfterHours": stale_after},
        )  # fmt: skip
        return [mail for mail in sent if mail.minute >= DAY]


@pytest.fixture
def stack(app: ModuleType) -> Stack:
    return Stack(app)


def runs(schedule: int) -> Iterator[tuple[int, bool]]:
    """The minute of each run, and whether the cause is there."""
    first = COMES % schedule if schedule == DAY else 0
    for minute in range(first, DAYS * DAY, schedule):
        yield minute, COMES <= minute < GOES


def states(sent: list[Mail]) -> list[tuple[str, str]]:
    return [(mail.alarm, mail.state) for mail in sent]


@pytest.mark.parametrize("aligned", [False, True], ids=["sliding", "aligned"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_cause_that_lasts_sends_two_mails(stack: Stack, schedule: int, aligned: bool) -> None:
    for minute, troubled in runs(schedule):
        stack.run(minute, **dict.fromkeys(("Retriable", "NeedsPerson", "Mismatches"), 2 * troubled))
    sent = stack.mails(aligned=aligned)
    alarms = ("DoubtedNumbers", "FailedPartitions", "NeedsPerson")
    assert states(sent) == [(name, state) for state in ("ALARM", "OK") for name in alarms]
    for began, ended in zip(sent[:3], sent[3:], strict=True):
        assert began.minute - COMES <= schedule + 10
        assert 0 <= ended.minute - GOES <= schedule + 10


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_function_that_crashes_sends_two_mails_though_parts_work(
    stack: Stack, schedule: int
) -> None:
    for minute, troubled in runs(schedule):
        if troubled:
            stack.crash(minute)
        else:
            stack.run(minute)
        stack.run(minute + schedule // 2, whole=False, part=True)
    errors = [mail for mail in stack.mails() if mail.alarm != "StaleDataset"]
    assert states(errors) == [("ExportErrors", "ALARM"), ("ExportErrors", "OK")]


def test_a_catch_up_that_fails_again_and_again_sends_two_mails(stack: Stack) -> None:
    """Runs meanwhile leave to it what is missing, or find that it is still missing."""
    for minute, troubled in runs(HOUR):
        stack.run(minute, left=9 if troubled else 0)
        if troubled and minute % (6 * HOUR) == 0:
            stack.points.append(Point("ExecutionsFailed", minute + 30, 1))
    assert states(stack.mails()) == [("FailedBackfill", "ALARM"), ("FailedBackfill", "OK")]


def test_what_somebody_exports_meanwhile_ends_no_alarm(stack: Stack) -> None:
    for minute, troubled in runs(HOUR):
        stack.run(minute, NeedsPerson=int(troubled))
        stack.run(minute + 20, whole=False)
        stack.run(minute + 40, whole=False, part=True)
    assert states(stack.mails()) == [("NeedsPerson", "ALARM"), ("NeedsPerson", "OK")]


def test_a_part_that_fails_is_the_state_machines_affair(stack: Stack) -> None:
    for minute, troubled in runs(HOUR):
        stack.run(minute)
        stack.run(minute + 30, whole=False, part=True, Retriable=3 * troubled)
    assert stack.mails() == []


def test_a_queue_without_points_keeps_its_alarm(stack: Stack) -> None:
    """SQS writes points for six hours after a queue was last touched."""
    for minute, _ in runs(HOUR):
        stack.run(minute)
    queued = [*range(COMES, COMES + 6 * HOUR)]
    emptied = [*range(GOES, GOES + 6 * HOUR)]
    visible = "ApproximateNumberOfMessagesVisible"
    stack.points += [Point(visible, minute, 1) for minute in queued]
    stack.points += [Point(visible, minute, 0) for minute in (*range(10), *emptied)]
    assert states(stack.mails()) == [("QueuedFailures", "ALARM"), ("QueuedFailures", "OK")]


@pytest.mark.parametrize(("schedule", "stale_after"), [(1, 1), (15, 3), (HOUR, 3), (DAY, 26)])
def test_silence_is_heard_within_the_hours_that_are_set(
    stack: Stack, schedule: int, stale_after: int
) -> None:
    last = 0
    for minute, silent in runs(schedule):
        if not silent:
            stack.run(minute)
        if minute < COMES:
            last = minute
    sent = stack.mails(stale_after=stale_after)
    assert states(sent) == [("StaleDataset", "ALARM"), ("StaleDataset", "OK")]
    assert stale_after * HOUR <= sent[0].minute - last <= stale_after * HOUR + 1
    if schedule < DAY:
        assert sent[1].minute - GOES <= schedule + 1


def test_a_stack_that_never_exports_is_stale(stack: Stack) -> None:
    sent = mails(TEMPLATE, [], DAY, parameters={"StaleAfterHours": 3})
    assert [mail for mail in sent if mail.alarm == "StaleDataset"] == [
        Mail(0, "StaleDataset", "ALARM")
    ]


def test_quiet_days_send_no_mail(stack: Stack) -> None:
    for minute, _ in runs(15):
        stack.run(minute)
    assert stack.mails(stale_after=1) == []


def test_the_mails_of_a_bad_day(stack: Stack) -> None:
    """Hourly, with the credentials refused from 09:00 to 17:00 and a blip at 20:00."""
    for minute, _ in runs(HOUR):
        hour = minute // HOUR - 24
        stack.run(minute, NeedsPerson=40 * (9 <= hour < 17), Retriable=int(hour == 20))
    sent = [(mail.minute // HOUR - 24, mail.alarm, mail.state) for mail in stack.mails()]
    assert sent == [
        (9, "NeedsPerson", "ALARM"),
        (17, "NeedsPerson", "OK"),
        (20, "FailedPartitions", "ALARM"),
        (21, "FailedPartitions", "OK"),
    ]


def test_there_are_five_metrics_at_the_most(app: ModuleType) -> None:
    """Each costs by the month, whoever looks at it."""
    values = Counter(Exported=1, Retriable=1, NeedsPerson=1, Mismatches=1, Complete=1, Rows=1)
    written = set(app._metrics(values, whole=True, part=False))
    assert written == custom_metrics(TEMPLATE)
    assert len(written) <= 5
