"""What an export knows of the source in the end, whatever was in its way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from dev.sandbox import changes
from dev.sandbox.expected import expected_rows
from dev.sandbox.lapses import Lapse
from dev.sandbox.world import SandboxEnvironment
from tests.stateful import model
from tests.stateful.cloud import Version
from tests.stateful.invariants import Watcher, asked
from tests.stateful.rig import Run, Stack


@dataclass
class Span:
    """A time in which the source gave less of a day of an environment."""

    lapse: Lapse
    begin: float
    end: float | None = None


@dataclass
class Truth:
    """What has happened to the source."""

    stack: Stack
    settle_hours: float
    spans: list[Span] = field(default_factory=list)
    # Corrections: when, which environment and day.
    corrected: list[tuple[float, str, date]] = field(default_factory=list)

    def lapse(self, lapse: Lapse) -> None:
        """From now on the source gives less."""
        service = self.stack.choreo_service
        service.lapses = (*service.lapses, lapse)
        self.spans.append(Span(lapse, self.stack.simulation.time))

    def recover(self) -> None:
        """From now on it gives everything."""
        self.stack.choreo_service.lapses = ()
        for span in self.spans:
            span.end = span.end or self.stack.simulation.time

    def correct(self, handle: str, environment: str, day: date, quarters: int) -> None:
        """From now on a day has so many quarters of what was drawn."""
        changes.multiply(self.stack.world, handle, environment, day, quarters)
        self.corrected.append((self.stack.simulation.time, environment, day))

    def is_known(self) -> bool:
        """Whether a run has seen all environments, so that an empty list would be a surprise."""
        stored = {model.place_of(version.key) for version in self.stack.s3.versions}
        found_some = any(place and place.table != "environments" for place in stored)
        return found_some and any(map(_is_whole, self.stack.runs))

    def is_excused(self, table: str, environment: str, day: date, version: Version) -> bool:
        """Whether what is stored may differ: the source gave less when it was closed, or was
        corrected since."""
        if version.metadata.get("confirmed") == "no":
            return True
        moment = asked(version).timestamp()
        for span in self.spans:
            lapse = span.lapse
            if (lapse.environment, lapse.day) == (environment, day) and lapse.field in (
                None,
                model.FIELDS.get(table),
            ):
                end = span.end or self.stack.simulation.time
                if span.begin - 60 <= moment <= end:
                    return True
        return any(
            (place, of) == (environment, day) and moment <= since + 60
            for since, place, of in self.corrected
        )

    def listed_by_runs(self, place: SandboxEnvironment) -> dict[str, date]:
        """APIs with the last day that a run must have seen them listed on."""
        seen: dict[str, date] = {}
        for run in self.stack.runs:
            if not _is_whole(run):
                continue
            day = datetime.fromtimestamp(run.started, UTC).date()
            for api in place.apis:
                until = api.until if api.until is not None else float("inf")
                alive = api.since < run.started and until > run.finished
                if alive and (not api.deleted or api.until is not None):
                    seen[api.id] = day
        return seen


def _is_whole(run: Run) -> bool:
    if run.reply is None or run.event:
        return False
    return not any(f["table"] in ("apis", "environments") for f in run.reply["failures"])


def in_the_end(
    stack: Stack, watcher: Watcher, truth: Truth, since: date, tables: Sequence[str]
) -> None:
    """Lets days go by with a healthy source. Raises AssertionError where something is missing."""
    stack.choreo_service.faults.clear()
    truth.recover()
    last = stack.simulation.now().date()
    end = model.settled(last, truth.settle_hours) + timedelta(days=1, hours=2)
    while stack.simulation.now() < end:
        stack.simulation.sleep(86_400.0)
        stack.invoke({})
        watcher.look()
    for handle, organization in stack.world.organizations.items():
        for place in organization.environments:
            seen = truth.listed_by_runs(place)
            for table in tables:
                for back in range((last - since).days + 1):
                    day = last - timedelta(days=back)
                    if table in model.SHAPES:
                        version = watcher.stored(table, place.id, day)
                        _compare(stack, truth, (table, handle, place, day), version, seen)
            _lists(stack, watcher, handle, place, tables)
        _registered(stack, watcher, handle)
    _checked(watcher)


def _lists(
    stack: Stack, watcher: Watcher, handle: str, place: SandboxEnvironment, tables: Sequence[str]
) -> None:
    """Today's lists are what the source lists."""
    for table in ("apis", "applications"):
        version = watcher.stored(table, place.id, stack.simulation.now().date())
        if table in tables:
            assert version is not None, f"{place.name} has no list {table}"
            rows = _expected(stack, table, handle, place, stack.simulation.now().date())
            stored = map(model.plain, model.rows_of(version.body))
            assert _sorted(stored) == _sorted(map(model.plain, rows)), version.key


def _sorted(rows: Iterable[dict[str, Any]]) -> list[str]:
    return sorted(repr(sorted(row.items())) for row in rows)


