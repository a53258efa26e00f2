"""Which tables are exported."""

import pytest

from choreo_insights.catalogue import load
from choreo_insights.errors import ConfigurationError

CATALOGUE = load()
REPORTS = {
    "errors_by_api_and_target_response_code",
    "hits_by_api_and_application",
    "hits_by_application_and_target_response_code",
    "top_hits_by_user_agent",
    "total_latency_by_api_and_version",
}


def names(*chosen: str) -> set[str]:
    return {table.name for table in CATALOGUE.chosen(chosen or None)}


def test_custom_reports_are_exported_only_where_they_are_named():
    assert {table.name for table in CATALOGUE.tables if table.only_named} == REPORTS
    assert names().isdisjoint(REPORTS)
    assert names("all") == names()
    assert names("all", "top_hits_by_user_agent") == names() | {"top_hits_by_user_agent"}
    assert names("top_hits_by_user_agent") == {"top_hits_by_user_agent"}


@pytest.mark.parametrize(
    ("name", "reason"), [("nothing", "unknown table"), ("overall_latency_by_api", "switched off")]
)
def test_a_name_that_cannot_be_exported(name: str, reason: str):
    with pytest.raises(ConfigurationError, match=reason):
        CATALOGUE.chosen(("all", name))
