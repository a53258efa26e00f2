"""What follows from the documents: the compiled catalogue, Glue tables and the page."""

import shutil
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

from choreo_insights import catalogue
from choreo_insights.catalogue import load
from choreo_insights.dataset.registry_tables import UNPARTITIONED
from choreo_insights.errors import ConfigurationError
from choreo_insights_cli.catalogue.errors import DocumentError
from choreo_insights_cli.errors import WrongUsage
from choreo_insights_cli.generate.everything import generated, write
from choreo_insights_cli.generate.glue import render
from choreo_insights_cli.generate.tables_page import render_own
from choreo_insights_cli.paths import ROOT

OWN = """# Requests by user agent | hour.
query hits_by_user_agent($time: TimeFilter!, $data: DataFilter!, $groupByValues: [String]!) {
  getCustomReportOvertime(
    dataFilter: $data, timeFilter: $time, metric: HIT_COUNT, groupByFields: [USER_AGENT]
    groupByValues: $groupByValues, granularity: "1h"
  ) { granularity usage { timeSpan hits: value } }
}
"""


def copy(folder: Path) -> Path:
    """A copy of the catalogue with one document of the user's own."""
    for name in (
        "choreo_insights_cli/catalogue/tables",
        "choreo_insights_cli/sql/views",
        "choreo_insights_cli/sql/queries",
    ):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("pyproject.toml", "template.yaml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "layers/insights").mkdir(parents=True)
    (folder / "custom").mkdir()
    (folder / "custom/hits_by_user_agent.graphql").write_text(OWN, "utf-8")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project for one test."""
    return copy(tmp_path)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All that follows from a project, by path."""
    project = copy(tmp_path_factory.mktemp("project"))
    return {str(path.relative_to(project)): text for path, text in generated(project)}


def test_a_users_own_document_is_a_table_beside_the_shipped_ones(files: dict[str, str]):
    own = yaml.safe_load(files["generated/custom_tables.yaml"])["Resources"]
    assert list(own) == ["HitsByUserAgentTable"]
    described = own["HitsByUserAgentTable"]["Properties"]["TableInput"]
    columns = {c["Name"]: c["Type"] for c in described["StorageDescriptor"]["Columns"]}
    assert (columns["user_agent"], columns["hits"]) == ("string", "bigint")
    assert described["Parameters"]["projection.enabled"] == "true"
    page = files["docs/generated/custom_tables.md"]
    assert (
        "| [hits_by_user_agent](#hits_by_user_agent) | Requests by user agent \\| hour. |" in page
    )
    assert "| a row for each | `user_agent`, hour (`time_span`) |" in page
    assert (
        "| `user_agent` | string | Value of the group-by field USER_AGENT that was queried" in page
    )


def test_what_is_shipped_does_not_change_with_it(files: dict[str, str]):
    # An update of the project brings new versions of these, and none of those in `custom`.
    for name, text in files.items():
        if "custom" not in name:
            assert text == (ROOT / name).read_text("utf-8"), name


def test_nothing_comes_from_what_was_compiled_before(
    project: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path) -> NoReturn:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(catalogue, "read", refuse)
    assert {str(path.relative_to(project)): text for path, text in generated(project)} == files


def test_a_folder_without_the_program_has_the_shipped_documents(
    project: Path, files: dict[str, str]
):
    shutil.rmtree(project / "choreo_insights_cli")
    assert {str(path.relative_to(project)): text for path, text in generated(project)} == files


def test_a_folder_of_another_release_is_refused(project: Path):
    (project / "pyproject.toml").write_text('[project]\nversion = "0.0.9"\n', "utf-8")
    with pytest.raises(WrongUsage, match=r"is version 0\.0\.9 .*pipx install --force"):
        write(project, check=False)
    assert not (project / "generated").exists()


def test_without_documents_the_folder_has_its_page_and_no_table():
    assert "## " not in render_own([])
    # CloudFormation takes no template without a resource.
    assert list(yaml.safe_load(render([]))["Resources"]) == ["NoTables"]


def test_the_function_knows_both(files: dict[str, str], tmp_path: Path):
    (tmp_path / "catalogue.json").write_text(
        files["layers/insights/choreo_insights/catalogue.json"], "utf-8"
    )
    (tmp_path / "custom_catalogue.json").write_text(
        files["generated/custom_catalogue.json"], "utf-8"
    )
    names = [table.name for table in load(tmp_path).tables]
    assert "hits_by_user_agent" in names
    assert "success_summary" in names


def test_a_document_for_a_shipped_table_is_refused(project: Path):
    (project / "custom/success_summary.graphql").write_text(OWN, "utf-8")
    with pytest.raises(DocumentError, match=r"custom/success_summary.graphql:1: there is a table"):
        list(generated(project))


def test_a_document_with_the_name_of_a_view_is_refused(project: Path):
    # Glue has one list of names for both.
    (project / "custom/traffic_daily.graphql").write_text(OWN, "utf-8")
    says = r"custom/traffic_daily.graphql:1: there is a table or view 'traffic_daily' already"
    with pytest.raises(DocumentError, match=says):
        list(generated(project))


def test_another_way_must_give_the_same_rows(project: Path):
    other = project / "custom/hits_by_user_agent.top.graphql"
    other.write_text(OWN.replace("hits: value", "value"), "utf-8")
    with pytest.raises(DocumentError, match="it has columns that hits_by_user"):
        list(generated(project))
    other.rename(project / "custom/nothing.top.graphql")
    with pytest.raises(DocumentError, match="another way to ask for 'nothing': there is none"):
        list(generated(project))


def test_a_catalogue_that_cannot_be_read_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"catalogue.json cannot be read.*make tables"):
        load(tmp_path)
    (tmp_path / "catalogue.json").write_text('{"tables": [{"name": "x"}]}', "utf-8")
    with pytest.raises(ConfigurationError, match=r"catalogue.json cannot be read.*make tables"):
        load(tmp_path)


def test_glue_takes_what_is_written():
    resources = yaml.safe_load((ROOT / "generated/tables.yaml").read_text("utf-8"))["Resources"]
    for resource in resources.values():
        described = resource["Properties"]["TableInput"]
        names = [c["Name"] for c in described["StorageDescriptor"]["Columns"]]
        assert len(set(names)) == len(names)
        assert "day" not in names
        comments = [c.get("Comment", "") for c in described["StorageDescriptor"]["Columns"]]
        assert max(map(len, comments)) <= 255
        assert len(described["Description"]) <= 2048
        partitioned = described["Name"] not in UNPARTITIONED
        assert names == [name.lower() for name in names]
        assert [key["Name"] for key in described["PartitionKeys"]] == ["day"] * partitioned
        assert ("projection.enabled" in described["Parameters"]) == partitioned
    assert len(resources) <= 500


def test_the_registrys_tables_and_the_rules_have_no_partitions():
    resources = yaml.safe_load((ROOT / "generated/tables.yaml").read_text("utf-8"))["Resources"]
    tables = [resource["Properties"]["TableInput"] for resource in resources.values()]
    plain = {table["Name"] for table in tables if not table["PartitionKeys"]}
    assert plain == {"registry_environments", "registry_names", "access_rules"}
    for table in tables:
        assert ("projection.enabled" in table["Parameters"]) is (table["Name"] not in plain)
