"""Who is entitled under a payment plan, and the notices that were taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from contracts.payment_plan import EntitlementState
from gateway.storage.base.database import Connection
from gateway.storage.base.unconfirmed import STOPPED
from gateway.storage.intake import rules, staging


class EntitlementRow(msgspec.Struct, frozen=True, kw_only=True):
    """One participant under a plan."""

    id: int
    plan_id: str
    programme: str
    participant: int
    participant_id: str
    state: EntitlementState
    created_at: datetime
    changed_at: datetime


class CompletionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that was taken."""

    entitlement: int
    notice: str
    finished_on: date
    batch_id: str | None
    at: datetime


class PersonRow(msgspec.Struct, frozen=True, kw_only=True):
    """A participant as known, sealed."""

    participant_id: str
    partner: str
    nik_index: bytes
    account_index: bytes
    nik_sealed: bytes
    name_sealed: bytes
    phone_sealed: bytes
    account_sealed: bytes

    def __repr__(self) -> str:
        return f"PersonRow({self.participant_id}, ***)"


class Entitled(NamedTuple):
    """Who is entitled in a programme under a NIK."""

    participant_id: str
    ours: bool


_COLUMNS = ", ".join(EntitlementRow.__struct_fields__)
_PERSON = ", ".join(PersonRow.__struct_fields__)


async def hold(connection: Connection, programme: str) -> None:
    """Nobody else enrols in the programme until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('entitlements'), hashtext($1))", programme)


_STANDING = """SELECT * FROM entitlements e
    WHERE e.programme = $1 AND e.participant = p.person AND e.state <> 'cancelled' OFFSET 0"""
"""Of the participant `p`. Found by keys, here and below, for each who is asked about: as a join everybody who is
entitled or stored would be read for each request.
"""


async def standing(
    connection: Connection, programme: str, organisation: str, people: Collection[str]
) -> dict[str, EntitlementRow]:
    """By participant: the entitlement in the programme, cancelled ones left out."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM unnest($3::text[]) AS one (pid)"  # noqa: S608 - our columns
        " CROSS JOIN LATERAL (SELECT id AS person FROM participants p WHERE p.participant_id = one.pid OFFSET 0) p"
        f" CROSS JOIN LATERAL ({_STANDING}) e WHERE organisation = $2",
        programme,
        organisation,
        list(people),
    )
    return {row["participant_id"]: msgspec.convert(dict(row), EntitlementRow) for row in rows}


