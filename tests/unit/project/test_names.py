"""Names of classes: one name has one meaning in the whole project."""

import ast
from collections import defaultdict

from tests.unit.project.test_imports import sources


def test_no_class_name_is_defined_twice() -> None:
    modules: dict[str, list[str]] = defaultdict(list)
    for module, text in sources().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                modules[node.name].append(module)
    twice = {name: found for name, found in modules.items() if len(found) > 1}
    assert twice == {}
