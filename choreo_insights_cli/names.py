"""Names that a person gives: checked against those that there are, with the nearest ones."""

from collections.abc import Iterable
from itertools import groupby

from choreo_insights_cli.errors import WrongUsage

# Of 1 for equal names: what is worth a question, and what is as good as the best.
_ALIKE, _NEARLY = 0.6, 0.1


def nearest(name: str, known: Iterable[str]) -> str:
    """A question with the names that look most alike, empty where none does."""
    # Most calls name what there is.
    from difflib import SequenceMatcher, get_close_matches  # noqa: PLC0415

    by_lower = {each.lower(): each for each in known}
    alike = get_close_matches(name.lower(), by_lower, 3, _ALIKE)
    ratios = {each: SequenceMatcher(None, name.lower(), each).ratio() for each in alike}
    best = max(ratios.values(), default=0.0)
    nearest = [by_lower[each] for each, ratio in ratios.items() if ratio > best - _NEARLY]
    return f"Did you mean {' or '.join(nearest)}?" if nearest else ""


def check(option: str, given: Iterable[str], known: Iterable[str], what: str, more: str) -> None:
    """Raises WrongUsage for a name that is not known.

    `what` is the kind of thing, and `more` where all names are found.
    """
    known = list(known)
    for name in given:
        if name not in known:
            near = nearest(name, known) or more
            raise WrongUsage(f"{option} {name}: no such {what}. {near}".strip())


def in_order(names: Iterable[str]) -> list[str]:
    """Sorted as people expect: Banana after apple, and Orders 10 after Orders 9."""
    return sorted(names, key=order)


def order(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """What `in_order` sorts by: case does not count, and digits count as numbers."""
    parts = ("".join(part) for _, part in groupby(name.casefold(), str.isdecimal))
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts), name
