"""The partners as operators and clients see them: what each can do, what is assumed about it, whether it is paused."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

from contracts.errors import Conflict, NotFound
from contracts.hold import HoldKind, HoldStage
from contracts.partner import Capability, Fact, Manifest, Mark
from contracts.quotas import all_quotas
from gateway.clock import Clock, jakarta_day
from gateway.security import personal
from gateway.services.ops import standstill
from gateway.services.ops.shown import as_read
from gateway.services.ops.standstill import Standstill
from gateway.storage.base.database import Database
from gateway.storage.ops import audit, backlog, holds, switches
from gateway.storage.ops.backlog import Answered, Trouble
from gateway.storage.reconciliation import recovery, statements

LATELY = timedelta(minutes=5)
"""How a partner answers is told of so long."""


class QuotaView(msgspec.Struct, frozen=True, kw_only=True):
    """Calls a second for operations that begin with one of `operations`; `mark` says how well that is known."""

    operations: tuple[str, ...]
    per_s: float
    mark: Mark


class SwitchState(enum.Enum):
    """How far a pause has come."""

    PAUSING = "pausing"
    """Attempts begun before it are under way."""
    PAUSED = "paused"
    """Nothing leaves any more."""


class PausedView(msgspec.Struct, frozen=True, kw_only=True):
    """Since when, by whom and why payouts are stopped."""

    state: SwitchState
    under_way: int
    """Attempts begun before it that may not have left yet; workers hold those back within milliseconds."""
    last_leaves_by: datetime | None
    """By when the last of these has left, or never will."""
    since: datetime
    by: str
    reason: str
    read: str
    """Of this reason: whoever resumes what others have paused too sends it along, having read that."""


class StatementView(msgspec.Struct, frozen=True, kw_only=True):
    """The last statement that was read to its end."""

    day: date
    read_at: datetime
    lines: int
    unknown_lines: int
    """Credits whose reference is not ours."""


class HoldView(msgspec.Struct, frozen=True, kw_only=True):
    """Why one stage at a partner is not fed as usual."""

    hold_id: str
    stage: HoldStage
    kind: HoldKind
    fault: str | None
    """What went wrong: `refused`, `timed_out`, `broken`, `5xx`, `401`, `429`, `later`, `float_short`, ..."""
    words: str
    """The partner's own code, or why an operator holds it."""
    since: datetime
    next_canary_at: datetime | None
    """When one more call is let through; null: not before somebody releases it."""
    canaries: int
    by: str


class LoadView(msgspec.Struct, frozen=True, kw_only=True):
    """What of the caller's organisation is at stake at a held partner."""

    in_flight: int
    backlog: int
    amount_rupiah: int


class PartnerView(msgspec.Struct, frozen=True, kw_only=True):
    """One partner."""

    partner: str
    name: str
    documents: str
    read_on: date
    capabilities: tuple[Capability, ...]
    account_pattern: str
    min_amount_rupiah: int
    max_amount_rupiah: int
    quotas: tuple[QuotaView, ...]
    assumed: tuple[Fact, ...]
    """What is not known for certain about the partner, with where it stands."""
    paused: PausedView | None
    holds: tuple[HoldView, ...]
    stands: tuple[Standstill, ...]
    """What is due there and does not move, whatever the reason."""
    load: LoadView | None
    """What waits there, while anything holds it; null: nothing does."""
    lately: Answered | None
    """How it answered in the last five minutes; null: nothing was asked."""
    last_statement: StatementView | None


def trouble(answered: Answered | None) -> dict[str, int]:
    """What went wrong, counted by kind: `no answer`, `401`, `403`, `429`, `5xx`; only what did."""
    if answered is None:
        return {}
    kinds = {
        "no answer": answered.no_answer,
        "401": answered.refused,
        "403": answered.denied,
        "429": answered.throttled,
        "5xx": answered.failed,
    }
    return {name: count for name, count in kinds.items() if count}


