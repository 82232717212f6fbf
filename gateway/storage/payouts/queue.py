"""Payout and incentive rows as a queue: claimed, leased and taken to the partner in groups (docs/performance.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

import asyncpg
import msgspec

from contracts.payout import PayoutState
from gateway.storage.base.database import Connection, as_json
from gateway.storage.base.unconfirmed import UNCONFIRMED
from gateway.storage.payouts.payouts import PayoutRow, payout_row

Cursor = Mapping[str, tuple[date, int]]
"""By programme: due date and id of the last incentive looked at."""
START: Cursor = {}


class Leased(msgspec.Struct, kw_only=True):
    """A payout leased by one worker, with the sealed fields that its order is made of."""

    payout: PayoutRow
    participant_id: str
    name_sealed: bytes
    phone_sealed: bytes
    account_sealed: bytes
    grant_sealed: bytes | None
    proved_at: datetime | None
    approved_in: str
    """The batch in which the row's digest was put up for approval."""
    approved_under: bytes | None = None
    """The root of the payment plan that two people approved for that batch, empty where they approved the batch itself;
    None: nobody did. Read where the payout is leased.
    """
    paid_by_ledger: bool = False
    """The ledger, which nobody changes, has its incentive paid and nothing given back, whatever the rows say: they were
    put back.
    """

    @property
    def prepared(self) -> bool:
        """Whether an instruction stands at the partner that an approval would carry out."""
        return self.payout.state is PayoutState.PREPARED


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Who claims what until when."""

    partner: str
    worker: str
    now: datetime
    today: date
    """In Jakarta."""
    lease_until: datetime
    instance: str
    limit: int


_PAID_BEFORE = """EXISTS (SELECT 1 FROM incentives c WHERE c.cancelled AND c.payout = 'succeeded'
    AND (c.nik_index, c.programme, c.purpose, c.period) = (i.nik_index, i.programme, i.purpose, i.period) OFFSET 0)"""
"""Whether the instalment of incentive `i` was paid under a cancelled one, whose refusal the partner took back.
OFFSET 0: a look-up for each, never a join over all of these.
"""


_READY = "i.partner = $1 AND i.stage = 'scheduled' AND i.blocker IS NULL"
"""Incentives that may be due, in the words of `incentives_ready_in_turn`."""
_PROGRAMMES_ASKED = f"""
WITH RECURSIVE known AS MATERIALIZED (
    SELECT * FROM json_to_recordset($6::json) AS c (programme text COLLATE "C", due_on date, id bigint)),
-- Each programme that is known by the cursor, and between two of them each other that has any: what was looked
-- at before is not walked through again, which while an old transaction is open is all that was paid since.
named AS (SELECT '' COLLATE "C" AS programme UNION ALL SELECT (
    SELECT CASE WHEN k.next IS NULL THEN (SELECT min(i.programme) FROM incentives i WHERE {_READY}
            AND i.programme > n.programme)
        ELSE coalesce((SELECT min(i.programme) FROM incentives i WHERE {_READY}
            AND i.programme > n.programme AND i.programme < k.next), k.next) END
    FROM (SELECT min(c.programme) AS next FROM known c WHERE c.programme > n.programme) AS k)
    FROM named n WHERE n.programme IS NOT NULL),
asked AS MATERIALIZED (
    SELECT n.programme, coalesce(c.due_on, '-infinity') AS due_on, coalesce(c.id, 0) AS id
    FROM named n LEFT JOIN known c ON c.programme = n.programme
    WHERE EXISTS (SELECT FROM incentives i WHERE {_READY} AND i.programme = n.programme
        AND i.due_on <= $4 AND (i.due_on, i.id)
        > (coalesce(c.due_on, '-infinity'), coalesce(c.id, 0)) OFFSET 0)),  -- a look-up, no join over all
