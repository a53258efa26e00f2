"""The numbers of a day against each other: nothing to say of true ones, something of others."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import choreo_insights
from choreo_insights.catalogue import RESOLVED, Catalogue, Table
from choreo_insights.dataset.checks_table import CHECKS_COLUMNS, Check, file, key, mismatches
from choreo_insights.dataset.common_columns import row_key
from choreo_insights.dataset.cross_checks import is_checked
from choreo_insights.dataset.day_checks import check_day
from choreo_insights.dataset.parquet import decode, encode
from choreo_insights.dataset.partitions import Environment
from choreo_insights.times import microseconds
from dev.sandbox.expected import expected_rows
from dev.sandbox.settings import SandboxSettings
from dev.sandbox.world import DEFAULT_ORGANIZATIONS, World

Columns = dict[str, list[Any]]
DAY = date(2026, 3, 9)
LATER = datetime(2026, 3, 12, tzinfo=UTC)
START = microseconds(datetime.combine(DAY, time(), UTC))
HOUR = 3_600_000_000
PLACES = [(o.handle, e.name) for o in DEFAULT_ORGANIZATIONS for e in o.environments]
BUSY = ("acme", "Production")
SHIPPED = msgspec.json.decode(
    (Path(choreo_insights.__file__).parent / "catalogue.json").read_bytes(), type=Catalogue
).tables
BY_NAME = {table.name: table for table in SHIPPED}
TABLES = [table.name for table in SHIPPED if is_checked(table)]


def suspicious(checks: Iterable[Check]) -> tuple[str, ...]:
    """The tables of all mismatches, each once."""
    return tuple(dict.fromkeys(name for check in mismatches(checks) for name in check.tables))


def columns_of(table: Table, rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Rows as they lie in the dataset."""
    values = {c.name: [row.get(c.name) for row in rows] for c in table.columns}
    if table.resolves_apis:
        values[RESOLVED] = values["api_id"]
    for column in table.columns:
        if column.type == "timestamp":
            values[column.name] = [t and microseconds(t) for t in values[column.name]]
    return values


@lru_cache(maxsize=4)
def world(seed: int) -> World:
    return World(seed)


def partition(
    table: str, seed: int, place: tuple[str, str], day: date, now: datetime, **switches: Any
) -> Columns | None:
    if table == "overall_latency_by_api":
        return None
    named = place[1] if BY_NAME[table].scope == "environment" else None
    rows = expected_rows(
        world(seed), table, place[0], named, day, now, settings=SandboxSettings(**switches)
    )
    return columns_of(BY_NAME[table], rows)


def whole_day(
    seed: int = 1, place: tuple[str, str] = BUSY, day: date = DAY, **switches: Any
) -> dict[str, Columns | None]:
    return {name: partition(name, seed, place, day, LATER, **switches) for name in TABLES}


@pytest.fixture(scope="module")
def true_day() -> dict[str, Columns | None]:
    return whole_day()


def checked(
    data: Mapping[str, Columns | None], *, final: bool = True, tables: Sequence[Table] = SHIPPED
) -> dict[str, Check]:
    found = check_day(data.get, tables, DAY, final=final)
    assert len({check.what for check in found}) == len(found)
    return {check.what: check for check in found}


def verdicts(checks: Mapping[str, Check]) -> dict[str, str]:
    return {what: check.verdict for what, check in checks.items()}


def wrong(checks: Mapping[str, Check]) -> set[str]:
    return {check.what for check in mismatches(checks.values())}


def changed(data: Mapping[str, Any], table: str, change: Callable[[Columns], None]) -> Any:
    """The day with a table changed in place of the original."""
    columns = {name: list(values) for name, values in data[table].items()}
    change(columns)
    return {**data, table: columns}


def test_names_that_stand_for_no_api_are_counted(true_day: Mapping[str, Columns]):
    def forget(columns: Columns) -> None:
        columns["api_id"][:3] = ["Orders - v1", "Orders - v1", "Pay"]
        columns[RESOLVED][:3] = [None] * 3

    what = "names without an API in resource_usage"
    assert checked(true_day)[what].verdict == "ok"
    check = checked(changed(true_day, "resource_usage", forget))[what]
    assert (check.verdict, check.expected, check.found) == ("lower", 0, 2)
    assert check.explanation == (
        "of several APIs, or of none that was ever listed: Orders - v1, Pay"
    )


def drop_row(columns: Columns, index: int = 0) -> None:
    for values in columns.values():
        del values[index]


def double_row(columns: Columns) -> None:
    for values in columns.values():
        values.append(values[0])