class Partners:
    """Reads partners, and switches their payouts off and on."""

    def __init__(
        self, database: Database, clock: Clock, manifests: Mapping[str, Manifest], quotas: Mapping[str, float]
    ) -> None:
        self._database = database
        self._clock = clock
        self._manifests = manifests
        self._quotas = quotas

    async def all(
        self, stands: Sequence[Standstill] | None = None, organisation: str | None = None
    ) -> list[PartnerView]:
        """Every partner of this installation. `stands`: what stands still, where that is known; `organisation`: of
        whose rows the load is, None for everybody's.
        """
        async with self._database.connection() as connection:
            paused = await switches.paused(connection)
            under_way = await switches.under_way(connection, self._clock.now())
            reads = {read.partner: read for read in await statements.last_reads(connection)}
            held = await holds.open_holds(connection)
            lately = await backlog.answered(connection, self._clock.now() - LATELY)
            if stands is None:
                stands = await standstill.read(connection, self._clock.now())
            loads = await holds.loads(
                connection, jakarta_day(self._clock.now()), {hold.partner for hold in held} | set(paused), organisation
            )
        return [
            _view(
                manifest,
                self._quotas,
                _paused(paused.get(slug), under_way.get(slug)),
                [hold for hold in held if hold.partner == slug],
                [one for one in stands if one.partner == slug],
                loads.get(slug),
                lately.get(slug),
                reads.get(slug),
            )
            for slug, manifest in self._manifests.items()
        ]

    async def answered(self, partner: str, over: timedelta) -> Answered | None:
        """How one partner answered over so long; None: nothing was asked."""
        async with self._database.connection() as connection:
            return (await backlog.answered(connection, self._clock.now() - over)).get(partner)

    async def troubles(self, partner: str, over: timedelta) -> list[Trouble]:
        """What went wrong at one partner over so long, by operation."""
        async with self._database.connection() as connection:
            return await backlog.troubles(connection, partner, self._clock.now() - over)

    async def statement_ages_s(self) -> dict[str, float | None]:
        """How long ago each partner's statement was last begun to be read to its end; None: never."""
        async with self._database.connection() as connection:
            reads = {read.partner: read for read in await statements.last_reads(connection)}
        now = self._clock.now()
        return {
            slug: (now - reads[slug].started_at).total_seconds() if slug in reads else None for slug in self._manifests
        }

    async def pause(self, partner: str, reason: str, *, actor: str) -> PartnerView:
        """Stop payouts: no attempt begins any more, one that has not left is held back, one that has left is followed
        to its end. The answer tells how many may not have left yet; of what is paused already, this reason too. Raises
        `InvalidRequest` for a reason that names somebody.
        """
        self.known(partner)
        personal.refuse(reason, "reason")
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if await switches.pause(connection, now, partner, by=actor, reason=reason) or await switches.pause_too(
                connection, partner, by=actor, reason=reason
            ):
                await audit.record(connection, now, actor, "partner.pause", partner, {"reason": reason})
        return await self._one(partner)

    async def resume(self, partner: str, *, actor: str, read: str | None = None) -> PartnerView:
        """Let payouts flow again: with `read` (`PausedView.read`) what others have paused too, without it only what the
        actor has. Raises `Conflict` where something else stops them too, and where it is a recovery alone that does.
        """
        self.known(partner)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            paused = (await switches.paused(connection)).get(partner)
            if paused is not None:
                shown = as_read(paused.paused_at, paused.reason)
                if read != shown and (read is not None or not paused.only_of(actor)):
                    raise Conflict(
                        f"It is paused by {paused.paused_by}: {paused.reason}.",
                        remedy=f"Where that is over, resume it with `read` {shown} (`--read {shown}`).",
                    )
                if not await switches.resume(connection, now, partner, by=actor, reason=paused.reason):
                    raise Conflict("Its pause changed a moment ago.", remedy="Ask once more.")
                await audit.record(connection, now, actor, "partner.resume", partner, {"reason": paused.reason})
            elif any(one.partner == partner for one in await recovery.open_ones(connection)):
                raise Conflict(
                    "It is not paused: a recovery holds it.", remedy="`gateway recover` lets it go (docs/runbook.md)."
                )
        return await self._one(partner)

    async def holds(self, partner: str | None, limit: int) -> list[holds.Hold]:
        """Holds of a partner or of all, open and released ones, newest first."""
        if partner is not None:
            self.known(partner)
        async with self._database.connection() as connection:
            return await holds.history(connection, partner, limit)

    async def release(self, hold_id: int, reason: str, *, actor: str) -> PartnerView:
        """End a hold by hand: what waited is due at once. The next run of failures holds it anew. Raises
        `InvalidRequest` for a reason that names somebody.
        """
        personal.refuse(reason, "reason")
        now = self._clock.now()
        async with self._database.transaction() as connection:
            held = await holds.get(connection, hold_id)
            if held is None:
                raise NotFound("There is no such hold.")
            if await holds.release(connection, now, held.partner, held.stage, [held.kind], by=actor, only=hold_id):
                data = {"hold": hold_id, "kind": held.kind.value, "stage": held.stage.value, "reason": reason}
                await audit.record(connection, now, actor, "partner.release", held.partner, data)
        return await self._one(held.partner)

    def known(self, partner: str) -> None:
        """Raise `NotFound` unless this installation has the partner."""
        if partner not in self._manifests:
            raise NotFound("There is no such partner.")

    async def _one(self, partner: str) -> PartnerView:
        return next(view for view in await self.all() if view.partner == partner)


