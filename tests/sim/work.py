"""What the gateway's workers would do now or later, read off the store as their loops would find it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from adapters.registry import PARTNERS
from contracts.hold import HoldKind, HoldStage
from gateway.clock import JAKARTA, jakarta_day, start_of_jakarta_day
from gateway.services.payouts.absence import first_day
from gateway.services.payouts.commits import LOST_S
from gateway.services.reconciliation.statements import MOST_DAYS_A_TICK
from tests.sim import feeding
from tests.sim.snapshot import Payout

if TYPE_CHECKING:
    from tests.sim.town import Services, Town

Tick = Callable[["Services"], Awaitable[object]]
_PAYS_UNDER = {
    slug: (HoldStage.PAYOUT, HoldStage.PROOF) if partner.manifest.payout_needs_live_link else (HoldStage.PAYOUT,)
    for slug, partner in PARTNERS.items()
}
"""The stages whose holds keep payouts waiting."""
_WAITS = ("partner_unavailable", "partner_float_short")
_SENT_FROM = ("reserved", "prepared")
_FOLLOWED = ("preparing", "unknown", "pending", "rejected")
_WAITING_S = 600.0
"""How often statements are asked for while something waits for them."""
NEVER_S = float("inf")


class Chore(NamedTuple):
    """One tick of one of the workers' loops."""

    name: str
    due_s: float
    tick: Tick
    idle_most_s: float = NEVER_S
    """It is looked in on so often even if it found nothing many times."""
    once_changed_s: float = NEVER_S
    """As `idle_most_s`, once anything changed since that it could go by."""


class Idle(NamedTuple):
    """A chore that found nothing to do: when, how long it waits for it, how often in a row, and what it went by."""

    since_s: float
    wait_s: float
    times: int
    found: tuple[object, ...]


def chores(town: Town) -> list[Chore]:
    """All of them, each with the time from which it finds something to do."""
    return [*_payouts(town), *_statements(town), *_people(town), *_brake(town)]


def _payouts(town: Town) -> Iterator[Chore]:
    state, now_s = town.state, town.now_s
    paused = {row.partner for row in state.paused}
    recovering = {row.partner for row in state.paused if row.by == "recovery"}
    send_s: defaultdict[str, float] = defaultdict(lambda: NEVER_S)
    follow_s: defaultdict[str, float] = defaultdict(lambda: NEVER_S)
    overdue_s = NEVER_S
    for payout in state.payouts:
        due_s = _due_s(payout)
        if payout.state in _SENT_FROM:
            send_s[payout.partner] = min(send_s[payout.partner], due_s)
        elif payout.state in _FOLLOWED:
            follow_s[payout.partner] = min(follow_s[payout.partner], due_s)
        if payout.state in ("submitting", "preparing") and payout.next_s is None and payout.sent_deadline_s is not None:
            overdue_s = min(overdue_s, payout.sent_deadline_s + 0.001)
    timer_s = NEVER_S
    for incentive in state.incentives:
        ready = incentive.stage == "scheduled" and incentive.blocker is None and incentive.approved
        if ready and incentive.partner not in paused:
            send_s[incentive.partner] = min(send_s[incentive.partner], _day_s(incentive.due_on))
        if not incentive.past_deadline and not incentive.cancelled and incentive.payout in (None, "open"):
            timer_s = min(timer_s, _day_s(incentive.deadline_on, 1))
        if incentive.own_next_s is not None and incentive.payout is None:
            timer_s = min(timer_s, incentive.own_next_s)
        if incentive.own in _WAITS and incentive.own_next_s is not None:  # a canary makes it due
            send_s[incentive.partner] = min(send_s[incentive.partner], incentive.own_next_s)
    for slug, due_s in send_s.items():
        if slug in recovering:
            continue
        limit = 1 + town.seed % 3
        hold = feeding.held(town, slug, *_PAYS_UNDER[slug])
        fed_s = due_s if hold is None or due_s == NEVER_S else feeding.canary_s(town, hold)
        yield Chore(
            f"send {slug}",
            fed_s,
            lambda s, slug=slug, limit=limit: feeding.send(town, s, slug, limit),
            once_changed_s=5.0,
        )
        yield Chore(
            f"unpayable {slug}",
            due_s - LOST_S,
            lambda s, slug=slug: s.payouts.tick_unpayable(slug, 1),
            once_changed_s=5.0,
        )
    for slug, due_s in follow_s.items():
        yield Chore(f"look-ups {slug}", due_s, lambda s, slug=slug: s.payouts.tick_lookups(slug, 1))
    yield Chore("deadlines", overdue_s, lambda s: s.payouts.tick_deadlines(1))
    yield Chore("timers", max(timer_s, now_s if timer_s <= now_s else timer_s), lambda s: s.payouts.tick_timers())


def _due_s(payout: Payout) -> float:
    if payout.next_s is None:
        return NEVER_S
    return max(payout.next_s, payout.lease_until_s or 0.0)


def _day_s(day: str, later: int = 0) -> float:
    return start_of_jakarta_day(date.fromisoformat(day) + timedelta(days=later)).timestamp()


