"""Builds of other releases: a build whose documents are others, so that its tables are."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from catalogue import glue
from catalogue.compiler import compile_document, compile_folder, schema
from catalogue.shipped import OWN, ROOT
from insights.catalogue import Catalogue, Table, load
from local.places import Folder
from tests.unit.catalogue.test_generated import OWN as OF_A_USER

TABLE, CUSTOM = "cache_hits_and_misses", "hits_by_user_agent"
NOW = (ROOT / "catalogue" / "tables" / f"{TABLE}.graphql").read_text()
# One column less, one more, and one under another name.
BEFORE = NOW.replace("hits\n", "found: hits\n").replace("hitPercentage", "lost: misses")
# As it is today, with the column's history.
AFTER = NOW.replace("hits\n", 'hits @was(columns: ["found"])\n')


def build(source: Folder, target: Folder, documents: Mapping[str, str]) -> Catalogue:
    """A copy of a build with these documents of shipped tables, and with a user's own one.

    Gives its catalogue. A build that is there is changed.
    """
    if not target.build.exists():
        shutil.copytree(source.build, target.build)
    against = schema()
    shipped = [
        compile_document(Path(table.document), documents[table.name], against)
        if table.name in documents
        else table
        for table in compile_folder(ROOT / "catalogue" / "tables", against)
    ]
    own = [compile_document(Path(f"{CUSTOM}.graphql"), OF_A_USER, against)]
    layer = target.build / "InsightsLayer" / "python" / "insights"
    (layer / "catalogue.json").write_bytes(msgspec.json.encode(Catalogue(tuple(shipped))))
    (layer / "custom_catalogue.json").write_bytes(msgspec.json.encode(Catalogue(tuple(own))))
    versions = {"Version": "0.0.1", "DatasetVersion": "1"}
    tables = glue.render([*map(_described, shipped), *OWN], versions)
    (target.build / "InsightsTables" / "template.yaml").write_text(tables)
    (target.build / "CustomTables" / "template.yaml").write_text(glue.render(map(_described, own)))
    return load(layer)


def _described(table: Table) -> tuple[str, str, Sequence[object]]:
    return table.name, table.description, table.columns
