"""Builds of other releases: of 0.1.0, and of this one with other documents, so other tables."""

import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from graphql import GraphQLSchema

from choreo_insights.catalogue import Catalogue, Table, load
from choreo_insights.dataset.store import VERSION
from choreo_insights_cli.catalogue.compiler import compile_document, compile_folder, schema
from choreo_insights_cli.generate import glue
from choreo_insights_cli.generate.everything import version
from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.sql.shipped import OWN
from dev.local.paths import Folder
from tests.unit.choreo_insights_cli.generate.test_everything import OWN as OF_A_USER

TABLE, CUSTOM = "cache_hits_and_misses", "hits_by_user_agent"
NOW = (ROOT / "choreo_insights_cli/catalogue/tables" / f"{TABLE}.graphql").read_text("utf-8")
# One column less, one more, and one under another name.
BEFORE = NOW.replace("hits\n", "found: hits\n").replace("hitPercentage", "lost: misses")
# As it is today, with the column's history.
AFTER = NOW.replace("hits\n", 'hits @was(columns: ["found"])\n')


# What is deployed of release 0.1.0: `git archive` of its template, code and generated templates.
_FIRST = Path(__file__).with_name("release_0_1_0.tar.xz")
_CODE = {"token": "TokenFunction", "export": "ExportFunction"}
_NESTED = {"tables": "InsightsTables", "views": "InsightsViews", "queries": "SavedQueries"}
# What `sam build` makes of the paths in the template.
_PATHS = {
    "ContentUri: layers/insights": "ContentUri: InsightsLayer",
    "CodeUri: functions/token": "CodeUri: TokenFunction",
    "CodeUri: functions/export": "CodeUri: ExportFunction",
    "TemplateURL: custom/tables.yaml": "TemplateURL: CustomTables/template.yaml",
    "TemplateURL: tables.yaml": "TemplateURL: InsightsTables/template.yaml",
    "TemplateURL: views.yaml": "TemplateURL: InsightsViews/template.yaml",
    "TemplateURL: queries.yaml": "TemplateURL: SavedQueries/template.yaml",
    "TemplateURL: quicksight.yaml": "TemplateURL: QuickSight/template.yaml",
    "DefinitionUri: statemachines/": "DefinitionUri: ",
}
# The library, as it was called in 0.1.0 and as it is now: commands of this release read the latter.
_FIRST_LAYER = Path("InsightsLayer/python/insights")
_LAYER = Path("InsightsLayer/python/choreo_insights")


def build_first(source: Folder, target: Folder) -> None:
    """A build of release 0.1.0 with the packages of another build.

    One of its tables has other columns, and a user's own table is in it.
    """
    shutil.copytree(source.build, target.build)
    first = target.path / "first"
    with tarfile.open(_FIRST) as archive:
        archive.extractall(first, filter="data")
    for function, resource in _CODE.items():
        shutil.copy(first / "functions" / function / "app.py", target.build / resource)
    shutil.copytree(first / "layers/insights/insights", target.build / _FIRST_LAYER)
    shutil.copy(first / "statemachines" / "backfill.asl.json", target.build)
    template = (first / "template.yaml").read_text("utf-8")
    for before, after in _PATHS.items():
        template = template.replace(before, after)
    (target.build / "template.yaml").write_text(template, "utf-8")
    for name, resource in _NESTED.items():
        shutil.copy(first / f"{name}.yaml", target.build / resource / "template.yaml")
    _change_table(target.build / "InsightsTables" / "template.yaml")
    against = schema()
    _put_own(target, _FIRST_LAYER, against)
    changed = msgspec.to_builtins(compile_document(Path(f"{TABLE}.graphql"), BEFORE, against))
    catalogue = target.build / _FIRST_LAYER / "catalogue.json"
    tables = json.loads(catalogue.read_bytes())["tables"]
    tables = [changed if table["name"] == TABLE else table for table in tables]
    catalogue.write_text(json.dumps({"tables": tables}), "utf-8")


def _change_table(template: Path) -> None:
    """Describes the table to Glue as `BEFORE` has it."""
    before, name, after = template.read_text("utf-8").partition(f"Name: {TABLE}\n")
    after = after.replace("- Name: hits\n", "- Name: found\n", 1)
    after = after.replace(
        "- Name: hit_percentage\n            Type: double",
        "- Name: lost\n            Type: bigint",
        1,
    )
    template.write_text(before + name + after, "utf-8")


def _put_own(target: Folder, layer: Path, against: GraphQLSchema) -> None:
    """Puts a user's own table into a build."""
    own = [compile_document(Path(f"{CUSTOM}.graphql"), OF_A_USER, against)]
    catalogue = target.build / layer / "custom_catalogue.json"
    catalogue.write_bytes(msgspec.json.encode(Catalogue(tuple(own))))
    (target.build / "CustomTables" / "template.yaml").write_text(
        glue.render(map(_described, own)), "utf-8"
    )


def build(source: Folder, target: Folder, documents: Mapping[str, str]) -> Catalogue:
    """A copy of a build with these documents of shipped tables, and with a user's own one.

    It takes the place of a build that is there. Gives its catalogue.
    """
    shutil.rmtree(target.build, ignore_errors=True)
    shutil.copytree(source.build, target.build)
    against = schema()
    shipped = [
        compile_document(Path(table.document), documents[table.name], against)
        if table.name in documents
        else table
        for table in compile_folder(ROOT / "choreo_insights_cli/catalogue/tables", against)
    ]
    layer = target.build / _LAYER
    (layer / "catalogue.json").write_bytes(msgspec.json.encode(Catalogue(tuple(shipped))))
    _put_own(target, _LAYER, against)
    versions = {"Version": version(ROOT), "DatasetVersion": f"{VERSION}"}
    tables = glue.render([*map(_described, shipped), *OWN], versions)
    (target.build / "InsightsTables" / "template.yaml").write_text(tables, "utf-8")
    return load(layer)


def _described(table: Table) -> tuple[str, str, Sequence[object]]:
    return table.name, table.description, table.columns