"""  # noqa: S608 - constants
"""Each programme with anything due that this pass has not looked at, and where in it the pass goes on."""
_INSTANCE_USED = """
INSERT INTO instances (instance, since, until) SELECT $8, $3, $3 FROM made
WHERE NOT EXISTS (SELECT FROM instances WHERE instance = $8 AND until > $3 - interval '1 hour') LIMIT 1
ON CONFLICT (instance) DO UPDATE SET until = excluded.until
"""
"""Under which instance payouts were made: written once an hour, so that no claim waits for another one's row."""


async def reserve(connection: Connection, claim: Claim, after: Cursor) -> tuple[list[int], Cursor | None]:
    """Make payouts for incentives that are due, leased by the claimer; with them the cursor, None at the end. Each
    programme that has any gets an equal share, so that none waits for what another one handed over before.

    Payout, ledger entry and incentive change in one statement. Rows that another worker holds are skipped.
    """
    rows = await connection.fetch(
        f"""
        {_PROGRAMMES_ASKED}
        share AS MATERIALIZED (SELECT ceil($7::integer::float8 / greatest(1, count(*)))::integer AS rows FROM asked),
        due AS MATERIALIZED (
            -- Each time in another order: whichever comes last is the one that is cut short.
            SELECT d.* FROM (SELECT * FROM asked
                ORDER BY hashtextextended(programme, (extract(epoch FROM $3::timestamptz) * 1000)::bigint)) AS a
            CROSS JOIN LATERAL (
            SELECT id, participant, amount_rupiah, due_on, programme FROM incentives i
            WHERE partner = $1 AND programme = a.programme AND stage = 'scheduled' AND blocker IS NULL AND approved
              AND (due_on, id) > (a.due_on, a.id) AND due_on <= $4 AND deadline_on >= $4
              AND NOT {_PAID_BEFORE} AND NOT {UNCONFIRMED}
              AND NOT EXISTS (SELECT 1 FROM partner_switches WHERE partner = $1 AND paused_at IS NOT NULL)
              AND NOT EXISTS (SELECT 1 FROM recoveries WHERE partner = $1 AND released_at IS NULL)
            ORDER BY due_on, id LIMIT (SELECT rows FROM share) FOR NO KEY UPDATE SKIP LOCKED) AS d LIMIT $7),
        numbered AS MATERIALIZED (
            SELECT new_id($3) AS id, d.id AS incentive, d.participant, t.link_id, d.amount_rupiah
            FROM due d JOIN participants t ON t.id = d.participant JOIN links l ON l.id = t.link_id
            WHERE t.link_active AND l.state = 'active' AND l.partner = $1 AND t.verified AND t.verified_until > $3
              AND NOT EXISTS (SELECT 1 FROM strays s WHERE s.partner = $1 AND s.account_index = t.account_index
                              AND s.settled_at IS NULL)),
        made AS (
            INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state,
                                 next_at, lease_until, leased_by, created_at, updated_at)
            SELECT id, $8 || lpad(id::text, 17, '0'), incentive, participant, link_id, $1, amount_rupiah, 'reserved',
                   $3, $5, $2, $3, $3 FROM numbered
            RETURNING id, incentive, amount_rupiah),
        booked AS (
            INSERT INTO ledger (payout, partner, kind, debit, credit, amount_rupiah, at)
            SELECT id, $1, 'reserve', 'reserved', 'float', amount_rupiah, $3 FROM made),
        marked AS (
            UPDATE incentives i SET payout = 'open', payouts = i.payouts + 1, facts_at = $3
            FROM made WHERE i.id = made.incentive), used AS ({_INSTANCE_USED})
        SELECT DISTINCT ON (programme) programme, due_on, id, (SELECT rows FROM share) AS share,
            count(*) OVER (PARTITION BY programme) AS due, CASE WHEN programme = max(programme) OVER ()
                THEN ARRAY(SELECT id FROM made) END AS made
        FROM due ORDER BY programme, due_on DESC, id DESC
        """,  # noqa: S608 - constants
        claim.partner,
        claim.worker,
        claim.now,
        claim.today,
        claim.lease_until,
        as_json([{"programme": name, "due_on": due_on, "id": last} for name, (due_on, last) in after.items()]),
        claim.limit,
        claim.instance,
    )
    if not rows:
        return [], None
    more = sum(row["due"] for row in rows) == claim.limit or any(row["due"] == row["share"] for row in rows)
    cursor = {**after, **{row["programme"]: (row["due_on"], row["id"]) for row in rows}}
    return rows[-1]["made"], cursor if more else None


