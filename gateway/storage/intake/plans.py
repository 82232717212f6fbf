"""Payment plans and what was said about them."""

# ruff: noqa: S608 - only names of our own columns are put into SQL

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import msgspec

from contracts.batch import REQUIRED_APPROVALS
from contracts.payment_plan import PaymentPlan, PlanState, root_of
from gateway.storage.base.database import Connection
from gateway.storage.intake.batches import ApprovalRow


class PlanRow(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it stands."""

    id: str
    organisation: str
    client_id: str
    programme: str
    name: str
    state: PlanState
    content: bytes
    content_root: bytes
    received_at: datetime
    decided_at: datetime | None

    @property
    def plan(self) -> PaymentPlan:
        """What it says."""
        return msgspec.json.decode(self.content, type=PaymentPlan)


_COLUMNS = ", ".join(PlanRow.__struct_fields__)


async def insert(
    connection: Connection, client_id: str, plan: PaymentPlan, content: bytes, root: bytes, now: datetime
) -> str:
    """Store a plan that waits for its approvals; its id."""
    return str(
        await connection.fetchval(
            "INSERT INTO plans (id, organisation, client_id, programme, name, state, content, content_root,"
            " received_at) VALUES ('pl' || new_id($1), organisation_of($2), $2, $3, $4, 'awaiting_approval', $5, $6,"
            " $1) RETURNING id",
            now,
            client_id,
            plan.programme,
            plan.name,
            content,
            root,
        )
    )


async def same(connection: Connection, client_id: str, plan: PaymentPlan, root: bytes) -> str | None:
    """A plan of the client's organisation that says the same and is not rejected or expired; with the programme held,
    so that nobody proposes it beside us.
    """
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('plan:' || $1, 0))", plan.programme)
    found: str | None = await connection.fetchval(
        "SELECT id FROM plans WHERE organisation = organisation_of($1) AND programme = $2 AND content_root = $3"
        " AND state IN ('awaiting_approval', 'approved') ORDER BY id LIMIT 1",
        client_id,
        plan.programme,
        root,
    )
    return found


async def get(connection: Connection, plan_id: str, *, lock: bool = False) -> PlanRow | None:
    """A plan; with `lock` nobody else decides about it, or enrols under it, meanwhile."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM plans WHERE id = $1{' FOR UPDATE' if lock else ''}", plan_id
    )
    return None if row is None else msgspec.convert(dict(row), PlanRow)


async def find(
    connection: Connection,
    organisation: str | None,
    state: PlanState | None,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[PlanRow]:
    """The next plans of one organisation (None: of all), newest first; `before`: time and id of the last one seen."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM plans WHERE ($1::text IS NULL OR organisation = $1)"
        " AND ($2::text IS NULL OR state = $2) AND ($3::timestamptz IS NULL"
        " OR (received_at, id) < ($3, $4)) ORDER BY received_at DESC, id DESC LIMIT $5",
        organisation,
        None if state is None else state.value,
        None if before is None else before[0],
        None if before is None else before[1],
        limit,
    )
    return [msgspec.convert(dict(row), PlanRow) for row in rows]


async def approvals(connection: Connection, plan_id: str) -> list[ApprovalRow]:
    """What each client has said last and not taken back, oldest first."""
    rows = await connection.fetch(
        "SELECT * FROM (SELECT DISTINCT ON (a.client_id) a.client_id, coalesce(c.person, c.id) AS person,"
        "  a.decision, a.at, c.disabled_at IS NULL AS enabled"
        "  FROM plan_approvals a JOIN clients c ON c.id = a.client_id WHERE a.plan_id = $1"
        "  ORDER BY a.client_id, a.seq DESC)"
        " AS last WHERE decision <> 'withdraw' ORDER BY at, client_id",
        plan_id,
    )
    return [msgspec.convert(dict(row), ApprovalRow) for row in rows]


async def insert_approval(
    connection: Connection, plan_id: str, client_id: str, decision: str, root: bytes, now: datetime
) -> None:
    """Store one client's decision."""
    await connection.execute(
        "INSERT INTO plan_approvals (plan_id, client_id, decision, content_root, at) VALUES ($1, $2, $3, $4, $5)",
        plan_id,
        client_id,
        decision,
        root,
        now,
    )


async def settle(connection: Connection, plan_id: str, state: PlanState, now: datetime) -> None:
    """The plan is decided about."""
    await connection.execute("UPDATE plans SET state = $2, decided_at = $3 WHERE id = $1", plan_id, state.value, now)


async def expire(connection: Connection, before: datetime, now: datetime, limit: int) -> list[str]:
    """Plans that nobody approved in time expire; which."""
    rows = await connection.fetch(
        "UPDATE plans SET state = 'expired', decided_at = $2 WHERE id IN ("
        "SELECT id FROM plans WHERE state = 'awaiting_approval' AND received_at < $1 ORDER BY received_at LIMIT $3"
        " FOR UPDATE SKIP LOCKED) RETURNING id",
        before,
        now,
        limit,
    )
    return [row["id"] for row in rows]


async def batches_of(connection: Connection, plan_id: str) -> list[str]:
    """The approved batches that its notices made, held against whoever would stop one of them."""
    rows = await connection.fetch(
        "SELECT id FROM batches WHERE plan_id = $1 AND state = 'approved' ORDER BY id FOR UPDATE", plan_id
    )
    return [row["id"] for row in rows]


_APPROVED = """
(SELECT count(DISTINCT said.person) FROM (SELECT DISTINCT ON (a.client_id) a.decision,
    coalesce(c.person, c.id) AS person FROM plan_approvals a JOIN clients c ON c.id = a.client_id
    WHERE a.plan_id = p.id AND a.content_root = p.content_root ORDER BY a.client_id, a.seq DESC) AS said
  WHERE said.decision = 'approve' AND said.person NOT IN (person_of(p.client_id), person_of({handed_over_by}))) >= $2
"""
"""Whether so many people as are required, neither the maker nor who handed over, approved what the plan says now."""


class Vouched(NamedTuple):
    """An approved plan behind a batch."""

    batch_id: str
    root: bytes


async def vouched(connection: Connection, among: Collection[str]) -> list[Vouched]:
    """Batches that a plan's notices made, where the plan still says what two people approved, neither its maker nor the
    one who handed the notices over.
    """
    rows = await connection.fetch(
        "SELECT b.id, p.content, p.content_root FROM batches b JOIN plans p ON p.id = b.plan_id"
        f" WHERE b.id = ANY($1::text[]) AND b.organisation = p.organisation AND b.state IN ('approved', 'stopped')"
        f" AND p.state IN ('approved', 'stopped') AND {_APPROVED.format(handed_over_by='b.client_id')}",
        list(among),
        REQUIRED_APPROVALS,
    )
    return [Vouched(row["id"], row["content_root"]) for row in rows if root_of(row["content"]) == row["content_root"]]


async def stands(connection: Connection, plan_id: str, client_id: str) -> bool:
    """Whether the plan says what was approved by people other than the holder of this client."""
    row = await connection.fetchrow(
        "SELECT p.content, p.content_root FROM plans p WHERE p.id = $1 AND p.state = 'approved'"
        f" AND {_APPROVED.format(handed_over_by='$3::text')}",
        plan_id,
        REQUIRED_APPROVALS,
        client_id,
    )
    return row is not None and root_of(row["content"]) == row["content_root"]
