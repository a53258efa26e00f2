"""What must hold after every step, whatever has happened."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.stateful import model
from tests.stateful.cloud import Version
from tests.stateful.model import Place
from tests.stateful.rig import Run, Stack

_WEEK = timedelta(days=7)


class Watcher:
    """Looks at what was written and sent since it looked last."""

    def __init__(self, stack: Stack, settle_hours: float, budget: int) -> None:
        self._stack = stack
        self._settle_hours = settle_hours
        self._budget = budget
        self._versions = 0
        self._sent = 0
        self._runs = 0
        self.newest: dict[str, Version] = {}
        # The last part of the key of each environment's id, and the id of each such part.
        self._keys: dict[tuple[str, str], str] = {}
        self.ids: dict[str, str] = {}
        self._registered: dict[str, frozenset[tuple[Any, ...]]] = {}

    def look(self) -> None:
        """Raises AssertionError where something does not hold."""
        versions = self._stack.s3.versions[self._versions :]
        for version in versions:
            self._written(version)
            self.newest[version.key] = version
        self._versions += len(versions)
        self._pace()
        runs = self._stack.runs[self._runs :]
        self._runs = len(self._stack.runs)
        for run in runs:
            self._ended(run)
        whole = [run for run in runs if run.reply is not None]
        if whole:
            self._recorded()
            for run in whole:
                self._answered(run, [version for version in versions if version.writer is run])
            self._kept()
            claimed = self.newest["dataset.json"].body
            assert json.loads(claimed) == {"version": 2}, claimed

    # Objects

    def _written(self, version: Version) -> None:
        if version.key.startswith("insights/") and version.key.endswith(".parquet"):
            if version.writer is not None:
                columns = model.columns_of(version.body)
                assert "day" not in columns, f"{version.key} has a column day"
            if "/registry_environments/" in version.key:
                self._append_only(version)
        place = model.place_of(version.key)
        if place is None:
            return
        before = self.newest.get(version.key)
        self._within(place, version)
        if place.table not in model.LISTS:
            self._not_less(place, version, before)
            self._confirmed(place, version, before)
        if place.table != "environments":
            self._one_key(place, version)

    def _within(self, place: Place, version: Version) -> None:
        """A run writes within the bounds of its event."""
        if version.writer is None:
            return
        event: dict[str, Any] = version.writer.event
        today = version.written.date().isoformat()
        first, last = event.get("from", ""), event.get("to") or today
        assert place.organization in (event.get("organizations") or (place.organization,))
        assert place.table in (event.get("tables") or (place.table,)), f"{version.key}: {event}"
        assert first <= place.day.isoformat() <= last, f"{version.key}: {event}"
        if event.get("environments") and place.table != "environments":
            assert self.ids.get(place.name) in (*event["environments"], None), version.key

    def _not_less(self, place: Place, version: Version, before: Version | None) -> None:
        """I1: nothing shrinks without force, and an older answer replaces no newer one."""
        run = version.writer
        if before is None or run is None:
            return
        assert asked(version) >= asked(before), f"I1: {version.key}: an older answer was written"
        if not run.force:
            rows = model.rows_of(version.body)
            lost = model.lost(place.table, model.rows_of(before.body), rows)
            assert lost is None, f"I1: {version.key} lost {lost} (run {run.event})"

    def _confirmed(self, place: Place, version: Version, before: Version | None) -> None:
        """I2: what counts as closed was asked for after settling, or is said to be unconfirmed."""
        if version.writer is None or not model.is_closed(
            version.written, place.day, self._settle_hours
        ):
            return
        settled = model.settled(place.day, self._settle_hours)
        if version.metadata.get("confirmed") == "no":
            assert version.written >= settled + _WEEK, f"I2: {version.key} was given up early"
            assert before is not None, f"I2: {version.key}: nothing to leave as it is"
            assert version.body == before.body, f"I2: {version.key}: given up, but changed"
            return
        moment = asked(version)
        gone = self._gone(place)
        for row in model.rows_of(version.body):
            assert row["exported_at"] == moment or gone(row), (
                f"I2: {version.key} is closed with rows of {row['exported_at']}"
            )
        assert moment >= settled, f"I2: {version.key} is closed, but was asked for at {moment}"
        answered = any(
            sent.run is version.writer and sent.status == 200 and sent.time >= moment.timestamp()
            for sent in self._stack.sent
        )
        assert answered, f"I2: {version.key}: no answer came after {moment}"

    def _gone(self, place: Place) -> Callable[[model.Row], bool]:
        """Whether a row may be of an earlier answer: its API or its environment was deleted."""
        own = self._stack.world.organization(place.organization)
        environment = self.ids.get(place.name)
        if any(each.id == environment for each in own.deleted):
            return lambda _: True
        apis = {
            name
            for each in own.environments
            if each.id == environment
            for api in each.apis
            if api.deleted
            for name in (api.id, api.shown)
        }
        return lambda row: row.get("api_id") in apis

    def _one_key(self, place: Place, version: Version) -> None:
        """I3: an environment's id has one key for ever, and a key one id."""
        ids = {row["environment_id"] for row in model.rows_of(version.body)}
        assert len(ids) <= 1, f"I3: {version.key} holds {ids}"
        for environment in ids:
            known = self._keys.setdefault((place.organization, environment), place.name)
            owner = self.ids.setdefault(place.name, environment)
            assert known == place.name, f"I3: {environment} is under {known} and {place.name}"
            assert owner == environment, f"I3: {place.name} is of {owner} and of {environment}"

    def _append_only(self, version: Version) -> None:
        names = ("environment_id", "key", "first_name", "first_listed")
        ids = frozenset(tuple(row[name] for name in names) for row in model.rows_of(version.body))
        before = self._registered.get(version.key, frozenset())
        assert before <= ids, f"I3: {version.key} lost {before - ids}"
        self._registered[version.key] = ids
        organization = version.key.rpartition("/")[2].removesuffix(".parquet")
        for row in model.rows_of(version.body):
            # Objects without rows do not say whose they are.
            self.ids.setdefault(f"{organization}.{row['key']}", row["environment_id"])

    # Runs

    def _ended(self, run: Run) -> None:
        """A run that was not killed has replied, and said what it handed over."""
        assert run.error is None, f"{run.event} raised {run.error!r}"
        if run.reply is None:
            return
        if run.event.get("part"):
            assert not run.reply["catch_up"], "a part handed its work over"
        elif run.reply["remaining"] and not run.reply["waiting"]:
            assert run.reply["catch_up"] in self._stack.states.executions, run.reply

    def _answered(self, run: Run, versions: list[Version]) -> None:
        """What a run replied is what it wrote, and what the ledger says of it."""
        assert run.reply is not None
        rows = [row for row in self.ledger() if run.id in row["run"]]
        failed = {
            (row["table"], row["organization"], row["day"])
            for row in rows
            if row["status"] == "failed"
        }
        for failure in run.reply["failures"]:
            # What was not queried, as its list failed: the list's failure is in the ledger.
            waited = failure["reason"].startswith("the list of APIs failed")
            if failure["table"] in model.TABLES and not waited:
                entry = failure["table"], failure["organization"], failure["day"]
                assert entry in failed, f"the ledger does not have {failure}"
        written = {version.key: version for version in versions if model.place_of(version.key)}
        confirmed = {k: v for k, v in written.items() if v.metadata.get("confirmed") != "no"}
        assert run.reply["exported"] == len(confirmed), f"{run.reply}: {len(confirmed)} written"
        entries = {self._key(row): row for row in rows if row["status"] != "failed"}
        for key, version in written.items():
            assert key in entries, f"{key} was written, but not recorded by its run"
            self._agrees(entries[key], version)
        for key, row in entries.items():
            closed = row["status"] == "kept" and bool(row["final"])
            wrote = row["status"] == "exported" or closed
            # A run also records what another one was killed before it recorded.
            other = row["rows"] is None and row["status"] == "exported"
            assert (key in written) is wrote or other, f"{key}: {row}"

    def _agrees(self, row: dict[str, Any], version: Version) -> None:
        """A row of the ledger, and the object that it is about."""
        place = model.place_of(version.key)
        assert place is not None
        if version.metadata.get("confirmed") == "no":
            assert (row["status"], row["final"]) == ("kept", True), row
            return
        assert row["status"] == "exported", row
        assert row["started"] == asked(version), f"{version.key}: {row['started']}"
        assert (row["rows"], row["bytes"]) == (
            len(model.rows_of(version.body)),
            len(version.body),
        ), row
        closes = model.settled(place.day, self._settle_hours) + model.MARGIN
        # S3 keeps whole seconds: the moment itself may be on either side.
        if abs(version.written - closes) > timedelta(seconds=5):
            assert row["final"] is (version.written >= closes), f"{version.key}: {row}"

    def _key(self, row: dict[str, Any]) -> str:
        names = {owner: name for name, owner in self.ids.items()}
        environment = row["environment_id"]
        name = names.get(environment, "?") if environment else row["organization"]
        return f"insights/{row['table']}/day={row['day']}/{name}.parquet"

    def _kept(self) -> None:
        """A day that the source gives less of is retried once a day after settling."""
        tried: dict[tuple[str, date], list[dict[str, Any]]] = {}
        for row in self.ledger():
            day = date.fromisoformat(row["day"])
            closes = model.settled(day, self._settle_hours) + model.MARGIN
            if row["started"] >= closes:
                tried.setdefault((self._key(row), row["started"].date()), []).append(row)
        alone = {run.id: self._is_alone(run) for run in self._stack.runs}
        for (key, on), rows in tried.items():
            kept = [row for row in rows if alone.get(row["run"][-8:]) and row["status"] == "kept"]
            if len(kept) == len(rows):
                assert len(kept) <= 1, f"{key} was retried {len(kept)} times on {on}"

    def _is_alone(self, run: Run) -> bool:
        """Whether it is one of the schedule, and no other one ran at the same time."""
        if run.event or run.reply is None:
            return False
        others = (other for other in self._stack.runs if other is not run)
        return all(o.finished < run.started or o.started > run.finished for o in others)

    def _recorded(self) -> None:
        """The ledger has an entry for each stored object of a day that is open."""
        recorded = {
            (row["table"], row["organization"], row["environment_id"], row["day"])
            for row in self.ledger()
        }
        for key, version in self.newest.items():
            place = model.place_of(key)
            if place is None or place.table == "environments":
                continue
            if model.is_closed(version.written, place.day, self._settle_hours):
                continue
            entry = place.table, place.organization, self.ids.get(place.name), str(place.day)
            assert entry in recorded, f"the ledger has no entry for {key}"

    def ledger(self) -> Iterable[dict[str, Any]]:
        """The rows of the ledger, each with its day."""
        for key, version in self.newest.items():
            if key.startswith("insights/runs/day="):
                day = key.split("/")[2].removeprefix("day=")
                for row in model.rows_of(version.body):
                    yield {**row, "day": day}

    def rows(self, key: str) -> tuple[model.Row, ...]:
        """The rows of an object."""
        return model.rows_of(self.newest[key].body)

    def stored(self, table: str, environment: str, day: date) -> Version | None:
        """The object of an environment (its id) and a day."""
        names = [name for name, owner in self.ids.items() if owner == environment]
        keys = (f"insights/{table}/day={day}/{name}.parquet" for name in names)
        found = [self.newest[key] for key in keys if key in self.newest]
        assert len(found) <= 1, f"I3: {environment} counts twice on {day} in {table}"
        return found[0] if found else None

    # Requests

    def _pace(self) -> None:
        """No minute has more requests than the budget and those that may be under way."""
        times = [sent.time for sent in self._stack.sent]
        first = 0
        for i in range(len(times)):
            while times[i] - times[first] >= 60.0:
                first += 1
            if i >= self._sent:
                count = i - first + 1
                assert count <= self._budget, f"{count} requests in a minute"
        self._sent = len(times)


def asked(version: Version) -> datetime:
    """When the rows of a version were asked for."""
    moment = datetime.fromisoformat(version.metadata["asked"])
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