def add(name: str, count: int) -> Callable[[Columns], None]:
    def change(columns: Columns) -> None:
        index = next(i for i, value in enumerate(columns[name]) if value is not None)
        columns[name][index] += count

    return change


EXACT = [
    ("success_summary + error_summary = total_traffic", "success_summary", "request_count"),
    ("success_summary + error_summary = total_traffic", "error_summary", "error_count"),
    ("success_summary + error_summary = total_traffic", "total_traffic", "total_traffic"),
    ("api_usage_by_app_over_time = total_traffic", "api_usage_by_app_over_time", "count"),
    ("api_usage_over_time = total_traffic_by_api", "api_usage_over_time", "count"),
    ("api_usage_over_time = total_traffic_by_api", "total_traffic_by_api", "total_traffic_by_api"),
    ("error_summary = total_errors", "error_summary", "error_count"),
    ("error_summary = total_errors", "total_errors", "total_errors"),
    ("errors_by_category = total_errors", "errors_by_category", "auth"),
    ("errors_by_category = total_errors", "errors_by_category", "target_connectivity"),
    ("errors_by_category = total_errors", "errors_by_category", "throttled"),
    ("errors_by_category = total_errors", "errors_by_category", "other"),
    ("errors_details = total_errors", "errors_details", "count"),
]
SIDES = "proxy_target_errors_over_time"
# The table whose figure grows.
BOUNDED = [
    ("api_usage_by_backend_over_time <= total_traffic", "api_usage_by_backend_over_time", "count"),
    ("api_usage_over_time <= total_traffic", "api_usage_over_time", "count"),
    ("resource_usage <= total_traffic", "resource_usage", "count"),
    ("apis_usage_by_applications <= total_traffic", "apis_usage_by_applications", "count"),
    ("total_errors_by_api <= total_errors", "total_errors_by_api", "proxy"),
    ("errors_by_status_code PROXY <= total_errors", "errors_by_status_code", "count"),
    (
        f"errors_by_status_code PROXY <= {SIDES} proxy",
        "errors_by_status_code",
        "count",
    ),
    (
        f"errors_by_status_code TARGET <= {SIDES} target",
        "errors_by_status_code",
        "count",
    ),
    (
        f"total_errors <= {SIDES} proxy + {SIDES} target",
        "total_errors",
        "total_errors",
    ),
]
LOTS = 10**6


def test_the_shipped_tables_with_sums_or_keys_are_checked_and_no_own_ones() -> None:
    assert {"total_traffic", "total_errors", "latency", "top_hits_by_user_agent"} <= set(TABLES)
    assert not {"apis", "environments", "alert_summary"} & set(TABLES)
    own = msgspec.structs.replace(BY_NAME["latency"], name="mine", own=True)
    assert not is_checked(own)


@pytest.mark.parametrize("place", PLACES, ids=" ".join)
@pytest.mark.parametrize("zero_buckets", [False, True])
def test_nothing_is_wrong_with_a_true_day(place: tuple[str, str], zero_buckets: bool) -> None:
    found = checked(whole_day(place=place, zero_buckets=zero_buckets))
    assert set(verdicts(found).values()) <= {"ok", "lower"}
    assert {c.what for c in found.values() if c.verdict == "lower"} <= {w for w, _, _ in BOUNDED}
    assert {what for what, _, _ in (*EXACT, *BOUNDED)} <= set(found)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    place=st.sampled_from(PLACES),
    day=st.dates(date(2026, 1, 1), date(2026, 3, 10)),
)
def test_nothing_is_wrong_with_any_true_day(seed: int, place: tuple[str, str], day: date) -> None:
    data = whole_day(seed, place, day)
    assert not mismatches(check_day(data.get, SHIPPED, day, final=True))


def test_a_day_without_traffic_is_compared_too() -> None:
    found = checked(whole_day(place=("lotus", "Staging")))
    assert set(verdicts(found).values()) == {"ok"}
    assert found["success_summary + error_summary = total_traffic"].expected == 0


def test_what_lacks_deleted_apis_is_lower_and_says_why(true_day: Any) -> None:
    check = checked(true_day)["api_usage_over_time <= total_traffic"]
    assert check.verdict == "lower"
    assert check.found is not None
    assert check.expected is not None
    assert 0 < check.found < check.expected
    assert "deleted" in (check.explanation or "")
    assert not suspicious([check])


@pytest.mark.parametrize("count", [1, -1])
@pytest.mark.parametrize(("what", "table", "column"), EXACT)
def test_what_must_agree_may_not_differ_by_one(
    true_day: Any, what: str, table: str, column: str, count: int
) -> None:
    check = checked(changed(true_day, table, add(column, count)))[what]
    assert check.verdict == "mismatch"
    assert table in suspicious([check])
    assert check.explanation in ("1 more", "1 fewer")