def _statements(town: Town) -> Iterator[Chore]:
    today = jakarta_day(datetime.fromtimestamp(town.now_s, JAKARTA))
    waiting = set()
    for payout in town.state.payouts:
        if payout.next_s is None or payout.first_sent_s is None:
            continue
        first_sent_at = datetime.fromtimestamp(payout.first_sent_s, JAKARTA)
        if (
            payout.state == "unknown"
            and (payout.attempt > 1 or first_day(first_sent_at) != today)
            or payout.state == "rejected"
            and (payout.statements_from_s or float("inf")) <= town.now_s
            or payout.state == "rejected"
            and payout.reason_due_s is not None
            and payout.released_s is None
        ):
            waiting.add(payout.partner)
    for slug in town.sides:
        last_s = town.statements_s.get(slug, 0.0)
        every_s = _WAITING_S if slug in waiting else town.sweep_s
        yield Chore(f"statements {slug}", last_s + every_s, lambda s, slug=slug: _read(town, s, slug))


async def _read(town: Town, services: Services, slug: str) -> None:
    town.statements_s[slug] = town.now_s
    if await services.statements.tick(slug) >= MOST_DAYS_A_TICK:
        town.statements_s[slug] = town.now_s - town.sweep_s  # more days wait, and workers go on at once


def _people(town: Town) -> Iterator[Chore]:
    state = town.state
    checks: defaultdict[str, float] = defaultdict(lambda: NEVER_S)
    for check in state.checks:
        if check.next_s is not None:
            due_s = max(check.next_s, check.lease_until_s or 0.0)
            checks[check.partner] = min(checks[check.partner], due_s)
    for slug, due_s in checks.items():
        hold = feeding.held(town, slug, HoldStage.VERIFY)
        fed_s = due_s if hold is None or due_s == NEVER_S else feeding.canary_s(town, hold)
        yield Chore(f"verify {slug}", fed_s, lambda s, slug=slug: feeding.verify(town, s, slug))
    verdicts = [t.verified_until_s for t in state.participants if t.verified and t.verified_until_s is not None]
    yield Chore("expired verdicts", min(verdicts, default=NEVER_S), lambda s: s.verification.tick_expired(1))
    notes = [note.next_s for note in state.notes if note.next_s is not None]
    yield Chore("inbox", min(notes, default=NEVER_S), lambda s: s.inbox.tick(1))
    yield Chore("strays", town.now_s if state.strays else NEVER_S, lambda s: s.recoveries.strays.tick())
    yield from _links(town)


def _brake(town: Town) -> Iterator[Chore]:
    """The brake's own loops: it looks after holds that a crowd made, and asks once more about who was refused."""
    brake_s = look_s = NEVER_S
    held = {(one.partner, one.stage) for one in town.state.holds if one.open}
    for hold in town.state.holds:
        if hold.kind == HoldKind.BRAKE.value and (hold.open or (hold.run_asked_s or 0.0) <= (hold.released_s or 0.0)):
            brake_s = min(brake_s, feeding.looked_after_s(town, hold) if hold.open else 0.0)
    for refusal in town.state.refusals:
        if refusal.next_look_s is not None and (refusal.partner, refusal.stage) not in held:
            look_s = min(look_s, refusal.next_look_s)

    async def tick(services: Services) -> None:
        for hold in town.state.holds:
            if hold.open:
                town.tried_s[hold.partner, "brake"] = town.now_s
        await services.brake.tick()

    yield Chore("brake", brake_s, tick, 30.0)
    yield Chore("second looks", look_s, lambda s: s.brake.tick_looks(1))


def _links(town: Town) -> Iterator[Chore]:
    expiry_s = health_s = refresh_s = unlink_s = waiting_s = NEVER_S
    for link in town.state.links:
        if link.health_due_s is not None:
            health_s = min(health_s, link.health_due_s)
        match link.state:
            case "challenged":
                expiry_s = min(expiry_s, link.opens_until_s or NEVER_S)
            case "opened":
                expiry_s = min(expiry_s, link.lives_until_s or NEVER_S)
            case "exchanging":
                expiry_s = min(expiry_s, link.updated_s + 120.0)
            case "waiting":
                waiting_s = town.now_s
            case "unlinking":
                unlink_s = min(unlink_s, link.unlink_due_s or NEVER_S)
                if link.unlink_due_s is None:
                    expiry_s = min(expiry_s, link.lives_until_s or NEVER_S)
            case "active":
                refresh_s = min(refresh_s, link.refresh_s or NEVER_S)
    yield Chore("link expiry", expiry_s, lambda s: s.linking.tick_expiry(1))
    yield Chore("link health", health_s, lambda s: s.linking.tick_health(1))
    yield Chore("grant refresh", refresh_s, lambda s: s.linking.tick_refresh(1))
    yield Chore("unlinking", unlink_s, lambda s: s.linking.tick_unlinking(1))
    yield Chore("waiting links", waiting_s, lambda s: s.linking.tick_waiting())
