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


FLOORS = {"registry": 3, "snap": 1}
"""In `adapters/`; each partner's folder is on floor 2, modules at the top on 0."""


def upwards(graph: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    """Imports in `adapters/` that lead from one room to another and not down: a partner knows no other, and what is
    shared knows no partner. Modules at the top may use each other.
    """
    folders = {name.split(".")[1] for name in graph if name.count(".") > 1}
    floors = {name.split(".")[1]: 2 for name in graph if name.split(".")[1] in folders} | FLOORS
    found = set()
    for name, named in graph.items():
        for other in named - {"adapters"}:
            here, there = name.split(".")[1], other.split(".")[1]
            if here != there and floors.get(there, 0) >= max(1, floors.get(here, 0)):
                found.add((name, other))
    return found


def test_partners_know_nothing_of_each_other() -> None:
    known = {name: path for name, path in modules(ROOT).items() if name.startswith("adapters.")}
    graph = {name: imports(name, path.read_text(), known) for name, path in known.items()}
    assert sum(map(len, graph.values())) > 50
    assert upwards(graph) == set()


def test_an_arrow_upwards_is_found() -> None:
    down = {"adapters.a.sign": {"adapters.snap.codes", "adapters.answers"}, "adapters.b.wire": {"adapters.answers"}}
    rest = {
        "adapters.snap.codes": {"adapters.answers"},
        "adapters.answers": {"adapters.facts"},
        "adapters.facts": set(),
    }
    graph: dict[str, set[str]] = down | rest | {"adapters.registry": {"adapters.a.sign", "adapters.b.wire"}}
    assert upwards(graph) == set()
    for name, other in (
        ("adapters.a.sign", "adapters.b.wire"),
        ("adapters.snap.codes", "adapters.a.sign"),
        ("adapters.answers", "adapters.snap.codes"),
        ("adapters.b.wire", "adapters.registry"),
    ):
        assert upwards(graph | {name: graph[name] | {other}}) == {(name, other)}
