"""Approvals that lapsed, and the batches in which two people give them anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from contracts.events import EventType
from gateway.storage.base.database import Connection
from gateway.storage.intake import rules
from gateway.storage.intake.staging import STATEMENT_S
from gateway.storage.messages import events

_OPEN = "NOT cancelled AND payout IS DISTINCT FROM 'succeeded'"
_LAPSED = """incentives i JOIN participants t ON t.id = i.participant JOIN batches b ON b.id = i.batch_id
    WHERE i.lapsed_at IS NOT NULL AND NOT i.cancelled AND i.payout IS DISTINCT FROM 'succeeded'
        AND i.payout IS DISTINCT FROM 'open' AND NOT i.past_deadline AND b.state = 'approved'
        AND NOT EXISTS (SELECT 1 FROM reapprovals r JOIN batches o ON o.id = r.batch_id
                        WHERE r.incentive = i.id AND r.lapsed_at = i.lapsed_at AND o.state = 'awaiting_approval')"""
"""Incentives whose approval lapsed, whose batch was approved, and that no undecided batch puts up as they stand."""
_GIVEN = """subject = {}.participant_id COLLATE "default" AND action = 'participant.correct'
    AND (data -> 'fields' ?| '{{nik,account}}' OR data -> 'asked_for' ? 'nik')"""
"""What is on record of another NIK or account that somebody has given this participant."""


class Lapsed(NamedTuple):
    """An incentive whose approval lapsed, as it stands now."""

    incentive: int
    lapsed_at: datetime
    stopped: bool
    """Payments to the participant were stopped, and nothing approved since."""
    programme: str
    purpose: str
    period: str
    participant_id: str
    nik_index: bytes
    partner: str
    amount_rupiah: int
    due_on: date
    deadline_on: date
    account_index: bytes


async def lapse_person(connection: Connection, participant: int, because: str, now: datetime) -> None:
    """The participant's account or NIK changed: what is not paid yet was approved for another one, or is about to
    be. `because`: `account_changed` or `nik_changed`.
    """
    await _lapse(connection, now, "participant = $1", participant, because)


async def lapse_stopped(connection: Connection, batch_id: str, now: datetime) -> None:
    """Of a batch that a plan approves those of people whose payments were stopped: the plan's approvers knew nothing of
    that.
    """
    which = f"batch_id = $1 AND {rules.of_stopped('incentives')}"
    await _lapse(connection, now, which, batch_id, "person_stopped")


async def lapse_given(connection: Connection, batch_id: str, now: datetime) -> None:
    """Of a batch that a plan approves those of people whose NIK or account one of the plan's approvers has changed
    since it was proposed: nobody decides about what they have made.
    """
    which = f"""batch_id = $1 AND EXISTS (
        SELECT FROM (SELECT actor, at FROM audit_log WHERE {_GIVEN.format("incentives")} OFFSET 0) a
        JOIN batches b ON b.id = $1 JOIN plans p ON p.id = b.plan_id AND p.received_at <= a.at
        JOIN plan_approvals v ON v.plan_id = p.id AND v.decision = 'approve'
        WHERE person_of(v.client_id) = person_of(a.actor))"""  # noqa: S608 - constants
    await _lapse(connection, now, which, batch_id, "account_changed")


async def lapse(connection: Connection, incentives: Sequence[int], now: datetime) -> None:
    """Rows about to be paid are not the ones that were approved."""
    await _lapse(connection, now, "id = ANY($1::bigint[])", list(incentives), "row_differs")


async def _lapse(connection: Connection, now: datetime, which: str, value: object, because: str) -> None:
    rows = await connection.fetch(
        f"UPDATE incentives SET approved = false, lapsed_at = $2, facts_at = $2 WHERE {which} AND {_OPEN}"  # noqa: S608 - constants
        " RETURNING id, participant_id, batch_id",
        value,
        now,
    )
    told = [
        (EventType.APPROVAL_LAPSED, str(row["id"]), {
            "incentive_id": str(row["id"]), "participant_id": row["participant_id"], "batch_id": row["batch_id"],
            "because": because,
        })
        for row in sorted(rows, key=lambda row: row["id"])
    ]  # fmt: skip
    await events.emit(connection, now, told)


async def lapsed(connection: Connection, organisation: str, limit: int) -> list[Lapsed]:
    """Those of an organisation (`_LAPSED`), locked, so that they stay as they are."""
    # Held first: whose account is being changed is waited for, and read as it is then.
    held = await connection.fetch(
        f"SELECT i.id FROM {_LAPSED} AND i.organisation = $2 ORDER BY i.id LIMIT $1 FOR NO KEY UPDATE OF i",  # noqa: S608 - constants
        limit,
        organisation,
        timeout=STATEMENT_S,
    )
    rows = await connection.fetch(
        f"""
        SELECT i.id, i.lapsed_at, {rules.of_stopped("i")},
            i.programme, i.purpose, i.period, i.participant_id, i.nik_index, i.partner, i.amount_rupiah, i.due_on,
            i.deadline_on, t.account_index
        FROM {_LAPSED} AND i.id = ANY($1::bigint[]) ORDER BY i.id
        """,  # noqa: S608 - constants
        [row["id"] for row in held],
        timeout=STATEMENT_S,
    )
    return [Lapsed(*row) for row in rows]


async def first_lapsed(connection: Connection) -> datetime | None:
    """Since when an approval has lapsed that nobody puts up (`_LAPSED`), whosever it is; None: there is none."""
    found: datetime | None = await connection.fetchval(
        f"SELECT min(i.lapsed_at) FROM {_LAPSED}",  # noqa: S608 - constants
        timeout=STATEMENT_S,
    )
    return found


_HAS_ROWS_OF = f"""
SELECT EXISTS (
    SELECT FROM (SELECT DISTINCT i.batch_id FROM reapprovals r
        CROSS JOIN LATERAL (SELECT batch_id FROM incentives WHERE id = r.incentive OFFSET 0) i
        WHERE r.batch_id = $1) AS its
    JOIN batches b ON b.id = its.batch_id LEFT JOIN plans p ON p.id = b.plan_id
    WHERE $2 IN (person_of(b.client_id), person_of(p.client_id)))
