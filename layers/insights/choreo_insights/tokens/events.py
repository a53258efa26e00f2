"""The token function's event and reply, as other systems rely on them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

from choreo_insights.errors import InsightsError, PersonMustAct
from choreo_insights.tokens.reader import instant

if TYPE_CHECKING:
    from choreo_insights.tokens.minting import Minter, TokenOutcome

ACTIONS = ("ensure", "renew", "revoke", "status")
_KEYS = ("action", "organization", "rejected")
_SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Request:
    """A checked event. `organization` None means all of them."""

    action: str
    organization: str | None = None
    rejected: str = ""

    @classmethod
    def read(cls, event: object) -> Request:
        """Raises PersonMustAct for an event that is not the contract's."""
        if not isinstance(event, dict):
            raise PersonMustAct(f"the event is not an object: send {_example()}")
        # A misspelled `organisation` would otherwise act on all of them.
        if unknown := sorted(str(key) for key in event if key not in _KEYS):
            msg = f"the event has unknown keys, {', '.join(unknown)[:200]}: send {_example()}"
            raise PersonMustAct(msg)
        action = event.get("action")
        if action not in ACTIONS:
            msg = f"the event's action is not one of {', '.join(ACTIONS)}: send {_example()}"
            raise PersonMustAct(msg)
        for key in ("organization", "rejected"):
            value = event.get(key)
            if value is not None and not (isinstance(value, str) and value.strip()):
                msg = f"the event's {key!r} is not a text: give one or leave the key out"
                raise PersonMustAct(msg)
        return cls(str(action), event.get("organization"), event.get("rejected") or "")


def _example() -> str:
    return '{"action": "ensure", "organization": "<handle, or leave out for all>"}'


class TokenEvents:
    """Answers events. One organisation's failure does not touch another's answer."""

    def __init__(self, minter: Minter, organizations: tuple[str, ...]) -> None:
        self._minter = minter
        self._organizations = organizations

    def answer(self, request: Request, seconds: float) -> dict[str, dict[str, Any]]:
        """What became of each organisation's token, within `seconds`."""
        named = request.organization
        chosen = self._organizations if named is None else (named,)
        one = partial(self._one, request, seconds)
        # A thread costs more than it saves.
        if len(chosen) == 1:
            return {chosen[0]: one(chosen[0])}
        with ThreadPoolExecutor(min(len(chosen), _SIDE_BY_SIDE)) as pool:
            return dict(zip(chosen, pool.map(one, chosen), strict=True))

    def _one(self, request: Request, seconds: float, organization: str) -> dict[str, Any]:
        if organization not in self._organizations:
            known = ", ".join(self._organizations)
            error = (
                f"{organization[:100]!r} is none of this stack's organisations ({known}): add it "
                f"to the setting Organizations"
            )
            return {"status": "failed", "error": error, "retriable": False}
        try:
            return _described(self._act(request, organization, seconds))
        except InsightsError as error:
            return {"status": "failed", **_reason(error)}
        except Exception as error:
            # A defect must not take the other organisations' tokens along. Its text is not shown:
            # nobody has looked at what it may hold.
            frame = extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}"
            return {"status": "failed", "error": f"a defect: {where}", "retriable": True}

    def _act(self, request: Request, organization: str, seconds: float) -> TokenOutcome:
        match request.action:
            case "ensure":
                return self._minter.ensure(organization, seconds, request.rejected)
            case "renew":
                return self._minter.renew(organization, seconds)
            case "revoke":
                return self._minter.revoke(organization, seconds)
            case _:
                return self._minter.status(organization)


def _described(outcome: TokenOutcome) -> dict[str, Any]:
    reply: dict[str, Any] = {"status": outcome.status}
    if outcome.token:
        reply["expires_at"] = instant(outcome.token.expires_at)
        reply["fingerprint"] = outcome.token.fingerprint
    if outcome.minted_by:
        reply["secret"] = outcome.minted_by
    if outcome.note:
        reply["note"] = outcome.note
    if outcome.error:
        reply |= _reason(outcome.error)
    return reply


def _reason(error: InsightsError) -> dict[str, Any]:
    return {"error": str(error), "retriable": not isinstance(error, PersonMustAct)}