async def put_right(connection: Connection, claim: Claim) -> dict[int, int]:
    """What is due though a payout of its own stands: its row was put back as it was before, and no claim can be made
    beside it. Its payout says what it is: incentive and payout. Reads all that is due: asked once a claim has failed.
    """
    rows = await connection.fetch(
        "UPDATE incentives i SET payouts = greatest(i.payouts, 1), facts_at = $2, payout = CASE p.state"
        " WHEN 'succeeded' THEN 'succeeded' WHEN 'reversed' THEN 'reversed' ELSE 'open' END FROM payouts p"
        " WHERE i.partner = $1 AND i.stage = 'scheduled' AND i.payout IS NULL AND i.due_on <= $3"
        " AND p.incentive = i.id AND p.released_at IS NULL AND p.state <> 'cancelled' RETURNING i.id, p.id AS payout",
        claim.partner,
        claim.now,
        claim.today,
    )
    return {row["id"]: row["payout"] for row in rows}


async def lease(connection: Connection, claim: Claim, states: Sequence[PayoutState], *, even_paused: bool) -> list[int]:
    """Lease payouts in some states whose next step is due and that no other worker holds.

    `even_paused`: a pause or a recovery stops what would move money, not the following of what has left.
    """
    rows = await connection.fetch(
        """
        UPDATE payouts p SET lease_until = $5, leased_by = $2
        FROM (SELECT id FROM payouts
              WHERE partner = $1 AND state = ANY($4::text[]) AND next_at <= $3
                AND (lease_until IS NULL OR lease_until <= $3)
                AND ($7 OR NOT EXISTS
                     (SELECT 1 FROM partner_switches WHERE partner = $1 AND paused_at IS NOT NULL
                      UNION ALL SELECT 1 FROM recoveries WHERE partner = $1 AND released_at IS NULL))
              ORDER BY next_at, id LIMIT $6 FOR NO KEY UPDATE SKIP LOCKED) AS free
        WHERE p.id = free.id RETURNING p.id
        """,
        claim.partner,
        claim.worker,
        claim.now,
        [state.value for state in states],
        claim.lease_until,
        claim.limit,
        even_paused,
    )
    return [row["id"] for row in rows]


async def load(connection: Connection, payouts: Sequence[int]) -> list[Leased]:
    """Payouts with the sealed fields that their orders are made of."""
    rows = await connection.fetch(
        """
        SELECT p.*, t.participant_id, t.name_sealed, t.phone_sealed, l.account_sealed, l.grant_sealed, l.proved_at,
            EXISTS (SELECT FROM (SELECT id FROM payouts WHERE incentive = p.incentive OFFSET 0) o
                CROSS JOIN LATERAL (SELECT kind FROM ledger WHERE payout = o.id OFFSET 0) l
                GROUP BY o.id HAVING bool_or(l.kind IN ('settle', 'settle_late')) AND NOT bool_or(l.kind = 'return'))
                AS paid_by_ledger,
            coalesce((SELECT r.batch_id FROM reapprovals r WHERE r.incentive = i.id AND r.digest = i.digest
                      ORDER BY r.lapsed_at DESC LIMIT 1), i.batch_id) AS approved_in
        FROM payouts p JOIN participants t ON t.id = p.participant JOIN links l ON l.id = p.link_id
            JOIN incentives i ON i.id = p.incentive
        WHERE p.id = ANY($1::bigint[]) ORDER BY p.id
        """,
        list(payouts),
    )
    return [_leased(row) for row in rows]


