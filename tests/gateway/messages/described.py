"""The table of docs/events.md, as code."""

from __future__ import annotations

import re
from pathlib import Path

_ROW = re.compile(r"\| `([a-z_.]+)` \| .*? \| [a-z]* ?\|([^|]*)\|")


def documented() -> dict[str, set[str]]:
    """By event type: the keys of its data."""
    text = (Path(__file__).parents[3] / "docs" / "events.md").read_text("utf-8")
    text = text.partition("## Types")[2].partition("\n## ")[0]
    rows = [_ROW.fullmatch(line) for line in text.splitlines() if line.startswith("| `")]
    assert all(rows), "a row that is no row"
    return {row[1]: set(re.findall(r"`(\w+)`", row[2])) for row in rows if row}
