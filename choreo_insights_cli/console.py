"""Rich's console, for text of strangers. `output.console` makes one."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from choreo_insights_cli.fitting import parts
from choreo_insights_cli.output import escaped


class Console(RichConsole):
    """Rich's console for text of strangers: no markup, no emoji codes, no control characters."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def prose(self, text: Text | str, hanging: int = 0) -> None:
        """Prints lines whole to a pipe, and to a terminal broken between words: see `fitting`."""
        text = Text(text) if isinstance(text, str) else text
        if self.is_terminal:
            text = fitted(text, self.width, hanging)
        self.print(text, soft_wrap=True)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Rich's segments with escaped text. Its own control codes are marked as such."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(escaped(segment.text, keep="\n"), segment.style)


def fitted(text: Text, width: int, hanging: int = 0) -> Text:
    """What `fitting.fitted` does, with colours."""
    return Text("\n").join(
        Text(" " * part.indent) + line[part.begin : part.end]
        for line in text.split("\n", allow_blank=True)
        for part in parts(line.plain, width, hanging)
    )
