"""docs/file-format.md: its table has every column, and its template is taken."""

from __future__ import annotations

import re
from pathlib import Path

from contracts.batch import COLUMNS
from tests.gateway.api.kit import Api

TEXT = (Path(__file__).parents[3] / "docs/file-format.md").read_text("utf-8")


def test_the_table_has_every_column_in_its_order() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) == COLUMNS


async def test_the_template_is_taken_as_it_stands(api: Api) -> None:
    template = re.search(r"```csv\n(.*?)```", TEXT, re.DOTALL)
    assert template is not None
    made = (await api.submit(template[1].encode())).json()
    assert (made["rows_accepted"], made["rows_rejected"]) == (1, 0)
    rows = re.findall(r"^\| `(\w+)` \|.*\| `([^`]+)` \|$", TEXT, re.MULTILINE)
    line = ",".join("2" if name == "period" else example for name, example in rows)
    again = (await api.submit(f"{','.join(COLUMNS)}\n{line}\n".encode(), key="k2")).json()
    assert (again["rows_accepted"], again["rows_rejected"]) == (1, 0), "the examples of the table are a row"
