"""What must be asked for one partition, and the rows that the answers add up to. No network."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Any

import msgspec

from insights.catalogue import FanOut, Table
from insights.checks import key_columns
from insights.decode import GROUPS, Answer, Columns
from insights.errors import BadAnswer
from insights.runs import Runs, joined

# The most ids that a filter takes [Choreo].
IDS_A_FILTER = 5
# What clients ask for; the largest allowed limit is unknown, the default is 5 [Choreo].
PAGE_SIZE = 20


class Ask(msgspec.Struct, frozen=True):
    """A table's root field with a value for each of its variables.

    `columns` are values that were fanned out over and that each row repeats.
    """

    table: Table
    variables: Mapping[str, Any]
    columns: Mapping[str, str | None]


class Rows(msgspec.Struct):
    """The rows of a partition by column."""

    columns: Columns = msgspec.field(default_factory=dict)
    count: int = 0
    answers_with_unknown_fields: int = 0

    def add(self, answer: Answer, repeated: Mapping[str, str | None]) -> None:
        """Appends an answer's rows, `repeated` being the same in each of them."""
        count = len(next(iter(answer.columns.values()), ()))
        for name, values in answer.columns.items():
            self.columns[name] = joined(self.columns.get(name), values)
        for name in repeated.keys() - answer.columns.keys():
            values = Runs((repeated[name],), (count,))
            self.columns[name] = joined(self.columns.get(name), values)
        self.count += count
        self.answers_with_unknown_fields += answer.unknown_fields


Collecting = Generator[list[Ask], list[Answer], Rows]


def collect(table: Table, given: Mapping[str, Any], api_ids: Sequence[str] = ()) -> Collecting:
    """Yields what to ask next, is sent the answers in that order, and returns the rows.

    `given` fills the variables that are the same for the whole partition. The first questions
    are one for each member of the fan-out; what follows are pages.

    Raises BadAnswer where the echoed granularity is another, and where pages do not add up or a
    series repeats itself, also when they are asked for once more.
    """
    fixed = {name: value for name, value in given.items() if name in table.variables}
    members = []
    for fan in table.fan_out:
        groups = yield from _groups(fan, given)
        members.append(list(_members(fan, api_ids, groups)))
    asks = [Ask(table, *_joined(fixed, chosen)) for chosen in product(*members)]
    rows = Rows()
    if not table.paged:
        for ask, answer in zip(asks, (yield from _asked(asks)), strict=True):
            rows.add(answer, ask.columns)
        return rows if table.daily else _each_once(rows)
    for ask, answers in zip(asks, (yield from _all_pages(asks)), strict=True):
        for answer in answers:
            rows.add(answer, ask.columns)
    return rows


def _each_once(rows: Rows) -> Rows:
    """A list without what stands in it twice, which is the same thing all the same."""
    kept = list(dict.fromkeys(zip(*rows.columns.values(), strict=True)))
    columns = map(list, zip(*kept, strict=True)) if kept else ([] for _ in rows.columns)
    named: Columns = dict(zip(rows.columns, columns, strict=True))
    return msgspec.structs.replace(rows, columns=named, count=len(kept))


# A member of a fan-out: its variable's name and value, and the columns that repeat it.
_Member = tuple[str, Any, Mapping[str, str | None]]


def _groups(
    fan: FanOut, given: Mapping[str, Any]
) -> Generator[list[Ask], list[Answer], list[list[str | None]]]:
    """The sets of values to fan out over, where they must be asked for."""
    if fan.source is None:
        return []
    variables = {name: given[name] for name in fan.source.variables}
    answers = yield [Ask(fan.source, variables, {})]
    groups: Sequence[list[str | None]] = answers[0].columns[GROUPS]
    if any(len(group) != len(fan.columns) for group in groups):
        msg = f"{fan.source.field} gives sets that have not {len(fan.columns)} values"
        raise BadAnswer(msg)
    return list(map(list, dict.fromkeys(map(tuple, groups))))


def _members(
    fan: FanOut, api_ids: Sequence[str], groups: Sequence[list[str | None]]
) -> Iterator[_Member]:
    if fan.over == "api_ids":
        for i in range(0, len(api_ids), IDS_A_FILTER):
            yield fan.variable, list(api_ids[i : i + IDS_A_FILTER]), {}
    elif fan.over == "groups":
        for group in groups:
            yield fan.variable, group, dict(zip(fan.columns, group, strict=True))
    else:
        for value in api_ids if fan.over == "api_id" else fan.values:
            yield fan.variable, value, dict.fromkeys(fan.columns, value)


