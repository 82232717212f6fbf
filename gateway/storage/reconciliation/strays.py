"""Credits at partners under references of ours that no payout has: kept, matched with incentives, adopted."""

# ruff: noqa: S608 - only statements of our own are put together

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import msgspec

from contracts.payout import PayoutState
from gateway.clock import jakarta_day
from gateway.storage.base.database import Connection


class NewStray(msgspec.Struct, frozen=True, kw_only=True):
    """One such credit (or its reversal) as a statement lists it; the account only as its blind index."""

    partner: str
    reference: str
    partner_reference: str | None
    amount_rupiah: int
    account_index: bytes | None
    booked_at: datetime
    reversed: bool


class Stray(NewStray, frozen=True, kw_only=True):
    """One that is kept."""

    case_id: int | None
    settled_at: datetime | None
    known_account: bool
    """Whether a participant of ours has the account."""
    proposed_by: str | None
    """Who decided about it so far; a second person must decide the same."""
    proposed_for: int | None
    """The incentive that it paid in their eyes; None: nothing of ours."""

    @property
    def key(self) -> tuple[str, bytes | None, int]:
        """What must be equal for an incentive to be the one that was paid."""
        return self.partner, self.account_index, self.amount_rupiah

    @property
    def day(self) -> date:
        """In Jakarta."""
        return jakarta_day(self.booked_at)

    @property
    def made_at(self) -> datetime:
        """When its payout was made, as its reference tells: a partner may book it hours later."""
        return datetime.fromtimestamp(self.number // 10_000 / 1_000, UTC)

    @property
    def number(self) -> int:
        """Of the payout that its reference was made of."""
        return int(self.reference[2:])


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An incentive that is not paid as far as we know, of an account and amount that a stray has."""

    id: int
    participant: int
    participant_id: str
    partner: str
    account_index: bytes
    amount_rupiah: int
    due_on: date
    deadline_on: date
    standing: int | None
    """Its payout that has not ended, or that was refused and keeps another one from being made."""
    state: str | None
    """Of that payout."""
    ended: bool
    """It was paid, or paid and given back, by a payout that we know."""

    @property
    def key(self) -> tuple[str, bytes | None, int]:
        """As a stray's."""
        return self.partner, self.account_index, self.amount_rupiah

    @property
    def refused(self) -> bool:
        """Whether its payout was refused: a credit beside it is the payment that took its place."""
        return self.state == PayoutState.REJECTED.value

    @property
    def open(self) -> bool:
        """Whether a payout of it is on its way, which must end first."""
        return self.standing is not None and not self.refused


async def keep(connection: Connection, now: datetime, strays: Sequence[NewStray]) -> None:
    """Keep credits, each once, in one order for all who read; a reversal marks the one that it gives back."""
    await connection.execute(
        "INSERT INTO strays AS s (partner, reference, partner_reference, amount_rupiah, account_index, booked_at,"
        " reversed, seen_at)"
        " SELECT p, r, n, a, i, b, v, $8 FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bytea[],"
        " $6::timestamptz[], $7::bool[]) AS x (p, r, n, a, i, b, v) ORDER BY p, r"
        " ON CONFLICT (partner, reference) DO UPDATE SET reversed = s.reversed OR excluded.reversed"
        " WHERE excluded.reversed AND NOT s.reversed",
        [s.partner for s in strays],
        [s.reference for s in strays],
        [s.partner_reference for s in strays],
        [s.amount_rupiah for s in strays],
        [s.account_index for s in strays],
        [s.booked_at for s in strays],
        [s.reversed for s in strays],
        now,
    )


_STRAY = """
SELECT s.partner, s.reference, s.partner_reference, s.amount_rupiah, s.account_index, s.booked_at, s.reversed,
    s.case_id, s.settled_at, s.proposed_by, s.proposed_for,
    EXISTS (SELECT 1 FROM participants t WHERE t.partner = s.partner AND t.account_index = s.account_index)
        AS known_account
FROM strays s
"""


async def unsettled(connection: Connection, limit: int, *, lock: bool = False) -> list[Stray]:
    """Those that nobody has settled yet, each account's together, oldest first."""
    rows = await connection.fetch(
        f"{_STRAY} WHERE s.settled_at IS NULL ORDER BY s.partner, s.account_index, s.amount_rupiah, s.booked_at,"
        f" s.reference LIMIT $1{' FOR UPDATE OF s' if lock else ''}",
        limit,
    )
    return [msgspec.convert(dict(row), Stray) for row in rows]


async def waits_for(connection: Connection, partner: str, account_index: bytes) -> bool:
    """Whether an unsettled one was paid to this account."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM strays WHERE partner = $1 AND account_index = $2 AND settled_at IS NULL)",
        partner,
        account_index,
    )
    return found


async def get(connection: Connection, reference: str) -> Stray | None:
    """One of them, locked; references of this installation are unique over all partners."""
    row = await connection.fetchrow(f"{_STRAY} WHERE s.reference = $1 FOR UPDATE OF s", reference)
    return None if row is None else msgspec.convert(dict(row), Stray)


_CANDIDATE = """
SELECT i.id, i.participant, i.participant_id, i.partner, t.account_index, i.amount_rupiah, i.due_on,
    i.deadline_on, p.id AS standing, p.state, coalesce(i.payout <> 'open', false) AS ended
FROM incentives i JOIN participants t ON t.id = i.participant
LEFT JOIN payouts p ON i.payout = 'open' AND p.incentive = i.id AND p.released_at IS NULL AND p.state <> 'cancelled'
"""


async def candidates(connection: Connection, strays: Sequence[Stray]) -> list[Candidate]:
    """Incentives that some strays may have paid, locked, first due first."""
    known = [stray for stray in strays if stray.account_index is not None]
    if not known:
        return []
    rows = await connection.fetch(
        f"{_CANDIDATE} WHERE t.partner = i.partner AND (t.partner, t.account_index, i.amount_rupiah) IN"
        " (SELECT p, x, a FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS k (p, x, a))"
        " AND (i.payout IS NULL OR i.payout = 'open') AND NOT i.cancelled"
        " ORDER BY i.due_on, i.id FOR NO KEY UPDATE OF i",
        [stray.partner for stray in known],
        [stray.account_index for stray in known],
        [stray.amount_rupiah for stray in known],
    )
    return [msgspec.convert(dict(row), Candidate) for row in rows]


async def candidate(connection: Connection, incentive: int) -> Candidate | None:
    """One incentive that an operator names, locked, whatever became of it; None: there is none."""
    row = await connection.fetchrow(f"{_CANDIDATE} WHERE i.id = $1 FOR NO KEY UPDATE OF i", incentive)
    return None if row is None else msgspec.convert(dict(row), Candidate)


async def link_of(connection: Connection, stray: Stray, to: Candidate) -> str | None:
    """The link that the credit went over, as far as it is not forgotten too."""
    found: str | None = await connection.fetchval(
        "SELECT l.id FROM links l JOIN participants t ON t.id = l.participant WHERE l.participant = $1"
        " AND l.partner = $2 AND l.account_index = $3 ORDER BY l.id = t.link_id DESC, l.created_at DESC LIMIT 1",
        to.participant,
        stray.partner,
        stray.account_index or to.account_index,
    )
    return found


async def account_sealed(connection: Connection, participant: int) -> bytes:
    """A participant's sealed account."""
    sealed: bytes = await connection.fetchval("SELECT account_sealed FROM participants WHERE id = $1", participant)
    return sealed


async def stand_in_link(
    connection: Connection, now: datetime, to: Candidate, *, link_id: str, account_sealed: bytes
) -> None:
    """A link that has ended, in the place of one that was forgotten: a payout belongs to one."""
    await connection.execute(
        "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
        " ended_because, created_at, updated_at)"
        " SELECT $1, $2, b.client_id, $3, $4, $5, 'revoked', '', 'link_revoked', $6, $6"
        " FROM incentives i JOIN batches b ON b.id = i.batch_id WHERE i.id = $7",
        link_id,
        to.participant,
        to.partner,
        to.account_index,
        account_sealed,
        now,
        to.id,
    )


async def of_known_payouts(connection: Connection, strays: Sequence[Stray]) -> dict[str, tuple[int, str]]:
    """Of some strays' references those whose number a payout has, at another partner say: that payout and its partner.
    None of them is a payment that was forgotten.
    """
    rows = await connection.fetch(
        "SELECT id, partner FROM payouts WHERE id = ANY($1::bigint[])", [stray.number for stray in strays]
    )
    known = {row["id"]: row["partner"] for row in rows}
    return {stray.reference: (stray.number, known[stray.number]) for stray in strays if stray.number in known}


async def adopt(
    connection: Connection, now: datetime, stray: Stray, to: Candidate, link_id: str, created_at: datetime
) -> int:
    """The payout that was forgotten, in doubt, with its ledger entry; the caller applies what the statement said.

    Its number is the one that its reference was made of.
    """
    payout = stray.number
    await connection.execute(
        "INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state, attempt,"
        " partner_reference, first_sent_at, sent_at, sent_deadline, created_at, updated_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, 'unknown', 1, $8, $9, $9, $9, $10, $11)",
        payout,
        stray.reference,
        to.id,
        to.participant,
        link_id,
        stray.partner,
        stray.amount_rupiah,
        stray.partner_reference,
        stray.booked_at,
        created_at,
        now,
    )
    await connection.execute(
        "INSERT INTO ledger (payout, partner, kind, debit, credit, amount_rupiah, at)"
        " VALUES ($1, $2, 'reserve', 'reserved', 'float', $3, $4)",
        payout,
        stray.partner,
        stray.amount_rupiah,
        now,
    )
    await connection.execute(
        "UPDATE incentives SET payout = 'open', payouts = payouts + 1, facts_at = $2 WHERE id = $1", to.id, now
    )
    return payout


async def propose(connection: Connection, stray: Stray, *, by: str, incentive: int | None) -> None:
    """Note what the first of two people decided."""
    await connection.execute(
        "UPDATE strays SET proposed_by = $3, proposed_for = $4 WHERE partner = $1 AND reference = $2",
        stray.partner,
        stray.reference,
        by,
        incentive,
    )


async def settle(connection: Connection, now: datetime, stray: Stray, *, by: str, payout: int | None) -> None:
    """Close a stray and its case; what it held is free again unless another one holds it too."""
    await connection.execute(
        "UPDATE strays SET settled_at = $3, settled_by = $4, payout = $5 WHERE partner = $1 AND reference = $2",
        stray.partner,
        stray.reference,
        now,
        by,
        payout,
    )
    await connection.execute(
        "UPDATE cases SET closed_at = $2, closed_by = $3 WHERE id = $1 AND closed_at IS NULL", stray.case_id, now, by
    )
    await connection.execute("DELETE FROM lookalikes WHERE reference = $1", stray.reference)  # it is known whose it is
    await connection.execute(
        "UPDATE incentives i SET own = NULL, own_next_at = NULL, facts_at = $3 FROM participants t"
        " WHERE t.id = i.participant AND t.partner = $1 AND t.account_index = $2 AND i.payout IS NULL"
        " AND i.own = 'contradiction' AND NOT EXISTS (SELECT 1 FROM strays s WHERE s.partner = t.partner"
        " AND s.account_index = t.account_index AND s.settled_at IS NULL)"
        # What a payout of its own is contradicted by is another matter.
        " AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.incentive = i.id AND c.code = 'contradiction'"
        " AND c.closed_at IS NULL)",
        stray.partner,
        stray.account_index,
        now,
    )


async def block(connection: Connection, now: datetime) -> int:
    """Say on every incentive that a stray holds up what it waits for; how many were told."""
    done = await connection.execute(
        "UPDATE incentives i SET own = 'contradiction', own_next_at = NULL, facts_at = $1 FROM participants t, strays s"
        " WHERE s.settled_at IS NULL AND t.partner = s.partner AND t.account_index = s.account_index"
        " AND i.participant = t.id AND i.partner = s.partner AND i.payout IS NULL AND NOT i.cancelled"
        " AND i.own IS DISTINCT FROM 'contradiction'",
        now,
    )
    return int(str(done).split()[-1])


async def set_case(connection: Connection, stray: Stray, detail: str) -> None:
    """Tie the case that was opened under `detail` to its stray."""
    await connection.execute(
        "UPDATE strays SET case_id = (SELECT id FROM cases WHERE payout IS NULL AND closed_at IS NULL AND partner = $1"
        " AND detail = $3 ORDER BY id DESC LIMIT 1) WHERE partner = $1 AND reference = $2",
        stray.partner,
        stray.reference,
        detail,
    )
