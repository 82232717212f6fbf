"""What a demonstration comes to, in one sentence, and what may be tried next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PEOPLE = frozenset({"participant", "core", "operator"})
NEXT = (
    "make demo ARGS=--keep: the same, and everything stays for you to look around and be a participant yourself",
    'make demo ARGS="--scenario mock_partners/cookbook/outage-and-recovery.toml": a partner goes away and comes back',
    ".venv/bin/gateway cohort /tmp/mine --participants 1000, then the line that it prints: a backlog of your own",
)
"""Three lines: a command, and what it shows."""


def sentence(funnel: Mapping[str, Any], *, clean: bool) -> str:
    """`78 paid, Rp 37.45 m, nobody twice; 49 wait for a named person; 129 not yet due.`

    `funnel` as `GET /v1/funnel` answers it; `clean`: the audit found nothing.
    """
    rows = funnel.get("rows", ())
    paid = [row for row in rows if row["stage"] == "paid"]
    ended = ("paid", "returned", "cancelled")
    waits = sum(row["incentives"] for row in rows if row["owner"] in _PEOPLE and row["stage"] not in ended)
    later = sum(row["incentives"] for row in rows if row["stage"] == "scheduled" and row["blocker"] is None)
    others = sum(row["incentives"] for row in rows) - sum(row["incentives"] for row in paid) - waits - later
    parts = [
        f"{sum(row['incentives'] for row in paid)} paid, Rp {sum(row['amount_rupiah'] for row in paid) / 1e6:.2f} m"
        + (", nobody twice" if clean else ", and the audit found a difference"),
        f"{waits} wait for a named person",
        f"{later} not yet due",
    ]
    if others:
        parts.append(f"{others} returned, cancelled or waiting for a partner")
    return "; ".join(parts) + "."


def refused(funnel: Mapping[str, Any]) -> list[str]:
    """Why rows were refused, the most frequent first, with what to do: `3 rows nik_invalid: ...`."""
    rows = sorted(funnel.get("rows_refused", ()), key=lambda row: -row["rows"])
    return [f"{row['rows']} row{'s' * (row['rows'] != 1)} {row['code']}: {row['remedy']['en']}" for row in rows]
