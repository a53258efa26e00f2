"""The sandbox's own endpoints, under /sandbox/: JSON in, JSON out.

| path | GET | POST |
| --- | --- | --- |
| /sandbox/statistics | counts | resets them |
| /sandbox/settings | all settings | changes some |
| /sandbox/faults | active rules | a list replaces all rules; an object adds one |
| /sandbox/now | the current time | `{"now": "..."}` freezes it, null uses the real clock |
| /sandbox/lapses | | a list of missing data, see `dev.sandbox.lapses.Lapse` |
| /sandbox/changes | | `{"change": name, ...}`, see `dev.sandbox.changes.CHANGES` |
| /sandbox/tokens | | `{"organization": handle}` (or `{}`): ends live tokens |
| /sandbox/rotate | | `{"organization": handle}`: another consumer secret |
| /sandbox/secrets | each organisation's secret | |
| /sandbox/world | organisations, environments and their sizes | |
| /sandbox/expected | rows of a table: `?table=&organization=&environment=&day=&now=` | |
"""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qsl

from dev.sandbox.changes import CHANGES
from dev.sandbox.expected import expected_rows
from dev.sandbox.lapses import Lapse
from dev.sandbox.replies import SandboxReply, of_json
from dev.sandbox.service import Service

PREFIX = "/sandbox/"


def administer(service: Service, method: str, path: str, body: bytes) -> SandboxReply:
    """The reply of an endpoint; 400 with a reason for a bad request."""
    name, _, query = path.removeprefix(PREFIX).partition("?")
    table = {"GET": _READ, "POST": _CHANGE}.get(method, {})
    if name not in table:
        names = ", ".join(sorted({*_READ, *_CHANGE}))
        return of_json(404, {"error": f"unknown {method} {name!r}. The names are: {names}"})
    try:
        content = json.loads(body or b"{}") if method == "POST" else dict(parse_qsl(query))
        return of_json(200, table[name](service, content))
    except (ValueError, TypeError, KeyError) as error:
        return of_json(400, {"error": f"{type(error).__name__}: {error}"})


def _set(service: Service, content: Any) -> Any:
    service.settings.update(content)
    return service.settings.as_dict()


def _set_now(service: Service, content: Any) -> Any:
    service.settings.update({"now": content["now"]})
    return _now(service, content)


def _now(service: Service, _content: Any) -> Any:
    return {"now": service.settings.clock().isoformat()}


def _set_faults(service: Service, content: Any) -> Any:
    if isinstance(content, list):
        service.faults.replace(content)
    else:
        service.faults.replace([*service.faults.as_list(), content])
    return service.faults.as_list()


def _set_lapses(service: Service, content: Any) -> Any:
    lapses = [{**values, "day": date.fromisoformat(values["day"])} for values in content]
    service.lapses = tuple(Lapse(**values) for values in lapses)
    return content


def _change(service: Service, content: Any) -> Any:
    change = CHANGES[content["change"]]
    change(service.world, **{name: value for name, value in content.items() if name != "change"})
    return _world(service, content)


def _end_tokens(service: Service, content: Any) -> Any:
    return {"ended": service.tokens.kill_all(content.get("organization"))}


def _rotate(service: Service, content: Any) -> Any:
    service.world.rotate(content["organization"])
    return service.world.secret(content["organization"])


def _reset(service: Service, _content: Any) -> Any:
    service.statistics.reset()
    return {}


def _secrets(service: Service, _content: Any) -> Any:
    return {handle: service.world.secret(handle) for handle in service.world.organizations}


def _world(service: Service, _content: Any) -> Any:
    return {
        handle: {
            "name": organization.name,
            "org_id": organization.uuid,
            "projects": service.world.projects(handle),
            "environments": [
                {
                    "name": e.name,
                    "id": e.id,
                    "type": e.type,
                    "ids": e.ids,
                    "apis": len(e.listed),
                    "traffic": bool(e.streams),
                }
                for e in organization.environments
            ],
        }
        for handle, organization in service.world.organizations.items()
    }


def _expected(service: Service, content: Any) -> Any:
    now = datetime.fromisoformat(content["now"]) if "now" in content else service.settings.clock()
    rows = expected_rows(
        service.world,
        content["table"],
        content["organization"],
        content.get("environment"),
        date.fromisoformat(content["day"]),
        now,
        settings=service.settings,
    )
    plain = [
        {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()} for row in rows
    ]
    return {"rows": plain}


_Action = Callable[[Service, Any], Any]
_READ: Mapping[str, _Action] = {
    "statistics": lambda service, _: service.statistics.as_dict(),
    "settings": lambda service, _: service.settings.as_dict(),
    "faults": lambda service, _: service.faults.as_list(),
    "now": _now,
    "secrets": _secrets,
    "world": _world,
    "expected": _expected,
}
_CHANGE: Mapping[str, _Action] = {
    "statistics": _reset,
    "settings": _set,
    "faults": _set_faults,
    "lapses": _set_lapses,
    "changes": _change,
    "now": _set_now,
    "tokens": _end_tokens,
    "rotate": _rotate,
}
