"""Shows steps at the terminal, each with its result and its seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Step:
    """A running step. `note` is shown beside it, also when it is done."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.note = ""


class Steps:
    """Shows one step after another, each with its seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Shows a step while it runs, and then how it ended."""
        step, started = Step(name), time.monotonic()
        mark = "[red]✗[/]"
        try:
            with self._console.status(name):
                yield step
            mark = "[green]✓[/]"
        finally:
            self._line(mark, name, time.monotonic() - started, step.note)

    def total(self) -> None:
        """Shows the seconds of all steps together."""
        self._line(" ", "together", time.monotonic() - self._started, "")

    def _line(self, mark: str, name: str, seconds: float, note: str) -> None:
        line = f"{mark} {name:<46} [cyan]{seconds:6.1f} s[/]  [dim]{note}[/]"
        self._console.print(line, highlight=False, soft_wrap=True)
