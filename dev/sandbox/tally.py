"""Counts of a sandbox's requests, for tests."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any


class Statistics:
    """Counters. Safe to share among threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """Sets all counts to 0."""
        with self._lock:
            self._counts: Counter[str] = Counter()
            self._mints: Counter[str] = Counter()
            self._roots: Counter[str] = Counter()
            self._statuses: Counter[str] = Counter()
            self._in_flight = 0
            self._most_in_flight = 0

    def count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def count_mint(self, organization: str) -> None:
        """Counts an issued token."""
        with self._lock:
            self._mints[organization] += 1

    def count_roots(self, fields: Iterator[str] | list[str]) -> None:
        """Adds the query fields of a request."""
        with self._lock:
            self._roots.update(fields)

    def count_status(self, place: str, status: int) -> None:
        """Adds the status of a reply."""
        with self._lock:
            self._statuses[f"{place} {status}"] += 1

    @contextmanager
    def query(self) -> Iterator[None]:
        """Counts a query, and how many are under way at once."""
        with self._lock:
            self._counts["queries"] += 1
            # Not the number of threads: the client may hold idle connections open.
            self._in_flight += 1
            self._most_in_flight = max(self._most_in_flight, self._in_flight)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1

    @property
    def mints(self) -> int:
        """Issued tokens."""
        with self._lock:
            return self._mints.total()

    @property
    def mints_by_organization(self) -> dict[str, int]:
        """Issued tokens, by handle."""
        with self._lock:
            return dict(self._mints)

    @property
    def token_requests(self) -> int:
        """Requests to the token endpoint, refused ones included."""
        return self._get("token_requests")

    @property
    def revokes(self) -> int:
        """Requests to the revoke endpoint."""
        return self._get("revokes")

    @property
    def queries(self) -> int:
        """Requests to the query endpoint, refused ones included."""
        return self._get("queries")

    @property
    def root_fields(self) -> dict[str, int]:
        """How often each query field was queried."""
        with self._lock:
            return dict(self._roots)

    @property
    def statuses(self) -> dict[str, int]:
        """Replies by place and status, as in `query 200`."""
        with self._lock:
            return dict(self._statuses)

    @property
    def most_in_flight(self) -> int:
        """The most queries that were under way at once."""
        with self._lock:
            return self._most_in_flight

    def _get(self, name: str) -> int:
        with self._lock:
            return self._counts[name]

    def as_dict(self) -> dict[str, Any]:
        """All of them, fit for JSON."""
        return {
            "mints": self.mints,
            "mints_by_organization": self.mints_by_organization,
            "token_requests": self.token_requests,
            "revokes": self.revokes,
            "queries": self.queries,
            "root_fields": self.root_fields,
            "statuses": self.statuses,
            "most_in_flight": self.most_in_flight,
        }
