"""Names that a stranger chose, in each place where data come out; see tests/hostile.py."""

import io
import json
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
from aws_lambda_powertools import Logger

from choreo_insights.dataset.ledger import Entry, encode_entries, read_entries
from choreo_insights.dataset.partitions import Environment, Partition, safe_name
from choreo_insights.report.stored import stored_text
from choreo_insights_cli import output
from choreo_insights_cli.commands import logs
from choreo_insights_cli.console import Console
from tests import hostile
from tests.fakes import s3
from tests.unit.choreo_insights.export.test_run import TODAY
from tests.unit.choreo_insights_cli.sql.literal import Literal

TEXTS = [text for texts in hostile.TEXTS.values() for text in texts]
AT = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)


def test_the_table_of_the_review_is_complete() -> None:
    page = hostile.PAGE.read_text("utf-8")
    assert hostile.written(page) == page, "python -m tests.hostile writes it"
    assert hostile.missing_tests() == set()
    assert {len(cells) for cells in hostile.TABLE.values()} == {len(hostile.PLACES)}
    assert hostile.TEXTS.keys() <= hostile.TABLE.keys()


def test_a_view_gives_a_name_as_it_was(tmp_path: Path) -> None:
    dataset = Literal(tmp_path)
    rows = [{"user_agent": text, "count": n} for n, text in enumerate(TEXTS)]
    dataset.table("top_user_agents", TODAY, *rows)
    dataset.environments({"name": TEXTS[0]})
    found = dataset.rows("SELECT user_agent, requests, environment FROM user_agents_daily")
    assert sorted(found) == sorted((text, n, TEXTS[0]) for n, text in enumerate(TEXTS))


@pytest.mark.parametrize("text", TEXTS)
def test_a_log_entry_stays_one_line(text: str) -> None:
    stream = io.StringIO()
    logger = Logger(service=f"synthetic-{abs(hash(text))}", stream=stream)
    logger.error("partition failed", extra={"environment": text, "reason": f"says {text}"})
    line, *others = stream.getvalue().split("\n")
    assert others == [""]
    assert json.loads(line)["environment"] == text
    entry = logs.parsed({"timestamp": 0, "message": line})
    assert entry
    console = Console(file=io.StringIO(), width=20_000)
    console.print(logs.line(entry), soft_wrap=True)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert shown.count("\n") == 1
    assert output.escaped(text) in shown


def test_the_ledger_keeps_a_name_as_it_was() -> None:
    entries = [
        Entry(
            *("apis", "acme", text, text, TODAY, "failed", AT, 1.0),
            error=f"says {text}",
            exported_at=AT,
        )
        for text in TEXTS
    ]
    assert [*read_entries(encode_entries(entries), TODAY)] == entries


def test_a_key_holds_no_part_of_a_name_that_is_unsafe() -> None:
    keys = set()
    for text in TEXTS:
        environment = Environment("e1", text, "CHOREO", ("e1",), safe_name(text))
        partition = Partition(None, "apis", "acme", environment, date(2026, 1, 1))  # type: ignore[arg-type]
        folder, _, name = partition.key.rpartition("/")
        assert folder == "insights/apis/day=2026-01-01"
        assert unquote(name) == name
        assert name.isascii()
        assert len(name) < 120
        assert not set(name) & set("/\\%= \"'<>")
        assert ".." not in name
        keys.add(partition.key)
    assert len(keys) == len(TEXTS)


def test_a_stored_file_may_begin_with_a_mark() -> None:
    with s3.running() as fake:
        body = "\ufeff[plans]\n".encode()
        fake.client().put_object(Bucket=s3.BUCKET, Key="settings/prices.toml", Body=body)
        assert stored_text(fake.client(), s3.BUCKET, "settings/prices.toml") == "[plans]\n"
