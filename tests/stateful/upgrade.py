"""A dataset as version 0.1.0 (commit 3ecaffb) has left it: keys by name, and no registry."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dev.sandbox.expected import expected_rows
from dev.sandbox.world import SandboxEnvironment
from tests.stateful import model
from tests.stateful.rig import Stack

_TEXT, _COUNT, _FIGURE = pa.string(), pa.int64(), pa.float64()
_INSTANT = pa.timestamp("us", tz="UTC")
_OF_ALL = {
    "organization": _TEXT, "environment": _TEXT, "environment_id": _TEXT, "exported_at": _INSTANT
}  # fmt: skip
_HOURLY = {"granularity": _TEXT, "time_span": _INSTANT}
_LATENCIES = ("response", "backend", "request_mediation", "response_mediation")
# The columns of 0.1.0.
_COLUMNS: Mapping[str, Mapping[str, pa.DataType]] = {
    "apis": dict.fromkeys(("api_id", "api_name", "version", "provider"), _TEXT),
    "applications": dict.fromkeys(("application_id", "application_name", "owner"), _TEXT),
    "environments": dict.fromkeys(
        ("environment_id", "environment_name", "type", "external_env_id", "internal_env_id",
         "sandbox_env_id"), _TEXT
    ),
    "success_summary": {**_HOURLY, "request_count": _COUNT},
    "total_traffic_by_api": {"api_id": _TEXT, "total_traffic_by_api": _COUNT},
    "api_usage_over_time": {"api_id": _TEXT, "api_id_resolved": _TEXT, **_HOURLY, "count": _COUNT},
    "latency": {
        "api_id": _TEXT, **_HOURLY,
        **{name + end: _FIGURE for end in ("", "_median") for name in _LATENCIES},
    },
    "errors_details": {
        **dict.fromkeys(
            ("api_id", "api_id_resolved", "application_id", "application_name",
             "application_owner", "reason"), _TEXT
        ),
        "time_span": _INSTANT, "count": _COUNT,
    },
    "top_platforms": {"platform": _TEXT, "count": _COUNT},
}  # fmt: skip
_LEDGER = {
    **dict.fromkeys(
        ("run", "table", "organization", "environment", "environment_id", "day", "status"), _TEXT
    ),
    "rows": _COUNT, "bytes": _COUNT, "requests": _COUNT, "seconds": _FIGURE, "started": _INSTANT,
    "error": _TEXT, "exported_at": _INSTANT,
}  # fmt: skip


def first_release(stack: Stack, tables: Sequence[str], since: date) -> None:
    """Stores what a run of 0.1.0 would have written at this moment."""
    now = stack.simulation.now()
    run = f"{now:%Y%m%dT%H%M%S%f}-0badcafe"
    entries: list[dict[str, Any]] = []
    stack.s3.store("dataset.json", b'{"version":1}')
    for handle, organization in stack.world.organizations.items():
        for table in tables:
            places: Iterable[SandboxEnvironment | None] = organization.environments
            if table == "environments":
                places = [None]
            days = (now.date() - since).days + 1 if table not in model.LISTS else 1
            for place in places:
                for back in range(days):
                    day = now.date() - timedelta(days=back)
                    entries.append(_store(stack, table, handle, place, day, run))
    for day in {entry["day"] for entry in entries}:
        rows = [entry for entry in entries if entry["day"] == day]
        stack.s3.store(f"insights/runs/day={day}/{run}.parquet", _file(_LEDGER, rows))


def _store(
    stack: Stack, table: str, handle: str, place: SandboxEnvironment | None, day: date, run: str
) -> dict[str, Any]:
    now = stack.simulation.now()
    rows = expected_rows(
        stack.world, table, handle, place.id if place else None, day, now,
        settings=stack.choreo_service.settings,
    )  # fmt: skip
    ids = {api.shown: api.id for api in place.listed} if place else {}
    # That release kept in `api_id` what was answered.
    rows = [row | {"api_id": row.get("answered_api_id", row.get("api_id"))} for row in rows]
    resolved = [
        {"api_id_resolved": ids.get(row["api_id"]), **row, "exported_at": now} for row in rows
    ]
    body = _file({**_COLUMNS[table], **_OF_ALL}, resolved)
    # The names in these worlds are safe in keys as they are.
    end = f"{handle}.{place.name}" if place else handle
    key = f"insights/{table}/day={day}/{end}.parquet"
    stack.s3.store(key, body, {"asked": now.isoformat(), "run": run})
    return {
        "run": run, "table": table, "organization": handle, "status": "exported",
        "environment": place.name if place else None,
        "environment_id": place.id if place else None, "day": day.isoformat(),
        "rows": len(rows), "bytes": len(body), "requests": 1, "seconds": 1.0,
        "started": now, "exported_at": now,
    }  # fmt: skip


def _file(columns: Mapping[str, pa.DataType], rows: Sequence[Mapping[str, Any]]) -> bytes:
    schema = pa.schema([*columns.items()])
    arrays = [pa.array([row.get(name) for row in rows], kind) for name, kind in columns.items()]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), file, compression="zstd")
    return file.getvalue()
