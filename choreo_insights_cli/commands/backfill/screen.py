"""Shows how far a backfill is until it ends."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from choreo_insights_cli.commands.backfill import machine
from choreo_insights_cli.commands.backfill.machine import Execution, Machine

_SECONDS = 1.0


@dataclass(frozen=True)
class Pace:
    """How fast it goes. `left` is None as long as nobody can say."""

    per_minute: float
    left: timedelta | None

    def __str__(self) -> str:
        if self.left is None:
            return "time left unknown"
        return f"{self.per_minute:.1f} parts a minute, {_clock(self.left)} left"


def pace(ended: int, left: int, seconds: float) -> Pace:
    """The pace after so many parts ended in `seconds`."""
    if ended <= 0 or seconds <= 0:
        return Pace(0.0, timedelta() if not left else None)
    return Pace(ended * 60 / seconds, timedelta(seconds=round(left * seconds / ended)))


def _clock(left: timedelta) -> str:
    minutes, seconds = divmod(int(left.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


class Clock:
    """Measures the pace of one execution: since its beginning, or since a redrive was seen."""

    def __init__(self, first: machine.Progress, redriven: bool, now: datetime) -> None:
        self._redriven = redriven
        self._ended, self._at = first.ended if redriven else 0, now

    def pace(self, progress: machine.Progress, now: datetime) -> Pace:
        began = self._at if self._redriven else progress.began or now
        seconds = (now - began).total_seconds()
        return pace(progress.ended - self._ended, progress.parts - progress.ended, seconds)


def counted(progress: machine.Progress) -> str:
    """How far it is, in words."""
    text = f"{progress.done} of {progress.parts} parts done"
    return f"{text}, {progress.failed} failed" if progress.failed else text


def follow(
    source: Machine,
    execution: Execution,
    console: Console,
    sleep: Callable[[float], None] = time.sleep,
    *,
    already: int = 0,
) -> Execution:
    """Shows a bar until it ends, or lines where nobody watches. Gives how it ended.

    `already` are the parts that an execution before this one has done.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[pace]}", markup=False),
    )

    def looked_at(now: Execution) -> machine.Progress:
        counts = source.progress(now)
        return replace(counts, parts=counts.parts + already, done=counts.done + already)

    progress = looked_at(execution)
    clock = Clock(progress, execution.redrives > 0 or already > 0, datetime.now(UTC))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=max(1, progress.parts), pace="")
        shown = ""
        while True:
            now = source.execution(execution.arn)
            progress = looked_at(now)
            text = counted(progress)
            speed = f"{clock.pace(progress, datetime.now(UTC))}" if now.under_way else "ended"
            bar.update(task, description=text, completed=progress.ended, pace=speed)
            if text != shown and not console.is_terminal:
                console.print(f"{text}, {speed}", soft_wrap=True)
            shown = text
            if not now.under_way:
                return now
            sleep(_SECONDS)