_BESIDE = (
    "participant_id",
    "name_sealed",
    "phone_sealed",
    "account_sealed",
    "grant_sealed",
    "proved_at",
    "approved_in",
    "paid_by_ledger",
)


def _leased(row: asyncpg.Record) -> Leased:
    values = dict(row)
    beside = {name: values.pop(name) for name in _BESIDE}
    return Leased(payout=payout_row(values), **beside)


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One payout about to be taken to the partner."""

    payout: int
    before: PayoutState
    after: PayoutState
    attempt: int
    """What `attempt` becomes: more by one where the WRITE moves money."""
    hash: bytes
    """Of what stays the same in the first WRITE's body over all attempts."""
    answer_s: float
    """How long after the commit the attempt may take: its time-outs and a little more."""
    proved_after: datetime | None = None
    """Since when the link must have been proved alive."""
    not_after: datetime | None = None
    """For a resend: end of its window, in which the deadline for its answer must lie too."""
    last_heard: int | None = None
    """For a resend: id of the last observation that its permit rests on; whatever came since voids it."""


class Begun(NamedTuple):
    """An attempt whose intent is committed."""

    deadline: datetime
    """Until when it may be answered."""
    approved_row: str | None
    """What two people approved, as the rows say it that are about to be paid; None: they disagree with one another."""
    digest: bytes | None
    """Keyed digest of what was approved."""


async def begin(
    connection: Connection, now: datetime, today: date, worker: str, intents: Sequence[Intent]
) -> dict[int, Begun]:
    """The compare-and-set before the first byte: the payouts that this worker may send, now, and until when.

    It holds the payouts in order of id, shares their partners' fence, and only then decides (`begin_payouts` in the
    schema). A payout passes only if by then it is as the worker believes and leased by it, its link is active and the
    participant's current one, the verdict stands, the incentive is approved, due, not cancelled, before its deadline
    and not paid before, the partner is not paused, no forgotten credit may be this one, and (with `proved_after`) the
    link was proved alive since then. Only a create that is already in doubt is sent again without all that: it moves
    nothing, and without it nobody can withdraw it. During a recovery not even that is sent.
    """
    rows = await connection.fetch(
        "SELECT payout, sent_deadline, approved_row, digest FROM begin_payouts($1, $2, $3, $4::text::json, $5)",
        now,
        today,
        worker,
        as_json(intents),
        [intent.payout for intent in intents],
    )
    return {row[0]: Begun(row[1], row[2], row[3]) for row in rows}


class Attempt(NamedTuple):
    """An attempt that is under way."""

    payout: int
    moves_nothing: bool
    """A create that is in doubt already: only a recovery stops it."""
    again: bool
    """One more after one that may have left: a credit that may be that one stops it too."""


async def stopped(connection: Connection, attempts: Sequence[Attempt]) -> set[int]:
    """Payouts of attempts under way that must not leave any more: something that `begin` asks for is no longer so."""
    rows = await connection.fetch(
        """
        SELECT p.id FROM payouts p JOIN participants t ON t.id = p.participant JOIN links l ON l.id = p.link_id
            JOIN incentives i ON i.id = p.incentive
        WHERE p.id = ANY($1::bigint[]) AND (
            EXISTS (SELECT 1 FROM recoveries r WHERE r.partner = p.partner AND r.released_at IS NULL)
            OR p.id = ANY($3::bigint[]) AND EXISTS (SELECT 1 FROM lookalikes k WHERE k.payout = p.id)
            OR p.id <> ALL($2::bigint[]) AND (
                NOT (t.link_id = p.link_id AND t.link_active AND t.verified AND l.state = 'active'
                     AND i.payout = 'open' AND i.approved AND NOT i.cancelled)
                OR EXISTS (SELECT 1 FROM partner_switches s WHERE s.partner = p.partner AND s.paused_at IS NOT NULL)
                OR EXISTS (SELECT 1 FROM strays s WHERE s.partner = p.partner AND s.account_index = l.account_index
                           AND s.settled_at IS NULL)))
        """,
        [one.payout for one in attempts],
        [one.payout for one in attempts if one.moves_nothing],
        [one.payout for one in attempts if one.again],
    )
    return {row["id"] for row in rows}


