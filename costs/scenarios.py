"""The runs that docs/scaling.md tells of, and what became of them, kept in `simulated.json`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from costs.inputs import Inputs
from insights.catalogue import load

FILE = Path(__file__).with_name("simulated.json")
APIS = (10, 100, 1_000)
ORGANIZATIONS = (1, 3, 10)


@dataclass(frozen=True)
class Simulated:
    """What a run took, with all the invocations that it went on in; times in seconds.

    `remaining` partitions were left to the next run. `calls` are those of S3 by name.
    """

    rounds: int
    seconds: float
    questions: int
    requests: int
    exported: int
    remaining: int
    calls: dict[str, int]


@dataclass(frozen=True)
class Scenario:
    """A run to simulate; the name says what it shows."""

    name: str
    inputs: Inputs

    @property
    def grown(self) -> bool:
        """Whether it is one size among others, and has no name."""
        return not self.name


@dataclass(frozen=True)
class Told:
    """A scenario and what became of it."""

    scenario: Scenario
    simulated: Simulated

    @property
    def keeps_up(self) -> bool:
        """Whether all was exported before the next run begins."""
        between = 86_400 / self.scenario.inputs.runs_a_day
        return not self.simulated.remaining and self.simulated.seconds <= between

    def as_dict(self) -> dict[str, Any]:
        """For JSON: of the inputs those that are not the defaults."""
        usual = asdict(Inputs())
        given = {k: v for k, v in asdict(self.scenario.inputs).items() if v != usual[k]}
        outcome = asdict(self.simulated)
        return {"name": self.scenario.name, "inputs": given, "simulated": outcome}

    @classmethod
    def of_dict(cls, told: dict[str, Any]) -> "Told":
        """The reverse of `as_dict`."""
        given = dict(told["inputs"])
        if "tables" in given:
            given["tables"] = tuple(given["tables"])
        scenario = Scenario(told["name"], Inputs(**given))
        return cls(scenario, Simulated(**told["simulated"]))


def grown(inputs: Inputs, apis: Sequence[int], organizations: Sequence[int]) -> Iterator[Scenario]:
    """The stack with each of these sizes."""
    for handles in organizations:
        for count in apis:
            yield Scenario("", replace(inputs, organizations=handles, apis=count))


def levers(inputs: Inputs) -> Iterator[Scenario]:
    """A large stack as it is, with a slower API, and with what may help it."""
    large = replace(inputs, organizations=10, apis=100)
    tables = load().chosen(None)
    reports = [t.name for t in tables if any(fan.over == "groups" for fan in t.fan_out)]
    others = tuple(t.name for t in tables if t.name not in reports)
    yield Scenario("as it is", large)
    yield Scenario("answers take 5 seconds", replace(large, seconds_a_request=5))
    slow = replace(large, seconds_a_request=5, concurrency=16)
    yield Scenario("answers take 5 seconds, `Concurrency=16`", slow)
    yield Scenario("`Concurrency=16`", replace(large, concurrency=16))
    yield Scenario("`RequestsPerMinute=240`", replace(large, requests_per_minute=240))
    more = replace(large, requests_per_minute=480, concurrency=16)
    yield Scenario("`RequestsPerMinute=480`, `Concurrency=16`", more)
    yield Scenario("`BatchSize=40`", replace(large, batch_size=40))
    yield Scenario("`Tables` without the three custom reports", replace(large, tables=others))


def every() -> Iterator[Scenario]:
    """All that the page tells of."""
    yield from grown(Inputs(), APIS, ORGANIZATIONS)
    yield from levers(Inputs())


def save(told: Sequence[Told], path: Path = FILE) -> None:
    """Keeps what became of them."""
    path.write_text(json.dumps([each.as_dict() for each in told], indent=1) + "\n", "utf-8")


def saved(path: Path = FILE) -> list[Told]:
    """What was kept last."""
    return [Told.of_dict(each) for each in json.loads(path.read_text("utf-8"))]
