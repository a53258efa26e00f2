"""The queries of one partition, and the rows that their answers add up to. No network."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Any, NamedTuple

import msgspec

from choreo_insights.catalogue import ANSWERED, FanOut, Table
from choreo_insights.dataset.api_names import ApiNames
from choreo_insights.dataset.columns import Runs, joined
from choreo_insights.dataset.common_columns import row_key
from choreo_insights.errors import BadAnswer
from choreo_insights.export import entries
from choreo_insights.export.decode import GROUPS, Answer, Columns
from choreo_insights.export.entries import Pages

# A partition with more pages than that is refused: each page is a query and takes memory.
MAX_PAGES = 5_000
# What clients send; the largest allowed limit is unknown, the default is 5 [Choreo].
PAGE_SIZE = 20


# Queries of a kind tend to fail together.
QueryKind = tuple[str, bytes]


class Query(msgspec.Struct, frozen=True):
    """A table's root field with a value for each of its variables.

    `columns` are values that were fanned out over and that each row repeats. An `optional` query
    may fail alone: its answer is None then. `api` is the one that it is about, if it is one.
    """

    table: Table
    variables: Mapping[str, Any]
    columns: Mapping[str, str | None]
    optional: bool = False
    api: ApiNames | None = None

    @property
    def kind(self) -> QueryKind:
        """The same for queries that differ in nothing but their time."""
        others = {name: value for name, value in self.variables.items() if name != "time"}
        return self.table.name, msgspec.json.encode((self.table.document, self.table.field, others))


class Rows(msgspec.Struct):
    """The rows of a partition by column.

    `unanswered` are the ids of APIs for which an optional query failed: their rows are not
    complete.
    """

    columns: Columns = msgspec.field(default_factory=dict)
    count: int = 0
    answers_with_unknown_fields: int = 0
    unanswered: list[str] = msgspec.field(default_factory=list)

    def add(self, answer: Answer, repeated: Mapping[str, str | None]) -> None:
        """Appends an answer's rows, `repeated` being the same in each of them."""
        count = len(next(iter(answer.columns.values()), ()))
        self._append(answer.columns, count, repeated)
        self.answers_with_unknown_fields += answer.unknown_fields

    def extend(self, other: "Rows", repeated: Mapping[str, str | None]) -> None:
        """Appends other rows of the same table, `repeated` being the same in each of them."""
        self._append(other.columns, other.count, repeated)
        self.answers_with_unknown_fields += other.answers_with_unknown_fields
        self.unanswered = list(dict.fromkeys((*self.unanswered, *other.unanswered)))

    def _append(self, columns: Columns, count: int, repeated: Mapping[str, str | None]) -> None:
        for name, values in columns.items():
            self.columns[name] = joined(self.columns.get(name), values)
        for name in repeated.keys() - columns.keys():
            values = Runs((repeated[name],), (count,))
            self.columns[name] = joined(self.columns.get(name), values)
        self.count += count


QueryGenerator = Generator[list[Query], list[Answer | None], Rows]


def collect(
    table: Table, values: Mapping[str, Any], apis: Sequence[ApiNames] = ()
) -> QueryGenerator:
    """Yields queries, is sent their answers in that order, and returns the rows.

    `values` fills the variables that are the same for the whole partition. The first queries are
    one for each member of the fan-out; the others are pages, and queries by id alone where it is
    not clear whose rows came. The queries of APIs that are not listed may fail.

    Raises BadAnswer where the echoed granularity is another, where a list has too many pages,
    where pages do not add up or a series repeats itself, also when they are read once more, and
    where rows are those of another API than the queried one.
    """
    fixed = {name: value for name, value in values.items() if name in table.variables}
    members = []
    for fan in table.fan_out:
        groups = yield from _groups(fan, values)
        members.append(list(_members(fan, apis, groups)))
    queries = [_query(table, fixed, combination) for combination in product(*members)]
    answers = yield from _all_pages(queries)
    if any(column.name == ANSWERED for column in table.columns):
        answers = yield from _own(table, queries, answers, apis)
    else:
        answers = yield from _unshared(table, queries, answers)
    rows = Rows()
    unanswered: dict[str, None] = {}
    for query, pages in zip(queries, answers, strict=True):
        for answer in pages or ():
            rows.add(answer, query.columns)
        # Its stored rows must stay: the writer carries them over.
        if pages is None and query.api:
            unanswered[query.api.id] = None
    rows.unanswered = list(unanswered)
    return rows if table.daily or table.paged else _each_once(rows)


def _each_once(rows: Rows) -> Rows:
    """A list without duplicates: equal rows are the same thing."""
    kept = list(dict.fromkeys(zip(*rows.columns.values(), strict=True)))
    columns = map(list, zip(*kept, strict=True)) if kept else ([] for _ in rows.columns)
    named: Columns = dict(zip(rows.columns, columns, strict=True))
    return msgspec.structs.replace(rows, columns=named, count=len(kept))


