"""Tables made from documents, as `make tables` makes them, and the function's module."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from choreo_insights.catalogue import Table
from choreo_insights_cli.catalogue.compiler import compile_document, schema

# Their modules share a dataset, and a browser.
_SHARING = ("/dashboard", "/sql")


class _ByModule(LoadScopeScheduling):
    """Gives one worker all tests that share what is made once, most of them by module."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        folder = module.rpartition("/")[0]
        if folder.endswith(_SHARING):
            return folder
        # Each takes long, and nothing is shared.
        return nodeid if folder.endswith("/stateful") else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByModule:
    """For `-n`: see `_ByModule`."""
    return _ByModule(config, log)


@pytest.fixture(scope="session")
def app() -> ModuleType:
    """The export function's module."""
    path = Path(__file__).parents[2] / "functions" / "export" / "app.py"
    spec = importlib.util.spec_from_file_location("export_app", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def compiled() -> Callable[[str, str], Table]:
    """A table of a name from a document's text."""
    against = schema()

    def compile_text(name: str, text: str) -> Table:
        return compile_document(Path(f"{name}.graphql"), text, against)

    return compile_text


@pytest.fixture(scope="session")
def hourly(compiled: Callable[[str, str], Table]) -> Table:
    """A daily table of one environment without a fan-out."""
    text = """query q($time: TimeFilter!, $data: DataFilter!) {
      getSuccessSummary(filter: $time, dataFilter: $data, granularity: "1h") {
        granularity summary { timeSpan requestCount }
      }
    }"""
    return compiled("success_summary", text)


@pytest.fixture(scope="session")
def by_api(compiled: Callable[[str, str], Table]) -> Table:
    """A table over APIs in fives, with two lists, one in the other."""
    text = """query q($time: TimeFilter!, $data: DataFilter!, $apiNames: [String]) {
      getAPIUsageOverTime(
        timeFilter: $time dataFilter: $data
        apiUsageOvertimeFilter: { apiIds: $apiNames, granularity: "1h" }
      ) { apiId granularity usage { timeSpan count } }
    }"""
    return compiled("api_usage_over_time", text)


@pytest.fixture(scope="session")
def paged(compiled: Callable[[str, str], Table]) -> Table:
    """A table that comes in pages."""
    text = """query q($time: TimeFilter!, $data: DataFilter!, $limit: Int, $offset: Int) {
      getResourceUsage(
        timeFilter: $time dataFilter: $data
        resourceUsageFilter: { paginationFilter: { limit: $limit, offset: $offset } }
      ) { usage { apiId apiMethod apiResourceTemplate count } pagination { total limit } }
    }"""
    return compiled("resource_usage", text)
