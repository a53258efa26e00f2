"""Which partitions there should be."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.catalogue import Table
from insights.partitions import (
    Environment,
    Partition,
    day_end,
    environments,
    is_final,
    safe_name,
    wanted,
)

DAY = date(2026, 11, 20)
DAYS = st.dates(date(2024, 1, 1), date(2027, 1, 1))
PRODUCTION = Environment("e1", "Production", "CHOREO", ("e1",), "Production")


def row(**values: str | None) -> dict[str, str | None]:
    empty = dict.fromkeys(("external_env_id", "internal_env_id", "sandbox_env_id"))
    return {"environment_id": "e1", "environment_name": "E", "type": "ON_PREM", **empty, **values}


@given(st.text(max_size=30), st.text(max_size=30))
def test_safe_names_are_safe_and_differ(one: str, other: str):
    assert not set(safe_name(one)) - set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
    )
    assert 0 < len(safe_name(one)) <= 80
    assert (one == other) == (safe_name(one) == safe_name(other))


def test_a_plain_name_stays_as_it_is():
    assert safe_name("Production") == "Production"


def test_a_key_names_table_day_organisation_and_environment(hourly: Table):
    partition = Partition(hourly, hourly.name, "acme", PRODUCTION, DAY)
    assert partition.key == "insights/success_summary/day=2026-11-20/acme.Production.parquet"


def test_an_environment_has_the_union_of_its_ids_once_each():
    found = environments(
        [
            row(
                environment_name="Production",
                type="CHOREO",
                external_env_id="e2",
                internal_env_id="e1",
            )
        ]
    )
    assert found[0].ids[:2] == ("e1", "e2")
    assert {"Production and Sandbox", "prod-eu-north-azure"} <= set(found[0].ids)
    assert len(set(found[0].ids)) == len(found[0].ids)


def test_legacy_names_are_those_of_choreo_environments_alone():
    assert environments([row(environment_name="Production")])[0].ids == ("e1",)


def test_two_environments_of_one_name_have_two_keys():
    found = environments([row(environment_id="a"), row(environment_id="b")])
    assert found[0].key_name != found[1].key_name


@given(first=DAYS, last=DAYS, today=DAYS)
def test_each_day_is_wanted_once_newest_first_and_none_of_the_future(
    hourly: Table, first: date, last: date, today: date
):
    found = [p.day for p in wanted(hourly, "o", PRODUCTION, first=first, last=last, today=today)]
    end = min(last, today)
    count = max(0, (end - first).days + 1)
    assert found == [end - timedelta(days=i) for i in range(count)]


@given(first=DAYS, last=DAYS, today=DAYS)
def test_a_list_is_wanted_for_today_alone(compiled, first: date, last: date, today: date):
    table = compiled("apis", "query q($data: DataFilter!) { listAllAPI(dataFilter: $data) { id } }")
    found = [p.day for p in wanted(table, "o", PRODUCTION, first=first, last=last, today=today)]
    assert found == ([today] if first <= today <= last else [])


def test_what_the_service_forgets_is_not_asked_for(compiled):
    table = compiled(
        "alerts",
        """query q($time: TimeFilter!, $data: DataFilter!) @kept(days: 7) {
             getTotalTraffic(filter: $time, dataFilter: $data) }""",
    )
    found = list(
        wanted(table, "o", PRODUCTION, first=DAY - timedelta(days=30), last=DAY, today=DAY)
    )
    assert found[-1].day == DAY - timedelta(days=7)


def test_what_only_some_environments_have_is_asked_there_alone(compiled):
    table = compiled(
        "geo",
        """query q($time: TimeFilter!, $data: DataFilter!) @environments(types: [ON_PREM]) {
             getTotalTraffic(filter: $time, dataFilter: $data) }""",
    )
    assert not list(wanted(table, "o", PRODUCTION, first=DAY, last=DAY, today=DAY))


@pytest.mark.parametrize(("hours", "final"), [(23.99, False), (24, True), (500, True)])
def test_a_day_is_final_when_written_after_it_settled(hours: float, final: bool):
    assert is_final(day_end(DAY) + timedelta(hours=hours), DAY, 24) is final


def test_the_day_itself_is_never_final():
    assert not is_final(datetime(2026, 11, 20, 23, 59, tzinfo=UTC), DAY, 0)
