"""Faults on demand: rules with a place, a count and a kind of failure."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from threading import Lock
from typing import Any

from dev.sandbox.settings import ERROR_SHAPES

PLACES = ("token", "revoke", "query")
# Before the answer is made.
EARLY = ("slow", "hang", "reset", "status", "html", "empty", "kill_tokens", "invalid_client",
         "complexity", "not_json", "throttled_200")  # fmt: skip
# On the bytes of the answer.
ON_BODY = ("truncated", "invalid_json", "gzip", "gzip_unannounced", "drip", "cut", "deep")
# On the answer of a token request.
ON_TOKEN = ("no_expires_in", "token_size", "wrong_expires_in")
# On what the query fields answered.
ON_DATA = ("data_null", "field_error", "field_null", "wrong_granularity", "wrong_total",
           "duplicate_rows", "missing_rows", "forgotten", "huge_int", "nan", "wrong_type",
           "missing_field", "extra_field", "null_item", "wrong_time")  # fmt: skip
FAULTS = (*EARLY, *ON_BODY, *ON_TOKEN, *ON_DATA)


@dataclass(frozen=True)
class Fault:
    """One rule. It takes effect `times` times (None: always) after it was passed over `skip` times.

    `field` and `organization` narrow it to requests with this query field or of this handle.
    The other values are for the faults that need them:

    | fault | values |
    | --- | --- |
    | slow, drip | `seconds` in all |
    | hang | `seconds` (0: until the server stops), then the connection is closed |
    | status | `status`, `code`, `shape`, and for 429 `wait` (see `replies.throttled`), `seconds` |
    | throttled_200 | `code` in `extensions` of the error |
    | token_size | `size` in characters |
    | wrong_total | `size` is added to `pagination.total` |
    | complexity | requests of more than `size` query fields get `status` (400 if left out) |
    | huge_int | `size` in place of a count (2**70 if left out) |
    """

    fault: str
    where: str = "query"
    times: int | None = 1
    skip: int = 0
    field: str | None = None
    organization: str | None = None
    seconds: float = 0.0
    status: int | None = None
    code: str | None = None
    shape: str | None = None
    wait: str | None = None
    size: int = 0
    # Faults on data: only so many of the aliases that fit are hit (None: all).
    only: int | None = None

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise ValueError(f"unknown fault {self.fault!r}. The faults are: {', '.join(FAULTS)}")
        if self.where not in PLACES:
            raise ValueError(f"unknown place {self.where!r}. The places are: {', '.join(PLACES)}")
        if self.shape not in (None, *ERROR_SHAPES):
            shapes = ", ".join(ERROR_SHAPES)
            raise ValueError(f"unknown shape {self.shape!r}. The shapes are: {shapes}")


class Faults:
    """The rules in force. Safe to share among threads."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._taken = 0
        self._lock = Lock()

    def add(self, fault: str, **values: Any) -> None:
        """Adds a rule. Raises ValueError or TypeError for a wrong value."""
        rule = Fault(fault, **values)
        with self._lock:
            self._rules.append(rule)

    def replace(self, rules: Iterable[dict[str, Any]]) -> None:
        """Replaces all rules. Raises ValueError for a wrong value."""
        known = {field.name for field in fields(Fault)}
        made = []
        for values in rules:
            if unknown := values.keys() - known:
                raise ValueError(f"{sorted(unknown)} are unknown. Known: {sorted(known)}")
            # JSON's null would be the same as leaving it out, which is once.
            forever = values.get("times") == "forever"
            made.append(Fault(**(values | {"times": None} if forever else values)))
        with self._lock:
            self._rules = made

    def clear(self) -> None:
        """Takes all rules away."""
        self.replace(())

    def as_list(self) -> list[dict[str, Any]]:
        """The rules with the times that are left, fit for JSON."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    @property
    def taken(self) -> int:
        """How often a fault took effect."""
        return self._taken

    def take(self, where: str, organization: str | None, fields: Iterable[str] = ()) -> list[Fault]:
        """The faults that this request triggers; each counts as used."""
        names = list(fields)
        triggered: list[Fault] = []
        with self._lock:
            kept = []
            for rule in self._rules:
                if not _fits(rule, where, organization, names):
                    kept.append(rule)
                    continue
                if rule.skip:
                    kept.append(replace(rule, skip=rule.skip - 1))
                    continue
                triggered.append(rule)
                if rule.times is None:
                    kept.append(rule)
                elif rule.times > 1:
                    kept.append(replace(rule, times=rule.times - 1))
            self._rules = kept
            self._taken += len(triggered)
        return triggered


def _fits(rule: Fault, where: str, organization: str | None, names: list[str]) -> bool:
    return (
        rule.where == where
        and rule.organization in (None, organization)
        and (rule.field is None or rule.field in names)
        and (rule.fault != "complexity" or len(names) > rule.size)
    )
