"""The partners as operators and clients see them: what each can do, what is assumed about it, whether it is paused."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import date, datetime

import msgspec

from contracts.errors import NotFound
from contracts.partner import Capability, Fact, Manifest, Mark
from gateway.clock import Clock
from gateway.storage.base.database import Database
from gateway.storage.ops import audit, switches
from gateway.storage.reconciliation import statements


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


class StatementView(msgspec.Struct, frozen=True, kw_only=True):
    """The last statement that was read to its end."""

    day: date
    read_at: datetime
    lines: int
    unknown_lines: int
    """Credits whose reference is not ours."""


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
    last_statement: StatementView | None


class Partners:
    """Reads partners, and switches their payouts off and on."""

    def __init__(
        self, database: Database, clock: Clock, manifests: Mapping[str, Manifest], quotas: Mapping[str, float]
    ) -> None:
        self._database = database
        self._clock = clock
        self._manifests = manifests
        self._quotas = quotas

    async def all(self) -> list[PartnerView]:
        """Every partner of this installation."""
        async with self._database.connection() as connection:
            paused = await switches.paused(connection)
            under_way = await switches.under_way(connection, self._clock.now())
            reads = {read.partner: read for read in await statements.last_reads(connection)}
        return [
            _view(manifest, self._quotas, _paused(paused.get(slug), under_way.get(slug)), reads.get(slug))
            for slug, manifest in self._manifests.items()
        ]

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
        to its end. The answer tells how many may not have left yet.
        """
        self._known(partner)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if await switches.pause(connection, now, partner, by=actor, reason=reason):
                await audit.record(connection, now, actor, "partner.pause", partner, {"reason": reason})
        return await self._one(partner)

    async def resume(self, partner: str, *, actor: str) -> PartnerView:
        """Let payouts flow again."""
        self._known(partner)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if await switches.resume(connection, now, partner, by=actor):
                await audit.record(connection, now, actor, "partner.resume", partner, {})
        return await self._one(partner)

    def _known(self, partner: str) -> None:
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
    )


def _view(
    manifest: Manifest,
    quotas: Mapping[str, float],
    paused: PausedView | None,
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
            for quota in manifest.quotas
        ),
        assumed=tuple(fact for fact in manifest.facts if fact.mark is not Mark.SEEN),
        paused=paused,
        last_statement=None
        if read is None
        else StatementView(day=read.day, read_at=read.finished_at, lines=read.lines, unknown_lines=read.unknown_lines),
    )
