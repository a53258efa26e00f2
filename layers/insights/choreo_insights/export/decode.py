"""Replies into columns: typed decoding, and unfolding nested lists into rows.

The innermost list of a shape gives the rows; the values of its parents are repeated. A null
stays a null, and a list that is null has no rows.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from choreo_insights.catalogue import Node, Table
from choreo_insights.dataset.columns import Memo, Series, distinct, mapped, unfold
from choreo_insights.errors import MAX_REPLY, BadAnswer, SchemaDiffers
from choreo_insights.times import parse_instant

# What repeats in several rows is kept as `Runs`, the instants of series as `Series`.
Columns = dict[str, Sequence[Any]]

# The column that holds the sets of values of a custom report while they are queried.
GROUPS = "groups"

_PLAIN = {"bigint": int, "double": float, "string": str, "timestamp": str, "boolean": bool}
# A count outside of 64 bits cannot be stored as what it is.
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
# A double keeps whole numbers exact up to here.
_EXACT = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]


class Answer(msgspec.Struct, frozen=True):
    """The rows of one reply by column, and the counts beside them.

    `items` counts the outermost list, which is what pages count. `total` and `limit` come from
    `pagination`, `granularities` from the echo. It `repeats` where a series has a time twice.
    `size` is the JSON's, in bytes.
    """

    columns: Columns
    items: int
    granularities: frozenset[str]
    total: int | None = None
    limit: int | None = None
    unknown_fields: bool = False
    repeats: bool = False
    size: int = 0


def _leaf(node: Node) -> Any:
    kind: Any = _PLAIN[node.type or "string"]
    if node.integer:
        return _EXACT
    return _INT64 if kind is int else kind


def _type_of(node: Node, path: str, *, strict: bool) -> Any:
    kind: Any
    if node.nodes:
        fields = [
            (f"f{i}", _type_of(child, f"{path}_{child.key}", strict=strict))
            for i, child in enumerate(node.nodes)
        ]
        kind = msgspec.defstruct(
            f"Reply{path}",
            fields,
            rename={f"f{i}": child.key for i, child in enumerate(node.nodes)},
            forbid_unknown_fields=strict,
            # These structs refer to no others in a circle, so that the collector need not look at
            # them.
            gc=False,
        )
    else:
        kind = list[str | None] if node.tuples else _leaf(node)
    if node.repeated:
        # A null among the items is an error that the server did not report.
        kind = list[kind]
    return kind | None if node.nullable else kind


# Gets a value of an item; None is the item itself.
_Get = Callable[[Any], Any] | None


class _Level(msgspec.Struct):
    """One list of the shape: its own values, and the way to the list below it."""

    leaves: list[tuple[str, _Get]] = msgspec.field(default_factory=list)
    below: Callable[[Any], Any] | None = None


def _reach(path: tuple[int, ...]) -> Callable[[Any], Any]:
    names = [f"f{i}" for i in path]

    def get(item: Any) -> Any:
        for name in names:
            if item is None:
                return None
            item = getattr(item, name)
        return item

    return attrgetter(names[0]) if len(names) == 1 else get


def _levels(root: Node) -> list[_Level]:
    """The chain of lists from the root down to the rows (the compiler allows one chain)."""
    levels = [_Level()]

    def visit(node: Node, path: tuple[int, ...], level: _Level) -> None:
        for i, child in enumerate(node.nodes):
            here = (*path, i)
            if child.repeated:
                level.below = _reach(here)
                levels.append(_Level())
                if child.nodes:
                    visit(child, (), levels[-1])
                else:
                    levels[-1].leaves.append((child.column or child.key, None))
            elif child.nodes:
                visit(child, here, level)
            elif child.column:
                level.leaves.append((child.column, _reach(here)))

    if root.nodes:
        visit(root, (), levels[0])
    else:
        levels[0].leaves.append((root.column or root.key, None))
    return levels


def _series_by(table: Table, innermost: _Level) -> str | None:
    """The time that identifies a row in its list; None where something else does."""
    kinds = {column.name: column.type for column in table.columns}
    own = {name: kinds.get(name) for name, _ in innermost.leaves}
    times = [name for name, kind in own.items() if kind == "timestamp"]
    if table.granularity is None or table.paged or "string" in own.values() or len(times) != 1:
        return None
    return times[0]


class Reader:
    """Reads the replies of one table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        # Two decoders, as msgspec either refuses unknown fields or skips them without a word.
        self._strict = msgspec.json.Decoder(_type_of(table.shape, "", strict=True))
        self._lenient = msgspec.json.Decoder(_type_of(table.shape, "", strict=False))
        self._levels = _levels(table.shape)
        self._series_by = _series_by(table, self._levels[-1])
        self._last: tuple[list[str | None], list[int | None]] = ([], [])
        names = [c.name for c in table.columns if c.type == "timestamp"]
        self._instants = {name: Memo(partial(self._instant, name)) for name in names}
        page = next((i for i, n in enumerate(table.shape.nodes) if n.key == "pagination"), None)
        self._page = None if page is None else _reach((page,))
        keys = [n.key for n in table.shape.nodes[page].nodes] if page is not None else []
        self._page_keys = [f"f{keys.index(k)}" for k in ("total", "limit")] if keys else []

    def read(self, raw: bytes | memoryview | msgspec.Raw) -> Answer:
        """One root field's JSON as columns.

        Raises BadAnswer with the path and what is wrong there: a wrong type, a missing field, a
        number out of range, a time that is none, or a null where the rows should be.
        """
        try:
            return self._read(raw)
        except BadAnswer as error:
            # `raw` is a view into the whole response, which would stay in memory.
            error.reply = bytes(raw)[:MAX_REPLY]
            raise

    def _read(self, raw: bytes | memoryview | msgspec.Raw) -> Answer:
        value, unknown = self._decode(raw)
        if value is None and (self._table.shape.nodes or self._table.shape.repeated):
            msg = f"{self._table.field} is null, and no error says why"
            raise BadAnswer(msg)
        columns, counts, items = self._unfold(value)
        repeats = False
        for name, known in self._instants.items():
            if name == self._series_by:
                columns[name] = series = self._series(columns[name], counts, known)
                repeats = any(len(set(each)) != len(each) for each in series.different())
            elif name in columns:
                columns[name] = mapped(columns[name], known)
        page = self._page(value) if self._page else None
        total, limit = (getattr(page, key) for key in self._page_keys) if page else (None, None)
        echoed = frozenset(distinct(columns.get("granularity", ())))
        size = memoryview(raw).nbytes
        return Answer(columns, items, echoed, total, limit, unknown, repeats, size)

    def _decode(self, raw: bytes | memoryview | msgspec.Raw) -> tuple[Any, bool]:
        if self._table.shape.repeated and bytes(memoryview(raw)[:1]) == b"{":
            # `getAPIUsageOverTime` has been seen to answer with one object [Choreo].
            raw = b"[" + bytes(raw) + b"]"
        try:
            return self._strict.decode(raw), False
        except msgspec.ValidationError as error:
            if "unknown field" not in str(error):
                raise self._bad(error) from error
        except msgspec.DecodeError as error:
            raise self._bad(error) from error
        except RecursionError:
            raise self._too_deep() from None
        try:
            # A new field of the service must not stop the export: it is counted, and `doctor` shows
            # it.
            return self._lenient.decode(raw), True
        except msgspec.MsgspecError as error:
            raise self._bad(error) from error
        except RecursionError:
            raise self._too_deep() from None

    def _too_deep(self) -> BadAnswer:
        return BadAnswer(f"{self._table.field}: the answer is nested too deeply to be read")

    def _bad(self, error: Exception) -> BadAnswer:
        kind = SchemaDiffers if isinstance(error, msgspec.ValidationError) else BadAnswer
        return kind(f"{self._table.field}: {error}")

    def _unfold(self, value: Any) -> tuple[Columns, Sequence[int], int]:
        """The columns, the sizes of the innermost lists, and that of the outermost."""
        items = value if self._table.shape.repeated else [value]
        outermost: int | None = len(items) if self._table.shape.repeated else None
        columns: Columns = {}
        counts = [len(items)]
        for level in self._levels:
            for name, get in level.leaves:
                columns[name] = list(map(get, items) if get else items)
            if level.below is None:
                break
            below = [level.below(item) or () for item in items]
            counts = [len(children) for children in below]
            columns = {name: unfold(values, counts) for name, values in columns.items()}
            items = list(chain.from_iterable(below))
            outermost = len(items) if outermost is None else outermost
        return columns, counts, len(items) if outermost is None else outermost

    def _series(self, times: Sequence[Any], counts: Sequence[int], known: Memo) -> Series:
        """The instants of innermost lists of `counts` rows each."""
        lists = []
        rest = iter(times)
        texts, instants = self._last
        for count in counts:
            mine = list(islice(rest, count))
            # To compare with the list before costs less than to look up each time.
            if mine != texts:
                texts, instants = mine, list(map(known.__getitem__, mine))
            lists.append(instants)
        self._last = texts, instants
        return Series(lists)

    def _instant(self, column: str, text: str | None) -> int | None:
        if text is None:
            return None
        try:
            return parse_instant(text)
        except ValueError:
            msg = f"{self._table.field}: {column} is not an ISO-8601 time but {text[:40]!r}"
            raise BadAnswer(msg) from None


def within(columns: Columns, column: str, start: int, end: int) -> tuple[Columns, int]:
    """The rows whose instant lies in [start, end) microseconds, and how many were dropped.

    Whether the service's `to` is inclusive is unknown: a row outside of the queried day belongs to
    another partition, and would be stored twice. A row without an instant stays.
    """
    instants = columns[column]
    if _all_within(instants, start, end):
        return columns, 0
    keep = [t is None or start <= t < end for t in instants]
    dropped = keep.count(False)
    if dropped:
        columns = {name: list(_compress(values, keep)) for name, values in columns.items()}
    return columns, dropped


def _all_within(instants: Sequence[Any], start: int, end: int) -> bool:
    different = distinct(instants)
    if None in different:
        return False
    return all(start <= instant < end for instant in different)


def _compress(values: Sequence[Any], keep: list[bool]) -> Iterator[Any]:
    return (value for value, kept in zip(values, keep, strict=True) if kept)
