"""A partner's free words are kept for staff without what names a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.payout import DETAIL_MAX, safe_detail
from contracts.secret import Masked, Secret


def test_words_are_kept_and_names_and_numbers_are_not() -> None:
    said = safe_detail("Name 'budi SANTOSO' (081234567890) is\r\n invalid: code 12", Secret("Budi Santoso"))
    assert said == "Name '***' (***) is invalid: code 12"


@pytest.mark.parametrize("part", ["budi", "SANTOSO", "Santoso Budi"])
def test_part_of_a_name_is_not_kept_either(part: str) -> None:
    said = safe_detail(f"{part} is no holder", Secret("Budi Santoso")) or ""
    assert said.endswith(" is no holder") and "budi" not in said.lower() and "santoso" not in said.lower()


def test_nothing_is_nothing() -> None:
    assert safe_detail(" \n\u200b ") in (None, "\u200b") and safe_detail("") is None


@given(
    st.text(max_size=400), st.text(min_size=1, max_size=20).filter(lambda name: name.strip() not in ("", "*", "***"))
)
def test_whatever_is_said_is_bounded_printable_and_without_the_name(text: str, name: str) -> None:
    said = safe_detail(f"{text}{name}{text}", Secret(name))
    if said is not None:
        assert len(said) <= DETAIL_MAX and said.isprintable()
        assert not any(run.isdigit() for run in (said[at : at + 4] for at in range(len(said) - 3)) if run.isascii())


def test_what_is_masked_prints_its_name_alone() -> None:
    class Holder(Masked, frozen=True):
        name: str

    shown = f"{Holder('Budi')} {[Holder('Budi')]!r}"
    assert shown == "Holder(***) [Holder(***)]"
