"""Whether a partner is worth feeding at one stage: after a run of failures only a canary now and then, until it does
again what it is asked. What is decided here is a hold in the store, so that it holds in every worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta

import structlog

from contracts.hold import HALF, STAGE_OF, CallFault, HoldKind, HoldStage, kind_of
from gateway.clock import Clock, growing_s, jakarta_day, start_of_jakarta_day
from gateway.partners.watch import Told
from gateway.resources import Resources
from gateway.services.ops.holds import OURS_CANARY_S, SETTLEMENT, Holds
from gateway.storage.ops.holds import Hold

FAILURES = 5
"""So many tries in a row that did nothing, and feeding stops."""
CANARY_S = 3.0
"""How often one try is let through to see whether the partner is back."""
OURS_CANARY_MAX_S = 3_600.0
"""The same where it refuses us, from `OURS_CANARY_S` on: doubling, since it takes a person to mend it."""
OURS_CANARY_DAILY_S = 300.0
"""So long after 00:00 Jakarta it is tried too: a limit of ours for the day begins anew then."""
BRAKE_CANARY_S, BRAKE_CANARY_MAX_S = 3.0, 30.0
"""The same where it refused a crowd alike: doubling, as the first few mostly show whether it was a slip."""
THROTTLED_S = 60.0
"""So long after its last "too many" the partner is no longer called throttled."""
FED = (HoldStage.PAYOUT, HoldStage.VERIFY, HoldStage.PROOF)
"""The stages that workers feed. Linking is fed by participants: nothing holds them back, but it is told."""
QUIET_S = 600.0
"""So long after its last failure a stage that only participants feed is no longer called down by who saw it."""
_OPENED_HERE = (HoldKind.OUTAGE, HoldKind.OURS)

_log = structlog.get_logger(__name__)


class Outage:
    """What one worker has seen of one partner at one stage lately, and what it makes of the holds.

    `also`: stages whose holds keep this one waiting too. `news` is set when the store should be told at once.
    """

    def __init__(
        self,
        partner: str,
        stage: HoldStage,
        holds: Holds,
        clock: Clock,
        news: asyncio.Event,
        *,
        also: Collection[HoldStage] = (),
    ) -> None:
        self._partner = partner
        self._stage = stage
        self._stages = frozenset({stage, *also})
        self._holds = holds
        self._clock = clock
        self._failures = 0
        self._last: Told | None = None
        self._opening = False
        self._closing = False
        self._let_in = False
        self._failed_at: datetime | None = None
        self._throttled: Told | None = None
        self._canaries, self._trying = 0, False
        """How many may be let through while held; whether the one that was has not been heard of yet."""
        self._news = news

    @property
    def held(self) -> Hold | None:
        """The hold in the store that keeps this stage waiting."""
        return self._holds.stopping(self._partner, self._stages)

    @property
    def down(self) -> bool:
        """Whether feeding has stopped."""
        return self._opening or self.held is not None

    async def turn(self) -> float:
        """How long to wait before something is taken up; 0: now. While held, 0 for one canary."""
        if self._canaries > 0:
            return 0.0
        hold = self.held
        if hold is None:
            if self._opening:
                return CANARY_S
            slowed = self._holds.throttled(self._partner, self._stage)
            until = None if slowed is None else slowed.next_canary_at
            return 0.0 if until is None else max(0.0, (until - self._clock.now()).total_seconds())
        if hold.next_canary_at is None:
            return CANARY_S
        wait_s = (hold.next_canary_at - self._clock.now()).total_seconds()
        if wait_s > 0.0:
            return wait_s
        if not await self._holds.canary(hold, _canary_s(hold, self._clock.now())):
            await self._holds.refresh()  # another worker's turn
            return CANARY_S / 10
        self._canaries = 1
        await self._holds.refresh()
        return 0.0

    def admit(self) -> bool:
        """Whether one more may be sent now; while the partner is held that one is the canary."""
        if not self.down:
            self._canaries = 0
            return True
        if self._canaries == 0:
            return False
        self._canaries, self._trying = self._canaries - 1, True
        return True

    def told(self, operation: str, told: Told) -> None:
        """Take in what an operation told about the partner."""
        if STAGE_OF.get(operation) is not self._stage:
            return
        trying, self._trying = self._trying, False
        if told.good and operation == HALF:
            self._canaries += trying and self.down  # the canary goes on to what carries it out
        elif told.good:
            self._failures, self._opening = 0, False
            held = self.held
            ends = held is not None and held.kind in _OPENED_HERE and (trying or held.opened_by != SETTLEMENT)
            if ends and not self._closing:
                self._closing = True
                self._news.set()
        elif told.fault is CallFault.THROTTLED:
            self._throttled = told
            self._news.set()
        elif told.fault is not None:
            # What refuses us refuses everybody, and blames nobody: the first word of it is enough.
            self._failures = self._failures + 1 if kind_of(told.fault) is HoldKind.OUTAGE else FAILURES
            self._failed_at = self._clock.now()
            self._last, self._closing = told, False
            self._let_in = False
            if self._failures >= FAILURES and not self.down:
                self._opening = True
                self._news.set()
        elif self._stage is HoldStage.VERIFY and (held := self.held) is not None and held.kind is HoldKind.OURS:
            # Whoever refuses a person has let us in. Of a payment it says nothing: its READ may, and its WRITE not.
            self._let_in = True
            self._news.set()

    async def settle(self) -> None:
        """Write what was seen to the store: holds that begin, holds that end."""
        if self._opening and self._last is not None:
            await self._open(self._last)
            self._opening = False
        self._closing = self._closing or self._quiet()
        if self._closing:
            _log.info("partner_back", partner=self._partner, stage=self._stage.value)
            await self._holds.release(self._partner, self._stage, _OPENED_HERE)
            self._closing, self._canaries, self._failed_at = False, 0, None
        if self._let_in:
            await self._holds.release(self._partner, self._stage, (HoldKind.OURS,))
            self._let_in, self._canaries = False, 0
        throttled, self._throttled = self._throttled, None
        if throttled is not None:
            await self._hold(HoldKind.THROTTLED, throttled, throttled.retry_after_s or 0.0)
        else:
            await self._end_throttling()

    def _quiet(self) -> bool:
        """Whether a stage without canaries was seen to fail here, and has not been tried for a while."""
        if self._stage is not HoldStage.LINK or self.held is None or self._failed_at is None:
            return False
        return (self._clock.now() - self._failed_at).total_seconds() >= QUIET_S

    async def _open(self, last: Told) -> None:
        assert last.fault is not None
        kind = kind_of(last.fault)
        _log.warning("partner_down", partner=self._partner, stage=self._stage.value, fault=last.fault.value)
        first_s = OURS_CANARY_S if kind is HoldKind.OURS else CANARY_S
        after_s = None if self._stage is HoldStage.LINK else max(first_s, last.retry_after_s or 0.0)
        await self._hold(kind, last, after_s)

    async def _hold(self, kind: HoldKind, told: Told, after_s: float | None) -> None:
        fault = None if told.fault is None else told.fault.value
        await self._holds.hold(self._partner, self._stage, kind, fault=fault, words=told.words, after_s=after_s)

    async def _end_throttling(self) -> None:
        held = self._holds.throttled(self._partner, self._stage)
        if held is None or held.next_canary_at is None:
            return
        if (self._clock.now() - held.next_canary_at).total_seconds() >= THROTTLED_S:
            await self._holds.release(self._partner, self._stage, (HoldKind.THROTTLED,))


def _canary_s(hold: Hold, now: datetime) -> float:
    """How long after this canary the next one follows."""
    if hold.kind is HoldKind.BRAKE:
        return growing_s(BRAKE_CANARY_S, 2.0, hold.canaries, BRAKE_CANARY_MAX_S)
    if hold.kind is HoldKind.OURS:
        midnight = start_of_jakarta_day(jakarta_day(now) + timedelta(days=1))
        daily_s = (midnight - now).total_seconds() + OURS_CANARY_DAILY_S
        return min(growing_s(OURS_CANARY_S, 2.0, hold.canaries + 1, OURS_CANARY_MAX_S), daily_s)
    return CANARY_S


class Outages:
    """The outage control of every partner at some stages, on one view of the holds: those that a worker feeds, or the
    one that participants feed themselves through the API.
    """

    def __init__(
        self, resources: Resources, worker: str, news: asyncio.Event, stages: Collection[HoldStage] = FED
    ) -> None:
        self._holds = Holds(resources.database, resources.clock, worker)
        self._of: dict[tuple[str, HoldStage], Outage] = {}
        for slug, desk in resources.desks.items():
            proofs = {HoldStage.PROOF} if desk.manifest.payout_needs_live_link else set()
            for stage in stages:
                if stage is HoldStage.PROOF and not proofs:
                    continue  # proofs that no payout waits for hold nothing
                also = proofs if stage is HoldStage.PAYOUT else ()
                outage = Outage(slug, stage, self._holds, resources.clock, news, also=also)
                desk.watched_by(outage)
                self._of[slug, stage] = outage

    def of(self, partner: str, stage: HoldStage) -> Outage:
        """The outage control of one partner's stage."""
        return self._of[partner, stage]

    async def tick(self) -> int:
        """Read the holds, and write down what was seen since."""
        await self._holds.refresh()
        for outage in self._of.values():
            await outage.settle()
        return await self._holds.tick_purge()