async def under(connection: Connection, plan_id: str, people: Collection[str]) -> dict[str, EntitlementRow]:
    """By participant: the newest entitlement under the plan, held until the transaction ends."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM entitlements WHERE plan_id = $1 AND participant_id = ANY($2::text[])"  # noqa: S608
        " ORDER BY id FOR UPDATE",
        plan_id,
        list(people),
    )
    return {row["participant_id"]: msgspec.convert(dict(row), EntitlementRow) for row in rows}


async def holders(
    connection: Connection, programme: str, organisation: str, niks: Collection[bytes]
) -> dict[bytes, Entitled]:
    """By NIK index: who is entitled in the programme."""
    rows = await connection.fetch(
        "SELECT one.nik AS nik_index, e.participant_id, e.organisation = $2 AS ours"  # noqa: S608 - a constant
        " FROM (SELECT DISTINCT unnest($3::bytea[]) AS nik) AS one"
        " CROSS JOIN LATERAL (SELECT id AS person FROM participants p WHERE p.nik_index = one.nik OFFSET 0) p"
        f" CROSS JOIN LATERAL ({_STANDING}) e",
        programme,
        organisation,
        list(niks),
    )
    return {row["nik_index"]: Entitled(row["participant_id"], row["ours"]) for row in rows}


async def entitled_beside(connection: Connection, participant: int, nik_index: bytes) -> Entitled | None:
    """Who else is entitled under this NIK in a programme in which the participant is; nobody enrols in one of these
    until the transaction ends.
    """
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtext('entitlements'), hashtext(programme)) FROM (SELECT DISTINCT programme"
        " FROM entitlements WHERE participant = $1 AND state <> 'cancelled' ORDER BY 1) AS its",
        participant,
    )
    row = await connection.fetchrow(
        "SELECT o.participant_id, o.organisation = e.organisation AS ours"
        " FROM (SELECT * FROM entitlements WHERE participant = $1 AND state <> 'cancelled' OFFSET 0) e"
        " CROSS JOIN LATERAL (SELECT id FROM participants p WHERE p.nik_index = $2 AND p.id <> $1 OFFSET 0) p"
        " CROSS JOIN LATERAL (SELECT * FROM entitlements WHERE programme = e.programme AND participant = p.id"
        "  AND state <> 'cancelled' OFFSET 0) o"
        " ORDER BY o.id LIMIT 1",
        participant,
        nik_index,
    )
    return None if row is None else Entitled(row["participant_id"], row["ours"])


async def persons(connection: Connection, people: Collection[str]) -> dict[str, PersonRow]:
    """The participants as known, kept as they are until the transaction ends."""
    rows = await connection.fetch(
        f"SELECT {_PERSON} FROM participants WHERE participant_id = ANY($1::text[]) ORDER BY id FOR SHARE",  # noqa: S608
        list(people),
    )
    return {row["participant_id"]: msgspec.convert(dict(row), PersonRow) for row in rows}


async def not_taken(connection: Connection, people: Mapping[str, tuple[bytes, bytes]]) -> dict[str, tuple[str, ...]]:
    """Of each participant (indexes of name and phone as they come now) what is known otherwise, and stays so."""
    rows = await connection.fetch(
        "SELECT p.participant_id, CASE WHEN NOT same_name(p.name_index, g.name) THEN 'full_name' END AS name,"
        " CASE WHEN p.phone_index <> g.phone THEN 'phone' END AS phone"
        " FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS g (id, name, phone)"
        " JOIN participants p ON p.participant_id = g.id",
        list(people),
        [name for name, _ in people.values()],
        [phone for _, phone in people.values()],
    )
    return {row["participant_id"]: tuple(filter(None, (row["name"], row["phone"]))) for row in rows}


async def places(connection: Connection, plan_id: str, among: Collection[str]) -> tuple[int, frozenset[str]]:
    """How many people the plan is used up for, and which of those named have a place without being entitled: what was
    paid under a cancelled entitlement, or has left, is of the total that was approved.
    """
    row = await connection.fetchrow(
        """
        WITH kept AS MATERIALIZED (SELECT DISTINCT e.participant_id FROM entitlements e
            WHERE e.plan_id = $1 AND e.state = 'cancelled'
              AND NOT EXISTS (SELECT FROM entitlements o WHERE o.participant = e.participant AND o.plan_id = $1
                  AND o.state <> 'cancelled' OFFSET 0)
              AND EXISTS (SELECT FROM completions c WHERE c.entitlement = e.id AND EXISTS
                  (SELECT FROM incentives i WHERE i.participant = e.participant AND i.batch_id = c.batch_id
                      AND NOT i.cancelled OFFSET 0) OFFSET 0))
        SELECT (SELECT count(*) FROM entitlements WHERE plan_id = $1 AND state <> 'cancelled')
            + (SELECT count(*) FROM kept) AS taken,
            ARRAY(SELECT participant_id FROM kept WHERE participant_id = ANY($2::text[])) AS theirs
        """,
        plan_id,
        list(among),
    )
    assert row is not None
    return row["taken"], frozenset(row["theirs"])


async def insert(
    connection: Connection, plan_id: str, programme: str, client_id: str, now: datetime
) -> dict[str, EntitlementRow]:
    """Entitle the participants of the staged rows that were accepted (`staging.enrol`); by participant."""
    rows = await connection.fetch(
        f"""
        INSERT INTO entitlements (id, plan_id, organisation, programme, participant, participant_id, state, client_id,
            created_at, changed_at)
        SELECT new_id($4), $1, p.organisation, $2, p.id, p.participant_id, 'open', $3, $4, $4
        FROM (SELECT min(r.line) AS line, r.participant_id, r.nik_index, r.partner, r.account_index
            FROM intake_rows r WHERE NOT EXISTS (SELECT FROM intake_fate f WHERE f.line = r.line)
            GROUP BY 2, 3, 4, 5) r
        CROSS JOIN LATERAL (SELECT * FROM participants p WHERE p.participant_id = r.participant_id OFFSET 0) p
        WHERE (p.nik_index, p.partner, p.account_index) = (r.nik_index, r.partner, r.account_index)
            AND p.organisation = organisation_of($3) ORDER BY r.line
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - our columns
        plan_id,
        programme,
        client_id,
        now,
    )
    return {row["participant_id"]: msgspec.convert(dict(row), EntitlementRow) for row in rows}