def _joined(
    fixed: Mapping[str, Any], chosen: Sequence[_Member]
) -> tuple[dict[str, Any], dict[str, str | None]]:
    """The variables and the repeated columns of one combination of members."""
    variables = dict(fixed)
    columns: dict[str, str | None] = {}
    for name, value, repeated in chosen:
        variables[name] = value
        columns.update(repeated)
    return variables, columns


def _asked(asks: list[Ask]) -> Generator[list[Ask], list[Answer], list[Answer]]:
    answers = (yield asks) if asks else []
    if doubtful := [i for i, answer in enumerate(answers) if answer.repeats]:
        answers = list(answers)
        for i, answer in zip(doubtful, (yield [asks[i] for i in doubtful]), strict=True):
            if answer.repeats:
                raise BadAnswer(f"{asks[i].table.field} gives a time twice in one series")
            answers[i] = answer
    for ask, answer in zip(asks, answers, strict=True):
        wanted = ask.table.granularity
        if answer.granularities - {wanted}:
            other = ", ".join(sorted(map(str, answer.granularities - {wanted})))
            msg = f"{ask.table.field} answers by {other} where {wanted} was asked for"
            raise BadAnswer(msg)
    return answers


def _page(ask: Ask, offset: int) -> Ask:
    variables = {**ask.variables, "limit": PAGE_SIZE, "offset": offset}
    return Ask(ask.table, variables, ask.columns)


def _all_pages(asks: list[Ask]) -> Generator[list[Ask], list[Answer], list[list[Answer]]]:
    """For each question its pages in order; those that do not add up are asked for again."""
    pages: list[list[Answer]] = [[] for _ in asks]
    open_ = list(range(len(asks)))
    for last_try in (False, True):
        found = yield from _pages_once([asks[i] for i in open_])
        doubts: dict[int, str] = {}
        for i, answers in zip(open_, found, strict=True):
            doubt = _doubt(answers) or _moved(asks[i].table, answers, pages[i])
            doubts |= {i: doubt} if doubt else {}
            pages[i] = answers
        open_ = list(doubts)
        if open_ and last_try:
            doubt = doubts[open_[0]]
            raise BadAnswer(f"the pages of {asks[0].table.field} do not add up: {doubt}")
        if not open_:
            break
    return pages


def _pages_once(asks: list[Ask]) -> Generator[list[Ask], list[Answer], list[list[Answer]]]:
    """The first pages, then all others at once: their number follows from the first."""
    first = yield from _asked([_page(ask, 0) for ask in asks])
    pages = [[answer] for answer in first]
    rest = [
        (i, offset)
        for i, answer in enumerate(first)
        # The server may allow less than was asked for: its first page shows its size.
        for offset in range(answer.items, answer.total or 0, answer.items or 1)
        if answer.items
    ]
    for (i, _), answer in zip(
        rest, (yield from _asked([_page(asks[i], offset) for i, offset in rest])), strict=True
    ):
        pages[i].append(answer)
    return pages


def _moved(table: Table, answers: list[Answer], before: list[Answer]) -> str | None:
    """Why rows may have changed places between pages, or None.

    What came twice under the same name with other figures, and did not in the pages `before`, is
    one row that moved, so that another one is missing. Otherwise there are two of that name.
    """
    rows = _names(table, answers)
    if len(rows) == rows.total() or (before and rows == _names(table, before)):
        return None
    return "a row came twice, with other figures"


def _names(table: Table, answers: list[Answer]) -> Counter[tuple[Any, ...]]:
    names = [name for name in key_columns(table) if name in answers[0].columns]
    columns = [[answer.columns[name] for name in names] for answer in answers]
    return Counter(chain.from_iterable(zip(*of_page, strict=True) for of_page in columns))


def _doubt(answers: list[Answer]) -> str | None:
    """Why these pages are not one whole list, or None."""
    total, size = answers[0].total, answers[0].items
    totals = {answer.total for answer in answers}
    if len(totals) > 1:
        return f"total was {' and then '.join(map(str, sorted(totals, key=str)))}"
    items = sum(answer.items for answer in answers)
    if items != total:
        return f"{items} items came where total says {total}"
    if any(answer.items != size for answer in answers[:-1]):
        return f"a page before the last has not {size} items"
    seen: set[tuple[Any, ...]] = set()
    for answer in answers:
        rows = Counter(zip(*answer.columns.values(), strict=True))
        if not seen.isdisjoint(rows):
            return "a row came on two pages"
        # Two deleted APIs may well look alike; a page that is too long as well repeats itself.
        if answer.items > (answer.limit or PAGE_SIZE) and len(rows) < rows.total():
            return "a page is too long, and a row came twice"
        seen.update(rows)
    return None
