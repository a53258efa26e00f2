"""The page and the CSV files: nothing in them runs, and each says whether it is final."""

import csv
import io
import re
from datetime import date
from html.parser import HTMLParser

import msgspec
import pytest

from choreo_insights.report.documents import Documents, documents
from choreo_insights.report.figures import Consumer, Figures, Reason
from choreo_insights.report.inventory import InventoryChange
from choreo_insights.report.page import MOST_ROWS
from choreo_insights.report.prices import Assignment
from choreo_insights.spreadsheet import visible
from tests.hostile import TEXTS
from tests.unit.choreo_insights.report.conftest import MONTH, Dataset
from tests.unit.choreo_insights.report.test_billing import on, prices

EVIL = '=HYPERLINK("http://x")<script>alert(1)</script><img src=x onerror=alert(1)>&"\''
FILES = {"totals", "apis", "consumers", "errors", "inventory", "days"}


class Elements(HTMLParser):
    """The elements of a page and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def rows(made: Documents, name: str) -> list[dict[str, str]]:
    """A CSV file's rows."""
    return list(csv.DictReader(io.StringIO(made.files[f"{name}.csv"])))


@pytest.fixture(scope="module")
def made(february: Figures) -> Documents:
    return documents(february, note="Synthetic data")


def chosen(february: Figures, EVIL: str) -> Documents:  # noqa: N803 - in place of that one
    """A report whose every name was chosen by a stranger."""
    bad = msgspec.structs.replace(
        february,
        organization=EVIL,
        consumers=[Consumer(EVIL, EVIL, EVIL, EVIL, EVIL, 1, 0, None, EVIL, EVIL)],
        reasons=[Reason(EVIL, EVIL, EVIL, EVIL, 1)],
        changes=[InventoryChange(EVIL, date(2026, 2, 1), "API", "added", EVIL, EVIL, EVIL)],
        totals=[msgspec.structs.replace(february.totals[0], environment=EVIL)],
        apis=[msgspec.structs.replace(a, name=EVIL, environment=EVIL) for a in february.apis],
        usage=[msgspec.structs.replace(u, application=EVIL, owner=EVIL) for u in february.usage],
    )
    return documents(bad, prices(on("Gold", app=EVIL)))


@pytest.fixture(scope="module")
def hostile(february: Figures) -> Documents:
    """A report whose every name was chosen by an attacker."""
    return chosen(february, EVIL)


def test_a_page_and_a_file_for_each_table(made: Documents) -> None:
    assert set(made.files) == {"report.html", *(f"{name}.csv" for name in FILES)}
    page = Elements(made.files["report.html"])
    assert page.open == []
    assert "API usage of acme, 2026-02" in page.text
    assert "Synthetic data" in page.text


def test_figures_are_the_same_in_the_page_and_the_files(made: Documents, february: Figures) -> None:
    text = Elements(made.files["report.html"]).text
    for total, row in zip(february.totals, rows(made, "totals"), strict=True):
        assert row["requests"] == str(total.now.requests)
        assert total.before
        assert row["requests_before"] == str(total.before.requests)
        assert f"{total.now.requests:,}" in text
    assert len(rows(made, "consumers")) == len(february.consumers)


def test_every_row_and_the_page_say_final(made: Documents) -> None:
    assert "Final." in Elements(made.files["report.html"]).text
    assert "<title>API usage of acme, 2026-02 (final)</title>" in made.files["report.html"]
    for name in FILES:
        assert {row["state"] for row in rows(made, name)} == {"final"}, name
        assert {row["month"] for row in rows(made, name)} == {str(MONTH)}


def test_a_file_without_a_row_says_it_too(made: Documents) -> None:
    (row,) = rows(made, "inventory")
    assert (row["state"], row["name"]) == ("final", "")


def test_what_is_not_final_is_said_with_its_days(dataset: Dataset) -> None:
    del dataset.store.objects[dataset.key("latency", date(2026, 2, 14))]
    made = documents(dataset.figures())
    text = Elements(made.files["report.html"]).text
    assert "Not final yet." in text
    assert "Missing: 2026-02-14." in text
    assert "(not final yet)</title>" in made.files["report.html"]
    for name in FILES:
        said = {row["state"] for row in rows(made, name)}
        assert said == {"not final yet (missing: 2026-02-14)"}


def test_a_page_runs_nothing_and_loads_nothing(made: Documents, hostile: Documents) -> None:
    for each in (made, hostile):
        page = each.files["report.html"]
        found = Elements(page)
        assert found.open == []
        assert not found.names & {"script", "img", "link", "iframe", "a", "form"}
        assert not {name for name in found.attributes if name.startswith("on")}
        assert not found.attributes & {"src", "href", "style"}
        assert "default-src 'none'" in page
    assert EVIL in Elements(hostile.files["report.html"]).text


def test_no_cell_is_a_formula(hostile: Documents) -> None:
    seen = 0
    for name, text in hostile.files.items():
        if name.endswith(".csv"):
            for row in csv.reader(io.StringIO(text)):
                assert not [cell for cell in row if re.match(r"[=+@\t\r-](?!\d)", cell)]
                seen += sum(cell == f"'{EVIL}" for cell in row)
    assert seen > 20


@pytest.mark.parametrize("kind", TEXTS)
def test_a_name_of_any_kind_is_text(february: Figures, kind: str) -> None:
    for text in TEXTS[kind]:
        files = chosen(february, text).files
        found = Elements(files["report.html"])
        assert found.open == []
        assert not found.names & {"script", "img", "link", "iframe", "a", "form"}
        assert visible(text).replace("\r", "\n") in found.text.replace("\r", "\n")
        for name in files:
            assert not re.search("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e]", files[name])
        for name in files.keys() - {"report.html"}:
            for row in csv.reader(io.StringIO(files[name], newline="")):
                assert not [c for c in row if re.match(r"[=+@\t\r\uff1d-](?!\d)", c)], name


def test_with_prices_there_is_a_bill(february: Figures) -> None:
    assigned = Assignment("acme", "nobody", date(2026, 1, 1), "Gold")
    made = documents(february, prices(assigned))
    found = rows(made, "bill")
    assert found[0]["api"] == "(fee)"
    assert (found[0]["consumer"], found[0]["price"]) == ("nobody", "30.00")
    text = Elements(made.files["report.html"]).text
    assert "Without a plan, and not billed: " in text
    assert "Amounts: 30.00 EUR" in text
    assert set(found[0]) >= {"consumer", "plan", "requests", "included", "billed", "price"}


def test_a_long_table_names_its_file(february: Figures) -> None:
    many = msgspec.structs.replace(february, consumers=february.consumers * MOST_ROWS)
    made = documents(many)
    more = len(february.consumers) * MOST_ROWS - MOST_ROWS
    assert f"{more:,} more rows are in consumers.csv." in made.files["report.html"]
    assert len(rows(made, "consumers")) == len(february.consumers) * MOST_ROWS
