"""The prices, from `prices.toml`: no other file holds one."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

FILE = Path(__file__).with_name("prices.toml")


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The price of one `unit` in US dollars by region; `free` units a month cost nothing."""

    id: str
    service: str
    what: str
    unit: str
    usd: Mapping[str, float]
    source: str
    confidence: Literal["confirmed", "recalled"]
    free: float = 0


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"all": "price"}):
    """All prices, the month that they are of, and the regions that each is known in."""

    date: str
    regions: tuple[str, ...]
    all: tuple[Price, ...]

    def check(self, region: str) -> None:
        """Raises ValueError where the prices of a region are not known."""
        if region not in self.regions:
            known = ", ".join(self.regions)
            raise ValueError(f"{FILE.name} has no prices of {region}, only of {known}")


def load(path: Path = FILE) -> Prices:
    """The prices in the file. Raises ValueError where it cannot be read."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Prices)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
