"""What a demonstration comes to, in one sentence, and what may be tried next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PEOPLE = frozenset({"participant", "core", "operator"})
NEXT = (
    "gateway demo --keep, then /ops at the API's address: the same in a browser (README, A first call)",
    "gateway cohort /tmp/mine --participants 3000, then the line that it prints: ten times as many people",
    "mock-partners scenario --help: a partner that is down, slow, or wrong for a crowd (docs/qa.md)",
)


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
