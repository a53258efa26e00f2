"""Custom reports: what is grouped once and kept answers as a walk over all cells would."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from graphql import GraphQLEnumType
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from dev.sandbox import OrganizationSpec, SandboxSettings, World, engine, reports
from dev.sandbox.filters import ALL, QueryContext, TimeSpan, span_of
from dev.sandbox.grouping import GROUP_BY, Groups, by_outcome
from dev.sandbox.memory import Memory
from dev.sandbox.traffic import ERROR_KINDS, Cell, Traffic, percentile

WORLD = World(organizations=[OrganizationSpec("acme", apis=4, applications=2)])
ACME = WORLD.organization("acme")
NIGHT = datetime(2026, 3, 10, tzinfo=UTC)
LATENCIES = {
    "TOTAL_LATENCY": "response",
    "BACKEND_LATENCY": "backend",
    "REQUEST_MEDIATION_LATENCY": "request_mediation",
    "RESPONSE_MEDIATION_LATENCY": "response_mediation",
}
METRICS = ("HIT_COUNT", "RESPONSE_CACHE_HIT", "API_ERRORS", "TARGET_ERRORS", *LATENCIES)
# All examples share them: a key that leaves out what an answer depends on gives wrong ones.
TRAFFIC, GROUPS = Traffic(), Groups()
# A group is a cell, whether its errors are meant, and how many requests those are.
Group = tuple[Cell, bool, int]


def test_every_metric_and_field_of_the_schema_is_tried() -> None:
    types = engine.schema().type_map
    assert enum_values(types["Metric"]) == set(METRICS)
    assert enum_values(types["GroupByField"]) == GROUP_BY.keys()


def enum_values(kind: Any) -> set[str]:
    assert isinstance(kind, GraphQLEnumType)
    return set(kind.values)


def outcomes(cells: Sequence[Cell]) -> Iterator[Group]:
    for cell in cells:
        if cell.ok:
            yield cell, False, cell.ok
        if cell.errors:
            yield cell, True, cell.errors


def value(group: Group, name: str) -> str:
    cell, failed, _ = group
    if name != "TARGET_RESPONSE_CODE":
        return GROUP_BY[name](cell)
    if failed:
        return str(cell.kind.status) if cell.kind.target else "-1"
    return "200"


def direct(metric: str, groups: Sequence[Group]) -> int:
    if name := LATENCIES.get(metric):
        return percentile(((getattr(c.latencies, name), n) for c, _, n in groups), 95) or 0
    counts = {
        "HIT_COUNT": sum(count for *_, count in groups),
        "RESPONSE_CACHE_HIT": sum(cell.hits for cell, failed, _ in groups if not failed),
        "API_ERRORS": sum(n for cell, failed, n in groups if failed and not cell.kind.target),
        "TARGET_ERRORS": sum(n for cell, failed, n in groups if failed and cell.kind.target),
    }
    return counts[metric]


# What an answer depends on, with the values that are tried.
CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "place": st.sampled_from(ACME.environments),
    "ids": st.sampled_from([slice(None), slice(1), slice(1, None)]),
    "hours": st.sampled_from([7, 2]),
    "end": st.sampled_from([-60, -17, 0]),
    "now": st.sampled_from([-5000, 0, 1, 3600, 7199, 7200, 90_000]),
    "late_hours": st.sampled_from([0, 2, 20]),
    "zero_buckets": st.booleans(),
    "to_inclusive": st.booleans(),
    "granularity": st.sampled_from(["15m", "1h", "1d"]),
    "metric": st.sampled_from(METRICS),
    "fields": st.lists(st.sampled_from(sorted(GROUP_BY)), min_size=1, max_size=3),
}
SITUATIONS = st.fixed_dictionaries(CHOICES)


def question(
    chosen: dict[str, Any], groups: Groups = GROUPS
) -> tuple[QueryContext, dict[str, Any]]:
    """Who asks, and what (without values)."""
    switches = ("late_hours", "zero_buckets", "to_inclusive")
    settings = SandboxSettings(**{name: chosen[name] for name in switches})
    now = NIGHT + timedelta(seconds=chosen["now"])
    end = NIGHT + timedelta(minutes=chosen["end"])
    start = NIGHT - timedelta(hours=chosen["hours"])
    args = {
        "dataFilter": {
            "orgId": ACME.uuid,
            "environmentIds": list(chosen["place"].ids[chosen["ids"]]) or ["none of them"],
            "tenant": "carbon.super",
        },
        "timeFilter": {"from": start.isoformat(), "to": end.isoformat()},
        "granularity": chosen["granularity"],
        "metric": chosen["metric"],
        "groupByFields": chosen["fields"],
        "groupByValues": [],
    }
    return QueryContext(WORLD, TRAFFIC, settings, now, ACME, groups=groups), args


def walked(asked: QueryContext, args: dict[str, Any]) -> dict[str, list[Group]]:
    """All that happened by time, ungrouped."""
    span = span_of(args["timeFilter"], asked.now)
    found = asked.series(asked.sources(args), span, args["granularity"], ALL)
    return {span.text(start): list(outcomes(cells)) for start, cells in found.items()}


def values_in(series: dict[str, list[Group]], fields: Sequence[str]) -> list[tuple[str, ...]]:
    found = {tuple(value(g, name) for name in fields) for groups in series.values() for g in groups}
    return sorted(found)


@given(SITUATIONS, st.data())
@tried(max_examples=200, deadline=None)
def test_a_report_is_what_a_walk_over_all_cells_gives(
    chosen: dict[str, Any], data: st.DataObject
) -> None:
    asked, args = question(chosen)
    series = walked(asked, args)
    fixed = args["groupByFields"][: data.draw(st.integers(0, 3))]
    wanted = data.draw(st.sampled_from([*values_in(series, fixed), ("none",) * len(fixed)]))
    args["groupByValues"] = list(wanted)

    usage = []
    for time, groups in series.items():
        of_them = [g for g in groups if tuple(value(g, name) for name in fixed) == wanted]
        if of_them or asked.settings.zero_buckets:
            usage.append({"timeSpan": time, "value": direct(args["metric"], of_them)})
    assert reports.report(asked, args) == {"granularity": args["granularity"], "usage": usage}


@given(SITUATIONS, st.data())
@tried(max_examples=100, deadline=None)
def test_a_top_report_is_what_a_walk_over_all_cells_gives(
    chosen: dict[str, Any], data: st.DataObject
) -> None:
    asked, args = question(chosen)
    series = walked(asked, args)
    fields = args["groupByFields"]
    fixed = fields[: data.draw(st.integers(0, len(fields)))]
    free = fields[len(fixed) :] or fields[-1:]
    wanted = data.draw(st.sampled_from([*values_in(series, fixed), ("none",) * len(fixed)]))
    args["groupByValues"] = list(wanted)

    split: dict[tuple[str, ...], dict[str, list[Group]]] = {}
    for time, groups in series.items():
        for group in groups:
            if tuple(value(group, name) for name in fixed) == wanted:
                key = tuple(value(group, name) for name in free)
                split.setdefault(key, {}).setdefault(time, []).append(group)
    sizes = {
        key: direct(args["metric"], [g for groups in times.values() for g in groups])
        for key, times in split.items()
    }
    top = sorted((key for key in sizes if sizes[key]), key=lambda key: (-sizes[key], key))[:10]
    expected = [
        {
            "groupByValue": " - ".join(key),
            "usage": [
                {"timeSpan": time, "value": direct(args["metric"], groups)}
                for time, groups in split[key].items()
            ],
        }
        for key in top
    ]
    found = reports.top_report(asked, args)
    assert found == {"granularity": args["granularity"], "usage": expected}


@pytest.mark.parametrize("name", CHOICES)
@given(SITUATIONS, st.data())
@tried(max_examples=40, deadline=None)
def test_nothing_of_another_question_is_taken_for_an_answer(
    name: str, chosen: dict[str, Any], data: st.DataObject
) -> None:
    changed = chosen | {name: data.draw(CHOICES[name])}
    groups = Groups()
    reports.top_report(*question(chosen, groups))

    found = reports.top_report(*question(changed, groups))
    assert found == reports.top_report(*question(changed, Groups()))


@pytest.mark.parametrize("late_hours", [0, 2, 20])
def test_what_comes_late_is_in_the_later_answers(late_hours: int) -> None:
    chosen = {
        "place": ACME.environments[0],
        "ids": slice(None),
        "hours": 24,
        "end": 0,
        "late_hours": late_hours,
        "zero_buckets": False,
        "to_inclusive": False,
        "granularity": "1h",
        "metric": "HIT_COUNT",
        "fields": ["APPLICATION_NAME"],
    }
    groups = Groups()
    found = []
    for now in (-9000, -1, 0, 1, 3600, 7199, 7200, 71_999, 72_000, 90_000):
        found.append(reports.report(*question(chosen | {"now": now}, groups)))
        assert found[-1] == reports.report(*question(chosen | {"now": now}, Groups()))
    assert found[0] != found[-1]


def test_hits_of_a_part_without_a_success_are_not_of_its_errors() -> None:
    stream = ACME.environments[0].streams[0]
    whole = Cell(stream, ok=8, errors=10, kind=ERROR_KINDS[0], hits=5, bits=0)
    parts = [whole.part(minute, minute + 2, 60) for minute in range(0, 60, 2)]
    assert any(part.errors and part.hits and not part.ok for part in parts)

    expected = []
    for cell in parts:
        expected += [(cell.ok, 0, cell.hits)] if cell.ok else []
        expected += [(0, cell.errors, 0)] if cell.errors else []
    split = by_outcome(part for part in parts if part.total)
    assert [(cell.ok, cell.errors, cell.hits) for cell in split] == expected


@given(SITUATIONS, st.data())
@tried(max_examples=50, deadline=None)
def test_the_values_are_those_of_a_week(chosen: dict[str, Any], data: st.DataObject) -> None:
    asked, args = question(chosen)
    fields = args["groupByFields"]
    end = int(asked.now.timestamp()) // 60
    week = outcomes(asked.cells(asked.sources(args), TimeSpan(end - 7 * 1440, end, UTC), ALL))
    everything = values_in({"": list(week)}, fields)
    prefix = data.draw(st.sampled_from([*everything, ()]))[: data.draw(st.integers(0, 3))]
    args["groupByValues"] = list(prefix)

    wanted = [list(each) for each in everything if each[: len(prefix)] == prefix]
    assert reports.group_by_values(asked, args) == wanted


def test_a_memory_keeps_what_was_used_last() -> None:
    memory: Memory[str] = Memory(6, len)
    made = []

    def get(text: str) -> None:
        assert memory.get(text, lambda: made.append(text) or text) == text

    for text in ("aaa", "bb", "aaa", "cc", "aaa", "bb", "a whole sentence", "bb"):
        get(text)

    # "bb" had to go for "cc", and everything for the sentence.
    assert made == ["aaa", "bb", "cc", "bb", "a whole sentence", "bb"]
