"""A calendar month in UTC."""

import re
from datetime import date, timedelta

import msgspec

_TEXT = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)


class Month(msgspec.Struct, frozen=True, order=True):
    """A month; `number` is 1 to 12. As text it is `2026-11`."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """The month of a text like `2026-11`. Raises ValueError."""
        if not (found := _TEXT.fullmatch(text)):
            msg = f"{text!r} is not a month; use YYYY-MM, as in 2026-11"
            raise ValueError(msg)
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, day: date) -> "Month":
        """The month of a day."""
        return cls(day.year, day.month)

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        return (self.first + timedelta(days=31)).replace(day=1) - timedelta(days=1)

    @property
    def previous(self) -> "Month":
        """The month before it."""
        return Month.of(self.first - timedelta(days=1))

    @property
    def days(self) -> int:
        """How many days it has."""
        return self.last.day

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02}"
