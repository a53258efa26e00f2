"""The copy of the dataset: no key leaves its folder, and runs do not harm each other."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from choreo_insights_cli.dataset_copy import Copy, is_safe
from tests.fakes import s3
from tests.fakes.server import Received

FIRST = date(2026, 1, 1)


def key(day: int, table: str = "latency") -> str:
    return f"insights/{table}/day=2026-01-{day:02}/acme.Production.parquet"


@pytest.fixture
def bucket() -> Iterator[s3.FakeS3]:
    with s3.running() as fake:
        for day in range(1, 6):
            fake.client().put_object(Bucket=s3.BUCKET, Key=key(day), Body=b"%d" % day)
        yield fake


def copy_in(bucket: s3.FakeS3, folder: Path) -> Copy:
    return Copy(bucket.client(), s3.BUCKET, folder / "cache")


def test_a_key_never_becomes_a_path_outside_the_folder(bucket: s3.FakeS3, tmp_path: Path) -> None:
    victim = tmp_path / "victim.parquet"
    victim.write_bytes(b"my own")
    hostile = [
        "insights/latency/day=2026-01-01/../../../../victim.parquet",
        "insights/latency/../../../victim.parquet",
        "insights/latency/day=2026-01-01/..\\..\\victim.parquet",
        "insights/latency//victim.parquet",
        "insights/latency/day=2026-01-01/" + "x" * 300 + ".parquet",
    ]
    for each in hostile:
        assert not is_safe(each)
        bucket.client().put_object(Bucket=s3.BUCKET, Key=each, Body=b"hostile")
    copy = copy_in(bucket, tmp_path)
    assert len(copy.refresh(["latency"], FIRST)) == 5
    copy.folder.joinpath("tags.json").write_text('{"../victim.parquet": "e"}', "utf-8")
    copy.refresh(["latency"], FIRST)
    assert victim.read_bytes() == b"my own"
    assert {path.name for path in tmp_path.iterdir()} == {"victim.parquet", "cache"}
    assert copy.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ['{"insights/lat', "", "[]", "null", "\xff", '{"a": 1}'])
def test_damaged_tags_count_as_none(bucket: s3.FakeS3, tmp_path: Path, text: str) -> None:
    copy = copy_in(bucket, tmp_path)
    files = copy.refresh(["latency"], FIRST)
    (copy.folder / "tags.json").write_bytes(text.encode("latin-1"))
    assert copy.refresh(["latency"], FIRST) == files
    assert [path.read_bytes() for path in files] == [b"1", b"2", b"3", b"4", b"5"]


def test_a_narrower_query_removes_nothing(bucket: s3.FakeS3, tmp_path: Path) -> None:
    copy = copy_in(bucket, tmp_path)
    wide = copy.refresh(["latency"], FIRST)
    assert copy.refresh(["latency"], date(2026, 1, 4)) == wide[3:]
    assert all(path.exists() for path in wide)
    before = {path: path.stat().st_ino for path in wide}
    assert copy.refresh(["latency"], FIRST) == wide
    assert {path: path.stat().st_ino for path in wide} == before, "nothing was fetched again"
    bucket.client().delete_object(Bucket=s3.BUCKET, Key=key(2))
    assert copy.refresh(["latency"], FIRST) == [wide[0], *wide[2:]]
    assert not wide[1].exists()


def test_an_object_that_is_deleted_while_it_is_copied_is_left_out(
    bucket: s3.FakeS3, tmp_path: Path
) -> None:
    def gone(received: Received) -> s3.Answer | None:
        return s3.refusal(404, "NoSuchKey")

    copy = copy_in(bucket, tmp_path)
    copy.refresh(["latency"], date(2026, 1, 5))
    bucket.client().put_object(Bucket=s3.BUCKET, Key=key(5), Body=b"newer")
    bucket.faults[:] = [lambda _: None, gone]
    assert copy.refresh(["latency"], date(2026, 1, 5)) == []
    assert len(copy.refresh(["latency"], date(2026, 1, 5))) == 1


def test_runs_beside_each_other_read_whole_files(bucket: s3.FakeS3, tmp_path: Path) -> None:
    def read(number: int) -> list[bytes]:
        copy = copy_in(bucket, tmp_path)
        with copy.held(["latency"], date(2026, 1, 1 + number % 3)) as files:
            return [path.read_bytes() for path in files]

    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(read, range(12)):
            assert found[-1] == b"5"
    assert not list((tmp_path / "cache").rglob("*.part"))
