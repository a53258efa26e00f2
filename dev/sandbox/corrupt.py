"""Faults on answers: data that is not as it should be, and bytes that are not as they were."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from dev.sandbox.faults import Fault

Data = dict[str, Any]


def spoil(reply: Data, roots: Mapping[str, str], fault: Fault) -> None:
    """Applies a fault of the kind "on data" to a reply. `roots` are query fields by alias."""
    data = reply.get("data")
    if fault.fault == "data_null":
        reply["data"] = None
        return
    if not isinstance(data, dict):
        return
    hit = (a for a, field in roots.items() if a in data and fault.field in (None, field))
    for alias in islice(hit, fault.only):
        _spoil_field(reply, data, alias, fault)


def _spoil_field(reply: Data, data: Data, alias: str, fault: Fault) -> None:
    if fault.fault in ("field_error", "field_null"):
        data[alias] = None
        if fault.fault == "field_error":
            error = {"message": "internal system error", "path": [alias]}
            reply.setdefault("errors", []).append(error)
        return
    data[alias] = _ON_VALUE[fault.fault](data[alias], fault)


def _objects(value: Any) -> Iterator[Data]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _lists(value: Any) -> Iterator[list[Any]]:
    """The innermost lists: those of rows."""
    if isinstance(value, list):
        inner = [found for item in value for found in _lists(item)]
        yield from inner or [value]
    elif isinstance(value, dict):
        for item in value.values():
            yield from _lists(item)


def _first_number(value: Any, replacement: object) -> Any:
    """Puts something in place of the first number of each kind of row."""
    if isinstance(value, int | float):
        return replacement
    for row in _objects(value):
        # Pagination has faults of its own: this one is about rows.
        if "total" in row and "sortBy" in row:
            continue
        for key, inner in row.items():
            if isinstance(inner, int | float) and not isinstance(inner, bool):
                row[key] = replacement
                return value
    return value


def _wrong_granularity(value: Any, _fault: Fault) -> Any:
    for row in _objects(value):
        if "granularity" in row:
            row["granularity"] = "7d" if row["granularity"] != "7d" else "1h"
    return value


def _wrong_total(value: Any, fault: Fault) -> Any:
    for row in _objects(value):
        if "total" in row and ("limit" in row or "sortBy" in row):
            row["total"] = max(row["total"] + fault.size, 0)
    return value


def _duplicate_rows(value: Any, _fault: Fault) -> Any:
    for rows in _lists(value):
        rows[:] = [*rows, *rows[-2:]]
    return value


def _missing_rows(value: Any, _fault: Fault) -> Any:
    for rows in _lists(value):
        del rows[-1:]
    return value


def _forgotten(value: Any, _fault: Fault) -> Any:
    """As if nothing had ever happened."""
    if isinstance(value, int | float):
        return 0
    for rows in _lists(value):
        rows.clear()
    return _wrong_total(value, Fault("wrong_total", size=-_total(value)))


def _total(value: Any) -> int:
    return next((row["total"] for row in _objects(value) if "total" in row and "limit" in row), 0)


def _huge_int(value: Any, fault: Fault) -> Any:
    return _first_number(value, fault.size or 2**70)


def _nan(value: Any, _fault: Fault) -> Any:
    return _first_number(value, float("nan"))


def _wrong_type(value: Any, _fault: Fault) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], str):
        return [17, *value[1:]]
    # Compared as text, as the value is changed in place.
    spoiled = json.dumps(value)
    changed = _first_number(value, "seventeen")
    if json.dumps(changed) == spoiled:
        for row in _objects(value):
            for key, inner in row.items():
                if isinstance(inner, str):
                    row[key] = {"not": "a text"}
                    return value
    return changed


def _missing_field(value: Any, _fault: Fault) -> Any:
    rows = [row for found in _lists(value) for row in found if isinstance(row, dict)]
    for row in (*rows[:1], *_objects(value)):
        if row:
            del row[next(iter(row))]
            return value
    return value


def _extra_field(value: Any, _fault: Fault) -> Any:
    for row in list(_objects(value)):
        row["addedLater"] = {"deep": [1, "two", None]}
    return value


def _null_item(value: Any, _fault: Fault) -> Any:
    for rows in _lists(value):
        rows.append(None)
    return value


def _wrong_time(value: Any, _fault: Fault) -> Any:
    for row in _objects(value):
        for key in ("timeSpan", "timestamp"):
            if key in row:
                row[key] = "the day before yesterday"
                return value
    return value


_ON_VALUE: Mapping[str, Callable[[Any, Fault], Any]] = {
    "wrong_granularity": _wrong_granularity,
    "wrong_total": _wrong_total,
    "duplicate_rows": _duplicate_rows,
    "missing_rows": _missing_rows,
    "forgotten": _forgotten,
    "huge_int": _huge_int,
    "nan": _nan,
    "wrong_type": _wrong_type,
    "missing_field": _missing_field,
    "extra_field": _extra_field,
    "null_item": _null_item,
    "wrong_time": _wrong_time,
}


def garble(body: bytes, headers: dict[str, str], fault: Fault) -> bytes:
    """Applies a fault of the kind "on body" to the bytes of a reply, and to its headers."""
    if fault.fault == "truncated":
        # Whole by its Content-Length, but only half of the JSON.
        return body[: len(body) // 2]
    if fault.fault == "invalid_json":
        # Broken at the very end, which a parser of streams notices last.
        return body[:-1] + b",,}"
    if fault.fault in ("gzip", "gzip_unannounced"):
        if fault.fault == "gzip":
            headers["Content-Encoding"] = "gzip"
        return gzip.compress(body, mtime=0)
    if fault.fault == "deep":
        return b'{"data":{"t0":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    return body