async def take(connection: Connection, claim: Claim, payouts: Sequence[int], state: PayoutState) -> set[int]:
    """Lease the named payouts, as far as they are in this state and nobody holds them."""
    rows = await connection.fetch(
        "UPDATE payouts p SET lease_until = $3, leased_by = $1"
        " FROM (SELECT id FROM payouts WHERE id = ANY($4::bigint[]) AND state = $5"
        "       AND (lease_until IS NULL OR lease_until <= $2) ORDER BY id FOR NO KEY UPDATE) AS held"
        " WHERE p.id = held.id RETURNING p.id",
        claim.worker,
        claim.now,
        claim.lease_until,
        list(payouts),
        state.value,
    )
    return {row["id"] for row in rows}


async def give_back(connection: Connection, worker: str, again_at: datetime, payouts: Sequence[int]) -> None:
    """End this worker's leases early, where it did not send; nobody tries again before `again_at`."""
    await connection.execute(
        "UPDATE payouts p SET lease_until = NULL, leased_by = NULL, next_at = greatest(next_at, $3)"
        " FROM (SELECT id FROM payouts WHERE id = ANY($1::bigint[]) AND leased_by = $2 AND lease_until IS NOT NULL"
        "       ORDER BY id FOR NO KEY UPDATE) AS held"
        " WHERE p.id = held.id",
        list(payouts),
        worker,
        again_at,
    )


async def overdue(connection: Connection, now: datetime, limit: int) -> list[PayoutRow]:
    """Payouts whose attempt was never answered and whose deadline for an answer is over."""
    rows = await connection.fetch(
        "SELECT * FROM payouts WHERE state IN ('submitting', 'preparing') AND sent_deadline < $1 AND next_at IS NULL"
        " ORDER BY sent_deadline, id LIMIT $2",
        now,
        limit,
    )
    return [payout_row(row) for row in rows]


async def unpayable(
    connection: Connection, partner: str, now: datetime, today: date, limit: int, *, due_by: datetime
) -> list[PayoutRow]:
    """Payouts that have not moved money and that nobody holds, whose incentive may no longer be paid over this link,
    was paid before, or may have been under a reference that was forgotten. None during a recovery: what has moved money
    is not known.

    `due_by`: late enough to find what just lost the compare-and-set, before the next try to send takes it away again.
    """
    rows = await connection.fetch(
        f"""
        SELECT p.* FROM payouts p JOIN participants t ON t.id = p.participant JOIN links l ON l.id = p.link_id
            JOIN incentives i ON i.id = p.incentive
        WHERE p.partner = $1 AND p.state IN ('reserved', 'prepared') AND p.next_at <= $5
          AND (p.lease_until IS NULL OR p.lease_until <= $2)
          AND NOT (t.link_id = p.link_id AND t.link_active AND l.state = 'active' AND t.verified
                   AND t.verified_until > $2 AND i.payout = 'open' AND i.approved AND NOT i.cancelled
                   AND NOT i.past_deadline AND i.deadline_on >= $3 AND NOT {_PAID_BEFORE}
                   AND NOT EXISTS (SELECT 1 FROM strays s WHERE s.partner = p.partner AND s.settled_at IS NULL
                                   AND s.account_index = l.account_index))
          AND NOT EXISTS (SELECT 1 FROM recoveries r WHERE r.partner = p.partner AND r.released_at IS NULL)
        ORDER BY p.id LIMIT $4
        """,  # noqa: S608 - constants
        partner,
        now,
        today,
        limit,
        due_by,
    )
    return [payout_row(row) for row in rows]
