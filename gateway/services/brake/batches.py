"""A bad batch: most of its people are refused and others at the same partner are not. It is about the file (its columns
are shifted, say), not about the partner: told to core and approvers, and nobody else is held for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from contracts.batch import BatchDoubt
from contracts.brake import Level, Table, weigh
from contracts.events import EventType
from contracts.hold import HoldKind, HoldStage
from gateway.storage.base.database import Connection
from gateway.storage.brake import batches, refusals
from gateway.storage.brake.batches import Suspect
from gateway.storage.messages import events
from gateway.storage.ops import cases, holds
from gateway.storage.ops.cases import NewCase

LEAST = 20
"""Of so many people of one batch who were refused it can be said."""
OTHERS = 2
"""So many people of other batches must have had a good answer meanwhile: the partner is right about them."""

ASKED = timedelta(minutes=10)
"""By so long after a crowd's hold those refused in it have been asked again."""

COUNTED = timedelta(seconds=30)
"""So long what was counted of a batch in doubt is good for every worker."""


def bad(found: BatchDoubt) -> bool:
    """Whether half or more of those people of a batch are refused of whom the partner has said anything."""
    return found.refused > 0 and 2 * found.refused >= found.answered


async def judge(connection: Connection, now: datetime, *, by: str) -> None:
    """Put batches in doubt, and count again those that are; one worker does it for all. A doubt ends once fewer than
    half are refused: their rows were corrected, or the batch was stopped.
    """
    for batch, is_on, before in await batches.take_doubted(connection, now, now - COUNTED):
        if is_on and await holds.braked_since(connection, before.partner, now - ASKED):
            continue  # whoever was refused in it is being asked again, and stands refused no more until then
        found = await batches.counted(connection, batch, before.partner, paying=before.paying)
        still = is_on and bad(found)
        await batches.recounted(connection, batch, found if still else None)
        if not still:
            await cases.close_about(connection, now, before.partner, begins(batch), by=by)
    for suspect in await batches.suspects(connection, now, LEAST):
        found = await batches.counted(connection, suspect.batch, suspect.partner, paying=suspect.paying)
        again = 0 if suspect.paying else max(0, suspect.refused - found.refused)  # asked again after a hold
        known = msgspec.structs.replace(found, refused=found.refused + again, answered=found.answered + again)
        if known.refused < LEAST or not bad(known) or not found.codes:
            continue
        if await batches.others_good(connection, suspect) >= max(OTHERS, suspect.others):
            await _doubt(connection, now, suspect, found, by)


async def _doubt(connection: Connection, now: datetime, suspect: Suspect, found: BatchDoubt, by: str) -> None:
    stages = (HoldStage.PAYOUT,) if suspect.paying else (HoldStage.LINK, HoldStage.VERIFY)
    for stage in stages:
        await refusals.lock_stage(connection, suspect.partner, stage)
    incentive = await batches.doubt(connection, now, suspect.batch, found)
    if incentive is None:
        return
    codes = ", ".join(f"{code} {n} times" for code, n in found.codes.items())
    detail = (
        f"{begins(suspect.batch)} {found.refused} of {found.answered} people of whom the partner said anything are"
        f" refused ({codes}), and others are not. Are its columns right? Stop the batch, or correct its people"
    )
    told = NewCase(code=batches.main_code(found), partner=suspect.partner, incentive=incentive, detail=detail)
    await cases.open_cases(connection, now, [told])
    data = {"partner": found.partner, "refused": found.refused, "answered": found.answered, "codes": found.codes}
    await events.emit(connection, now, [(EventType.BATCH_DOUBTED, suspect.batch, data)])
    for stage in stages:  # what remains of a hold's reason, without this batch
        rings = [
            (await refusals.ring(connection, now, suspect.partner, stage, known=known), table)
            for known, table in ((True, Table.KNOWN), (False, Table.USUAL))
        ]
        if all(weigh(ring, table) is not Level.HOLD for ring, table in rings):
            await holds.release(connection, now, suspect.partner, stage, [HoldKind.BRAKE], by=by)


def begins(batch: str) -> str:
    """How the case of a bad batch begins."""
    return f"batch {batch}:"
