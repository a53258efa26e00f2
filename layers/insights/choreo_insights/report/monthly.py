"""The schedule's part: each organisation's report of the last month, written when it is due.

It is due when the month is final, at the latest `LATEST` after its last day has settled: by then
every day is closed, be it as unconfirmed. A report that was written before the month was final is
written once more when it is. The page's metadata says that the report was published: without it
the next run starts over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.aws import aws_failure
from choreo_insights.dataset.partitions import day_end
from choreo_insights.dataset.store import Dataset
from choreo_insights.errors import InsightsError, PersonMustAct
from choreo_insights.report import prices, targets
from choreo_insights.report.documents import PAGE, Documents, documents, folder
from choreo_insights.report.figures import Figures, ReportSettings, figures
from choreo_insights.report.month import Month
from choreo_insights.report.stored import store_text, stored_metadata, stored_text
from choreo_insights.shapes import Shape

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sns.client import SNSClient

LATEST = timedelta(days=8)
_FINAL = "final"
# SNS takes 100 characters.
_SUBJECT = 100


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the function is called with. The schedule sends `{}`.

    With a `month` its report is written now, final or not, and over an earlier one.
    """

    month: str | None = None
    organizations: tuple[str, ...] = ()

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> Event:
        """The event. Raises PersonMustAct where it has something else."""
        try:
            parsed = _EVENT.convert(event)
            if parsed.month is not None:
                Month.parse(parsed.month)
        except (msgspec.ValidationError, ValueError) as error:
            raise PersonMustAct(f"the event cannot be used: {error}") from error
        return parsed


_EVENT = Shape(Event)


class Monthly:
    """Writes reports below `reports/` in the dataset bucket and publishes where they are."""

    def __init__(
        self,
        *,
        s3: S3Client,
        sns: SNSClient,
        bucket: str,
        topic: str,
        settings: ReportSettings,
        organizations: Sequence[str],
    ) -> None:
        self._s3 = s3
        self._sns = sns
        self._bucket = bucket
        self._topic = topic
        self._settings = settings
        self._organizations = organizations

    def run(self, event: Event, now: datetime) -> list[dict[str, Any]]:
        """What became of each organisation's report: `written`, `there`, `waiting` or `no data`.

        Raises InsightsError where one failed, after all were tried.
        """
        month = Month.parse(event.month) if event.month else Month.of(now.date()).previous
        unknown = [name for name in event.organizations if name not in self._organizations]
        if unknown:
            raise PersonMustAct(
                f"the event's organizations has {unknown[0]!r}, which is not exported: the stack"
                f" exports {', '.join(self._organizations)}"
            )
        outcomes, failures = [], []
        for organization in event.organizations or self._organizations:
            try:
                outcomes.append(self._report(organization, month, now, now=event.month is not None))
            except InsightsError as error:
                failures.append(f"{organization}: {error}")
        if failures:
            raise InsightsError(f"the report of {month} failed; {'; '.join(failures)}")
        return outcomes

    def _report(
        self, organization: str, month: Month, at: datetime, *, now: bool
    ) -> dict[str, Any]:
        outcome = {"organization": organization, "month": str(month)}
        if self._settings.since > month.last:
            return {**outcome, "status": "no data"}
        earlier = self._earlier(organization, month)
        if earlier == _FINAL and not now:
            return {**outcome, "status": "there", "state": earlier}
        month_figures = self._figures(organization, month, at)
        words = month_figures.finality.words
        if not (now or month_figures.finality.is_final) and (earlier or at < self._latest(month)):
            return {**outcome, "status": "there" if earlier else "waiting", "state": words}
        made = documents(month_figures, self._prices())
        location = self._write(made)
        return {**outcome, "status": "written", "state": words, "location": location}

    def _latest(self, month: Month) -> datetime:
        return day_end(month.last) + timedelta(hours=self._settings.settle_hours) + LATEST

    def _figures(self, organization: str, month: Month, at: datetime) -> Figures:
        text = stored_text(self._s3, self._bucket, targets.KEY)
        wanted = targets.read(text) if text else None
        dataset = Dataset(self._s3, self._bucket)
        return figures(dataset, organization, month, self._settings, at, wanted)

    def _prices(self) -> prices.PriceList | None:
        text = stored_text(self._s3, self._bucket, prices.KEY)
        return prices.read(text) if text else None

    def _earlier(self, organization: str, month: Month) -> str | None:
        """What an earlier report's metadata says of it, or None where there is none."""
        key = f"{folder(organization, month)}/{PAGE}"
        metadata = stored_metadata(self._s3, self._bucket, key)
        return None if metadata is None else metadata.get("state", "")

    def _write(self, made: Documents) -> str:
        """Writes the files, publishes where they are, and notes that; where the page is."""
        place = folder(made.figures.organization, made.figures.month)
        location = f"s3://{self._bucket}/{place}/{PAGE}"
        for name, text in made.files.items():
            kind = "text/html" if name == PAGE else "text/csv"
            store_text(self._s3, self._bucket, f"{place}/{name}", text, kind)
        self._publish(made, location)
        state = _FINAL if made.figures.finality.is_final else "not final"
        page = made.files[PAGE]
        store_text(self._s3, self._bucket, f"{place}/{PAGE}", page, "text/html", state=state)
        return location

    def _publish(self, made: Documents, location: str) -> None:
        month_figures = made.figures
        state = "final" if month_figures.finality.is_final else "not final yet"
        subject = f"API usage of {month_figures.organization}, {month_figures.month}: {state}"
        # The mail says where the amounts are, and not how much.
        lines = [
            f"The report of {month_figures.month} is written: {location}",
            month_figures.finality.words,
        ]
        try:
            self._sns.publish(
                TopicArn=self._topic, Subject=subject[:_SUBJECT], Message="\n".join(lines)
            )
        except (ClientError, BotoCoreError) as error:
            raise aws_failure(error, "publishing the report's location") from error
