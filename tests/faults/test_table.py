"""Every fault of the table: nothing wrong is stored, it is named, and the next run mends it."""

import re
from collections.abc import Callable

import pytest

from tests.faults import selection
from tests.faults.cases import PARTITIONS, Case, Fault
from tests.faults.fault_rig import Ended, Station
from tests.faults.surviving import recovered
from tests.faults.table import FAULTS, key

CASES = [
    pytest.param(fault, case, id=f"{fault.place}-{fault.name}-{case.id}")
    for fault, case in selection.cases(FAULTS)
]
Record = Callable[[str, object], None]


@pytest.mark.parametrize(("fault", "case"), CASES)
def test_a_fault(station: Station, record_property: Record, fault: Fault, case: Case) -> None:
    record_property("fault", key(fault))
    if case.before:
        case.before(station)
    station.sandbox.faults.replace(map(dict, case.choreo))
    station.proxy.replace(case.aws)
    before = station.sandbox.faults.taken
    container = station.container()

    ended = container.invoke({})

    assert station.sandbox.faults.taken > before or station.proxy.taken, f"not met: {ended}"
    assert station.wrong() == []
    check_outcome(ended, case)
    check_named(station, ended, station.logged(container))
    station.calm()
    if case.settled_by:
        case.settled_by(station)
    recovered(station, None if case.fresh else container)


def check_outcome(ended: Ended, case: Case) -> None:
    """The run ended as the table says."""
    assert ended.is_whole == (case.outcome == "recovered"), ended
    if case.outcome == "recovered":
        assert (ended.report["exported"], ended.report["settled"]) == (PARTITIONS, 0), ended
        return
    assert re.search(case.says, ended.said, re.DOTALL), ended.said
    if case.outcome == "raised":
        assert ended.error, ended
        return
    assert ended.reply is not None, ended
    assert case.exported in (None, ended.report["exported"]), ended
    assert (ended.report["retriable"] > 0) == (case.outcome == "failed"), ended


def check_named(station: Station, ended: Ended, log: str) -> None:
    """What failed is in the reply, in the log, in the metrics and in the ledger."""
    if ended.reply is None:
        return
    report, failures = ended.report, ended.report["failures"]
    assert len(failures) == report["failed"] == report["retriable"] + report["needs_person"]
    assert log.count('"partition failed"') == len(failures)
    for name in ("failed", "needs_person"):
        metric = name.title().replace("_", "")
        assert f'"{metric}":{report[name]}' in log
    noted = {(row["table"], row["error"]) for row in station.ledger() if row["status"] == "failed"}
    named = {(failure["table"], failure["reason"]) for failure in failures}
    assert noted <= named
