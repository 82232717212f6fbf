"""One desk per partner: its adapter with everything an attempt needs (hosts, credentials, our tokens, waits)."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog

from contracts.brake import HARD_LOOK, LOOKS_S
from contracts.errors import (
    Hint,
    NotSupported,
    OutcomeUnknown,
    PartnerError,
    PartnerProtocolError,
    PartnerUnavailable,
)
from contracts.hold import STAGE_OF, CallFault, HoldStage
from contracts.jakarta import long_before
from contracts.linking import LinkRedirect, LinkStart, LinkStep
from contracts.partner import AccessToken, Capability, Context, Manifest, Partner
from contracts.payout import Outcome
from contracts.plan import Plan
from contracts.secret import Secret
from gateway.clock import Clock, growing_s
from gateway.partners.executor import Executor, HeldBack, Look
from gateway.partners.tokens import Tokens
from gateway.partners.watch import LastAnswer, Told, Watch, of_error, of_result, seen_by
from gateway.settings import Waits

T = TypeVar("T")
_PLACE = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?=[/?#]|\Z)", re.ASCII | re.IGNORECASE)
"""Scheme and host of an address in which no browser reads another one: no user, no backslash, nothing encoded."""
_log = structlog.get_logger(__name__)


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """The partner's waits, from its manifest, as far as the installation does not shorten them."""

    lookup_first_s: float
    lookup_factor: float
    lookup_max_s: float
    horizon_s: float
    weekends: bool
    absence_s: float
    absence_lookups: int
    clocks_s: float
    """How far its clock may be from ours."""
    confirm_rejection_s: float
    reason_wait_s: float
    verification_retry_s: float
    verification_tries: int
    looks_s: tuple[float, ...]
    """How long after a refusal the partner is asked again, look by look."""

    @property
    def hard_s(self) -> float:
        """How old a refusal must be before anything that is hard to undo may follow from it."""
        return self.looks_s[HARD_LOOK]

    def over_since(self, now: datetime) -> datetime:
        """Of what began by this moment the look-up horizon is over."""
        return long_before(now, self.horizon_s, weekends=self.weekends)

    def lookup_after_s(self, looks: int) -> float:
        """How long after the n-th look-up (0: after sending) the next one follows."""
        return growing_s(self.lookup_first_s, self.lookup_factor, looks, self.lookup_max_s)


def pace(manifest: Manifest, waits: Waits) -> Pace:
    """Manifest values with the installation's waits in their place; counts, factors and the reason wait are never
    scaled.
    """
    schedule, absence = manifest.lookups, manifest.absence
    first_s = waits.lookup_first_s or schedule.first_s
    absence_s = waits.absence_s or absence.after_s
    longest_s = schedule.max_s if waits.lookup_first_s is None else schedule.max_s * first_s / schedule.first_s
    return Pace(
        lookup_first_s=first_s,
        lookup_factor=schedule.factor,
        # An absence must be covered by enough look-ups, so no gap is longer than its share of it.
        lookup_max_s=max(first_s, min(longest_s, absence_s / (absence.lookups - 1)))
        if absence.by_lookup
        else longest_s,
        horizon_s=schedule.horizon_s,
        weekends=schedule.weekends,
        absence_s=absence_s,
        absence_lookups=absence.lookups,
        clocks_s=waits.clocks_s,
        confirm_rejection_s=waits.confirm_rejection_s or manifest.confirm_rejection_s,
        reason_wait_s=manifest.reason_wait_s,
        verification_retry_s=waits.verification_retry_s or manifest.verification_retry_s,
        verification_tries=manifest.verification_tries,
        looks_s=(waits.second_look_s, waits.hard_look_s, *LOOKS_S[2:]),
    )