async def completions(connection: Connection, entitlements: Collection[int]) -> list[CompletionRow]:
    """The notices taken for some entitlements, oldest first."""
    rows = await connection.fetch(
        "SELECT entitlement, notice, finished_on, batch_id, at FROM completions WHERE entitlement = ANY($1::bigint[])"
        " ORDER BY at, entitlement, notice",
        list(entitlements),
    )
    return [msgspec.convert(dict(row), CompletionRow) for row in rows]


async def complete(
    connection: Connection, taken: Sequence[tuple[int, str, date]], batch_id: str | None, client_id: str, now: datetime
) -> None:
    """Store notices (entitlement, notice, day); whoever finished the training is told so."""
    await connection.executemany(
        "INSERT INTO completions (entitlement, notice, finished_on, batch_id, client_id, at)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        [(*one, batch_id, client_id, now) for one in taken],
    )
    await connection.execute(
        "UPDATE entitlements SET state = 'finished', changed_at = $2 WHERE id = ANY($1::bigint[]) AND state = 'open'",
        [entitlement for entitlement, _, _ in taken],
        now,
    )


async def get(connection: Connection, entitlement_id: int, *, lock: bool = False) -> EntitlementRow | None:
    """One entitlement; with `lock` no notice is taken for it meanwhile."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM entitlements WHERE id = $1{' FOR UPDATE' if lock else ''}",  # noqa: S608
        entitlement_id,
    )
    return None if row is None else msgspec.convert(dict(row), EntitlementRow)


async def cancel(connection: Connection, entitlement_id: int, now: datetime) -> None:
    """The entitlement ends."""
    await connection.execute(
        "UPDATE entitlements SET state = 'cancelled', changed_at = $2 WHERE id = $1", entitlement_id, now
    )


async def cancel_of(connection: Connection, people: Collection[int], now: datetime) -> int:
    """Whatever the participants are entitled to ends; how many entitlements that were."""
    done = await connection.execute(
        "UPDATE entitlements SET state = 'cancelled', changed_at = $2 WHERE participant = ANY($1::bigint[])"
        " AND state <> 'cancelled'",
        list(people),
        now,
    )
    return int(done.split()[-1])


async def cancel_under(connection: Connection, plan_id: str, now: datetime) -> int:
    """Whatever anybody is entitled to under the plan ends; how many entitlements that were."""
    done = await connection.execute(
        "UPDATE entitlements SET state = 'cancelled', changed_at = $2 WHERE plan_id = $1 AND state <> 'cancelled'",
        plan_id,
        now,
        timeout=staging.STATEMENT_S,
    )
    return int(done.split()[-1])


async def incentives_of(connection: Connection, entitlements: Collection[int]) -> list[tuple[int, int]]:
    """(entitlement, incentive) of what their notices made."""
    rows = await connection.fetch(
        "SELECT e.id, i.id AS incentive FROM entitlements e"
        " CROSS JOIN LATERAL (SELECT DISTINCT batch_id FROM completions WHERE entitlement = e.id OFFSET 0) c"
        " CROSS JOIN LATERAL (SELECT id FROM incentives WHERE participant = e.participant AND batch_id = c.batch_id"
        " OFFSET 0) i"
        " WHERE e.id = ANY($1::bigint[]) ORDER BY i.id",
        list(entitlements),
    )
    return [(row["id"], row["incentive"]) for row in rows]


async def refused(connection: Connection) -> dict[int, str]:
    """What is wrong with each staged row that contradicts another or what is stored, as JSON, by line; the rows of
    these lines are still staged.
    """
    await staging.refuse(connection)
    rows = await connection.fetch("SELECT line, faults FROM intake_refused", timeout=staging.STATEMENT_S)
    return {row["line"]: row["faults"] for row in rows}


async def repeated(connection: Connection) -> dict[int, bool]:
    """The lines of rows that are stored already, or stand twice: whether they are paid or on their way."""
    rows = await connection.fetch(
        "SELECT line, EXISTS (SELECT FROM"  # noqa: S608 - constants
        f" ({rules.STANDING}) i WHERE {rules.SAME} AND i.payout IS NOT NULL) AS paid"
        " FROM intake_fate f JOIN intake_rows r USING (line) WHERE f.code = $1",
        rules.REPEAT,
    )
    return {row["line"]: row["paid"] for row in rows}


async def stopped_under_way(connection: Connection) -> set[int]:
    """The lines of rows of which a payment is on its way that was stopped: where it comes to nothing none follows. One
    whose approval lapsed otherwise stands, and is paid once two people give it anew.
    """
    rows = await connection.fetch(
        "SELECT line FROM intake_rows r WHERE EXISTS (SELECT FROM"  # noqa: S608 - constants
        f" ({rules.STANDING}) i WHERE {rules.SAME} AND i.payout = 'open' AND {STOPPED})"
    )
    return {row["line"] for row in rows}


async def withdraw(connection: Connection, first: int, last: int) -> None:
    """Take the lines from `first` to `last` out, and what was said about them."""
    for table in ("intake_rows", "intake_refused", "intake_fate", "intake_copies"):
        await connection.execute(f"DELETE FROM {table} WHERE line BETWEEN $1 AND $2", first, last)  # noqa: S608


class EntitlementFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entitlements; None: all."""

    organisation: str | None = None
    plan_id: str | None = None
    participant_id: str | None = None
    state: EntitlementState | None = None
    at_risk: tuple[date, date] | None = None
    """From today to a day: something of theirs lapses by then that is due and not paid, or whose training or survey
    they have not finished.
    """


