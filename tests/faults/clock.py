"""A wrong clock for a process of its own: call `shift` before anything else is imported."""

import datetime as datetime_module
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

_real = datetime_module.datetime


def shift(seconds: float) -> None:
    """Moves `time.time`, also where it is the default of a parameter of what is imported later."""
    clock, clock_ns = time.time, time.time_ns
    time.time = lambda: clock() + seconds
    time.time_ns = lambda: clock_ns() + int(seconds * 1e9)


def shift_datetimes(seconds: float, *, packages: tuple[str, ...]) -> None:
    """Moves `datetime.now` in what is imported of these packages."""
    moved = _moved(seconds)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages:
            _swap(module, moved)


def _swap(module: ModuleType, moved: type) -> None:
    found = vars(module).get("datetime")
    if found is _real:
        module.__dict__["datetime"] = moved
    elif found is datetime_module:
        module.__dict__["datetime"] = SimpleNamespace(
            **{**vars(datetime_module), "datetime": moved}
        )


def _moved(seconds: float) -> type:
    """The class `datetime` with another now. Its instances are plain ones."""
    by = datetime_module.timedelta(seconds=seconds)

    class Kind(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, _real)

        def __getattr__(cls, name: str) -> Any:
            return getattr(_real, name)

        def __call__(cls, *args: Any, **values: Any) -> Any:
            return _real(*args, **values)

    class Moved(metaclass=Kind):
        @staticmethod
        def now(tz: datetime_module.tzinfo | None = None) -> datetime_module.datetime:
            return _real.now(tz) + by

        @staticmethod
        def utcnow() -> datetime_module.datetime:
            return _real.now(datetime_module.UTC).replace(tzinfo=None) + by

    return Moved
