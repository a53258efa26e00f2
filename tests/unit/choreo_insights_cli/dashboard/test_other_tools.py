"""docs/other-tools.md: what it shows is what comes out, over the dashboard's synthetic dataset."""

import os
import subprocess
import sys

import pytest

from choreo_insights_cli.sql.translation import translated
from tests.documents import blocks
from tests.grafana import expanded
from tests.unit.choreo_insights_cli.dashboard.conftest import NOW, SINCE, Dataset

PAGE = "docs/other-tools.md"
CODE = [block.text for block in blocks("python") if block.page == PAGE]
OUTPUT = [block.text for block in blocks("text") if block.page == PAGE]
QUERIES = [block.text for block in blocks("sql") if block.page == PAGE]


@pytest.mark.parametrize(("code", "output"), zip(CODE, OUTPUT, strict=True))
def test_python_prints_what_the_page_shows(dataset: Dataset, code: str, output: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=dataset.folder,
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.rstrip() for line in done.stdout.rstrip().splitlines()] == output.splitlines()


@pytest.mark.parametrize("query", QUERIES)
def test_grafanas_queries_answer(dataset: Dataset, query: str) -> None:
    text = expanded(query, SINCE, NOW.date())
    result = dataset.database.execute(translated(text, NOW))
    names = [column[0] for column in result.description or ()]
    assert len(names) >= 3
    # The dashboard's dataset has a table that failed.
    assert result.fetchall()
