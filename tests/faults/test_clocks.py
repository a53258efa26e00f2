"""Functions whose clock is ten minutes wrong."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.faults.fault_rig import RIGHT, Clock, Station
from tests.faults.selection import some
from tests.faults.surviving import recovered
from tests.faults.table import named

Record = Callable[[str, object], None]
CLOCKS = {"ahead": Clock(600), "right": RIGHT, "behind": Clock(-600)}


@pytest.mark.parametrize(
    ("export", "token"),
    some(
        [
            ("ahead", "right"),
            ("behind", "right"),
            ("right", "ahead"),
            ("right", "behind"),
            ("ahead", "behind"),
        ],
        2,
    ),
)
def test_a_clock_that_is_wrong(
    station: Station, record_property: Record, export: str, token: str
) -> None:
    record_property("fault", named("test_a_clock_that_is_wrong"))
    station.tokens_by(CLOCKS[token])
    container = station.container("export", CLOCKS[export])

    first = container.invoke({})

    assert first.is_whole, first
    shift = (max(row["started"] for row in station.ledger()) - datetime.now(UTC)).total_seconds()
    assert abs(shift - CLOCKS[export].seconds) < 120
    assert station.wrong() == []
    # By the wrong clock the token is still good.
    station.sandbox.service.tokens.kill_all()
    second = container.invoke({"force": True})
    assert second.is_whole, second
    assert station.wrong() == []
    recovered(station)


@pytest.mark.parametrize("seconds", some([600, -1200], 1))
def test_a_clock_that_aws_refuses(
    station: Station, record_property: Record, seconds: float
) -> None:
    record_property("fault", named("test_a_clock_that_aws_refuses"))
    container = station.container("export", Clock(seconds, ("choreo_insights", "botocore")))

    ended = container.invoke({})

    assert not ended.is_whole
    assert "failed" in ended.said
    assert "Skew" in ended.said or "Signature" in ended.said, ended
    assert station.wrong() == []
    recovered(station)
