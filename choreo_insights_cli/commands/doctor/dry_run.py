"""Tables asked for as the exporter asks, over an empty time range."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from choreo_insights.catalogue import Table
from choreo_insights.credentials import Credentials
from choreo_insights.dataset.partitions import Environment
from choreo_insights.export.decode import GROUPS, Answer
from choreo_insights.export.insights_api import day_values
from choreo_insights.export.queries import Rows, collect
from choreo_insights_cli.commands.doctor.live import Live


class Exporter:
    """Asks for one organisation through the exporter's own path."""

    def __init__(self, live: Live, credentials: Credentials, tenant: str) -> None:
        self._live = live
        self._credentials = credentials
        self._tenant = tenant

    @property
    def has_on_prem_key(self) -> bool:
        """Whether tables that need such a key can be asked for."""
        return self._credentials.on_prem_key is not None

    def rows(
        self, table: Table, environment: Environment | None, api_ids: Sequence[str] = ()
    ) -> Rows:
        """What the service answers. Raises InsightsError."""
        collecting = collect(table, self._values(environment), api_ids)
        with_key = table.on_prem_key == "header"
        try:
            asks = next(collecting)
            while True:
                answers = self._live.ask(asks, with_on_prem_key=with_key)
                asks = collecting.send(list(map(_one_group, answers)))
        except StopIteration as done:
            rows: Rows = done.value
            return rows

    def _values(self, environment: Environment | None) -> dict[str, Any]:
        today = datetime.now(UTC).date()
        values = day_values(today, self._credentials, self._tenant, environment)
        return values | {"time": {"from": values["time"]["from"], "to": values["time"]["from"]}}


def _one_group(answer: Answer) -> Answer:
    """Of the sets of values that a report is fanned out over, one is enough."""
    if GROUPS not in answer.columns:
        return answer
    return replace(answer, columns={GROUPS: answer.columns[GROUPS][:1]})
