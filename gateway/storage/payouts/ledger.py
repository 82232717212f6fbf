"""The ledger: double entry per partner, one row a movement; it follows the payouts' states, which check it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime

from contracts.payout import PayoutState
from gateway.storage.base.database import Connection, as_json

_S = PayoutState


class Entry(enum.Enum):
    """A movement of one payout's amount; each happens to a payout once."""

    RESERVE = "reserve"
    SETTLE = "settle"
    RELEASE = "release"
    RETURN = "return"
    SETTLE_LATE = "settle_late"
    """Paid after it had been released: a rejected payout turned out paid."""


ACCOUNTS: dict[Entry, tuple[str, str]] = {
    Entry.RESERVE: ("reserved", "float"),
    Entry.SETTLE: ("paid", "reserved"),
    Entry.RELEASE: ("float", "reserved"),
    Entry.RETURN: ("float", "paid"),
    Entry.SETTLE_LATE: ("paid", "float"),
}
"""Debit (where the amount goes) and credit (where it comes from)."""
assert set(ACCOUNTS) == set(Entry), "every movement has its accounts"

PLACE: dict[PayoutState, str] = {
    _S.RESERVED: "reserved",
    _S.PREPARING: "reserved",
    _S.PREPARED: "reserved",
    _S.SUBMITTING: "reserved",
    _S.UNKNOWN: "reserved",
    _S.PENDING: "reserved",
    _S.SUCCEEDED: "paid",
    _S.REJECTED: "float",
    _S.REVERSED: "float",
    _S.CANCELLED: "float",
}
"""On which account a payout's amount stands in each state."""
assert set(PLACE) == set(PayoutState), "every state has its account"

_BETWEEN = {
    ("reserved", "reserved"): (),
    ("reserved", "paid"): (Entry.SETTLE,),
    ("reserved", "float"): (Entry.RELEASE,),
    ("float", "paid"): (Entry.SETTLE_LATE,),
    ("paid", "float"): (Entry.RETURN,),
    ("float", "float"): (),
    ("paid", "paid"): (),
}


def entries_between(before: PayoutState, after: PayoutState) -> tuple[Entry, ...]:
    """The movements that belong to a change of state; a reversal always passes through *paid*."""
    if after is _S.REVERSED and before not in (_S.SUCCEEDED, _S.REVERSED):
        return (*_BETWEEN[PLACE[before], "paid"], Entry.RETURN)
    return _BETWEEN[PLACE[before], PLACE[after]]


async def add(connection: Connection, now: datetime, rows: Sequence[tuple[int, str, Entry, int]]) -> None:
    """Book movements: (payout, partner, entry, amount in rupiah)."""
    if not rows:
        return
    await connection.execute(
        "INSERT INTO ledger (payout, partner, kind, debit, credit, amount_rupiah, at)"
        " SELECT payout, partner, kind, debit, credit, amount, $2 FROM json_to_recordset($1::text::json)"
        " AS n (payout bigint, partner text, kind text, debit text, credit text, amount bigint)",
        as_json(
            [
                {
                    "payout": payout,
                    "partner": partner,
                    "kind": entry,
                    "debit": ACCOUNTS[entry][0],
                    "credit": ACCOUNTS[entry][1],
                    "amount": amount,
                }
                for payout, partner, entry, amount in rows
            ]
        ),
        now,
    )


async def imbalance(connection: Connection) -> int:
    """Rupiah by which the ledger and the payouts' states disagree, over all payouts; 0 when the books are right.

    Each payout must have been reserved once, and its amount must stand on the account that belongs to its state.
    """
    states = [state.value for state in PLACE]
    places = [PLACE[PayoutState(state)] for state in states]
    found = await connection.fetchval(
        "WITH place (state, account) AS (SELECT * FROM unnest($1::text[], $2::text[])),"
        " booked AS ("
        "  SELECT payout,"
        "   sum(amount_rupiah) FILTER (WHERE kind = 'reserve') AS reserved_once,"
        "   coalesce(sum(amount_rupiah) FILTER (WHERE debit = 'reserved'), 0)"
        "    - coalesce(sum(amount_rupiah) FILTER (WHERE credit = 'reserved'), 0) AS reserved,"
        "   coalesce(sum(amount_rupiah) FILTER (WHERE debit = 'paid'), 0)"
        "    - coalesce(sum(amount_rupiah) FILTER (WHERE credit = 'paid'), 0) AS paid"
        "  FROM ledger GROUP BY payout)"
        " SELECT coalesce(sum(abs(coalesce(b.reserved_once, 0) - p.amount_rupiah)"
        "  + abs(coalesce(b.reserved, 0) - CASE WHEN l.account = 'reserved' THEN p.amount_rupiah ELSE 0 END)"
        "  + abs(coalesce(b.paid, 0) - CASE WHEN l.account = 'paid' THEN p.amount_rupiah ELSE 0 END)), 0)::bigint"
        " FROM payouts p JOIN place l ON l.state = p.state LEFT JOIN booked b ON b.payout = p.id",
        states,
        places,
    )
    return int(found)