class _Member(NamedTuple):
    """A member of a fan-out: its variable's name and value, and the columns that repeat it."""

    variable: str
    value: Any
    columns: Mapping[str, str | None]
    api: ApiNames | None = None


def _groups(
    fan: FanOut, values: Mapping[str, Any]
) -> Generator[list[Query], list[Answer | None], list[list[str | None]]]:
    """The sets of values to fan out over, where they must be queried."""
    if fan.source is None:
        return []
    variables = {name: values[name] for name in fan.source.variables}
    answers = yield [Query(fan.source, variables, {})]
    groups: Sequence[list[str | None]] = _required(answers[0]).columns[GROUPS]
    if any(len(group) != len(fan.columns) for group in groups):
        msg = f"{fan.source.field} gives sets that have not {len(fan.columns)} values"
        raise BadAnswer(msg)
    return list(map(list, dict.fromkeys(map(tuple, groups))))


def _required(answer: Answer | None) -> Answer:
    if answer is None:
        raise BadAnswer("a query that is not optional has no answer")
    return answer


def _members(
    fan: FanOut, apis: Sequence[ApiNames], groups: Sequence[list[str | None]]
) -> Iterator[_Member]:
    if fan.over in ("api_names", "api_id"):
        for api in apis:
            value = list(api.names) if fan.over == "api_names" else api.id
            yield _Member(fan.variable, value, dict.fromkeys(fan.columns, api.id), api)
    elif fan.over == "groups":
        for group in groups:
            yield _Member(fan.variable, group, dict(zip(fan.columns, group, strict=True)))
    else:
        for value in fan.values:
            yield _Member(fan.variable, value, dict.fromkeys(fan.columns, value))


def _query(table: Table, fixed: Mapping[str, Any], chosen: Sequence[_Member]) -> Query:
    """The query of one combination of members."""
    variables = dict(fixed)
    columns: dict[str, str | None] = {}
    api = next((member.api for member in chosen if member.api), None)
    for member in chosen:
        variables[member.variable] = member.value
        columns.update(member.columns)
    return Query(table, variables, columns, api is not None and not api.listed, api)


# Answers to queries in their order, None for an optional one that failed.
_Answers = Generator[list[Query], list[Answer | None], list[Answer | None]]
# The pages of queries in their order, as above.
_Pages = Generator[list[Query], list[Answer | None], list[Pages]]


def _own(
    table: Table, queries: list[Query], answers: list[Pages], apis: Sequence[ApiNames]
) -> _Pages:
    """The answers with the rows of the queried APIs alone, one series for each."""
    settled = list(answers)
    doubtful = [
        i
        for i, (query, pages) in enumerate(zip(queries, answers, strict=True))
        if query.api and not entries.is_certain(query.api, pages)
    ]
    by_id = yield from _all_pages([_by_id_alone(queries[i]) for i in doubtful])
    for i, pages in zip(doubtful, by_id, strict=True):
        api = queries[i].api or apis[0]
        others = {name for each in apis if each.id != api.id for name in each.own}
        settled[i] = entries.settled(api, answers[i], pages, others)
    for i, (query, pages) in enumerate(zip(queries, settled, strict=True)):
        if pages and query.api:
            settled[i] = list(entries.one_series(table, query.api, pages))
    return settled


def _unshared(table: Table, queries: list[Query], answers: list[Pages]) -> _Pages:
    """The answers without the rows of APIs that share a name, where no row names its API."""
    doubtful = [i for i, query in enumerate(queries) if query.api and query.api.shared]
    if not any(fan.over == "api_names" for fan in table.fan_out) or not doubtful:
        return answers
    by_id = yield from _all_pages([_by_id_alone(queries[i]) for i in doubtful])
    by_name = yield from _all_pages([_by_shared_names(queries[i]) for i in doubtful])
    settled = list(answers)
    for i, of_id, of_name in zip(doubtful, by_id, by_name, strict=True):
        settled[i] = entries.unshared(table, answers[i], of_id, of_name)
    return settled


def _by_id_alone(query: Query) -> Query:
    return _by_names(query, [query.api.id] if query.api else [])


def _by_shared_names(query: Query) -> Query:
    return _by_names(query, sorted(query.api.shared) if query.api else [])


def _by_names(query: Query, names: list[str]) -> Query:
    variables = [fan.variable for fan in query.table.fan_out if fan.over == "api_names"]
    only = dict.fromkeys(variables, names)
    return msgspec.structs.replace(query, variables={**query.variables, **only})


