"""Which partitions there should be, and what their objects are called. No AWS, no clock."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from choreo_insights.catalogue import Table

ROOT = "insights"
QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Environment:
    """An environment of an organisation, with every id under which its data is kept.

    `key_name` is its name made safe for an object's key, different for each environment of the
    organisation.
    """

    id: str
    name: str
    type: str
    ids: tuple[str, ...]
    key_name: str


@dataclass(frozen=True)
class Partition:
    """One object of the dataset: a table, an organisation, an environment and a UTC day.

    The day of a month is its first one.
    """

    table: Table = field(compare=False)
    table_name: str
    organization: str
    environment: Environment | None
    day: date

    @property
    def key(self) -> str:
        """The object's key in the dataset bucket."""
        return f"{day_prefix(self.table_name, self.day)}{self.place}.parquet"

    @property
    def last_day(self) -> date:
        """The last UTC day that it covers: it ends when that day does."""
        return last_day(self.table, self.day)

    @property
    def place(self) -> str:
        """Organisation and environment as part of a key."""
        return place_of(self.organization, self.environment)


def last_day(table: Table | None, day: date) -> date:
    """The last day that the partition of a day covers: of a monthly table, the end of the month."""
    if table is None or not table.monthly:
        return day
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def place_of(organization: str, environment: Environment | None) -> str:
    """Organisation and environment as part of a key."""
    name = safe_name(organization)
    return f"{name}.{environment.key_name}" if environment else name


def quarantine_key(partition: Partition, run: str) -> str:
    """Where a reply of this partition that could not be converted is kept."""
    folder = f"{QUARANTINE}/{partition.table_name}/day={partition.day.isoformat()}"
    return f"{folder}/{partition.place}.{run}.json.gz"


def table_prefix(table: str) -> str:
    """The prefix of a table's objects."""
    return f"{ROOT}/{table}/"


def day_prefix(table: str, day: date) -> str:
    """The prefix of a table's objects of a day."""
    return f"{table_prefix(table)}day={day.isoformat()}/"


def day_of(key: str) -> date:
    """The day in an object's key."""
    return date.fromisoformat(key.rsplit("/", 2)[1].removeprefix("day="))


def safe_name(name: str) -> str:
    """A name as part of an object's key: only letters, digits, `_` and `-`.

    A name that needs a change gets a hash of the name at its end, so that no two names meet.
    """
    # No dots: a dot separates organisation and environment in a key.
    if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name):
        return name
    # Accents go and the letters stay, so that a person still recognises the name.
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-")[:64]
    return "-".join(filter(None, (plain, hashlib.sha256(name.encode()).hexdigest()[:8])))


# Data of a CHOREO environment from before the ids of today: the names in the US and the EU.
# Names that stand in both lists of an environment are the same text in every organisation.
LEGACY_IDS: Mapping[str, tuple[str, ...]] = {
    "Development": (
        "dev-us-east-azure",
        "Dev-Internal",
        "sandbox-dev",
        "dev-eu-north-azure",
        "Dev-Internal-EU-North",
        "sandbox-dev-eu-north",
    ),
    "Production": (
        "Production and Sandbox",
        "Prod-Internal",
        "sandbox-prod",
        "prod-eu-north-azure",
        "Prod-Internal-EU-North",
        "sandbox-prod-eu-north",
    ),
}


def days(first: date, last: date) -> Iterator[date]:
    """The days from `last` back to `first`, both included: newest first."""
    for back in range((last - first).days + 1):
        yield last - timedelta(days=back)


def day_start(day: date) -> datetime:
    """The first instant of a UTC day."""
    return datetime.combine(day, time(), UTC)


def day_end(day: date) -> datetime:
    """The first instant after a UTC day."""
    return day_start(day) + timedelta(days=1)
