"""In which ways a line of a statement can disagree with payout, ledger and instruction: one SQL condition for each."""

# ruff: noqa: S608 - only conditions of our own are put together

from __future__ import annotations

import enum

import msgspec


class BreakClass(enum.Enum):
    """How a line, a payout or an instruction disagrees with the others."""

    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    AMOUNT = "amount"
    DUPLICATE = "duplicate"
    LATE = "late"
    REVERSED = "reversed"
    WRONG_ACCOUNT = "wrong_account"
    FEE = "fee"
    WRONG_DAY = "wrong_day"
    UNKNOWN_REFERENCE = "unknown_reference"
    PENDING_ON_ONE_SIDE = "pending_on_one_side"
    FORMAT = "format"
    NOT_INSTRUCTED = "not_instructed"
    LEDGER = "ledger"


class Rule(msgspec.Struct, frozen=True):
    """One way in which a line of the statement disagrees: a condition over `recon_pairs q`, and what is said of it."""

    kind: BreakClass
    detail: str
    when: str


_B = BreakClass
_OPEN = "('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending')"
_CREDIT = "q.kind = 'credit' AND NOT q.bad"
_MATCHED = f"{_CREDIT} AND q.payout IS NOT NULL"
_MOVE = "q.kind IN ('credit', 'reversal') AND NOT q.bad"
_IN_DAY = "q.booked_at >= $1 AND q.booked_at < $2"
_AGAIN = "(q.state = 'succeeded' AND q.booked_at > q.ended_at + $3::interval)"
_OURS = "(q.reference ~ '^[0-9]{19}$' AND left(q.reference, 2) = ANY($6::text[]))"