@pytest.mark.parametrize(("what", "table", "column"), BOUNDED)
def test_what_may_be_lower_may_not_be_higher(
    true_day: Any, what: str, table: str, column: str
) -> None:
    def more(columns: Columns) -> None:
        for i in range(len(columns[column])):
            columns[column][i] += LOTS

    assert checked(true_day)[what].verdict in ("ok", "lower")
    assert checked(changed(true_day, table, more))[what].verdict == "mismatch"


@pytest.mark.parametrize(("side", "other"), [("PROXY", "TARGET"), ("TARGET", "PROXY")])
def test_the_sides_are_compared_each_by_itself(true_day: Any, side: str, other: str) -> None:
    def more(columns: Columns) -> None:
        columns["count"][columns["error_type"].index(side)] += 1

    now = checked(changed(true_day, "errors_by_status_code", more))
    against = f"<= {SIDES} {side.lower()}"
    assert now[f"errors_by_status_code {side} {against}"].verdict == "mismatch"
    unchanged = f"<= {SIDES} {other.lower()}"
    assert now[f"errors_by_status_code {other} {unchanged}"].verdict == "ok"


KEYED = sorted(set(TABLES) & {t.name for t in SHIPPED if row_key(t) and not t.off})


@pytest.mark.parametrize("table", KEYED)
def test_a_row_that_is_there_twice_is_found(table: str) -> None:
    places = ("acme", "Headquarters, Zürich")
    data = whole_day(place=places)
    if table == "top_apis_by_alert_count":
        rows = [{"api_id": "a", "count": 1}, {"api_id": "b", "count": 1}]
        data = {**data, table: columns_of(BY_NAME[table], rows)}
    assert checked(data)[f"doubled keys of {table}"].verdict == "ok"
    check = checked(changed(data, table, double_row))[f"doubled keys of {table}"]
    assert (check.verdict, check.expected, check.found) == ("mismatch", 0, 1)
    assert suspicious([check]) == (table,)
    assert (check.explanation or "").startswith("2 times ")


def test_the_same_key_with_other_values_is_double_too(true_day: Any) -> None:
    def another(columns: Columns) -> None:
        double_row(columns)
        columns["response"][-1] = -1.0

    assert "doubled keys of latency" in wrong(checked(changed(true_day, "latency", another)))


HOURLY = sorted(t.name for t in SHIPPED if t.granularity == "1h")


@pytest.mark.parametrize("instant", [START - HOUR, START + 24 * HOUR, START + 1, None])
@pytest.mark.parametrize("table", HOURLY)
def test_an_hour_that_is_none_of_the_day_is_found(
    true_day: Any, table: str, instant: int | None
) -> None:
    def moved(columns: Columns) -> None:
        columns["time_span"][0] = instant

    what = f"rows beside the hours of {table}"
    assert checked(true_day)[what].verdict == "ok"
    for final in (True, False):
        check = checked(changed(true_day, table, moved), final=final)[what]
        assert (check.verdict, check.expected, check.found) == ("mismatch", 0, 1)


GAPS = [
    ("success_summary + error_summary", "api_usage_by_app_over_time"),
    ("api_usage_by_app_over_time", "success_summary + error_summary"),
    ("latency_summary", "success_summary"),
    ("errors_by_category", "error_summary"),
    ("errors_details", "error_summary"),
    ("error_summary", "errors_by_category"),
]


def without_hours(data: Any, tables: str, hours: Sequence[int]) -> Any:
    gone = {START + hour * HOUR for hour in hours}

    def cut(columns: Columns) -> None:
        keep = [t not in gone for t in columns["time_span"]]
        for name, values in columns.items():
            columns[name] = [v for v, kept in zip(values, keep, strict=True) if kept]

    for table in tables.split(" + "):
        data = changed(data, table, cut)
    return data


@pytest.mark.parametrize("hours", [[13], [13, 14]])
@pytest.mark.parametrize(("tables", "others"), GAPS)
def test_an_hour_that_only_others_have_is_found(
    true_day: Any, tables: str, others: str, hours: list[int]
) -> None:
    what = f"hours of {tables} as in {others}"
    assert checked(true_day)[what].verdict == "ok"
    check = checked(without_hours(true_day, tables, hours))[what]
    assert check.verdict == "mismatch"
    assert check.expected is not None
    assert check.found == check.expected - len(hours)
    assert ", ".join(f"{hour}:00" for hour in hours) in (check.explanation or "")
    assert set(check.tables) == {*tables.split(" + "), *others.split(" + ")}


