"""`insights migrate` over S3's own rules: conditional writes, and deletions."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from choreo_insights.catalogue import load
from choreo_insights.dataset.parquet import encode
from choreo_insights.dataset.store import VERSION_KEY, Dataset
from choreo_insights_cli.commands.migrate import command, merge
from choreo_insights_cli.errors import WrongUsage
from tests.fakes import s3
from tests.fakes.s3 import BUCKET, FakeS3
from tests.unit.choreo_insights.dataset.test_registry import entry

if TYPE_CHECKING:
    from choreo_insights_cli.stack import Stack

ASKED = datetime(2026, 1, 9, tzinfo=UTC)
DAY = date(2026, 1, 5)


@pytest.fixture
def store() -> Iterator[FakeS3]:
    with s3.running() as fake:
        yield fake


def stack_of(store: FakeS3) -> "Stack":
    """A stack whose dataset is in the fake S3."""
    given: dict[str, Any] = {
        "s3": store.client(),
        "outputs": {"DatasetBucketName": BUCKET},
        "parameters": {"SettleHours": "24", "Organizations": "acme, lotus"},
    }
    return cast("Stack", SimpleNamespace(**given))


def put(store: FakeS3, key: str, table: str, *rows: dict[str, Any]) -> None:
    columns = load().table(table).columns
    body = encode(columns, {name: [row[name] for row in rows] for name in rows[0]}, len(rows))
    dataset = Dataset(store.client(), BUCKET)
    dataset.put(key, body, queried_at=ASKED, run="old")


@pytest.fixture
def renamed(store: FakeS3) -> FakeS3:
    """A dataset of two environments' names, which are one environment."""
    for day, name in ((date(2026, 1, 5), "Production"), (date(2026, 1, 6), "Live")):
        listed = f"insights/environments/day={day}/acme.parquet"
        put(store, listed, "environments", entry("p", name))
        row = {"total_traffic": 5, "organization": "acme", "environment_id": "p"}
        key = f"insights/total_traffic/day={DAY}/acme.{name}.parquet"
        put(store, key, "total_traffic", {**row, "environment": name})
    return store


def test_the_objects_of_an_environment_are_under_its_first_name(renamed: FakeS3):
    [outcome] = merge(stack_of(renamed), load(), dry=True).environments
    assert VERSION_KEY not in renamed.objects
    assert (outcome.environment, outcome.key, outcome.keys) == ("Live", "Production", {"Live"})
    assert merge(stack_of(renamed), load(), dry=False).environments == [outcome]
    assert [key for key in renamed.objects if "total_traffic" in key] == [
        f"insights/total_traffic/day={DAY}/acme.Production.parquet"
    ]
    assert merge(stack_of(renamed), load(), dry=False).environments == []


def test_a_registry_of_a_whole_dataset_is_not_made_of_some_tables(store: FakeS3):
    with pytest.raises(WrongUsage, match="leave --tables out"):
        command.callback.__wrapped__(  # type: ignore[union-attr]
            stack=stack_of(store),
            tables="latency",
            dry_run=True,
            rebuild_registry=True,
            as_json=False,
        )