OR EXISTS (
    SELECT FROM reapprovals r
    CROSS JOIN LATERAL (SELECT participant_id, batch_id, created_at FROM incentives WHERE id = r.incentive OFFSET 0) i
    CROSS JOIN LATERAL (SELECT actor, at FROM audit_log WHERE {_GIVEN.format("i")} OFFSET 0) a
    WHERE r.batch_id = $1 AND person_of(a.actor) = $2 AND a.at >= coalesce(
        (SELECT p.received_at FROM batches b JOIN plans p ON p.id = b.plan_id WHERE b.id = i.batch_id), i.created_at))
"""  # noqa: S608 - constants


async def has_rows_of(connection: Connection, batch_id: str, person: str) -> bool:
    """Whether this person made any of what the batch puts up: its own batch, the plan that this is of, or the NIK or
    account that somebody has by now.
    """
    return bool(await connection.fetchval(_HAS_ROWS_OF, batch_id, person, timeout=STATEMENT_S))


async def put_up(connection: Connection, batch_id: str, rows: Sequence[tuple[int, bytes, datetime]]) -> None:
    """Keep what a batch puts up: incentive, digest and when it lapsed, in the order of its lines."""
    await connection.copy_records_to_table(
        "reapprovals",
        records=[(batch_id, line, *row) for line, row in enumerate(rows, 1)],
        columns=["batch_id", "line", "incentive", "digest", "lapsed_at"],
        timeout=STATEMENT_S,
    )


async def approve(connection: Connection, batch_id: str, now: datetime) -> None:
    """Let what the batch put up be paid, as far as it has not lapsed again since; who looked at it closed its cases."""
    await connection.execute(
        "UPDATE cases c SET closed_at = $2, closed_by = $1 FROM reapprovals r WHERE r.batch_id = $1"
        " AND c.incentive = r.incentive AND c.code = 'approval_mismatch' AND c.closed_at IS NULL",
        batch_id,
        now,
        timeout=STATEMENT_S,
    )
    await connection.execute(
        "UPDATE incentives i SET approved = true, lapsed_at = NULL, digest = r.digest, facts_at = $2,"
        " own = CASE WHEN i.own = 'approval_mismatch' THEN NULL ELSE i.own END,"
        " own_next_at = CASE WHEN i.own = 'approval_mismatch' THEN NULL ELSE i.own_next_at END"
        " FROM reapprovals r WHERE r.batch_id = $1 AND i.id = r.incentive AND i.lapsed_at = r.lapsed_at"
        " AND NOT i.cancelled",
        batch_id,
        now,
        timeout=STATEMENT_S,
    )
