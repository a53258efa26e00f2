"""The scheduled report: written once when the month is final, at the latest after eight days."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from choreo_insights.dataset.registry_tables import UNPARTITIONED
from choreo_insights.errors import InsightsError, PersonMustAct
from choreo_insights.report import prices, targets
from choreo_insights.report.figures import ReportSettings
from choreo_insights.report.monthly import Event, Monthly
from choreo_insights.report.stored import store_text
from tests.fakes import s3
from tests.fakes.s3 import BUCKET, FakeS3, Object
from tests.unit.choreo_insights.report.conftest import NOW, SETTINGS, Dataset

# Enough of a month, quickly read.
_FEW = ReportSettings(
    tuple(table for table in SETTINGS.tables if table.name in ("total_traffic", "latency")),
    SETTINGS.since,
    SETTINGS.settle_hours,
)
PAGE = "reports/2026-02/acme/report.html"
DAY = "insights/latency/day=2026-02-14/acme.Production.parquet"
# The last day, settled; eight days later a report is due whatever its days are.
SETTLED = datetime(2026, 3, 2, 0, 20, tzinfo=UTC)
LATEST = datetime(2026, 3, 10, 0, 0, tzinfo=UTC)


class Topic:
    """What was published."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.fails = False

    def publish(self, **message: str) -> None:
        if self.fails:
            said = {"Code": "AuthorizationError", "Message": "not authorized: SNS:Publish"}
            raise ClientError({"Error": said}, "Publish")
        assert message["TopicArn"] == "arn:topic"
        self.messages.append((message["Subject"], message["Message"]))


class Place:
    """A bucket with a dataset and a topic."""

    def __init__(self, fake: FakeS3) -> None:
        self.fake = fake
        self.topic = Topic()

    def run(
        self, now: datetime = NOW, stack: tuple[str, ...] = ("acme",), **event: Any
    ) -> list[dict[str, Any]]:
        monthly = Monthly(
            s3=self.fake.client(),
            sns=self.topic,  # type: ignore[arg-type]
            bucket=BUCKET,
            topic="arn:topic",
            settings=_FEW,
            organizations=stack,
        )
        return monthly.run(Event.read(event), now)

    def status(self, now: datetime = NOW) -> str:
        (outcome,) = self.run(now)
        return str(outcome["status"])

    def unconfirmed(self) -> None:
        """A day of February is closed, and its source never confirmed it."""
        self.fake.objects[DAY].headers["x-amz-meta-confirmed"] = "no"

    def confirmed(self) -> None:
        del self.fake.objects[DAY].headers["x-amz-meta-confirmed"]


@pytest.fixture
def place(filled: Dataset) -> Iterator[Place]:
    with s3.running() as fake:
        for key, each in filled.store.objects.items():
            if key.split("/")[1] not in ("total_traffic", "latency", *UNPARTITIONED):
                continue
            fake.objects[key] = Object(each.body, each.etag, {}, each.written)
        yield Place(fake)


def test_a_final_month_is_written_once_and_published(place: Place) -> None:
    (outcome,) = place.run(SETTLED)
    assert outcome == {
        "organization": "acme",
        "month": "2026-02",
        "status": "written",
        "state": "final",
        "location": f"s3://{BUCKET}/{PAGE}",
    }
    ((subject, message),) = place.topic.messages
    assert subject == "API usage of acme, 2026-02: final"
    assert outcome["location"] in message
    page = place.fake.objects[PAGE]
    assert b"Final." in page.body
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert len([key for key in place.fake.objects if key.startswith("reports/")]) == 7
    written = len(place.fake.history[BUCKET, PAGE])

    assert place.status(SETTLED + timedelta(days=1)) == "there"
    assert len(place.topic.messages) == 1
    assert len(place.fake.history[BUCKET, PAGE]) == written


def test_a_month_with_an_unconfirmed_day_waits_eight_days_and_names_it(place: Place) -> None:
    place.unconfirmed()
    for now in (SETTLED, LATEST - timedelta(minutes=1)):
        assert place.status(now) == "waiting"
    assert PAGE not in place.fake.objects
    assert place.status(LATEST) == "written"
    assert "unconfirmed: 2026-02-14" in place.topic.messages[0][1]
    assert "Unconfirmed" in place.fake.objects[PAGE].body.decode()

    # Not again each day, but when it became final.
    assert place.status(LATEST + timedelta(days=1)) == "there"
    place.confirmed()
    assert place.status(LATEST + timedelta(days=2)) == "written"
    assert [subject for subject, _ in place.topic.messages] == [
        "API usage of acme, 2026-02: not final yet",
        "API usage of acme, 2026-02: final",
    ]


def test_a_report_that_could_not_be_published_is_published_later(place: Place) -> None:
    place.topic.fails = True
    with pytest.raises(
        InsightsError,
        match=r"location failed .*: not authorized: SNS:Publish\. Deploy the stack again",
    ):
        place.run()
    place.topic.fails = False
    assert place.status() == "written"
    assert len(place.topic.messages) == 1


def test_one_organisation_that_fails_does_not_stop_the_others(place: Place) -> None:
    with pytest.raises(InsightsError, match="2026-02 failed; globex: the dataset has nothing"):
        place.run(stack=("globex", "acme"))
    assert PAGE in place.fake.objects


def test_stored_prices_and_targets_are_used(place: Place) -> None:
    client = place.fake.client()
    text = 'currency = "EUR"\n[[plans]]\nname = "Gold"\nfee = 30\n[[applications]]\n'
    text += 'organization = "acme"\napplication = "x"\nplan = "Gold"\nsince = 2026-01-01\n'
    store_text(client, BUCKET, prices.KEY, text)
    store_text(client, BUCKET, targets.KEY, "p95_ms = 1")
    assert place.status() == "written"
    assert b"Amounts: 30.00 EUR" in place.fake.objects[PAGE].body
    assert "30.00" not in place.topic.messages[0][1]
    assert b",no,final" not in place.fake.objects["reports/2026-02/acme/bill.csv"].body
    assert b",no,acme,2026-02,final" in place.fake.objects["reports/2026-02/acme/apis.csv"].body
    # What is wrong with them stops the report and says so.
    store_text(client, BUCKET, prices.KEY, 'currency = "Euro"')
    with pytest.raises(InsightsError, match=r"acme: prices\.toml cannot be used"):
        place.run(month="2026-02")


def test_a_month_before_the_export_has_no_report(place: Place) -> None:
    (outcome,) = place.run(month="2025-12")
    assert outcome["status"] == "no data"
    assert place.topic.messages == []


def test_a_month_that_is_named_is_written_at_once_and_again(place: Place) -> None:
    place.unconfirmed()
    for _ in range(2):
        (outcome,) = place.run(SETTLED, month="2026-02", organizations=["acme"])
        assert outcome["status"] == "written"
    assert len(place.topic.messages) == 2


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"month": "soon"}, "'soon' is not a month"),
        ({"moth": "2026-02"}, "unknown field `moth`"),
        ({"organizations": ["nobody"]}, "'nobody', which is not exported"),
    ],
)
def test_an_event_that_cannot_be_used(place: Place, event: dict[str, Any], said: str) -> None:
    with pytest.raises(PersonMustAct, match=said):
        place.run(**event)


def test_a_missing_day_is_named_after_eight_days(place: Place) -> None:
    del place.fake.objects[DAY]
    assert place.status(SETTLED) == "waiting"
    assert place.status(LATEST) == "written"
    assert "missing: 2026-02-14" in place.topic.messages[0][1]
    assert date(2026, 2, 14).isoformat() in place.fake.objects[PAGE].body.decode()
