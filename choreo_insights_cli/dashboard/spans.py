"""The spans of days that saved queries, the dashboard and QuickSight offer: one definition each."""

from datetime import date, timedelta
from enum import StrEnum


class DaySpan(StrEnum):
    """Days in UTC, by today. Those that hold today are not over."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    LAST_7_DAYS = "last_7_days"  # without today
    THIS_MONTH = "this_month"  # with today
    LAST_MONTH = "last_month"
    ALL = "all"
    CUSTOM = "custom"

    @property
    def label(self) -> str:
        """The span in the words of every list."""
        return {
            DaySpan.LAST_7_DAYS: "Last 7 full days",
            DaySpan.ALL: "All days",
            DaySpan.CUSTOM: "From … to …",
        }.get(self, self.value.replace("_", " ").capitalize())

    def days(self, today: date) -> tuple[date, date]:
        """Its first and last day. Raises ValueError for one that depends on the data."""
        yesterday, month = today - timedelta(days=1), today.replace(day=1)
        match self:
            case DaySpan.TODAY:
                return today, today
            case DaySpan.YESTERDAY:
                return yesterday, yesterday
            case DaySpan.LAST_7_DAYS:
                return today - timedelta(days=7), yesterday
            case DaySpan.THIS_MONTH:
                return month, today
            case DaySpan.LAST_MONTH:
                last = month - timedelta(days=1)
                return last.replace(day=1), last
            case _:
                message = f"{self} has no days of its own"
                raise ValueError(message)

    @property
    def sql(self) -> str:
        """The condition on `day`, in Trino's SQL. Raises ValueError as `days` does."""
        today = "current_date"
        month = f"date_trunc('month', {today})"
        match self:
            case DaySpan.TODAY:
                return f"day = {today}"
            case DaySpan.YESTERDAY:
                return f"day = {today} - INTERVAL '1' DAY"
            case DaySpan.LAST_7_DAYS:
                return f"day >= {today} - INTERVAL '7' DAY AND day < {today}"
            case DaySpan.THIS_MONTH:
                return f"day >= {month} AND day <= {today}"
            case DaySpan.LAST_MONTH:
                return f"day >= {month} - INTERVAL '1' MONTH AND day < {month}"
            case _:
                message = f"{self} has no days of its own"
                raise ValueError(message)

    @property
    def quicksight(self) -> str:
        """The condition on `day`, in the words of QuickSight's calculated fields.

        Days are instants there, at midnight in UTC. Raises ValueError as `days` does.
        """
        today, month = "truncDate('DD',now())", "truncDate('MM',now())"
        match self:
            case DaySpan.TODAY:
                return f"{{day}}={today}"
            case DaySpan.YESTERDAY:
                return f"{{day}}=addDateTime(-1,'DD',{today})"
            case DaySpan.LAST_7_DAYS:
                return f"{{day}}>=addDateTime(-7,'DD',{today}) AND {{day}}<{today}"
            case DaySpan.THIS_MONTH:
                return f"{{day}}>={month} AND {{day}}<={today}"
            case DaySpan.LAST_MONTH:
                return f"{{day}}>=addDateTime(-1,'MM',{month}) AND {{day}}<{month}"
            case _:
                message = f"{self} has no days of its own"
                raise ValueError(message)
