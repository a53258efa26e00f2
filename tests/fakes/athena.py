"""A fake Athena with its catalogue, for real boto3 clients: DuckDB over the objects of a fake S3.

It knows Iceberg's statements as far as `insights compact` sends them, by DuckDB's own tables.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import duckdb
from botocore.config import Config

from tests.fakes.s3 import FakeS3
from tests.fakes.server import Answer, Received, Server

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_glue import GlueClient

_SESSION = boto3.Session("synthetic", "synthetic", region_name="eu-central-1")
_CONFIG = Config(retries={"total_max_attempts": 1})
_SOURCE = re.compile(r'\bFROM "(\w+)"')
_PROPERTIES = re.compile(r" WITH \(.*?\) AS SELECT ")
_ADDED = re.compile(r"ALTER TABLE `(\w+)` ADD COLUMNS \(`(\w+)` (\w+)\)")


class FakeAthena:
    """Carries statements out. `sent` has them all; one with `refused` in it fails."""

    def __init__(self, s3: FakeS3, folder: Path) -> None:
        self.sent: list[str] = []
        self.refused: str | None = None
        self.url = ""
        self.database = duckdb.connect()
        self._s3 = s3
        self._folder = folder
        self._results: list[tuple[str | None, list[str], list[Any], int]] = []

    def athena(self) -> "AthenaClient":
        """A real client of this fake."""
        client: AthenaClient = _SESSION.client("athena", endpoint_url=self.url, config=_CONFIG)
        return client

    def glue(self) -> "GlueClient":
        """A real client of its catalogue."""
        client: GlueClient = _SESSION.client("glue", endpoint_url=self.url, config=_CONFIG)
        return client

    def respond(self, received: Received) -> Answer:
        """Answers one request."""
        operation = received.headers["X-Amz-Target"].rpartition(".")[2]
        answer: Callable[[dict[str, Any]], Answer] = getattr(self, f"_{operation}")
        return answer(json.loads(received.body))

    def _StartQueryExecution(self, body: dict[str, Any]) -> Answer:  # noqa: N802
        sql = body["QueryString"]
        self.sent.append(sql)
        if self.refused and self.refused in sql:
            self._results.append(("ICEBERG_COMMIT_ERROR: synthetic", [], [], 0))
        else:
            self._results.append((None, *self._done(sql)))
        return Answer.of({"QueryExecutionId": str(len(self._results) - 1)})

    def _GetQueryExecution(self, body: dict[str, Any]) -> Answer:  # noqa: N802
        reason = self._results[int(body["QueryExecutionId"])][0]
        status = {"State": "FAILED", "StateChangeReason": reason} if reason else None
        return Answer.of({"QueryExecution": {"Status": status or {"State": "SUCCEEDED"}}})

    def _GetQueryResults(self, body: dict[str, Any]) -> Answer:  # noqa: N802
        _, names, rows, updated = self._results[int(body["QueryExecutionId"])]
        cells = [
            {"Data": [{} if value is None else {"VarCharValue": str(value)} for value in row]}
            for row in ([names, *rows] if names else rows)
        ]
        columns = [{"Name": name, "Type": "varchar"} for name in names]
        result = {"Rows": cells, "ResultSetMetadata": {"ColumnInfo": columns}}
        return Answer.of({"ResultSet": result, "UpdateCount": updated})

    def _GetTable(self, body: dict[str, Any]) -> Answer:  # noqa: N802
        found = self.database.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_name = ?",
            [body["Name"]],
        ).fetchall()
        if not found:
            said = {"__type": "EntityNotFoundException", "Message": "synthetic"}
            return Answer.of(said, 400)
        return Answer.of({"Table": {"Name": body["Name"]}})

    def _done(self, sql: str) -> tuple[list[str], list[Any], int]:
        if added := _ADDED.fullmatch(sql):
            table, column, kind = added.groups()
            sql = f'ALTER TABLE "{table}" ADD COLUMN "{column}" {kind.replace("string", "text")}'
        if sql.startswith(("CREATE", "INSERT")):
            source = _SOURCE.findall(sql)[-1]
            sql = _PROPERTIES.sub(" AS SELECT ", sql)
            sql = sql.replace(f'FROM "{source}"', f"FROM {self._objects(source)}")
        done = self.database.execute(sql)
        if sql.startswith("SELECT"):
            return [column[0] for column in done.description or ()], done.fetchall(), 0
        counted = done.fetchall() if sql.startswith("INSERT") else []
        return [], [], counted[0][0] if counted else 0

    def _objects(self, table: str) -> str:
        """The objects of a table, as DuckDB reads files."""
        paths = []
        for key, found in self._s3.objects.items():
            if key.startswith(f"insights/{table}/"):
                path = self._folder / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(found.body)
                paths.append(str(path))
        types = "hive_types={'day': DATE}"
        return f"read_parquet({paths}, hive_partitioning=true, union_by_name=true, {types})"


@contextmanager
def running(s3: FakeS3, folder: Path) -> Iterator[FakeAthena]:
    """A fake that listens until the block ends; it keeps files in `folder`."""
    fake = FakeAthena(s3, folder)
    with Server(fake.respond) as server:
        fake.url = server.url
        yield fake
    fake.database.close()