RULES: tuple[Rule, ...] = (
    Rule(_B.FORMAT, "a booking without any reference, or without an amount", "q.bad"),
    Rule(
        _B.WRONG_DAY,
        "the booking is of another Jakarta day than the statement that lists it",
        f"NOT q.bad AND q.kind <> 'other' AND NOT ({_IN_DAY})",
    ),
    Rule(
        _B.WRONG_DAY,
        "booked before the payout was sent",
        f"{_MATCHED} AND {_IN_DAY} AND q.booked_at < q.sent_from - $3::interval",
    ),
    Rule(_B.MISSING_HERE, "a reference of ours that no payout has", f"{_MOVE} AND q.payout IS NULL AND {_OURS}"),
    Rule(
        _B.MISSING_HERE,
        "we hold the payout as refused or withdrawn",
        f"{_MATCHED} AND q.state IN ('rejected', 'cancelled')",
    ),
    Rule(
        _B.UNKNOWN_REFERENCE,
        "neither its reference nor its number is one of ours",
        f"{_MOVE} AND q.payout IS NULL AND {_OURS} IS NOT TRUE",
    ),
    Rule(
        _B.AMOUNT,
        "the booking has another amount than the payout",
        f"{_MOVE} AND q.payout IS NOT NULL AND q.there <> q.here",
    ),
    Rule(
        _B.AMOUNT,
        "the payout has another amount than the instruction",
        f"{_MATCHED} AND q.here <> q.instructed",
    ),
    Rule(
        _B.WRONG_ACCOUNT,
        "credited to another account than the payout's",
        f"{_MATCHED} AND q.account_there <> q.account_here",
    ),
    Rule(
        _B.PENDING_ON_ONE_SIDE,
        "booked there, not ended here",
        f"{_MATCHED} AND q.state IN {_OPEN} AND NOT (q.state = 'submitting' AND q.sent_deadline > $5)",
    ),
    Rule(
        _B.REVERSED,
        "given back there, not here",
        "q.kind = 'reversal' AND NOT q.bad AND q.payout IS NOT NULL AND q.state <> 'reversed'",
    ),
    Rule(
        _B.REVERSED,
        "given back here, not there",
        f"{_MATCHED} AND q.state = 'reversed' AND q.ended_at < least($2, $5)"
        " AND NOT EXISTS (SELECT 1 FROM recon_pairs r WHERE r.payout = q.payout AND r.kind = 'reversal')",
    ),
    Rule(_B.FEE, "a fee was charged", "q.kind = 'fee' AND NOT q.bad"),
    Rule(
        _B.DUPLICATE,
        "a second credit for one payout",
        f"{_MATCHED} AND EXISTS (SELECT 1 FROM recon_twice t WHERE t.payout = q.payout AND t.first_line <> q.line)",
    ),
    Rule(
        _B.DUPLICATE,
        "credited again after the payout had ended as paid",
        f"{_MATCHED} AND {_IN_DAY} AND {_AGAIN} AND q.payout NOT IN (SELECT payout FROM recon_twice)",
    ),
    Rule(
        _B.DUPLICATE,
        "another payout of the same incentive is paid too",
        f"{_MATCHED} AND q.state = 'succeeded' AND q.payouts > 1 AND EXISTS (SELECT 1 FROM payouts o"
        " WHERE o.incentive = q.incentive AND o.id <> q.payout AND o.state = 'succeeded')",
    ),
    Rule(
        _B.LATE,
        "booked later than the partner's absence time after the last attempt",
        f"{_MATCHED} AND {_IN_DAY} AND q.booked_at > q.sent_deadline + $4::interval AND NOT coalesce({_AGAIN}, false)"
        " AND NOT EXISTS (SELECT 1 FROM observations o WHERE o.payout = q.payout AND o.kind = 'pending')",
    ),
    Rule(
        _B.NOT_INSTRUCTED,
        "its incentive is cancelled, not approved, or was not due yet",
        f"{_MATCHED} AND (q.cancelled OR NOT q.approved"
        f" OR ({_IN_DAY} AND (q.booked_at AT TIME ZONE INTERVAL '7 hours')::date < q.due_on))",
    ),
    Rule(
        _B.LEDGER,
        "the ledger has no settlement of the payout's amount",
        f"{_MATCHED} AND q.state = 'succeeded' AND NOT EXISTS (SELECT 1 FROM ledger g WHERE g.payout = q.payout"
        " AND g.kind IN ('settle', 'settle_late') AND g.amount_rupiah = q.here)",
    ),
)
"""`$1`, `$2`: the day's first moment and the next day's; `$3`: how far clocks may differ; `$4`: the absence time; `$5`:
when the statement was begun to be read; `$6`: our instances.
"""


def breaks_query() -> str:
    """Every difference, numbered in the order of the statement's lines; `$7`: the comparison, `$8`: whether the
    statement was read to its end, `$9`: what of it could not be read.
    """
    found = [
        f"SELECT '{rule.kind.value}' AS class, {_quoted(rule.detail)} AS detail, q.line, q.payout,"
        f" q.incentive, CASE WHEN q.payout IS NOT NULL OR {_OURS} THEN q.reference END AS reference,"
        f" q.number, q.there, q.here, q.booked_at FROM recon_pairs q WHERE {rule.when}"
        for rule in RULES
    ]
    found.append(
        f"SELECT '{_B.MISSING_THERE.value}', 'paid here, and on no statement of the days on which it can have been"
        " booked', NULL, payout, incentive, reference, number, NULL, amount_rupiah, NULL FROM recon_absent WHERE $8"
    )
    found.append(
        f"SELECT '{_B.FORMAT.value}', $9::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE $9 IS NOT NULL"
    )
    return (
        "INSERT INTO reconciliation_breaks (reconciliation, n, class, line, payout, incentive, reference,"
        " partner_reference, there_rupiah, here_rupiah, booked_at, detail) SELECT $7::bigint, row_number() OVER"
        " (ORDER BY line, payout, class, detail), class, line, payout, incentive, reference, number, there, here,"
        f" booked_at, detail FROM ({' UNION ALL '.join(found)}) AS found"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