@pytest.mark.parametrize(
    ("tables", "others", "hours", "verdict"),
    [
        ("api_usage_by_app_over_time", "success_summary + error_summary", [13], "open"),
        ("api_usage_by_app_over_time", "success_summary + error_summary", [13, 14], "mismatch"),
        # What failed in two hours may have come within a minute, for few requests fail.
        ("errors_by_category", "error_summary", [13, 14], "open"),
        ("errors_by_category", "error_summary", [*range(24)], "mismatch"),
    ],
)
def test_hours_of_the_open_day_may_lack_what_comes_in_one(
    true_day: Any, tables: str, others: str, hours: list[int], verdict: str
) -> None:
    found = checked(without_hours(true_day, tables, hours), final=False)
    assert found[f"hours of {tables} as in {others}"].verdict == verdict


def test_late_errors_of_several_hours_are_no_gap() -> None:
    """One came for each of two quiet hours between the questions, eight hours into the day."""
    now = datetime.combine(DAY, time(7, 52), UTC)
    late = now + timedelta(minutes=10)
    place = ("acme", "Production")
    data = {name: partition(name, 478, place, DAY, now) for name in TABLES}
    asked_later = {"error_summary": partition("error_summary", 478, place, DAY, late)}

    found = checked(data | asked_later, final=False)

    assert found["hours of errors_by_category as in error_summary"].verdict == "open"
    assert not wrong(found)


def test_an_hour_that_none_has_is_no_gap(true_day: Any) -> None:
    for table in HOURLY:
        true_day = without_hours(true_day, table, [3])
    assert not {what for what in wrong(checked(true_day)) if what.startswith("hours of")}


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    place=st.sampled_from(PLACES),
    minutes=st.integers(60, 44 * 60),
    shuffle=st.integers(0, 10**6),
)
def test_a_day_that_fills_while_it_is_asked_is_open(
    seed: int, place: tuple[str, str], minutes: int, shuffle: int
) -> None:
    """Each table is asked within ten minutes, from an hour after its start to 20 after its end."""
    now = datetime.combine(DAY, time(), UTC) + timedelta(minutes=minutes)
    draw = random.Random(shuffle)
    data = {
        name: partition(name, seed, place, DAY, now + timedelta(seconds=draw.randrange(600)))
        for name in TABLES
    }
    found = check_day(data.get, SHIPPED, DAY, final=False)
    assert not mismatches(found)


