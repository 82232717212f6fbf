"""Every planted bug still applies to the source as it is, and leaves code that compiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.registry import PARTNERS
from tests.mutants.__main__ import FAMILIES
from tests.mutants.memory import Clock, Memory
from tests.mutants.mutant import DoesNotApply, Edit, Mutant
from tests.mutants.runner import LIMIT_S, ROOT, Bounds, Verdict

MUTANTS = [mutant for tables in FAMILIES.values() for table in tables for mutant in table]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_applies(mutant: Mutant) -> None:
    texts = {edit.path: (ROOT / edit.path).read_text(encoding="utf-8") for edit in mutant.edits}
    for edit in mutant.edits:
        texts[edit.path] = edit.changed(texts[edit.path])
    for path, text in texts.items():
        if path.endswith(".py"):
            compile(text, path, "exec")
    assert all((ROOT / test).exists() for test in mutant.tests)
    assert not mutant.first or f"def {mutant.first}(" in (ROOT / mutant.tests[0]).read_text(encoding="utf-8")


def test_every_adapter_has_bugs_planted() -> None:
    """As those of the others in `adapters_*.py`, with the texts of its own code."""
    planted = {
        edit.path.split("/")[1] for mutant in MUTANTS for edit in mutant.edits if edit.path.startswith("adapters/")
    }
    assert PARTNERS.keys() - planted == set(), "plant some in its adapter: tests/partners/<partner>/bugs.py, as dana's"


def test_names_differ() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_a_text_that_is_not_there_is_an_error() -> None:
    edit = Edit("adapters/registry.py", "no such text", "x")
    with pytest.raises(DoesNotApply):
        edit.changed((ROOT / edit.path).read_text(encoding="utf-8"))


def test_a_run_is_bounded_by_what_its_tests_take_without_a_mutant() -> None:
    mutant = Mutant("m", (), ("a.py", "b.py"))
    assert Bounds.of(mutant, {"a.py": 10.0, "b.py": 20.0}) == Bounds(cpu_s=60, wall_s=210.0)
    assert Bounds.of(mutant, {"a.py": 1.0, "b.py": 1.0}).cpu_s == LIMIT_S
    assert Bounds.of(mutant, {"a.py": 1.0}) == Bounds(), "one of them was never measured"


def test_what_is_left_and_what_was_caught_is_known_after_a_run_that_was_broken_off(tmp_path: Path) -> None:
    clock = Clock({"one": 10.0, "two": 30.0, "three": 50.0}, workers=2)
    assert clock.left() == "45 s"
    clock.done(Verdict(Mutant("one", (), ()), True, "a test", took_s=50.0))
    assert clock.left() == "3 min", "five times as long as was thought, two at once"
    memory = Memory({"a.py": 1.5}, {"one"})
    memory.write(tmp_path / "kept")
    assert Memory.read(tmp_path / "kept") == memory
    (tmp_path / "kept").write_text('{"seconds": 7')
    assert Memory.read(tmp_path / "kept") == Memory.read(tmp_path / "none") == Memory()
