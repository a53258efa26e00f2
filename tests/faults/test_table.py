"""Every fault of the table: nothing wrong is stored, it is named, and the next run mends it."""

import re
from collections.abc import Callable

import pytest

from tests.faults import selection
from tests.faults.cases import Case, Fault
from tests.faults.station import Ended, Station
from tests.faults.surviving import PARTITIONS, mended
from tests.faults.table import FAULTS, key

CASES = [
    pytest.param(fault, case, id=f"{fault.place}-{fault.name}-{case.id}")
    for fault, case in selection.cases(FAULTS)
]
Record = Callable[[str, object], None]


@pytest.mark.parametrize(("fault", "case"), CASES)
def test_a_fault(station: Station, record_property: Record, fault: Fault, case: Case) -> None:
    record_property("fault", key(fault))
    station.sandbox.faults.replace(map(dict, case.choreo))
    station.proxy.replace(case.aws)
    before = station.sandbox.faults.taken
    container = station.container()

    ended = container.invoke({})

    assert station.sandbox.faults.taken > before or station.proxy.taken, "the fault was not met"
    assert station.wrong() == []
    check_outcome(ended, case)
    check_named(station, ended, station.logged(container))
    station.calm()
    if case.settled_by:
        case.settled_by(station)
    mended(station, None if case.fresh else container)


def check_outcome(ended: Ended, case: Case) -> None:
    """The run ended as the table says."""
    if case.outcome == "mended":
        assert ended.is_whole, ended
        assert (ended.report["exported"], ended.report["settled"]) == (PARTITIONS, 0), ended
        return
    assert not ended.is_whole
    assert re.search(case.says, ended.said, re.DOTALL), ended.said
    if case.outcome == "failed":
        assert ended.error, ended
    else:
        assert ended.reply is not None, ended


def check_named(station: Station, ended: Ended, log: str) -> None:
    """What failed is in the log, in the metrics and in the ledger."""
    failures = ended.report.get("failures", [])
    if not failures:
        return
    assert f'"Failed":{len(failures)}' in log
    assert log.count('"partition failed"') == len(failures)
    if ended.reply is not None:
        assert re.search(r'"NeedsPerson":[1-9]', log)
    noted = {(row["table"], row["error"]) for row in station.ledger() if row["status"] == "failed"}
    named = {(failure["table"], failure["reason"]) for failure in failures}
    assert noted <= named
