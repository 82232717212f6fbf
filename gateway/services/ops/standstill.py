"""What stands still, since when and why: told within half a minute, from the store, whatever became of the workers.

A worker that cannot write cannot say so. It samples the backlog every ten seconds: where the samples end, or say the
same again and again, those who read them see it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from contracts.hold import HoldStage
from contracts.incentive import BLOCKERS, Owner
from contracts.text import Text
from gateway.clock import jakarta_day
from gateway.storage.base.database import Connection
from gateway.storage.ops import backlog, due, holds, switches
from gateway.storage.ops import standstill as stored
from gateway.storage.ops.due import Kind
from gateway.storage.ops.holds import Hold
from gateway.storage.ops.standstill import Unmoved
from gateway.storage.reconciliation import recovery

QUIET = timedelta(seconds=20)
"""Two samples that say the same of what is due: it stands still."""
GONE = timedelta(seconds=30)
"""So old the newest sample is only where no worker works."""
WAITING = tuple(code for code, text in BLOCKERS.items() if text.owner in (Owner.GATEWAY, Owner.PARTNER))
"""Blockers that nobody but the gateway or the partner lifts."""
_WORK = {HoldStage.VERIFY: "verification", HoldStage.PAYOUT: "payout", HoldStage.PROOF: "payout"}
_LOOPS = {"payout": ("dispatch", "lookups"), "verification": ("verification",)}
"""Whose failing keeps a stage waiting, of the loops that a partner has of its own."""
_KINDS = {"payout": (Kind.DISPATCH, Kind.LOOKUPS), "verification": (Kind.VERIFICATION,)}


class Because(enum.Enum):
    """Why work that is due stands still."""

    NO_WORKER = "no_worker"
    RECOVERING = "recovering"
    PAUSED = "paused"
    HELD = "held"
    THROTTLED = "throttled"
    FAILING = "failing"
    UNDER_WAY = "under_way"
    NOT_TAKEN_UP = "not_taken_up"
    WAITS = "waits"


TEXTS = {
    Because.NO_WORKER: Text(
        "tidak ada worker yang bekerja, atau tidak dapat menulis ke basis data",
        "no worker works, or none can write to the database",
    ),
    Because.RECOVERING: Text(
        "menunggu `gateway recover` selesai menanyai mitra", "it waits until `gateway recover` has asked the partner"
    ),
    Because.PAUSED: Text("mitra dihentikan oleh petugas", "the partner is paused"),
    Because.HELD: Text("mitra ditahan", "the partner is held"),
    Because.THROTTLED: Text("mitra meminta lebih sedikit panggilan", "the partner asks for fewer calls"),
    Because.FAILING: Text("worker gagal mengambilnya", "workers fail to take it up"),
    Because.UNDER_WAY: Text("mitra belum menjawab", "the partner has not answered yet"),
    Because.NOT_TAKEN_UP: Text("tidak ada worker yang mengambilnya", "no worker takes it up"),
    Because.WAITS: Text("semua yang tersisa menunggu waktu berikutnya", "all that is left waits for its next time"),
}
assert set(TEXTS) == set(Because), "every reason has its words"


class Standstill(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of work at one partner that is due and does not move."""

    partner: str
    stage: str
    """`verification` or `payout`."""
    since: datetime | None
    """Of a hold or pause: its own beginning; null: since no worker has ever worked."""
    because: Because
    """`no_worker`, `recovering` (a recovery is not over), `paused`, `held`, `throttled`, `failing` (workers fail to
    take it up), `under_way` (the partner has not answered yet), `not_taken_up`, `waits` (all that is left waits for its
    next time).
    """
    words: str
    """The partner's own, an operator's, why the store demands a recovery, or the error's class (`ClockOff` with how far
    off); may be empty.
    """
    next_at: datetime | None
    """When the gateway tries again by itself; null: that can't be told, or not before somebody has acted."""
    text: Text