def _paused(switch: switches.Switch | None, under_way: switches.UnderWay | None) -> PausedView | None:
    if switch is None:
        return None
    return PausedView(
        state=SwitchState.PAUSED if under_way is None else SwitchState.PAUSING,
        under_way=0 if under_way is None else under_way.attempts,
        last_leaves_by=None if under_way is None else under_way.until,
        since=switch.paused_at,
        by=switch.paused_by,
        reason=switch.reason,
        read=as_read(switch.paused_at, switch.reason),
    )


def _view(
    manifest: Manifest,
    quotas: Mapping[str, float],
    paused: PausedView | None,
    held: Sequence[holds.Hold],
    still: Sequence[Standstill],
    load: holds.Load | None,
    lately: Answered | None,
    read: statements.StatementRead | None,
) -> PartnerView:
    return PartnerView(
        partner=manifest.slug,
        name=manifest.name,
        documents=manifest.documents,
        read_on=manifest.read_on,
        capabilities=tuple(sorted(manifest.capabilities, key=lambda capability: capability.value)),
        account_pattern=manifest.account_pattern,
        min_amount_rupiah=manifest.min_amount_rupiah,
        max_amount_rupiah=manifest.max_amount_rupiah,
        quotas=tuple(
            QuotaView(operations=quota.operations, per_s=quotas.get(manifest.slug, quota.per_s), mark=quota.mark)
            for quota in all_quotas(manifest)
        ),
        assumed=tuple(fact for fact in manifest.facts if fact.mark is not Mark.SEEN),
        paused=paused,
        holds=tuple(
            HoldView(
                hold_id=str(hold.id),
                stage=hold.stage,
                kind=hold.kind,
                fault=hold.fault,
                words=hold.words,
                since=hold.since,
                next_canary_at=hold.next_canary_at,
                canaries=hold.canaries,
                by=hold.opened_by,
            )
            for hold in held
        ),
        stands=tuple(still),
        load=None
        if load is None
        else LoadView(in_flight=load.in_flight, backlog=load.backlog, amount_rupiah=load.amount_rupiah),
        lately=lately,
        last_statement=None
        if read is None
        else StatementView(day=read.day, read_at=read.finished_at, lines=read.lines, unknown_lines=read.unknown_lines),
    )
