"""Every planted bug still applies to the source as it is, and leaves code that compiles."""

from __future__ import annotations

import pytest

from adapters.registry import PARTNERS
from tests.mutants.__main__ import FAMILIES
from tests.mutants.mutant import DoesNotApply, Edit, Mutant
from tests.mutants.runner import ROOT

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
