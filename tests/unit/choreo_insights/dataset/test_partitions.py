"""Which partitions there should be."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choreo_insights.catalogue import Table
from choreo_insights.dataset.partitions import Environment, Partition, safe_name

DAY = date(2026, 11, 20)
PRODUCTION = Environment("e1", "Production", "CHOREO", ("e1",), "Production")


@given(st.text(max_size=30), st.text(max_size=30))
def test_safe_names_are_safe_and_differ(one: str, other: str):
    assert not set(safe_name(one)) - set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
    )
    assert 0 < len(safe_name(one)) <= 80
    assert (one == other) == (safe_name(one) == safe_name(other))


@pytest.mark.parametrize(
    ("name", "safe"),
    [("Q & A", "Q-A-2529a7fc"), ("Größe, neu", "Groe-neu-f84a7dbc")],
)
def test_keys_depend_for_ever_on_what_a_name_becomes(name: str, safe: str):
    assert safe_name(name) == safe


def test_a_plain_name_stays_as_it_is():
    assert safe_name("Production") == "Production"


def test_a_key_names_table_day_organisation_and_environment(hourly: Table):
    partition = Partition(hourly, hourly.name, "acme", PRODUCTION, DAY)
    assert partition.key == "insights/success_summary/day=2026-11-20/acme.Production.parquet"
