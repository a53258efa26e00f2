"""Shows progress on a terminal, and nothing elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from choreo_insights_cli import output


@contextmanager
def shown(text: str) -> Iterator[Callable[[str], None]]:
    """Shows what is being waited for and since when; gives what changes the text.

    On the error output, so that what a pipe reads is not mixed with it.
    """
    if not output.is_watched():
        yield lambda _newer: None
        return
    # Only a terminal needs it.
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = output.console(error=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(text, total=None)

        def change(newer: str) -> None:
            progress.update(task, description=newer)

        yield change