async def find(connection: Connection, wanted: EntitlementFilter, after: int, limit: int) -> list[EntitlementRow]:
    """The next entitlements in order of id."""
    first, last = wanted.at_risk or (None, None)
    rows = await connection.fetch(
        f"""
        WITH fixed AS MATERIALIZED (SELECT p.id AS plan_id, n ->> 'after' AS notice
            FROM plans p, jsonb_array_elements(convert_from(p.content, 'UTF8')::jsonb -> 'instalments') AS n
            WHERE (n ->> 'deadline_on')::date BETWEEN $7 AND $8)
        SELECT {", ".join(f"e.{name}" for name in EntitlementRow.__struct_fields__)} FROM entitlements e
        WHERE e.id > $1 AND ($3::text IS NULL OR e.organisation = $3) AND ($4::text IS NULL OR e.plan_id = $4)
          AND ($5::text IS NULL OR e.participant_id = $5) AND ($6::text IS NULL OR e.state = $6)
          AND ($7::date IS NULL
            OR e.state = 'finished' AND EXISTS (
              SELECT FROM completions c JOIN incentives i ON i.batch_id = c.batch_id AND i.participant = e.participant
              WHERE c.entitlement = e.id AND i.deadline_on BETWEEN $7 AND $8
                AND i.stage NOT IN ('paid', 'returned', 'cancelled')
                AND (i.stage <> 'scheduled' OR i.blocker IS NOT NULL OR i.due_on <= $7))
            OR e.state <> 'cancelled' AND EXISTS (SELECT FROM fixed f WHERE f.plan_id = e.plan_id
              AND NOT EXISTS (SELECT FROM completions c WHERE c.entitlement = e.id AND c.notice = f.notice OFFSET 0)))
        ORDER BY e.id LIMIT $2
        """,  # noqa: S608 - our columns
        after,
        limit,
        wanted.organisation,
        wanted.plan_id,
        wanted.participant_id,
        None if wanted.state is None else wanted.state.value,
        first,
        last,
    )
    return [msgspec.convert(dict(row), EntitlementRow) for row in rows]
