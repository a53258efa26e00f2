"""The days of a stack at random: what people, Lambda, Choreo and time may do to it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dev.sandbox import EnvironmentSpec, OrganizationSpec, SandboxSettings, World, changes
from dev.sandbox.lapses import Lapse
from dev.sandbox.world import SandboxEnvironment
from tests.fakes.s3 import BUCKET
from tests.stateful import cloud, model, step_functions
from tests.stateful.invariants import Watcher
from tests.stateful.rig import PREFIX, Kill, Run, Stack, installed, plugged
from tests.stateful.truth import Truth, in_the_end
from tests.stateful.upgrade import first_release

BEGIN = datetime(2026, 3, 4, 9, 40, tzinfo=UTC)
# How often each rule ran, and where runs were killed, over all examples of a test.
RULES: Counter[str] = Counter()
KILLS: Counter[str] = Counter()

MINUTES = st.sampled_from((1, 12, 61, 61, 200, 400, 760, 1440, 1500))
NAMES = ("Development", "Production", "Staging", "Größe, neu")
# Calls of a run by kind, and which of them one may be killed at: about as many as there are.
CALLS = {
    "": 90,
    "s3 PutObject": 50,
    "s3 GetObject": 70,
    "s3 ListObjectsV2": 12,
    "choreo query": 9,
    "ssm GetParameter": 2,
    "secretsmanager GetSecretValue": 1,
    "lambda Invoke": 1,
    "stepfunctions ListExecutions": 1,
}
KILL = st.sampled_from(sorted(CALLS)).flatmap(
    lambda kind: st.builds(
        Kill, number=st.integers(1, CALLS[kind]), kind=st.just(kind), after=st.booleans()
    )
)
# Where the work that is left is handed over.
KILL_AT_HAND_OVER = st.builds(
    Kill, number=st.just(1), kind=st.just("stepfunctions StartExecution"), after=st.booleans()
)
PLACE = st.integers(0, 5)
BACK = st.integers(0, 4)
# Seconds after the beginning of a run.
DURING = st.sampled_from((None, None, 1.0, 3.0, 6.0))


@dataclass
class Event:
    """What a run is asked for: an environment, days ago, perhaps one table."""

    kind: str
    place: int
    back: int
    table: str | None


EVENT = st.builds(
    Event,
    kind=st.sampled_from(("scheduled", "manual", "again", "force", "part")),
    place=PLACE,
    back=BACK,
    table=st.one_of(st.none(), st.sampled_from(tuple(model.SHAPES))),
)


@dataclass
class Setup:
    """What an example begins with."""

    seed: int
    settle_hours: int
    budget: int
    concurrency: int
    lists: bool
    deleted_apis: str
    organizations: int


SETUPS = st.builds(
    Setup,
    seed=st.integers(1, 50),
    settle_hours=st.sampled_from((0, 24, 24, 30)),
    budget=st.sampled_from((8, 30, 120)),
    concurrency=st.sampled_from((1, 4)),
    lists=st.booleans(),
    deleted_apis=st.sampled_from(("answered", "empty", "refused")),
    organizations=st.sampled_from((1, 1, 2)),
)


class Days(RuleBasedStateMachine):
    """Steps over one stack. After each of them the invariants hold; in the end all is exported."""

    def __init__(self) -> None:
        super().__init__()
        self._install = installed()
        self._install.__enter__()
        self._plugged: Any = None
        self._failed = False

    # The beginning

    @initialize(setup=SETUPS, old=st.sampled_from(("none", "none", "0.1.0")))
    def begin(self, setup: Setup, old: str) -> None:
        """A stack that was just deployed, or updated from the first release."""
        self.setup = setup
        specs = (
            OrganizationSpec(
                "acme", apis=3, applications=2, deleted=1,
                environments=(EnvironmentSpec("Development"), EnvironmentSpec("Production")),
            ),
            OrganizationSpec(
                "lotus", apis=3, applications=2, deleted=0,
                environments=(EnvironmentSpec("Development", "CHOREO_PRIVATE"),),
            ),
        )  # fmt: skip
        world = World(setup.seed, specs[: setup.organizations])
        late = 20 if setup.settle_hours else 0
        settings = SandboxSettings(late_hours=late, deleted_apis=setup.deleted_apis)  # type: ignore[arg-type]
        self.since = BEGIN.date() - timedelta(days=1)
        self.tables = [*(model.LISTS if setup.lists else ()), *model.SHAPES]
        self.stack = Stack(world, settings, BEGIN, self._environment())
        self._plugged = plugged(self.stack)
        self._plugged.__enter__()
        self.watcher = Watcher(self.stack, setup.settle_hours, setup.budget + setup.concurrency)
        self.truth = Truth(self.stack, setup.settle_hours)
        if old == "0.1.0":
            self._ran("upgrade from 0.1.0")
            first_release(self.stack, self.tables, self.since)

    def _environment(self) -> dict[str, str]:
        setup = self.setup
        handles = ",".join(("acme", "lotus")[: setup.organizations])
        return {
            "ORGANIZATIONS": handles,
            "SECRET_PREFIX": "choreo-insights",
            "TOKEN_PARAMETER_PREFIX": PREFIX,
            "STACK_NAME": "synthetic",
            "INSIGHTS_URL": cloud.INSIGHTS_URL,
            "TENANT": "carbon.super",
            "STATE_MACHINE_ARN": step_functions.ARN,
            "TOKEN_FUNCTION_NAME": "token-function",
            "DATASET_BUCKET": BUCKET,
            "EXPORT_SINCE": self.since.isoformat(),
            "SETTLE_HOURS": str(setup.settle_hours),
            "TABLES": ",".join(self.tables),
            "CONCURRENCY": str(setup.concurrency),
            "REQUESTS_PER_MINUTE": str(setup.budget),
            "BATCH_SIZE": "20",
        }

    # Time

    @rule(minutes=MINUTES)
    def time_passes(self, minutes: int) -> None:
        """Nothing happens for a while."""
        self._ran("time passes")
        self.stack.simulation.sleep(60.0 * minutes)

    # A long history makes for slow steps.
    @precondition(lambda self: self.stack.simulation.now() - BEGIN < timedelta(days=14))
    @rule(days=st.integers(2, 11))
    def stack_is_off(self, days: int) -> None:
        """The schedule is off for days."""
        self._ran("off for days")
        self.stack.simulation.sleep(86_400.0 * days)
        self.stack.cold()

    # Runs

    @rule(minutes=st.sampled_from((0, 0, 61, 300)))
    def scheduled(self, minutes: int) -> None:
        """The schedule's next run."""
        self._ran("scheduled run")
        self.stack.simulation.sleep(60.0 * minutes)
        self._run({})

    @rule(events=st.lists(st.tuples(EVENT, st.floats(0, 9)), min_size=2, max_size=3))
    def overlapping(self, events: list[tuple[Event, float]]) -> None:
        """Runs that begin before another one ends."""
        self._ran("overlapping runs")
        for event, delay in events:
            self.stack.start(self._event(event), after=delay)
        self._all()

    @rule(event=EVENT)
    def by_hand(self, event: Event) -> None:
        """Somebody exports some tables and days, or a part of a backfill runs."""
        self._ran(f"{event.kind} export")
        values = self._event(event)
        reply = self._run(values).reply
        if reply and not (reply["failed"] or reply["remaining"]):
            # What is asked for is there, or has been there already.
            done = reply["exported"] + reply["settled"] + reply["kept"]
            assert done > 0, f"{values}: {reply}"

    @rule(seconds=st.sampled_from((25, 32, 40)), kill=st.one_of(st.none(), KILL_AT_HAND_OVER))
    def short_of_time(self, seconds: int, kill: Kill | None) -> None:
        """A run that has no time for everything, and hands over what is left."""
        before = len(self.stack.states.executions)
        self._run({}, seconds=float(seconds), kill=kill)
        self._ran("short of time")
        RULES["catch-up"] += len(self.stack.states.executions) - before

    @rule(kill=KILL, cold=st.booleans())
    def killed(self, kill: Kill, cold: bool) -> None:
        """A run is killed at one of its calls; Lambda tries once more."""
        self._ran("killed run, and Lambda's retry")
        if cold:
            self.stack.cold()
        self._run({}, kill=kill, attempts=2)

    @rule(kill=KILL, delay=st.floats(0, 9))
    def killed_while_another_runs(self, kill: Kill, delay: float) -> None:
        """One of two runs is killed."""
        self._ran("killed while another runs")
        self.stack.start({}, kill=kill)
        self.stack.start({}, after=delay)
        self._all()

    # Environments

    # Before a run has seen the first names, nobody can know the legacy ids that follow from them.
    @precondition(lambda self: self.truth.is_known())
    @rule(place=PLACE, during=DURING, name=st.sampled_from(NAMES))
    def rename(self, place: int, during: float | None, name: str) -> None:
        """An environment gets another name, which may be another one's."""
        self._ran("environment renamed")
        handle, environment = self._environment_of(place)
        self._change(
            during, lambda: changes.rename_environment(self.world, handle, environment.id, name)
        )

    @precondition(lambda self: self.truth.is_known())
    @rule(place=PLACE)
    def swap_names(self, place: int) -> None:
        """Two environments swap their names."""
        handle, first = self._environment_of(place)
        others = [e for e in self.world.organization(handle).environments if e is not first]
        if others:
            self._ran("environments swap names")
            second = others[place % len(others)]
            changes.rename_environment(self.world, handle, first.id, second.name)
            changes.rename_environment(self.world, handle, second.id, first.name)

    @rule(place=PLACE)
    def reorder(self, place: int) -> None:
        """The list has another order."""
        self._ran("environments reordered")
        handle, _ = self._environment_of(place)
        ids = [e.id for e in self.world.organization(handle).environments]
        changes.order_environments(self.world, handle, ids[::-1])

    @precondition(lambda self: self.truth.is_known())
    @rule(place=PLACE, during=DURING, name=st.sampled_from(NAMES))
    def add_environment(self, place: int, during: float | None, name: str) -> None:
        """A new environment, or one of a name that there is or was."""
        handle, _ = self._environment_of(place)
        few = len(self.world.organization(handle).environments) < 3
        if few and not self._was_missed(handle, name):
            self._ran("environment added")
            spec = EnvironmentSpec(name)
            self._change(
                during,
                lambda: changes.add_environment(self.world, handle, spec, self.seconds),
            )

    def _was_missed(self, handle: str, name: str) -> bool:
        """Whether an environment of this name went before any run has seen it.

        Legacy ids go by the name: no run can know that they are not those of the next one.
        """
        seen = set(self.watcher.ids.values())
        deleted = self.world.organization(handle).deleted
        return any(each.name == name and each.id not in seen for each in deleted)

    @rule(place=PLACE, during=DURING)
    def delete_environment(self, place: int, during: float | None) -> None:
        """An environment goes; the last one stays."""
        handle, environment = self._environment_of(place)
        if len(self.world.organization(handle).environments) > 1:
            self._ran("environment deleted")
            self._change(
                during,
                lambda: changes.delete_environment(
                    self.world, handle, environment.id, self.seconds
                ),
            )

    # APIs

    @rule(place=PLACE, during=DURING, twin=st.one_of(st.none(), st.integers(0, 9)))
    def add_api(self, place: int, during: float | None, twin: int | None) -> None:
        """An API is deployed; it may have the name and version of another one."""
        handle, environment = self._environment_of(place)
        if len(environment.listed) < 6:
            self._ran("API added")
            every = environment.apis
            like = None if twin is None else every[twin % len(every)].id
            self._change(
                during,
                lambda: changes.add_api(self.world, handle, environment.id, self.seconds, like),
            )

    @rule(place=PLACE, during=DURING, number=st.integers(0, 5))
    def delete_api(self, place: int, during: float | None, number: int) -> None:
        """An API is deleted in the middle of a day; the last one stays."""
        handle, environment = self._environment_of(place)
        if len(environment.listed) > 1:
            self._ran("API deleted")
            api = environment.listed[number % len(environment.listed)]
            self._change(
                during,
                lambda: changes.delete_api(
                    self.world, handle, environment.id, api.id, self.seconds
                ),
            )

    # The source

    @rule(field=st.sampled_from(("listEnvironments", "listAllAPI")))
    def empty_list(self, field: str) -> None:
        """A list comes back empty once."""
        self._ran("empty list")
        self.stack.choreo_service.faults.add("forgotten", field=field, times=None)
        known = self.truth.is_known()
        run = self._run({})
        self.stack.choreo_service.faults.clear()
        if known and run.reply is not None:
            table = {"listEnvironments": "environments", "listAllAPI": "apis"}[field]
            failed = {failure["table"] for failure in run.reply["failures"]}
            assert table in failed, f"I5: an empty {field} was no failure"

    @rule(
        place=PLACE,
        back=BACK,
        share=st.integers(0, 3),
        table=st.sampled_from((None, *model.FIELDS)),
    )
    def forget(self, place: int, back: int, share: int, table: str | None) -> None:
        """The source forgets a field of a day, or gives less of it."""
        self._ran("source forgets" if share == 0 else "source gives less")
        _, environment = self._environment_of(place)
        field = model.FIELDS[table] if table else None
        self.truth.lapse(Lapse(environment.id, self._day(back), field, share))

    @precondition(lambda self: self.stack.choreo_service.lapses)
    @rule()
    def recover(self) -> None:
        """It has all of it again."""
        self._ran("source recovers")
        self.truth.recover()

    @rule(place=PLACE, back=BACK, first=st.booleans())
    def correct(self, place: int, back: int, first: bool) -> None:
        """A day is corrected to less, and exported with `force`."""
        self._ran("corrected, with force")
        handle, environment = self._environment_of(place)
        day = self._day(back)
        self.truth.correct(handle, environment.id, day, 2)
        if first:
            self._run({})
        self._run({"force": True, "from": str(day), "to": str(day), "organizations": [handle]})

    @rule(place=PLACE, back=BACK)
    def late_events(self, place: int, back: int) -> None:
        """More events of a day arrive."""
        self._ran("late events")
        handle, environment = self._environment_of(place)
        day = self._day(back)
        more = environment.quarters.get(day, 4) + 1
        self.truth.correct(handle, environment.id, day, more)

    @rule(table=st.sampled_from(tuple(model.FIELDS)))
    def always_failing(self, table: str) -> None:
        """A field fails from now on, whatever is asked; or it works again."""
        self._ran("table always fails")
        faults = self.stack.choreo_service.faults
        if faults.as_list():
            faults.clear()
        else:
            faults.add("field_error", field=model.FIELDS[table], times=None)

    @rule(times=st.integers(1, 12), seconds=st.sampled_from((1, 20, 90, 3600)))
    def throttled(self, times: int, seconds: int) -> None:
        """The gateway throttles the next requests of a run."""
        self._ran("throttled")
        faults = self.stack.choreo_service.faults
        faults.add("status", status=429, wait="seconds", seconds=float(seconds), times=times)
        self._run({})
        faults.clear()

    # After each step

    @invariant()
    def holds(self) -> None:
        """The invariants."""
        if self._plugged is None or self._failed:
            return
        self._failed = True
        self.watcher.look()
        self._failed = False

    def teardown(self) -> None:
        """All is well with the source, and days go by: the dataset becomes what is true."""
        try:
            if self._plugged is not None and not self._failed:
                in_the_end(self.stack, self.watcher, self.truth, self.since, self.tables)
                KILLS.update(self.stack.kill_points)
        finally:
            if self._plugged is not None:
                self._plugged.__exit__(None, None, None)
            self._install.__exit__(None, None, None)

    # Helpers

    @property
    def world(self) -> World:
        """Who is there."""
        return self.stack.world

    @property
    def seconds(self) -> int:
        """Now, in whole seconds since 1970."""
        return int(self.stack.simulation.time)

    def _ran(self, name: str) -> None:
        RULES[name] += 1

    def _run(self, event: dict[str, Any], **values: Any) -> Run:
        self._failed = True
        run = self.stack.invoke(event, **values)
        self._failed = False
        return run

    def _all(self) -> None:
        self._failed = True
        self.stack.simulation.run()
        self._failed = False

    def _change(self, during: float | None, change: Callable[[], object]) -> None:
        """Makes a change, now or so many seconds after a run has begun."""
        if during is None:
            change()
            return
        self.stack.simulation.start(change, during)
        self._run({})

    def _environment_of(self, number: int) -> tuple[str, SandboxEnvironment]:
        every = [
            (handle, environment)
            for handle, organization in self.world.organizations.items()
            for environment in organization.environments
        ]
        return every[number % len(every)]

    def _day(self, back: int) -> date:
        today = self.stack.simulation.now().date()
        return max(today - timedelta(days=back), self.since)

    def _event(self, event: Event) -> dict[str, Any]:
        if event.kind == "scheduled":
            return {}
        handle, environment = self._environment_of(event.place)
        day = self._day(event.back)
        values: dict[str, Any] = {"organizations": [handle], "from": str(day)}
        if event.kind == "part":
            return {**values, "to": str(day), "environments": [environment.id], "part": True}
        if event.table:
            values["tables"] = [event.table]
        if event.kind == "manual":
            return values
        return {**values, event.kind: True}
