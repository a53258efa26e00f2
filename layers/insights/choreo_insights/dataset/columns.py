"""Columns in which values repeat, kept once for all of their rows."""

from abc import abstractmethod
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from typing import Any, Self

_MAX_SIZE = 8192


class _Repeating(Sequence[Any]):
    """A column that equals the list of its rows."""

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    @abstractmethod
    def extend(self, other: Self) -> None:
        """Appends another column's rows."""


class Runs(_Repeating):
    """A column as runs: `values[i]` stands in the next `counts[i]` rows.

    The values of an object of a reply repeat in each row of the lists below it.
    """

    def __init__(self, values: Sequence[Any] = (), counts: Sequence[int] = ()) -> None:
        self.values = list(values)
        self.counts = list(counts)

    def __len__(self) -> int:
        return sum(self.counts)

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(map(repeat, self.values, self.counts))

    def extend(self, other: Self) -> None:
        self.values += other.values
        self.counts += other.counts

    def unfolded(self, counts: Sequence[int]) -> "Runs":
        """The column after each of its rows became so many."""
        each = iter(counts)
        return Runs(self.values, [sum(islice(each, count)) for count in self.counts])

    def indices(self) -> "array[int]":
        """For each row the number of its run, as 32-bit integers."""
        numbers: array[int] = array("i")
        for number, count in enumerate(self.counts):
            numbers.extend(array("i", (number,)) * count)
        return numbers


class Series(_Repeating):
    """A column as lists, one after the other, which may be the same list many times.

    The series of a reply mostly have the same times.
    """

    def __init__(self, lists: Sequence[list[Any]] = ()) -> None:
        self.lists = list(lists)

    def __len__(self) -> int:
        return sum(map(len, self.lists))

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.lists)

    def extend(self, other: Self) -> None:
        self.lists += other.lists

    def different(self) -> Iterable[list[Any]]:
        """Its lists, each once."""
        return {id(each): each for each in self.lists}.values()


def unfold(column: Sequence[Any], counts: Sequence[int]) -> Runs:
    """A column after each of its rows became so many."""
    return column.unfolded(counts) if isinstance(column, Runs) else Runs(column, counts)


def joined(column: Sequence[Any] | None, other: Sequence[Any]) -> Sequence[Any]:
    """Two columns of the same name one after the other. The first may be changed."""
    if isinstance(other, _Repeating) and (column is None or type(column) is type(other)):
        whole = column if isinstance(column, _Repeating) else type(other)()
        whole.extend(other)
        return whole
    rows = column if isinstance(column, list) else list(column or ())
    rows.extend(other)
    return rows


class Memo(dict[Any, Any]):
    """Caches the results of a function: `memo[value]` calls it only for new values.

    It is emptied when it has become large.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, value: Any) -> Any:
        # All of it: to track which values were used last costs more than it saves.
        if len(self) >= _MAX_SIZE:
            self.clear()
        result = self[value] = self._function(value)
        return result


def mapped(column: Sequence[Any], known: Memo) -> Sequence[Any]:
    """A function of each value of a column."""
    if not isinstance(column, Runs):
        return list(map(known.__getitem__, column))
    pairs = zip(column.values, column.counts, strict=True)
    return Runs([known[value] if count else None for value, count in pairs], column.counts)


def distinct(column: Sequence[Hashable]) -> dict[Any, None]:
    """The values of a column's rows, each once, in their order."""
    if isinstance(column, Series):
        return dict.fromkeys(chain.from_iterable(column.different()))
    if isinstance(column, Runs):
        pairs = zip(column.values, column.counts, strict=True)
        return dict.fromkeys(value for value, count in pairs if count)
    return dict.fromkeys(column)
