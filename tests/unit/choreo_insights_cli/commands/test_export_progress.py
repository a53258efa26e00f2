"""How far a run is, by a ledger in a fake S3."""

from datetime import UTC, date, datetime, timedelta
from threading import Event

import pytest

from choreo_insights.dataset.ledger import Entry, encode_entries, object_key
from choreo_insights_cli.commands import export_progress
from choreo_insights_cli.commands.export_progress import RunProgress, watched
from tests.fakes import s3, states
from tests.fakes.deployed import DeployedStack
from tests.fakes.server import Answer

BEGUN = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
TODAY = BEGUN.date()


def entry(minutes: float, day: date = TODAY, status: str = "exported") -> Entry:
    at = BEGUN + timedelta(minutes=minutes)
    return Entry("apis", "acme", None, None, day, status, at, 1.0, exported_at=at)  # type: ignore[arg-type]


def put(fake: s3.FakeS3, day: date, *entries: Entry, of: date = TODAY) -> None:
    fake.client().put_object(
        Bucket=s3.BUCKET, Key=object_key(day, of), Body=encode_entries(entries)
    )


def test_what_the_ledger_has_is_counted_as_it_grows() -> None:
    yesterday = TODAY - timedelta(days=1)
    with s3.running() as fake:
        progress = RunProgress(fake.client(), s3.BUCKET, yesterday, BEGUN)
        assert progress.look() == ""
        put(fake, TODAY, entry(-60), entry(1), entry(2))
        put(fake, yesterday, entry(2, yesterday, "failed"))
        # Of an earlier run, and of days that nobody asked for.
        put(fake, yesterday, entry(-600, yesterday), of=yesterday)
        put(fake, TODAY - timedelta(days=9), entry(1))
        assert progress.look() == "2 partitions done, 1 failed, 2 a minute"
        put(fake, TODAY, entry(-60), entry(1), entry(2), entry(4))
        assert progress.look() == "3 partitions done, 1 failed, 1 a minute"


@pytest.mark.parametrize("readable", [True, False])
def test_the_export_does_not_depend_on_a_readable_ledger(
    monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    monkeypatch.setattr(export_progress, "_SECONDS", 0.001)
    said, done = [], Event()

    def say(text: str) -> None:
        said.append(text)
        done.set()

    def refuse(_: object) -> Answer:
        done.set()
        return s3.refusal(403, "AccessDenied")

    with s3.running() as fake, states.running() as machine:
        now = datetime.now(UTC)
        at = now + timedelta(minutes=1)
        body = encode_entries(
            [Entry("apis", "acme", None, None, now.date(), "exported", at, 1.0, exported_at=at)]
        )
        key = object_key(now.date(), now.date())
        fake.client().put_object(Bucket=s3.BUCKET, Key=key, Body=body)
        fake.faults = [] if readable else [refuse]
        with watched(DeployedStack(fake, machine), None, say):
            assert done.wait(300)
    assert said[:1] == (["1 partition done, 1 a minute"] if readable else [])