def _answers(queries: list[Query]) -> _Answers:
    answers = (yield queries) if queries else []
    if doubtful := [i for i, answer in enumerate(answers) if answer and answer.repeats]:
        answers = list(answers)
        for i, answer in zip(doubtful, (yield [queries[i] for i in doubtful]), strict=True):
            if answer and answer.repeats:
                raise BadAnswer(f"{queries[i].table.field} gives a time twice in one series")
            answers[i] = answer
    for query, answer in zip(queries, answers, strict=True):
        wanted = query.table.granularity
        if answer and answer.granularities - {wanted}:
            other = ", ".join(sorted(map(str, answer.granularities - {wanted})))
            msg = f"{query.table.field} answers by {other} where {wanted} was requested"
            raise BadAnswer(msg)
    return answers


def _all_pages(queries: list[Query]) -> _Pages:
    """For each query its answer, or its pages in order."""
    if queries and queries[0].table.paged:
        return (yield from _whole_lists(queries))
    answers = yield from _answers(queries)
    return [None if answer is None else [answer] for answer in answers]


def _page(query: Query, offset: int) -> Query:
    variables = {**query.variables, "limit": PAGE_SIZE, "offset": offset}
    return msgspec.structs.replace(query, variables=variables)


def _whole_lists(queries: list[Query]) -> _Pages:
    """For each query its pages in order; those that do not add up are read a second time."""
    pages: list[Pages] = [None for _ in queries]
    open_ = list(range(len(queries)))
    # A list that changes while its pages are read is rare; one that never adds up is a fault.
    for last_try in (False, True):
        lists = yield from _pages_once([queries[i] for i in open_])
        doubts: dict[int, str] = {}
        for i, answers in zip(open_, lists, strict=True):
            if answers and (doubt := _doubt(queries[i].table, answers, pages[i])):
                doubts[i] = doubt
            pages[i] = answers
        open_ = list(doubts)
        if open_ and last_try:
            doubt = doubts[open_[0]]
            raise BadAnswer(f"the pages of {queries[0].table.field} do not add up: {doubt}")
        if not open_:
            break
    return pages


def _pages_once(queries: list[Query]) -> _Pages:
    """The first pages, then all others at once: their number follows from the first."""
    first = yield from _answers([_page(query, 0) for query in queries])
    pages: list[Pages] = [None if answer is None else [answer] for answer in first]
    rest: list[tuple[int, int]] = []
    for i, answer in enumerate(first):
        offsets = _other_offsets(answer) if answer else range(0)
        # Of a range that is too long not even the length is a number that Python takes.
        if offsets and (offsets[-1] // offsets.step) + len(rest) >= MAX_PAGES:
            total = answer.total if answer else 0
            msg = f"{queries[i].table.field} says that it has {total} rows"
            raise BadAnswer(f"{msg}: more than {MAX_PAGES} pages are not read")
        rest += [(i, offset) for offset in offsets]
    others = yield from _answers([_page(queries[i], offset) for i, offset in rest])
    for (i, _), answer in zip(rest, others, strict=True):
        mine = pages[i]
        if answer is None or mine is None:
            pages[i] = None
        else:
            mine.append(answer)
    return pages


def _other_offsets(first: Answer) -> range:
    # The server may allow less than was requested: its first page shows its size.
    return range(first.items, first.total or 0, first.items) if first.items else range(0)


def _doubt(table: Table, answers: list[Answer], before: list[Answer] | None) -> str | None:
    """Why these pages are not one whole list, or None. `before` is what the first try read.

    Two rows may well look alike: two deleted APIs have no id. But a row that comes twice may also
    have moved to another page while the pages were read, so that another row is missing. Then a
    second reading does not show the same rows twice again.
    """
    total, size = answers[0].total, answers[0].items
    totals = {answer.total for answer in answers}
    if len(totals) > 1:
        return f"total was {' and then '.join(map(str, sorted(totals, key=str)))}"
    items = sum(answer.items for answer in answers)
    if items != total:
        return f"{items} items came where total says {total}"
    if any(answer.items != size for answer in answers[:-1]):
        return f"a page before the last has not {size} items"
    names = _names(table, answers)
    if len(names) == names.total():
        return None
    if len(answers) > 1 and any(answer.items > (answer.limit or PAGE_SIZE) for answer in answers):
        # Pages that overlap: by their length they hold what the next one begins with.
        return "a page is too long, and a row came twice"
    return None if before and names == _names(table, before) else "a row came twice"


def _names(table: Table, answers: list[Answer]) -> Counter[tuple[Any, ...]]:
    """How often each row comes, by the columns that identify it."""
    columns = answers[0].columns
    names = [name for name in row_key(table) if name in columns] or list(columns)
    of_pages = [[answer.columns[name] for name in names] for answer in answers]
    return Counter(chain.from_iterable(zip(*of_page, strict=True) for of_page in of_pages))
