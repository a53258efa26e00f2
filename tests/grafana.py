"""The macros of Grafana's Athena data source, replaced as it does: pkg/athena/macros.go of it."""

import re
from datetime import date


def expanded(query: str, first: date, last: date) -> str:
    """A query as Athena gets it for these days."""
    start, end = f"{first} 00:00:00", f"{last} 23:59:59"
    query = re.sub(
        r"\$__dateFilter\((\w+)\)", rf"\1 BETWEEN date '{first}' AND date '{last}'", query
    )
    return re.sub(
        r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN TIMESTAMP '{start}' AND TIMESTAMP '{end}'", query
    )