@pytest.mark.parametrize(
    "table",
    ["success_summary", "api_usage_by_app_over_time", "errors_by_category", "errors_details"],
)
def test_the_open_day_forgives_no_large_differences(true_day: Any, table: str) -> None:
    def third(columns: Columns) -> None:
        for name, values in columns.items():
            columns[name] = values[: len(values) // 3]

    def few(columns: Columns) -> None:
        for name in ("count", "request_count", "auth"):
            if name in columns:
                columns[name][0] += 3

    found = checked(changed(true_day, table, few), final=False)
    assert "open" in verdicts(found).values()
    assert not wrong(found)
    assert wrong(checked(changed(true_day, table, third), final=False))


@pytest.mark.parametrize(("more", "verdict"), [(0, "open"), (1, "mismatch")])
def test_on_the_open_day_an_hour_explains_a_difference(
    true_day: Any, more: int, verdict: str
) -> None:
    by_hour = Counter[int]()
    for table, column in (("success_summary", "request_count"), ("error_summary", "error_count")):
        by_hour.update(
            dict(zip(true_day[table]["time_span"], true_day[table][column], strict=True))
        )
    most = max(by_hour.values())

    def found(table: str, column: str, count: int, what: str) -> str:
        data = changed(true_day, table, add(column, count + more))
        return checked(data, final=False)[f"{what} = {table}"].verdict

    both = "success_summary + error_summary"
    assert found("total_traffic", "total_traffic", most, both) == verdict
    assert max(true_day["error_summary"]["error_count"]) < most // 10
    assert found("total_errors", "total_errors", most // 10, "error_summary") == verdict


def test_of_a_day_that_has_just_begun_nothing_is_said(true_day: Any) -> None:
    for table in HOURLY:
        true_day = without_hours(true_day, table, range(1, 24))
    found = checked(true_day, final=False)
    assert found["success_summary + error_summary = total_traffic"].verdict == "open"
    assert not wrong(found)


def test_a_table_that_is_not_there_is_skipped(true_day: Any) -> None:
    found = checked({**true_day, "total_errors": None})
    skipped = {what: c for what, c in found.items() if c.verdict == "skipped"}
    assert set(skipped) == {what for what in found if "total_errors" in found[what].tables}
    assert all("total_errors" in (c.explanation or "") for c in skipped.values())
    assert not wrong(found)


def test_without_any_of_its_tables_a_check_is_left_out(true_day: Any) -> None:
    found = checked({"top_platforms": true_day["top_platforms"]})
    assert verdicts(found) == {"doubled keys of top_platforms": "ok"}
    assert not check_day(lambda _: None, SHIPPED, DAY, final=True)


def test_only_tables_of_the_catalogue_that_can_be_checked_are_read(true_day: Any) -> None:
    asked: list[str] = []

    def read(name: str) -> Columns | None:
        asked.append(name)
        columns: Columns | None = true_day[name]
        return columns

    check_day(read, SHIPPED, DAY, final=True)
    assert sorted(asked) == sorted(TABLES)
    asked.clear()
    check_day(read, [BY_NAME["apis"], BY_NAME["latency"]], DAY, final=True)
    assert asked == ["latency"]


def test_a_column_of_a_newer_export_is_skipped(true_day: Any) -> None:
    def older(columns: Columns) -> None:
        del columns["throttled"]

    found = checked(changed(true_day, "errors_by_category", older))
    assert found["errors_by_category = total_errors"].verdict == "skipped"


@pytest.mark.parametrize(("traffic", "verdict"), [(None, "mismatch"), (0, "mismatch")])
def test_a_null_is_no_total(true_day: Any, traffic: int | None, verdict: str) -> None:
    def unknown(columns: Columns) -> None:
        columns["total_traffic"] = [traffic]

    check = checked(changed(true_day, "total_traffic", unknown))
    found = check["success_summary + error_summary = total_traffic"]
    assert (found.verdict, found.expected) == (verdict, traffic)


def test_a_null_beside_nothing_is_none_the_worse() -> None:
    data = whole_day(place=("lotus", "Staging"))
    data["total_traffic"] = columns_of(BY_NAME["total_traffic"], [{"total_traffic": None}])
    assert not wrong(checked(data))


def test_all_tables_of_a_mismatch_are_asked_again(true_day: Any) -> None:
    found = checked(changed(true_day, "total_traffic", add("total_traffic", -1)))
    again = suspicious(found.values())
    assert {"success_summary", "error_summary", "total_traffic"} <= set(again)
    assert "latency" not in again
    assert len(set(again)) == len(again)


ZURICH = Environment("id-1", "Headquarters, Zürich", "ON_PREM", ("id-1",), "Headquarters-Zurich-1")


def test_the_file_holds_a_row_for_each_check() -> None:
    checks = [
        Check("a = b", ("a", "b"), "mismatch", 3, 2, "1 fewer"),
        Check("c <= d", ("c", "d"), "skipped", explanation="there is no data of c"),
        Check("e = f", ("e", "f"), "mismatch", 2**70, -(2**70), "very many fewer"),
    ]
    body = file(checks, organization="acme", environment=ZURICH, now=LATER)
    rows = decode(body)
    assert list(rows) == [
        "what", "organization", "environment", "environment_id", "expected", "found",
        "verdict", "explanation", "tables", "exported_at",
    ]  # fmt: skip
    assert list(rows) == [c.name for c in CHECKS_COLUMNS]
    assert rows["environment"] == ["Headquarters, Zürich"] * 3
    assert rows["environment_id"] == ["id-1"] * 3
    assert rows["expected"] == [3, None, 2**63 - 1]
    assert rows["found"] == [2, None, -(2**63 - 1)]
    assert rows["verdict"] == ["mismatch", "skipped", "mismatch"]
    assert rows["tables"] == ["a,b", "c,d", "e,f"]
    assert rows["exported_at"] == [microseconds(LATER)] * 3


def test_the_file_of_an_organisation_names_no_environment() -> None:
    rows = decode(file([], organization="acme", environment=None, now=LATER))
    assert all(values == [] for values in rows.values())


def test_the_key_is_like_those_of_tables() -> None:
    place = f"acme.{ZURICH.key_name}"
    assert key(DAY, place) == "insights/checks/day=2026-03-09/acme.Headquarters-Zurich-1.parquet"


def test_what_is_read_back_from_parquet_is_compared_alike(true_day: Any) -> None:
    stored = {
        name: encode(BY_NAME[name].columns, columns, len(next(iter(columns.values()))))
        for name, columns in true_day.items()
        if columns is not None
    }
    found = checked({name: decode(body) for name, body in stored.items()})
    assert found == checked(true_day)
