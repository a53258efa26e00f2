"""The page `docs/generated/sql.md`: what a real Trino made of the views and the saved queries."""

from dataclasses import dataclass, field
from datetime import datetime

from tests.trino.server import VERSION

_INTRO = """# The SQL, tried on Trino

Written by `make test-trino`: changes here are lost.

Athena's engine 3 is of the family of Trino, so the views and the saved queries are run on a real
Trino {version}, unchanged, beside the tests that run them on DuckDB in translation. The stack is
deployed to the local AWS and exports synthetic traffic from the sandbox; Trino's Hive connector
reads the stack's own tables and views from the local Glue, with partition projection on, and the
Parquet objects from the local S3. Nothing is made for Trino: what it reads is what
`sam deploy` makes.

It needs Maven and a JDK 17, and takes some ten minutes; the first run fetches 650 MB. Maven
Central was asked for the archive `trino-server` and did not have it, so the server is put together
from its libraries (`tests/trino/pom.xml`): `trino-main` and `trino-hive` with what they depend on,
and the archive of the plugin `trino-iceberg`. {version} is the newest version that runs on a JDK 17
and of which all three are there.

Last run on {day}, over {files} objects. For each view:

- **deployed**: `SELECT * FROM <view>`, the view as CloudFormation put it into Glue;
- **file**: the SELECT of its file, as it stands;
- both give the columns and types that are declared, and the rows that DuckDB gives;
- **read for one day**: the tables of which a query with `WHERE day = ...` read that day's partition
  alone, and those that it read whole: the registry, which has no partitions.
"""
_YEARS = """
## A query over years, before and after `insights compact`

Requests by year, environment and API over three years of 3 environments with 20 APIs (synthetic),
in the table that is exported and in the one that `insights compact` made of it. Trino's Hive and
Iceberg connectors carried out the statements that are sent to Athena, but for three properties of
CREATE TABLE that Athena alone has. Both queries give the same rows. Counted between Trino and S3:
listings and Iceberg's own files are in it.
"""
_OUTRO = """
## What this does not show

- Athena itself: its version of Trino has changes of its own, and its limits (time, scanned bytes)
  are AWS's. `AWS::Athena::NamedQuery` is refused by the local AWS, so the saved queries are run
  from their files.
- Lake Formation: the local Glue grants everything.
- Speed: one node reads a few megabytes here.

## What was learnt

- Trino takes a Glue table's `Description` for the parameter `comment`, and knows a view by the
  comment `Presto View`: with another description the view is read as a table, and fails. So the
  descriptions of views are in their SQL and in the comments of their columns.
- Trino refuses a view without an owner, since a view is run with its owner's rights: the account's
  id is the owner.
- Trino fails on a Glue table without `NumberOfBuckets`, which AWS fills in and the local AWS does
  not: the templates say 0.
- The predicate on `day` reaches the partitions through `GROUP BY`, `UNION ALL`, left joins and
  windows that are partitioned by it.
- In Trino `max_by(x, y)` gives the `x` of the greatest `y` even if it is null, DuckDB's `arg_max`
  passes over it: the translation says `arg_max_null`.
- A literal of text has the type `varchar(n)`, which a view of Glue cannot declare: `CAST(... AS
  varchar)` says what is meant. A literal like `100.0` is a decimal, one like `100e0` a double.
"""


@dataclass(frozen=True)
class YearsRead:
    """What a query over years read from S3."""

    table: str
    objects: int
    requests: int
    bytes: int


@dataclass
class Seen:
    """What the tests saw: counts of rows by view or query, and the tables read."""

    now: datetime
    files: int = 0
    deployed: dict[str, int] = field(default_factory=dict)
    from_file: dict[str, int] = field(default_factory=dict)
    queries: dict[str, int] = field(default_factory=dict)
    pruned: dict[str, list[str]] = field(default_factory=dict)
    whole: dict[str, list[str]] = field(default_factory=dict)
    years: list[YearsRead] = field(default_factory=list)


def render(seen: Seen) -> str:
    """The page as Markdown."""
    intro = _INTRO.format(version=VERSION, day=seen.now.date(), files=seen.files)
    lines = [intro, "| view | rows: deployed | file | read for one day | read whole |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for view, count in sorted(seen.deployed.items()):
        pruned, whole = (
            ", ".join(f"`{t}`" for t in sorted(of.get(view, ())))
            for of in (seen.pruned, seen.whole)
        )
        lines.append(f"| {view} | {count} | {_count(seen.from_file, view)} | {pruned} | {whole} |")
    lines += ["", "The saved queries give the rows that DuckDB gives:", ""]
    lines += ["| query | rows |", "| --- | --- |"]
    lines += [f"| {query} | {count} |" for query, count in sorted(seen.queries.items())]
    if seen.years:
        lines.append(_YEARS)
        lines += ["| table | objects | requests to S3 | bytes |", "| --- | ---: | ---: | ---: |"]
        lines += [
            f"| `{y.table}` | {y.objects:,} | {y.requests:,} | {y.bytes:,} |" for y in seen.years
        ]
    return "\n".join(lines) + "\n" + _OUTRO


def _count(of: dict[str, int], view: str) -> str:
    return str(of[view]) if view in of else "failed"
