"""A wrong clock for a process of its own."""

import datetime as datetime_module
import inspect
import sys
import time
from collections.abc import Iterator
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

_datetime, _time = datetime_module.datetime, time.time


def shift(seconds: float, packages: tuple[str, ...]) -> None:
    """Moves the clock for what was imported of these packages, and for what will be imported."""

    def moved_time() -> float:
        return _time() + seconds

    moved_datetime = _moved(seconds)
    time.time = moved_time
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages:
            _swap_datetime(module, moved_datetime)
            for function in _functions(module):
                _swap_defaults(function, moved_time)


def _swap_datetime(module: ModuleType, moved: type) -> None:
    found = vars(module).get("datetime")
    if found is _datetime:
        vars(module)["datetime"] = moved
    elif found is datetime_module:
        vars(module)["datetime"] = SimpleNamespace(**{**vars(datetime_module), "datetime": moved})


def _swap_defaults(function: FunctionType, moved: Any) -> None:
    """Clocks are parameters here, whose default is the real one."""
    defaults = function.__defaults__ or ()
    function.__defaults__ = tuple(moved if each is _time else each for each in defaults)
    function.__kwdefaults__ = {
        name: moved if each is _time else each
        for name, each in (function.__kwdefaults__ or {}).items()
    }


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    for value in vars(module).values():
        if inspect.isfunction(value):
            yield value
        elif inspect.isclass(value):
            yield from filter(inspect.isfunction, vars(value).values())


def _moved(seconds: float) -> type:
    """The class `datetime` with another now. Its instances are plain ones."""
    by = datetime_module.timedelta(seconds=seconds)

    class Kind(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, _datetime)

        def __getattr__(cls, name: str) -> Any:
            return getattr(_datetime, name)

        def __call__(cls, *args: Any, **values: Any) -> Any:
            return _datetime(*args, **values)

    class Moved(metaclass=Kind):
        @staticmethod
        def now(tz: datetime_module.tzinfo | None = None) -> datetime_module.datetime:
            return _datetime.now(tz) + by

        @staticmethod
        def utcnow() -> datetime_module.datetime:
            return _datetime.now(datetime_module.UTC).replace(tzinfo=None) + by

    return Moved