class Desk:
    """Where services meet a partner. `run` builds a fresh `Context`, gets our tokens, and has the executor run the
    plan.
    """

    def __init__(
        self,
        partner: Partner,
        *,
        credentials: Mapping[str, Secret],
        hosts: Mapping[str, str],
        pages: Sequence[str] = (),
        executor: Executor,
        tokens: Tokens,
        clock: Clock,
        waits: Waits,
        entropy: random.Random | None = None,
    ) -> None:
        """`pages`: names beside the manifest's at which the partner's pages may be."""
        self.partner = partner
        self.manifest = partner.manifest
        self.slug = partner.manifest.slug
        self.pace = pace(partner.manifest, waits)
        self._credentials = credentials
        self._hosts = hosts
        self._pages = (*partner.manifest.pages, *pages)
        self._executor = executor
        self._tokens = tokens
        tokens.got_with(self.slug, credentials, hosts)
        self._clock = clock
        self._entropy = entropy or random.SystemRandom()
        self._watches: list[Watch] = []
        self._refused: Mapping[str, Secret] | None = None
        """Tokens of ours that the partner refused last, with none taken since."""

    def watched_by(self, watch: Watch) -> None:
        """Tell `watch` what each operation tells about the partner."""
        self._watches.append(watch)

    def require(self, capability: Capability) -> None:
        """Raise `NotSupported` unless the partner's manifest declares it."""
        if capability not in self.manifest.capabilities:
            raise NotSupported(f"{self.manifest.name} does not offer {capability.value}")

    def begin_link(self, context: Context, start: LinkStart) -> Plan[LinkStep]:
        """The partner's own plan. A page that does not stand where the partner's do makes its answer an unreadable one:
        whoever is sent there types a PIN.
        """
        step = yield from self.partner.begin_link(context, start)
        if isinstance(step, LinkRedirect) and not self._is_theirs(step.url):
            host = (_PLACE.match(step.url) or ("", "", "none that can be read"))[2]
            _log.warning("page_elsewhere", partner=self.slug, host=host)
            raise PartnerProtocolError(f"the page to which it sends the participant is at {host}, which is none of its")
        return step

    def _is_theirs(self, url: str) -> bool:
        found = _PLACE.match(url)
        if found is None:
            return False
        scheme, host = found[1].lower(), found[2].lower().removesuffix(".")
        ours = [urlsplit(base) for base in self._hosts.values()]
        if any(base.hostname == host.strip("[]") and scheme in (base.scheme, "https") for base in ours):
            return True
        return scheme == "https" and any(host == name or host.endswith(f".{name}") for name in self._pages)

    def bare_context(self) -> Context:
        """A context without our tokens: for verifying notifications and for token plans."""
        return Context(
            now=self._clock.now(),
            serial=f"{self._entropy.randrange(10**16, 10**17)}",
            credentials=self._credentials,
            tokens={},
            hosts=self._hosts,
        )

    async def run(
        self,
        operation: str,
        make: Callable[[Context], Plan[T]],
        *,
        subject: str,
        frozen_hash: bytes | None = None,
        last_look: Look | None = None,
    ) -> T:
        """Run one of the partner's operations, named as in `Partner`.

        A token of ours that the partner refused is forgotten, whatever was refused with it; where nothing had been
        done yet, the plan is run once more under a fresh one. Raises `PartnerUnavailable`/`PartnerProtocolError`
        (nothing left) or `OutcomeUnknown` (a WRITE left).
        """
        names = self.manifest.needs.get(operation, ())
        seen = LastAnswer()

        def watched(context: Context) -> Plan[T]:
            return seen_by(make(context), seen)

        try:
            result = await self._twice(names, watched, subject, frozen_hash, last_look)
        except HeldBack:
            raise  # by us: that tells nothing about the partner
        except (PartnerError, OutcomeUnknown) as error:
            self._tell(operation, await self._slowed(operation, of_error(error, seen, self.manifest), seen))
            raise
        except asyncio.CancelledError:
            self._tell(operation, Told(good=False, fault=CallFault.TIMED_OUT, words="no answer"))
            raise
        if seen.operation is not None:  # else nobody was asked: the participant is sent to a page, say
            self._tell(operation, await self._slowed(operation, of_result(result, seen, self.manifest), seen))
        return result

    async def _slowed(self, operation: str, told: Told, seen: LastAnswer) -> Told:
        """Where the partner said that there were too many: slow down, and say how much with it. How long a participant
        is to wait who links (too many codes, say) is a word to them alone, and closes nothing for others.
        """
        if told.fault is not CallFault.THROTTLED or seen.operation is None:
            return told
        wait_s = None if STAGE_OF.get(operation) is HoldStage.LINK else told.retry_after_s
        rate = await self._executor.refused(seen.operation, wait_s)
        return told if rate is None else msgspec.structs.replace(told, words=f"{told.words}; from now on {rate:.3g}/s")

    def _tell(self, operation: str, told: Told) -> None:
        for watch in self._watches:
            watch.told(operation, told)

    async def _twice(
        self,
        names: tuple[str, ...],
        make: Callable[[Context], Plan[T]],
        subject: str,
        frozen_hash: bytes | None,
        last_look: Look | None,
    ) -> T:
        try:
            return await self._attempt(names, make, subject, frozen_hash, last_look)
        except PartnerUnavailable as error:
            if error.hint is not Hint.OUR_TOKEN or not names:
                raise
        try:
            return await self._attempt(names, make, subject, frozen_hash, last_look)
        except PartnerUnavailable as error:
            if error.hint is Hint.OUR_TOKEN and error.otherwise is Hint.CUSTOMER_TOKEN:
                error.hint = error.otherwise  # a fresh token of ours was refused like the one before
            raise

    async def _attempt(
        self,
        names: tuple[str, ...],
        make: Callable[[Context], Plan[T]],
        subject: str,
        frozen_hash: bytes | None,
        last_look: Look | None,
    ) -> T:
        tokens: dict[str, Secret] = {}
        for name in names:
            tokens[name] = await self._tokens.get(self.slug, name, partial(self._fetch_token, name))
        context = msgspec.structs.replace(self.bare_context(), tokens=tokens)
        try:
            outcome = await self._executor.run(
                make(context), subject=subject, frozen_hash=frozen_hash, last_look=last_look
            )
        except (PartnerUnavailable, OutcomeUnknown) as error:
            if error.hint is Hint.OUR_TOKEN:
                fresh = await self._token_refused(tokens)
                if fresh and getattr(error, "otherwise", None) is not Hint.CUSTOMER_TOKEN:
                    error.hint = Hint.CREDENTIALS
            raise
        if isinstance(outcome, Outcome) and outcome.hint is Hint.OUR_TOKEN:
            if await self._token_refused(tokens):
                outcome = msgspec.structs.replace(outcome, hint=Hint.CREDENTIALS)
            return outcome
        self._refused = None
        return outcome

    async def _token_refused(self, tokens: Mapping[str, Secret]) -> bool:
        """Forget tokens that were refused. True: they were fresh, another was refused before them and none taken in
        between, or there was none to be stale. It is us then whom the partner refuses.
        """
        fresh = not tokens or (self._refused is not None and self._refused != tokens)
        self._refused = tokens
        await self._tokens.drop(self.slug, tokens)
        return fresh

    async def _fetch_token(self, name: str, held: AccessToken | None) -> AccessToken:
        if not self.manifest.tokens[name].refreshable:
            held = None
        return await self.run_bare(
            lambda context: self.partner.fetch_token(context, name, held), subject=f"token:{name}"
        )

    async def run_bare(self, make: Callable[[Context], Plan[T]], *, subject: str) -> T:
        """Run a plan that needs no token of ours (fetching one)."""
        return await self._executor.run(make(self.bare_context()), subject=subject)
