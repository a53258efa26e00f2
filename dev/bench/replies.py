"""Synthetic replies: requests to each API by minute, as the API nests them.

One file is the body of one HTTP reply. It holds a day of one environment, which is one object of
the dataset, with a root field for each API, as the export queries them.
"""

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

MINUTES = 24 * 60
FIRST_DAY = date(2026, 3, 1)
ASKED = datetime(2026, 4, 1, 12, tzinfo=UTC)
ORGANIZATION = "synthetic"
ENVIRONMENT = "Production"
ENVIRONMENT_ID = "5f1c6c2e-6d0e-4a7c-9a56-0d3b1c6f7a10"
GRANULARITY = "1m"


@dataclass(frozen=True)
class Replies:
    """Replies in a folder, one a day."""

    folder: Path
    days: int
    apis: int

    @cached_property
    def ids(self) -> list[str]:
        """The ids of the APIs, the same on every machine."""
        chance = random.Random(1)
        return [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(self.apis)]

    @property
    def rows(self) -> int:
        return self.days * self.apis * MINUTES

    def files(self) -> Iterator[tuple[date, Path]]:
        """The replies by day."""
        for number in range(self.days):
            day = FIRST_DAY + timedelta(days=number)
            yield day, self.folder / f"{day.isoformat()}.json"

    def make(self) -> "GeneratedReplies":
        self.folder.mkdir(parents=True, exist_ok=True)
        size = requests = 0
        for day, path in self.files():
            roots = self._roots(day, random.Random(day.toordinal()))
            body = json.dumps({"data": roots}, separators=(",", ":")).encode()
            path.write_bytes(body)
            size += len(body)
            requests += sum(
                row["count"] for root in roots.values() for api in root for row in api["usage"]
            )
        return GeneratedReplies(self.rows, size, requests)

    def _roots(self, day: date, chance: random.Random) -> dict[str, list[dict[str, Any]]]:
        midnight = datetime.combine(day, time(), UTC)
        times = [f"{midnight + timedelta(minutes=m):%Y-%m-%dT%H:%M:%S}" for m in range(MINUTES)]
        spans = [f"{text}.0000000Z" for text in times]
        return {f"t{number}": [_series(api, spans, chance)] for number, api in enumerate(self.ids)}


@dataclass(frozen=True)
class GeneratedReplies:
    """The size of the replies; `requests` is the sum of all counts, to check the results."""

    rows: int
    bytes: int
    requests: int


def _series(api: str, spans: list[str], chance: random.Random) -> dict[str, Any]:
    busy = 10 ** chance.uniform(0, 3)
    usage = [{"timeSpan": span, "count": int(chance.expovariate(1 / busy))} for span in spans]
    return {"apiId": api, "granularity": GRANULARITY, "usage": usage}
