"""The closing sentence of a demonstration accounts for everybody."""

from __future__ import annotations

import io
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from contracts.incentive import BLOCKERS, BlockerCode, Stage
from gateway.cli.demo import _funnel
from gateway.demo.closing import refused, sentence


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    blocker = draw(st.none() | st.sampled_from(BlockerCode))
    return {
        "stage": draw(st.sampled_from(Stage)).value,
        "blocker": blocker and blocker.value,
        "owner": blocker and BLOCKERS[blocker].owner.value,
        "incentives": draw(st.integers(1, 10_000)),
        "amount_rupiah": draw(st.integers(0, 10**12)),
    }


@given(st.lists(rows(), max_size=12), st.booleans())
def test_the_numbers_add_up_to_everybody(found: list[dict[str, Any]], clean: bool) -> None:
    said = sentence({"rows": found}, clean=clean)
    numbers = [int(n) for n in re.findall(r"(?:^|; )(\d+) ", said)]
    assert sum(numbers) == sum(row["incentives"] for row in found)
    assert ("nobody twice" in said) is clean


@given(st.lists(rows(), max_size=12), st.integers(1, 10**6))
def test_no_figure_is_cut_however_many_people_there_are(found: list[dict[str, Any]], times: int) -> None:
    for row in found:
        row |= {"partner": "linkaja", "incentives": row["incentives"] * times}
    shown = io.StringIO()
    Console(file=shown, width=40).print(_funnel(found), soft_wrap=True, highlight=False)
    lines = shown.getvalue().splitlines()[-len(found) :] if found else []
    for row, line in zip(found, lines, strict=True):
        assert line.split()[-2:] == [f"{row['incentives']:,}", f"{row['amount_rupiah'] / 1e6:,.2f}"]
        assert row["stage"] in line and (row["blocker"] or "–") in line


def test_as_it_reads() -> None:
    funnel = {
        "rows": [
            {"stage": "paid", "blocker": None, "owner": None, "incentives": 78, "amount_rupiah": 37_450_000},
            {"stage": "awaiting_link", "blocker": "x", "owner": "participant", "incentives": 49, "amount_rupiah": 1},
            {"stage": "scheduled", "blocker": None, "owner": None, "incentives": 129, "amount_rupiah": 1},
        ],
        "rows_refused": [
            {"code": "nik_invalid", "rows": 1, "remedy": {"en": "Send the right NIK.", "id": "-"}},
            {"code": "amount_invalid", "rows": 3, "remedy": {"en": "Whole rupiah.", "id": "-"}},
        ],
    }
    said = sentence(funnel, clean=True)
    assert said == "78 paid, Rp 37.45 m, nobody twice; 49 wait for a named person; 129 not yet due."
    assert refused(funnel) == ["3 rows amount_invalid: Whole rupiah.", "1 row nik_invalid: Send the right NIK."]
