"""Replies as pandas frames."""

import json
from pathlib import Path

import pandas

from dev.bench.replies import ASKED, ENVIRONMENT, ENVIRONMENT_ID, ORGANIZATION


def read(path: Path) -> pandas.DataFrame:
    """The rows of a reply with the columns that the export's table has."""
    roots = json.loads(path.read_bytes())["data"]
    series = [one for root in roots.values() for one in root]
    frame = pandas.json_normalize(series, "usage", ["apiId", "granularity"])
    return pandas.DataFrame(
        {
            "api_id": frame["apiId"],
            "api_id_resolved": frame["apiId"],
            "granularity": frame["granularity"],
            "time_span": pandas.to_datetime(frame["timeSpan"], utc=True),
            "count": frame["count"].astype("int64"),
            "organization": ORGANIZATION,
            "environment": ENVIRONMENT,
            "environment_id": ENVIRONMENT_ID,
            "exported_at": ASKED,
        }
    )
