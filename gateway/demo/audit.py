"""The gateway's books against each mock partner's own, to the rupiah, and each incentive's outcome against what must
come out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime

import asyncpg
import httpx
import msgspec

from contracts.incentive import BlockerCode, Owner, owner_of
from gateway.clock import jakarta_day
from gateway.demo.cohort import Cohort
from gateway.storage.payouts import ledger


class Booking(msgspec.Struct, frozen=True):
    """One line of a mock partner's books."""

    partner: str
    reference: str | None
    amount_rupiah: int
    kind: str
    booked_at: datetime


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """Figures that must all be 0."""

    double_payments: int
    lost_payments: int
    amount_mismatches: int
    unexplained: int
    paid_before_due: int
    ledger_imbalance: int
    expected_mismatches: int

    def clean(self) -> bool:
        """Whether every figure is 0."""
        return not any(msgspec.structs.astuple(self))


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """The audit with what it rests on."""

    audit: Audit
    outcomes: list[dict[str, str]]
    """One for each distinct incentive of the file."""
    mismatches: list[str]
    """What differs from the expectation, readable; no personal data."""
    payouts: dict[str, int]
    partner_calls: dict[str, int]
    participants: int
    incentives: int
    straight_through_ratio: float


async def read_books(http: httpx.AsyncClient, mocks: Mapping[str, str]) -> list[Booking]:
    """Every booking of every mock partner."""
    bookings: list[Booking] = []
    for partner, url in mocks.items():
        reply = (await http.get(f"{url}/__mock__/books", timeout=60.0)).raise_for_status()
        for line in reply.content.splitlines():
            entry = msgspec.json.decode(line)
            bookings.append(
                Booking(
                    partner,
                    entry["reference"],
                    entry["amount_rupiah"],
                    entry["kind"],
                    datetime.fromisoformat(entry["booked_at"]),
                )
            )
    return bookings


async def audit(database_url: str, bookings: list[Booking], cohort: Cohort, *, today: date) -> Findings:
    """Compare everything; reads both sides, changes nothing."""
    connection = await asyncpg.connect(database_url)
    try:
        payouts = await connection.fetch(
            "SELECT p.reference, p.partner, p.state, p.amount_rupiah, p.incentive, i.due_on"
            " FROM payouts p JOIN incentives i ON i.id = p.incentive"
        )
        incentives = await connection.fetch(
            "SELECT id, participant_id, purpose, period, stage, blocker, due_on, payout FROM incentives"
        )
        refused = await connection.fetch("SELECT participant_id, purpose, period, code FROM batch_errors")
        calls = await connection.fetch("SELECT partner, count(*) AS n FROM exchanges GROUP BY 1 ORDER BY 1")
        imbalance = await ledger.imbalance(connection)
    finally:
        await connection.close()
    outcomes = _outcomes(cohort, incentives, refused)
    mismatches = _mismatches(cohort, outcomes)
    due = [row for row in incentives if row["due_on"] <= today]
    return Findings(
        audit=Audit(
            **_money(payouts, bookings),
            unexplained=_unexplained(due) + _foreign(payouts, bookings),
            ledger_imbalance=imbalance,
            expected_mismatches=len(mismatches),
        ),
        outcomes=[
            {"participant_id": key[0], "purpose": key[1], "period": key[2], "outcome": outcome}
            for key, outcome in outcomes.items()
        ],
        mismatches=mismatches,
        payouts=dict(Counter(row["state"] for row in payouts)),
        partner_calls={row["partner"]: row["n"] for row in calls},
        participants=len({row["participant_id"] for row in incentives}),
        incentives=len(incentives),
        straight_through_ratio=_straight_through(due),
    )


def _money(payouts: Iterable[asyncpg.Record], bookings: Iterable[Booking]) -> dict[str, int]:
    ours = {(row["partner"], row["reference"]): row for row in payouts}
    standing: Counter[tuple[str, str | None]] = Counter()
    wrong_amount = early = 0
    for booking in bookings:
        key = (booking.partner, booking.reference)
        if booking.kind == "credit":
            standing[key] += 1
            row = ours.get(key)
            if row is not None:
                wrong_amount += booking.amount_rupiah != row["amount_rupiah"]
                early += jakarta_day(booking.booked_at) < row["due_on"]
        elif booking.kind == "reversal":
            standing[key] -= 1
    credits_of: defaultdict[int, int] = defaultdict(int)
    lost = 0
    for known, row in ours.items():
        credits_of[row["incentive"]] += standing[known]
        lost += (row["state"] == "succeeded") != (standing[known] > 0)
    return {
        "double_payments": sum(1 for count in credits_of.values() if count > 1),
        "lost_payments": lost,
        "amount_mismatches": wrong_amount,
        "paid_before_due": early,
    }


def _foreign(payouts: Iterable[asyncpg.Record], bookings: Iterable[Booking]) -> int:
    """Credits with a reference that we don't know."""
    known = {(row["partner"], row["reference"]) for row in payouts}
    return sum(1 for entry in bookings if entry.kind == "credit" and (entry.partner, entry.reference) not in known)


def _unexplained(due: Iterable[asyncpg.Record]) -> int:
    """Due incentives that are neither paid nor have a blocker that someone other than the gateway must lift."""
    count = 0
    for row in due:
        if row["stage"] in ("paid", "cancelled"):
            continue
        blocker = row["blocker"]
        count += blocker is None or owner_of(BlockerCode(blocker)) is Owner.GATEWAY
    return count


def _straight_through(due: list[asyncpg.Record]) -> float:
    """Paid due rows over due rows less those whose blocker is the participant's or core's to lift."""
    theirs = (Owner.PARTICIPANT, Owner.CORE)
    ours = [row for row in due if row["blocker"] is None or owner_of(BlockerCode(row["blocker"])) not in theirs]
    return round(sum(row["stage"] == "paid" for row in ours) / len(ours), 4) if ours else 1.0


def _outcomes(
    cohort: Cohort, incentives: Iterable[asyncpg.Record], refused: Iterable[asyncpg.Record]
) -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    for row in refused:
        found[(row["participant_id"], row["purpose"], row["period"])] = row["code"]
    for row in incentives:
        outcome = row["stage"] if row["stage"] in ("paid", "cancelled") else row["blocker"] or row["stage"]
        found[(row["participant_id"], row["purpose"], row["period"])] = outcome
    keys = [(row.participant_id, row.purpose, row.period) for row in cohort.rows]
    return {key: found.get(key, "missing") for key in keys}


def _mismatches(cohort: Cohort, outcomes: Mapping[tuple[str, str, str], str]) -> list[str]:
    if not cohort.has_expectations:
        return []
    wrong = []
    for row in cohort.rows:
        got = outcomes[(row.participant_id, row.purpose, row.period)]
        if got not in row.outcomes:
            wanted = "|".join(sorted(row.outcomes)) or "nothing"
            wrong.append(f"{row.participant_id} {row.purpose} {row.period}: {got}, expected {wanted}")
    return wrong
