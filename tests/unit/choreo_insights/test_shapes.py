"""Foreign values are checked; no thread makes msgspec describe a class."""

import ast
import subprocess
import sys

import msgspec
import pytest

from choreo_insights.shapes import Shape
from choreo_insights_cli.paths import ROOT

LIBRARY = ROOT / "layers" / "insights" / "choreo_insights"
# A shape of its own, made per reader: no other thread knows its classes yet.
OWN = "export/decode.py"
# Describes a class as msgspec does, and then reads: the profiler sees what the reading calls.
SECOND_USE = """
import sys
from choreo_insights.shapes import Shape
from choreo_insights.dataset.registry_merge import KnownName
shape = Shape(KnownName)
names = []
sys.setprofile(lambda frame, *_: names.append(frame.f_code.co_name))
row = {"kind": "api", "id": "1", "name": None, "version": None, "first_listed": "2026-01-01",
       "last_listed": "2026-01-01", "listed": True, "display_name": None, "provider": None,
       "owner": None}
shape.convert(row)
sys.setprofile(None)
print("get_class_annotations" in names)
"""


class Point(msgspec.Struct):
    x: int


def test_values_are_checked() -> None:
    shape = Shape(Point)
    assert shape.decode(b'{"x": 1}') == shape.convert({"x": 1}) == Point(1)
    for wrong in ({"x": "1"}, {}, 3):
        with pytest.raises(msgspec.ValidationError):
            shape.convert(wrong)
    with pytest.raises(msgspec.DecodeError):
        shape.decode(b"{")


def described_while_reading(program: str) -> bool:
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True,
        env={"PYTHONPATH": str(LIBRARY.parent)},
    )  # fmt: skip
    return ended.stdout.strip() == "True"


def test_a_shape_is_described_when_it_is_made() -> None:
    assert not described_while_reading(SECOND_USE)
    # What would crash a process in which several threads are the first.
    unprepared = SECOND_USE.replace("shape = Shape(KnownName)", "import msgspec").replace(
        "shape.convert(row)", "msgspec.convert(row, KnownName)"
    )
    assert described_while_reading(unprepared)


def test_the_library_reads_by_shapes_that_are_made_with_their_module() -> None:
    found = []
    for path in LIBRARY.rglob("*.py"):
        name = path.relative_to(LIBRARY).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        if name not in ("shapes.py", OWN):
            found += [f"{name}: {call}" for call in map(ast.unparse, calls(tree)) if typed(call)]
        inner = (call for node in functions(tree) for call in map(ast.unparse, calls(node)))
        found += [f"{name}: {call} in a function" for call in inner if call.startswith("Shape(")]
    assert found == []


def functions(tree: ast.AST) -> list[ast.AST]:
    kinds = (ast.FunctionDef, ast.Lambda)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def typed(call: str) -> bool:
    """Whether a call gives msgspec a class to read."""
    return call.startswith(("msgspec.convert(", "msgspec.json.Decoder(")) or (
        call.startswith("msgspec.json.decode(") and "type=" in call
    )
