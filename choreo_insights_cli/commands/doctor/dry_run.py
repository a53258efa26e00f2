"""Tables asked for as the exporter asks, over an empty time range."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from choreo_insights.catalogue import Table
from choreo_insights.credentials import Credentials
from choreo_insights.dataset.api_names import ApiNames
from choreo_insights.dataset.partitions import Environment
from choreo_insights.export.decode import GROUPS, Answer
from choreo_insights.export.insights_api import day_values, time_filter
from choreo_insights.export.queries import Query, Rows, collect
from choreo_insights_cli.commands.doctor.live import Live
from choreo_insights_cli.commands.doctor.settings import DoctorSettings


class Exporter:
    """Asks for one organisation through the exporter's own path."""

    def __init__(
        self,
        live: Live,
        credentials: Credentials,
        settings: DoctorSettings,
        now: Callable[[], datetime],
    ) -> None:
        self._live = live
        self._now = now
        self._credentials = credentials
        self._tenant = settings.tenants[0]
        self._extra_ids = settings.extra_environment_ids

    @property
    def has_on_prem_key(self) -> bool:
        """Whether tables that need such a key can be asked for."""
        return self._credentials.on_prem_key is not None

    def rows(
        self, table: Table, environment: Environment | None, api_ids: Sequence[str] = ()
    ) -> Rows:
        """What the service answers. Raises InsightsError."""
        apis = [ApiNames.of_id(each) for each in api_ids]
        collecting = collect(table, self._values(environment), apis)
        with_key = table.on_prem_key == "header"
        try:
            asks = next(collecting)
            while True:
                answers = self._live.ask(asks, with_on_prem_key=with_key)
                asks = collecting.send(list(map(_one_group, answers)))
        except StopIteration as done:
            rows: Rows = done.value
            return rows

    def requests(self, total: Table, environment: Environment, tenant: str, days: int) -> int:
        """The requests of a tenant in the last days, by the table `total_traffic`.

        Raises InsightsError.
        """
        today = self._now().date()
        values = self._values(environment, tenant)
        values["time"] = time_filter(today - timedelta(days=days - 1), today)
        query = Query(total, {name: values[name] for name in total.variables}, {})
        [answer] = self._live.ask([query], with_on_prem_key=False)
        return sum(filter(None, answer.columns[total.name]))

    def _values(self, environment: Environment | None, tenant: str = "") -> dict[str, Any]:
        today = self._now().date()
        more = environment and (
            *self._extra_ids.get(environment.id, ()),
            *self._extra_ids.get(environment.name, ()),
        )
        tenant = tenant or self._tenant
        values = day_values(today, self._credentials, tenant, environment, more or ())
        return values | {"time": {"from": values["time"]["from"], "to": values["time"]["from"]}}


def _one_group(answer: Answer) -> Answer:
    """Of the sets of values that a report is fanned out over, one is enough."""
    if GROUPS not in answer.columns:
        return answer
    return replace(answer, columns={GROUPS: answer.columns[GROUPS][:1]})
