"""Approvals that lapsed, put up anew: one batch of whatever waits so, as it stands now."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import msgspec

from contracts.batch import BatchState, PartnerTotal, WarningCode
from contracts.errors import Conflict
from contracts.events import EventType
from gateway.security import approval
from gateway.security.vault import Vault
from gateway.services.intake.merkle import MerkleTree
from gateway.storage.base.database import Connection
from gateway.storage.intake import batches, reapprovals
from gateway.storage.intake.batches import BatchRow
from gateway.storage.messages import events

MOST_LAPSED = 100_000
"""Put up in one batch; the next one takes the rest."""


async def put_up(connection: Connection, vault: Vault, client_id: str, organisation: str, now: datetime) -> BatchRow:
    """A batch of every incentive of an organisation whose approval lapsed, at most `MOST_LAPSED`, with a root over
    their digests.

    Raises `Conflict` where there is none that is not put up already.
    """
    rows = await reapprovals.lapsed(connection, organisation, MOST_LAPSED)
    if not rows:
        raise Conflict(
            "No approval has lapsed that is not up for approval already.",
            code="nothing_lapsed",
            remedy="What waits beside that was never approved: GET /v1/batches?state=awaiting_approval lists it.",
        )
    digests = [approval.digest(vault, approval.approved_row(*row[3:-1]), row.account_index) for row in rows]
    tree = MerkleTree()
    tree.add(digests)
    counted, amounts = Counter(row.partner for row in rows), Counter[str]()
    for row in rows:
        amounts[row.partner] += row.amount_rupiah
    stopped = sum(row.stopped for row in rows)
    totals = [
        PartnerTotal(partner=partner, rows=counted[partner], amount_rupiah=amounts[partner])
        for partner in sorted(counted)
    ]
    batch = BatchRow(
        id=await batches.new_batch_id(connection, now),
        client_id=client_id,
        state=BatchState.AWAITING_APPROVAL,
        single=False,
        reapproval=True,
        plan_id=None,
        rows_accepted=len(rows),
        rows_rejected=0,
        rows_repeated=0,
        amount_rupiah=amounts.total(),
        content_root=tree.root(),
        content_key_sealed=None,
        partners=msgspec.json.encode(totals).decode(),
        warnings=msgspec.json.encode([(WarningCode.PEOPLE_STOPPED, stopped)] if stopped else []).decode(),
        received_at=now,
        decided_at=None,
    )
    await batches.begin(connection, batch.id, client_id, now, organisation)
    await batches.finish(connection, batch)
    marked = [(row.incentive, made, row.lapsed_at) for row, made in zip(rows, digests, strict=True)]
    await reapprovals.put_up(connection, batch.id, marked)
    counts = {"rows_accepted": len(rows), "rows_rejected": 0, "rows_repeated": 0}
    await events.emit(connection, now, [(EventType.BATCH_RECEIVED, batch.id, counts)])
    return batch