def _registered(stack: Stack, watcher: Watcher, handle: str) -> None:
    """The registry has what is listed, under its newest name, and what is gone."""
    organization = stack.world.organization(handle)
    rows = watcher.rows(f"insights/registry_environments/{handle}.parquet")
    listed = {row["environment_id"]: row["name"] for row in rows if row["listed"]}
    assert listed == {e.id: e.name for e in organization.environments}, f"{handle}: {listed}"
    keys = {row["environment_id"]: row["key"] for row in rows}
    for place in organization.environments:
        names = watcher.rows(f"insights/registry_names/{handle}.{keys[place.id]}.parquet")
        apis = {row["id"]: row["name"] for row in names if row["kind"] == "api" and row["listed"]}
        assert apis == {api.id: api.name for api in place.listed}, f"{place.name}: {apis}"


def _checked(watcher: Watcher) -> None:
    """Each day of each place is checked after its newest object was written."""
    newest: dict[tuple[str, date], datetime] = {}
    for key, version in watcher.newest.items():
        place = model.place_of(key)
        # An object that was given up has the rows that were checked before.
        given_up = version.metadata.get("confirmed") == "no"
        if place and place.table in model.SHAPES and not given_up:
            name = place.name, place.day
            newest[name] = max(newest.get(name, version.written), version.written)
    for (name, day), written in newest.items():
        found = watcher.newest.get(f"insights/checks/day={day}/{name}.parquet")
        assert found, f"{name} was not checked on {day}"
        assert found.written >= written, f"{name} was not checked on {day} since {written}"


def _expected(
    stack: Stack, table: str, handle: str, place: SandboxEnvironment, day: date
) -> list[Any]:
    return expected_rows(
        stack.world,
        table,
        handle,
        place.id,
        day,
        stack.simulation.now(),
        settings=replace(stack.choreo_service.settings),
    )


def _compare(
    stack: Stack,
    truth: Truth,
    where: tuple[str, str, SandboxEnvironment, date],
    version: Version | None,
    seen: dict[str, date],
) -> None:
    table, handle, place, day = where
    rows = _expected(stack, table, handle, place, day)
    if version is None:
        is_known = not rows or (table in model.PER_API and _has_an_unseen_twin(place, day, seen))
        assert is_known, f"{table} of {place.name} on {day} was never exported"
        return
    if not model.is_closed(version.written, day, truth.settle_hours):
        # A correction to less is kept out for a week where no forced run could fetch it.
        kept = model.lost(table, model.rows_of(version.body), rows)
        assert kept, f"{version.key} is open"
        assert truth.is_excused(table, place.id, day, version), f"{version.key} is kept: {kept}"
        return
    found = model.keyed(table, map(model.plain, model.by_id(table, model.rows_of(version.body))))
    right = model.keyed(table, map(model.plain, rows))
    if truth.is_excused(table, place.id, day, version):
        return
    optional, shared = set(), set()
    if table in model.PER_API:
        optional = _optional(stack, place, day, seen)
        shared = _called_like_an_unseen_one(place, day, seen)
    for key in right.keys() | found.keys():
        if key[0] in shared and model.lost(table, _only(key, right), _only(key, found)) is None:
            # What only the other's entry has is joined, and one hour that differs is added.
            continue
        if key[0] in optional and (key not in found or _stands_for_several(place, key[0])):
            continue
        if key[0] in optional and stack.choreo_service.settings.deleted_apis != "answered":
            continue
        assert found.get(key) == right.get(key), (
            f"{version.key}: {key}: {found.get(key)} in place of {right.get(key)}"
        )


def _stands_for_several(place: SandboxEnvironment, name: str) -> bool:
    """Whether responses call several APIs so, or call one so that goes by this id.

    A query by that name adds them up, and of an API that was never listed nobody can know.
    """
    called = {api.shown for api in place.apis if name in (api.id, api.shown)}
    return sum(api.shown in called for api in place.apis) > 1


def _only(key: tuple[Any, ...], rows: dict[tuple[Any, ...], model.Row]) -> list[model.Row]:
    return [rows[key]] if key in rows else []


def _has_an_unseen_twin(place: SandboxEnvironment, day: date, seen: dict[str, date]) -> bool:
    """Whether an API that no run has seen since had the name of another on a day.

    Entries by that name differ from those by id in many hours: no run can know whose they are, so
    the query fails.
    """
    return bool(_called_like_an_unseen_one(place, day, seen))


def _called_like_an_unseen_one(
    place: SandboxEnvironment, day: date, seen: dict[str, date]
) -> set[str]:
    """The ids of APIs that share a name with another, which no run has seen since a day."""
    unseen = [api for api in place.apis if seen.get(api.id, date.min) < day]
    return {
        other.id
        for api in unseen
        for other in place.apis
        if other is not api and (other.name, other.version) == (api.name, api.version)
    }


def _optional(
    stack: Stack, place: SandboxEnvironment, day: date, seen: dict[str, date]
) -> set[str]:
    """What rows may be missing of: APIs that no run saw in time, or that came later."""
    names = set()
    for api in place.apis:
        later = api.since >= model.day_end(day).timestamp()
        unsure = stack.choreo_service.settings.deleted_apis != "answered"
        if later or (api.deleted and (unsure or seen.get(api.id, date.min) < day)):
            names |= {api.id, api.shown}
            names |= {other.id for other in place.apis if other.shown == api.shown}
    return names
