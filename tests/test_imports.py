"""No module imports another that imports it, however long the way round; import-linter holds the rooms apart."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("contracts", "adapters", "gateway", "mock_partners")


def modules(root: Path) -> dict[str, Path]:
    """Dotted name -> file, of every module of these packages."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }


def imports(name: str, text: str, known: Mapping[str, object]) -> set[str]:
    """Which of our modules one module imports; an import for the type checker alone counts too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return (found & known.keys()) - {name}


def check(graph: Mapping[str, set[str]]) -> None:
    TopologicalSorter(graph).prepare()


def test_no_two_modules_import_each_other() -> None:
    known = modules(ROOT)
    assert len(known) > 200
    check({name: imports(name, path.read_text(), known) for name, path in known.items()})


def test_a_way_round_is_found() -> None:
    """By way of a third, for type checking only, and inside a function."""
    texts = {"a": "if TYPE_CHECKING:\n    from b import x", "b": "import c", "c": "def late():\n    from a import y"}
    with pytest.raises(CycleError):
        check({name: imports(name, text, texts) for name, text in texts.items()})
    straight = texts | {"c": ""}
    check({name: imports(name, text, straight) for name, text in straight.items()})
