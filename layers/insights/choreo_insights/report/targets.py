"""`targets.toml`: the availability and latency that each API should have."""

import tomllib
from typing import Annotated

import msgspec

from choreo_insights.errors import ConfigurationError
from choreo_insights.shapes import Shape

KEY = "config/targets.toml"
_Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
_Milliseconds = Annotated[float, msgspec.Meta(gt=0)]


class ApiTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The targets of one API, by its id or name; without a version, of all of its versions."""

    api: str
    version: str | None = None
    availability_percent: _Percent | None = None
    p95_ms: _Milliseconds | None = None


class Targets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The targets of all APIs, and those of single ones."""

    availability_percent: _Percent | None = None
    p95_ms: _Milliseconds | None = None
    apis: tuple[ApiTarget, ...] = ()

    def of(self, api_id: str, name: str | None, version: str | None) -> ApiTarget:
        """The targets of an API: its own, where it has some, else those of all."""
        availability, p95 = self.availability_percent, self.p95_ms
        for each in self.apis:
            if each.api in (api_id, name) and each.version in (None, version):
                availability = _first(each.availability_percent, availability)
                p95 = _first(each.p95_ms, p95)
        return ApiTarget(api_id, version, availability, p95)


_TARGETS = Shape(Targets)


def _first(value: float | None, other: float | None) -> float | None:
    return other if value is None else value


def read(text: str) -> Targets:
    """The targets of a file's text. Raises ConfigurationError with what is wrong."""
    try:
        return _TARGETS.convert(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(
            f"targets.toml cannot be used: {error}. Its keys are in docs/report.md"
        ) from error
