"""A month's report as files: one page and the CSV files, by their names."""

import msgspec

from choreo_insights.report.billing import Bill, bill
from choreo_insights.report.figures import Figures
from choreo_insights.report.month import Month
from choreo_insights.report.page import page
from choreo_insights.report.prices import PriceList
from choreo_insights.report.tables import tables

PREFIX = "reports"
PAGE = "report.html"


class Documents(msgspec.Struct, frozen=True):
    """The files of an organisation's month by name, and what they were made of."""

    figures: Figures
    bill: Bill | None
    files: dict[str, str]


def documents(figures: Figures, prices: PriceList | None = None, note: str = "") -> Documents:
    """The files of a report. Raises ConfigurationError where the prices do not fit the usage."""
    amounts = None
    if prices:
        amounts = bill(figures.organization, figures.month, figures.usage, prices)
    report_tables = tables(figures, amounts)
    files = {PAGE: page(figures, report_tables, note)}
    files |= {f"{table.name}.csv": table.csv(figures) for table in report_tables}
    return Documents(figures, amounts, files)


def folder(organization: str, month: Month) -> str:
    """Where a report lies in the dataset bucket, and below the folder of `insights report`."""
    return f"{PREFIX}/{month}/{organization}"