async def read(connection: Connection, now: datetime) -> list[Standstill]:
    """What stands still now, by partner and stage."""
    newest = await stored.newest(connection)
    if newest is None or now - newest > GONE:
        # None works, unless those that are there tell why they sample nothing either: their clocks are off, say.
        failing = await _failing(connection)
        present = await backlog.measure(connection, now, jakarta_day(now), WAITING)
        return [
            _made(one.partner, one.stage, newest, Because.FAILING, error)
            if (error := failing.get((one.partner, one.stage)))
            else _made(one.partner, one.stage, newest, Because.NO_WORKER)
            for one in present
            if one.due > 0
        ]
    unmoved = await stored.unmoved(connection)
    found = {(one.partner, one.stage): one for one in await _stopped(connection, unmoved)}
    left = [one for one in unmoved if (one.partner, one.stage) not in found and now - one.since >= QUIET]
    for stage in _KINDS:
        mine = [one for one in left if one.stage == stage]
        if mine:
            found |= {(one.partner, stage): one for one in await _explained(connection, now, stage, mine)}
    return [found[key] for key in sorted(found)]


async def _stopped(connection: Connection, unmoved: Sequence[Unmoved]) -> list[Standstill]:
    """What is due where a recovery, a pause or a hold stops it, however lately."""
    recovering = {one.partner: one for one in await recovery.open_ones(connection)}
    paused, held = await switches.paused(connection), await _holds(connection, stop=True)
    found = []
    for one in unmoved:
        switch, holding = paused.get(one.partner), held.get((one.partner, one.stage))
        under_way = recovering.get(one.partner)
        if under_way is not None and one.stage == "payout":
            why = under_way.demanded or ""
            found.append(_made(one.partner, one.stage, under_way.opened_at, Because.RECOVERING, why))
        elif switch is not None and one.stage == "payout":
            found.append(_made(one.partner, one.stage, switch.paused_at, Because.PAUSED, switch.reason))
        elif holding is not None:
            words = " ".join(filter(None, (holding.kind.value, holding.fault, holding.words)))
            found.append(_made(one.partner, one.stage, holding.since, Because.HELD, words, holding.next_canary_at))
    return found


async def _holds(connection: Connection, *, stop: bool) -> dict[tuple[str, str], Hold]:
    """The oldest hold of each partner and stage, of those that stop it or of those that only slow it."""
    found: dict[tuple[str, str], Hold] = {}
    for hold in await holds.open_holds(connection):
        if hold.stops is stop and hold.stage in _WORK:
            found.setdefault((hold.partner, _WORK[hold.stage]), hold)
    return found


async def _failing(connection: Connection) -> Mapping[tuple[str, str], str]:
    """With what error the workers fail to take up a stage at a partner: the one that they told of first."""
    told = {one.work: one.error for one in reversed(await stored.fails(connection, GONE))}
    return {
        (slug, stage): error
        for stage, loops in _LOOPS.items()
        for loop in reversed(loops)
        for work, error in told.items()
        if (slug := work.removeprefix(f"{loop}:")) != work
    }


async def _explained(connection: Connection, now: datetime, stage: str, unmoved: Sequence[Unmoved]) -> list[Standstill]:
    partners = [one.partner for one in unmoved]
    failing = await _failing(connection)
    slowed = await _holds(connection, stop=False)
    taken = await stored.taken(connection, now, now - QUIET, stage, partners)
    asked = dict.fromkeys(_KINDS[stage], partners)
    left = {slug for _, slug in await due.at_partners(connection, now - QUIET, jakarta_day(now), asked)}
    found = []
    for one in unmoved:
        error = failing.get((one.partner, stage))
        slow = slowed.get((one.partner, stage))
        words, next_at = error or "", None
        if error is not None:
            because = Because.FAILING
        elif slow is not None:
            because, words, next_at = Because.THROTTLED, slow.words, slow.next_canary_at
        elif taken[one.partner].under_way:
            because = Because.UNDER_WAY
        else:
            because = Because.NOT_TAKEN_UP if one.partner in left else Because.WAITS
        if because is Because.WAITS:
            next_at = taken[one.partner].next_at
        found.append(_made(one.partner, stage, one.since, because, words, next_at))
    return found


def _made(
    partner: str, stage: str, since: datetime | None, because: Because, words: str = "", next_at: datetime | None = None
) -> Standstill:
    return Standstill(
        partner=partner, stage=stage, since=since, because=because, words=words, next_at=next_at, text=TEXTS[because]
    )
