"""Whole objects in S3, as S3's own rules have it; and the dataset in memory does the same."""

import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from choreo_insights.dataset.store import VERSION, VERSION_KEY, Dataset, Overtaken
from choreo_insights.errors import InsightsError, PersonMustAct, Retriable
from tests.fakes import s3
from tests.fakes.s3 import BUCKET, FakeS3
from tests.unit.choreo_insights.memory import MemoryDataset

ASKED = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = "insights/latency/day=2026-11-19/acme.Production.parquet"
# How S3 sends its refusals.
CHUNKED = (b"Transfer-Encoding: chunked", b"40\r\n<Error><Code>NoSuch")


@pytest.fixture
def store() -> Iterator[FakeS3]:
    with s3.running() as fake:
        yield fake


@pytest.fixture
def dataset(store: FakeS3) -> Dataset:
    return Dataset(store.client(), BUCKET)


@pytest.fixture(params=["s3", "memory"])
def either(request: pytest.FixtureRequest) -> Any:
    """Each of the two in turn."""
    return request.getfixturevalue("dataset") if request.param == "s3" else MemoryDataset()


def replace(dataset: Any, body: bytes, over: str | None, key: str = KEY) -> None:
    dataset.replace(key, body, over=over, queried_at=ASKED, run="run-1")


def test_what_was_written_is_read_with_its_moment_and_run(either: Any):
    assert either.read(KEY) is None
    replace(either, b"first", None)
    kept = either.read(KEY)
    assert (kept.body, kept.queried_at, kept.run) == (b"first", ASKED, "run-1")
    replace(either, b"second", kept.etag)
    assert either.read(KEY).body == b"second"
    assert either.read(KEY).etag != kept.etag


def test_what_another_one_wrote_first_stays(either: Any):
    replace(either, b"theirs", None)
    with pytest.raises(Overtaken):
        replace(either, b"mine", None)
    assert either.read(KEY).body == b"theirs"


def test_what_another_one_wrote_since_it_was_listed_stays(either: Any):
    replace(either, b"old", None)
    listed = either.listing("latency", date(2026, 11, 19), date(2026, 11, 19))[KEY]
    replace(either, b"theirs", listed.etag)
    with pytest.raises(Overtaken):
        replace(either, b"mine", listed.etag)
    assert either.read(KEY).body == b"theirs"


def test_what_was_deleted_since_it_was_listed_is_not_replaced(either: Any, store: FakeS3):
    replace(either, b"old", None)
    etag = either.read(KEY).etag
    (either if isinstance(either, MemoryDataset) else store).objects.clear()
    with pytest.raises(Overtaken):
        replace(either, b"mine", etag)


def test_two_writers_at_once_are_no_failure(store: FakeS3, dataset: Dataset):
    store.faults.append(lambda _: s3.refusal(409, "ConditionalRequestConflict"))
    with pytest.raises(Overtaken):
        replace(dataset, b"mine", None)


def test_put_replaces_whatever_is_there(either: Any):
    replace(either, b"old", None)
    either.put(KEY, b"new", queried_at=ASKED + timedelta(hours=1), run="run-2")
    kept = either.read(KEY)
    assert (kept.body, kept.queried_at, kept.run) == (b"new", ASKED + timedelta(hours=1), "run-2")


def test_a_listing_is_of_one_table_and_of_its_days_alone(either: Any):
    days = [date(2026, 10, 30) + timedelta(days=n) for n in range(8)]
    keys = [f"insights/{t}/day={d}/acme.P.parquet" for t in ("latency", "latency_p") for d in days]
    for key in keys:
        replace(either, b"x", None, key)
    found = either.listing("latency", days[2], days[5])
    assert list(found) == keys[2:6]
    assert all(kept.etag == either.read(key).etag for key, kept in found.items())


def test_a_listing_goes_on_until_its_last_page(store: FakeS3, dataset: Dataset):
    store.page_size = 3
    keys = [f"insights/latency/day=2026-11-19/acme.{n:02}.parquet" for n in range(10)]
    for key in keys:
        replace(dataset, b"x", None, key)
    assert list(dataset.listing("latency", date(2026, 11, 19), date(2026, 11, 19))) == keys


