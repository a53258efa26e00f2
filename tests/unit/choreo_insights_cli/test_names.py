"""Names that a person gives, and the order in which names are shown."""

import pytest

from choreo_insights_cli import names
from choreo_insights_cli.errors import WrongUsage


def test_names_sort_as_people_expect() -> None:
    mixed = ["Orders 10", "Zebra", "apple", "Orders 9", "Banana", "orders 9"]
    assert names.in_order(mixed) == [
        "apple", "Banana", "Orders 9", "orders 9", "Orders 10", "Zebra",
    ]  # fmt: skip
    assert names.in_order(["²", "2", ""]) == ["", "2", "²"]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    known = ["latency", "latency_summary", "apis"]
    names.check("--tables", ["apis"], known, "table", "")
    with pytest.raises(WrongUsage, match=r"^--tables latencie: no such table. Did you mean latenc"):
        names.check("--tables", ["latencie"], known, "table", "")
    with pytest.raises(WrongUsage, match=r"no such table. `insights tables` lists them.$"):
        names.check("--tables", ["xyz"], known, "table", "`insights tables` lists them.")
