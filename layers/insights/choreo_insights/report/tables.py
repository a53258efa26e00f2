"""The report's tables: what the page shows and the CSV files hold, as names and rows."""

from collections.abc import Sequence

import msgspec

from choreo_insights.report.billing import Bill
from choreo_insights.report.figures import Figures, UsageCounts
from choreo_insights.spreadsheet import csv_text

Cell = str | int | float | None


class ReportTable(msgspec.Struct, frozen=True):
    """A table. `name` is its CSV file's, `note` says how to read it, `empty` what no row means."""

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    empty: str = "Nothing of the kind in this month."

    def csv(self, figures: Figures) -> str:
        """The table as CSV. Every row says of which month it is and whether that is final."""
        said = (figures.organization, str(figures.month), figures.finality.words)
        # Without a row, the file would not say it.
        rows = self.rows or [(None,) * len(self.columns)]
        names = (*self.columns, "organization", "month", "state")
        return csv_text(names, ((*row, *said) for row in rows))


def tables(figures: Figures, bill: Bill | None) -> list[ReportTable]:
    """All tables of a report, in the page's order; those of the bill where there are prices."""
    all_tables = [
        _totals(figures),
        _apis(figures),
        _consumers(figures),
        _reasons(figures),
        _changes(figures),
        _days(figures),
    ]
    return [*all_tables[:1], _bill(bill), *all_tables[1:]] if bill else all_tables


def _totals(figures: Figures) -> ReportTable:
    rows = [
        (
            each.environment,
            *_counts(each.now),
            *_compared(each.now, each.before),
            each.p95_ms,
            each.highest_daily_p95_ms,
        )
        for each in figures.totals
    ]
    before = figures.month.previous
    note = f"Compared with {before}." if figures.before_is_whole else _not_compared(figures)
    return ReportTable(
        "totals",
        "Traffic by environment",
        f"All requests, those to deleted APIs too. {note} p95 is the 95th percentile of the"
        " response time over the month, as the service gives it, and the highest that a day has.",
        (
            *("environment", "requests", "errors", "error_percent"),
            *("requests_before", "errors_before", "requests_change_percent"),
            *("p95_ms", "highest_daily_p95_ms"),
        ),
        rows,
    )


def _not_compared(figures: Figures) -> str:
    return f"Not compared with {figures.month.previous}, as not every day of both months is there."


def _counts(counts: UsageCounts) -> tuple[Cell, ...]:
    return counts.requests, counts.errors, _round(counts.error_percent, 3)


def _compared(now: UsageCounts, before: UsageCounts | None) -> tuple[Cell, ...]:
    if before is None:
        return None, None, None
    change = None
    if now.requests is not None and before.requests:
        change = _round(100 * (now.requests - before.requests) / before.requests, 1)
    return before.requests, before.errors, change


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _apis(figures: Figures) -> ReportTable:
    rows = [
        (
            *(each.environment, each.name, each.version, each.api_id),
            *_counts(each.now),
            *_compared(each.now, each.before)[::2],
            *(each.errors_5xx, _round(each.availability, 4), each.target.availability_percent),
            *(_met(each.meets_availability), _round(each.success, 4)),
            *(each.highest_hourly_p95_ms, each.target.p95_ms, each.hours),
            each.hours_above if each.target.p95_ms is not None else None,
            _met(each.meets_latency),
        )
        for each in figures.apis
    ]
    return ReportTable(
        "apis",
        "Availability and latency by API",
        "Availability is the share of requests without a 5xx code; success the share without any"
        " error, those that callers caused too. The latency is the highest 95th percentile of an"
        " hour, and the target is met where no hour is above it.",
        (
            *("environment", "api", "version", "api_id", "requests", "errors", "error_percent"),
            *("requests_before", "requests_change_percent", "errors_5xx"),
            *("availability_percent", "availability_target", "availability_met"),
            *("success_percent", "highest_hourly_p95_ms", "p95_target_ms", "hours"),
            *("hours_above_target", "latency_met"),
        ),
        rows,
    )


def _met(met: bool | None) -> str | None:
    return None if met is None else ("yes" if met else "no")


def _consumers(figures: Figures) -> ReportTable:
    rows = [
        (
            *(each.environment, each.application, each.owner, each.application_id),
            *(each.api, each.version, each.api_id),
            *(each.requests, each.failed, each.before),
        )
        for each in figures.consumers
    ]
    unattributed = ""
    if figures.unattributed:
        unattributed = (
            f" {figures.unattributed:,} failed requests are in no line of the column failed:"
            " the service gives them no application or no API."
        )
    return ReportTable(
        "consumers",
        "Usage by consumer and API",
        "Requests, successes and errors together. Callers without an application are UNKNOWN."
        + unattributed,
        (
            *("environment", "application", "owner", "application_id", "api", "version", "api_id"),
            *("requests", "failed", "requests_before"),
        ),
        rows,
    )


def _reasons(figures: Figures) -> ReportTable:
    rows = [
        (each.environment, each.reason, each.api, each.version, each.errors)
        for each in figures.reasons
    ]
    return ReportTable(
        "errors",
        "Errors by reason",
        "Failed requests, by the reason that the service gives.",
        ("environment", "reason", "api", "version", "errors"),
        rows,
    )


def _changes(figures: Figures) -> ReportTable:
    rows = [
        (str(c.day), c.environment, c.kind, c.change, c.name, c.detail, c.id)
        for c in figures.changes
    ]
    return ReportTable(
        "inventory",
        "Changes in the inventory",
        "What the lists of a day have, and those of the day before had not.",
        ("day", "environment", "kind", "change", "name", "detail", "id"),
        rows,
        "No API or application was added, removed or changed, as far as the stored lists show.",
    )


def _days(figures: Figures) -> ReportTable:
    rows = [
        (str(each.day), each.environment, each.state, ", ".join(each.tables))
        for each in figures.finality.days
    ]
    return ReportTable(
        "days",
        "Completeness by day",
        "closed: holds all late data. open: queried again. unconfirmed: closed although the source"
        " kept giving less than it had. missing: not exported yet. The tables are those that are"
        " not closed.",
        ("day", "environment", "state_of_day", "tables"),
        rows,
    )


def _bill(bill: Bill) -> ReportTable:
    rows = [
        (
            *(line.consumer, line.owner, line.plan, line.days),
            *(line.environment, line.api or ("(fee)" if line.plan else None), line.version),
            *(line.requests, line.included, line.billed),
            # As text: a decimal has as many places as the currency, a number may have others.
            *(None if line.price is None else str(line.price), bill.currency),
        )
        for line in bill.lines
    ]
    counted = (
        "Failed requests count too."
        if bill.count_failed
        else (
            "Failed requests do not count, as far as the service gives their application and API."
        )
    )
    missing = ""
    if bill.without_plan:
        missing = f" Without a plan, and not billed: {', '.join(bill.without_plan)}."
    return ReportTable(
        "bill",
        f"Amounts: {bill.total:,} {bill.currency}",
        f"{counted} A line costs its billed requests times the plan's price per thousand, divided"
        f" by 1,000, rounded half up to {bill.decimals} places; the total is the sum of the lines."
        f" Of a plan for a part of the month, fee and included requests are shared out by days."
        f"{missing}",
        (
            *("consumer", "owner", "plan", "days", "environment", "api", "version"),
            *("requests", "included", "billed", "price", "currency"),
        ),
        rows,
    )