def test_an_object_that_no_export_wrote_is_as_old_as_it_is(store: FakeS3, dataset: Dataset):
    replace(dataset, b"x", None)
    found = store.objects[KEY]
    found.headers = {"x-amz-meta-asked": "yesterday"}
    kept = dataset.read(KEY)
    assert kept
    assert (kept.queried_at, kept.run) == (found.written.replace(microsecond=0), "")


def test_a_body_that_is_cut_off_is_read_again(store: FakeS3, dataset: Dataset):
    replace(dataset, b"whole", None)
    store.faults += [s3.cut_off(200), s3.cut_off(404, *CHUNKED)]
    kept = dataset.read(KEY)
    assert kept
    assert kept.body == b"whole"


@pytest.mark.parametrize("status", [200, 404, 503])
@pytest.mark.parametrize(("head", "body"), [(b"Content-Length: 1000", b"<Error>"), CHUNKED])
def test_what_is_always_cut_off_is_told(
    store: FakeS3, dataset: Dataset, status: int, head: bytes, body: bytes
):
    store.faults += [s3.cut_off(status, head, body)] * 9
    with pytest.raises(Retriable, match=f"reading {KEY} failed"):
        dataset.read(KEY)


def test_a_refusal_says_what_was_tried(store: FakeS3, dataset: Dataset):
    store.faults.append(lambda _: s3.refusal(403, "AccessDenied"))
    with pytest.raises(PersonMustAct, match=f"writing {KEY} failed .PutObject: AccessDenied"):
        replace(dataset, b"x", None)
    store.faults.append(lambda _: s3.refusal(400, "InvalidRequest"))
    with pytest.raises(InsightsError, match="listing the table latency failed"):
        dataset.listing("latency", ASKED.date(), ASKED.date())


def test_an_older_dataset_gets_todays_version(store: FakeS3, dataset: Dataset):
    # Release 0.1.0 knows version 1 alone: from here on it writes nothing.
    assert VERSION == 2
    store.objects[VERSION_KEY] = s3.Object(b'{"version":1}', '"1"', {})
    dataset.claim()
    assert store.objects[VERSION_KEY].body == b'{"version":2}'


def test_everything_is_listed_and_can_be_deleted(either: Any):
    other = "insights/registry_environments/acme.parquet"
    replace(either, b"day", None)
    replace(either, b"registry", None, other)
    found = dict(either.everything())
    assert [*found] == [KEY, other]
    assert {key: stored.size for key, stored in found.items()} == {KEY: 3, other: 8}
    assert found[KEY].etag == either.read(KEY).etag
    either.delete(KEY)
    either.delete(KEY)
    assert [key for key, _ in either.everything()] == [other]


def test_a_bucket_without_a_version_gets_one(store: FakeS3, dataset: Dataset):
    dataset.claim()
    written = store.objects[VERSION_KEY]
    assert written.body == b'{"version":%d}' % VERSION
    dataset.claim()
    assert store.objects[VERSION_KEY] is written


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"version":%d}' % (VERSION + 1), "deploy the newer release again"),
        (b"{}", "restore its earlier version"),
        (b"[1]", "restore its earlier version"),
        (b'{"version":"1"}', "restore its earlier version"),
        (b"", "restore its earlier version"),
    ],
)
def test_a_bucket_of_another_version_is_left_alone(
    store: FakeS3, dataset: Dataset, body: bytes, says: str
):
    store.objects[VERSION_KEY] = s3.Object(body, '"1"', {})
    with pytest.raises(PersonMustAct, match=says):
        dataset.claim()
    assert list(store.objects) == [VERSION_KEY]
    assert store.objects[VERSION_KEY].body == body


def test_quarantine_keeps_the_very_bytes(store: FakeS3, dataset: Dataset):
    dataset.quarantine("quarantine/x.json.gz", b'{"a": \xff}')
    kept = store.objects["quarantine/x.json.gz"]
    assert gzip.decompress(kept.body) == b'{"a": \xff}'
    assert kept.headers["content-encoding"] == "gzip"
