"""The page of the benchmark names what the report fills in, and nothing else."""

import ast
import re

from choreo_insights_cli.paths import ROOT


def test_the_page_and_the_report_name_the_same_values() -> None:
    text = (ROOT / "dev/bench/page.md").read_text("utf-8")
    tree = ast.parse((ROOT / "dev/bench/report.py").read_text("utf-8"))
    (substitute,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "substitute"
    )
    assert set(re.findall(r"\$(\w+)", text)) == {word.arg for word in substitute.keywords}
