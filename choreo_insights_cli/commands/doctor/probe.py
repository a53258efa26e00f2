"""Each document asked over an empty time range, for when the schema cannot be seen."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from choreo_insights.catalogue import Table
from choreo_insights.dataset.partitions import Environment
from choreo_insights.errors import InsightsError, PersonMustAct, Retriable, Unauthenticated
from choreo_insights.redaction import redact
from choreo_insights_cli.commands.doctor.compare import REMEDY
from choreo_insights_cli.commands.doctor.documents import Document, ways, with_other_ways
from choreo_insights_cli.commands.doctor.dry_run import Exporter
from choreo_insights_cli.commands.doctor.findings import Finding

# So many in a row without an answer, and the rest is not asked.
_GIVE_UP_AFTER = 3


class Prober:
    """Asks for documents, each of one environment and one API."""

    def __init__(self, exporter: Exporter, environments: Sequence[Environment]) -> None:
        self._exporter = exporter
        self._environments = environments
        self._with_api: Environment | None = None
        self._api_ids: tuple[str, ...] = ()

    def probe(
        self, documents: Sequence[Document], progress: Callable[[str], None]
    ) -> Iterator[Finding]:
        """A finding about each document, with the service's words."""
        self._find_api(documents)
        return with_other_ways(documents, self._findings(documents, progress))

    def _findings(
        self, documents: Sequence[Document], progress: Callable[[str], None]
    ) -> Iterator[Finding]:
        unanswered = 0
        for document in documents:
            progress(f"asking for {document.table.name}")
            if unanswered == _GIVE_UP_AFTER:
                yield Finding(document.path, "skipped", "the service answers no more")
                continue
            finding, answered = self._probed(document)
            unanswered = 0 if answered else unanswered + 1
            yield finding

    def _find_api(self, documents: Sequence[Document]) -> None:
        """The first environment that has an API, and that API."""
        for environment, table in product(self._environments, [*ways(documents, "apis")]):
            try:
                rows = self._exporter.rows(table, environment)
            except InsightsError:  # it is asked for again, and says why
                continue
            if ids := rows.columns.get("api_id"):
                self._with_api, self._api_ids = environment, (ids[0],)
                return

    def _probed(self, document: Document) -> tuple[Finding, bool]:
        """The finding, and whether the service answered at all."""
        table = document.table
        environment = self._place(table)
        if reason := self._unaskable(table, environment):
            return Finding(document.path, "skipped", reason), True
        try:
            self._exporter.rows(table, environment, self._api_ids)
        except Retriable as error:
            return Finding(document.path, "failed", _words(error), "Try again later"), False
        except (PersonMustAct, Unauthenticated) as error:
            return Finding(document.path, "failed", _words(error)), True
        except InsightsError as error:
            return Finding(document.path, "differs", _words(error), REMEDY), True
        return Finding(document.path, "ok"), True

    def _place(self, table: Table) -> Environment | None:
        if table.scope == "organization":
            return None
        types = table.environment_types
        fitting = [e for e in self._environments if not types or e.type in types]
        if table.needs_apis and self._with_api in fitting:
            return self._with_api
        return fitting[0] if fitting else None

    def _unaskable(self, table: Table, environment: Environment | None) -> str:
        if table.off:
            return f"switched off: {table.off}"
        if table.on_prem_key and not self._exporter.has_on_prem_key:
            return "the secret holds no on_prem_key"
        if table.scope == "environment" and environment is None:
            kinds = " or ".join(table.environment_types)
            return f"there is no environment{' of type ' + kinds if kinds else ''}"
        return "there is no API to ask about" if table.is_by_api and not self._api_ids else ""


def _words(error: InsightsError) -> str:
    """GraphQL repeats what it was given: nothing that looks like a key is shown."""
    return redact(str(error))
