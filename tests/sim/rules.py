"""What must hold after every step, and what must have come out at the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING

from contracts.incentive import BlockerCode, Owner, owner_of
from contracts.payout import OPEN_STATES, PayoutState
from gateway.clock import JAKARTA, jakarta_day, start_of_jakarta_day
from gateway.services.payouts.absence import MOST_DAYS
from gateway.storage.payouts.ledger import PLACE
from tests.sim import brake
from tests.sim.booked import credits_of, given_back, given_back_unseen, owners
from tests.sim.manners import DATELESS
from tests.sim.snapshot import Incentive, Payout, Snapshot

if TYPE_CHECKING:
    from tests.sim.town import Town

_OPEN = {state.value for state in OPEN_STATES}
_WORD = {"succeeded": {"succeeded"}, "rejected": {"rejected"}, "reversed": {"reversed", "rejected"}}
_WITH_CASE = {"outcome_unknown", "contradiction", "reason_missing"}
_BY_DOCUMENT = {"outcome_unknown", "reason_missing", "partner_rejected"}
LOOKED_AT = {"account_not_found", "account_blocked", "partner_rejected", "balance_limit"}
"""What a payout was refused for that is tried again by itself, up to its deadline."""
NEXT_WITHIN_S = 86_400.0


def broken(town: Town) -> Iterator[str]:
    """Rules that do not hold now."""
    state = town.state
    yield from _never_twice(town)
    yield from _right_person(town)
    yield from _ledger(state)
    yield from _funnel(state)
    yield from _words(state)
    for incentive in state.incentives:
        why = _unexplained(town, incentive)
        if why:
            yield f"incentive {incentive.id} ({incentive.stage}, {incentive.blocker}): {why}"
    contradicted = contradicted_incentives(town)
    owner = {p.id: p.incentive for p in state.payouts}
    for case in state.cases:
        if case.payout is None and "cannot be read" in case.detail and town.lists_damaged > 1:
            continue  # one damaged answer is told as nothing; two of a day may be what the partner means
        if any(reference in case.detail for _, reference in town.forgotten):
            continue  # a credit that the store has forgotten
        if case.code == "contradiction" and owner.get(case.payout or 0) not in contradicted:
            yield f"a contradiction, and no partner contradicted itself: {case.detail}"
    for paused in state.paused:
        if paused.by == "gateway" and not contradicted:
            yield f"the gateway paused {paused.partner}"
    for incentive in state.incentives:
        if (
            incentive.stage == "returned"
            and incentive.blocker != "deadline_passed"
            and not any(given_back(town, p) for p in state.payouts if p.incentive == incentive.id)
        ):
            yield f"incentive {incentive.id} is returned, and no partner has a reversal in its books"
    yield from _next_times(town)
    yield from brake.broken(town)


def contradicted_incentives(town: Town) -> set[int]:
    """Incentives of which a partner called a payout failed and paid it all the same, or, without a time, both."""
    found = {one.incentive for (_, ref), one in town.forgotten.items() if ref in town.manners.contradicted}
    for payout in town.state.payouts:
        # Failed after it was paid: that it went back tells the time, or a row of the statement, which may be damaged;
        # beside a booking alone, before its *completed* is heard, it is none.
        untold = DATELESS in town.manners or town.lists_damaged > 0 or town.notices_late
        untold = untold and payout.partner == "gopay"
        if payout.reference in town.manners.contradicted or (untold and given_back(town, payout)):
            found.add(payout.incentive)
    return found


def _next_times(town: Town) -> Iterator[str]:
    """A next time lies within a bound: in the far future it would be no progress."""
    for payout in town.state.payouts:
        if payout.next_s is not None and payout.next_s > town.now_s + NEXT_WITHIN_S:
            hours = (payout.next_s - town.now_s) / 3_600
            yield f"payout {payout.id} ({payout.state}) does nothing for {hours:.0f} hours"
    for incentive in town.state.incentives:
        within_s = town.now_s + 32 * 86_400
        if incentive.own in LOOKED_AT:  # the last time before its deadline
            within_s = max(
                within_s, start_of_jakarta_day(date.fromisoformat(incentive.deadline_on)).timestamp() + 86_400
            )
        if incentive.own_next_s is not None and incentive.own_next_s > within_s:
            yield f"incentive {incentive.id} ({incentive.blocker}) waits for more than a month"
    for check in town.state.checks:
        if check.next_s is not None and check.next_s > town.now_s + NEXT_WITHIN_S:
            yield f"check {check.id} does nothing for days"


def _never_twice(town: Town) -> Iterator[str]:
    ours = {(p.partner, p.reference): p for p in town.state.payouts}
    net: Counter[tuple[str, str]] = Counter()
    for slug, reference, amount, kind, _ in town.books():
        payout = ours.get((slug, reference)) or town.forgotten.get((slug, reference))
        if payout is None:
            yield f"{slug} booked a reference that is not ours"
        elif amount != payout.amount_rupiah:
            yield f"{slug} booked another amount under {reference}"
        if kind in ("credit", "reversal"):
            net[slug, reference] += 1 if kind == "credit" else -1
    paid: Counter[int] = Counter()
    owner = owners(town)
    for key, times in net.items():
        if key in owner:
            paid[owner[key]] += times
        payout = ours.get(key)
        if payout is None or payout.reference in town.manners.contradicted:
            continue
        if times > 0 and payout.released_s is not None:
            yield f"payout {payout.id} was released, and {payout.partner} has it in its books"
        if times > 0 and payout.state == "cancelled":
            yield f"payout {payout.id} was cancelled, and {payout.partner} has it in its books"
    twice = {incentive for (_, reference), incentive in owner.items() if town.manners.contradicted.get(reference)}
    for incentive, times in paid.items():
        if times > 1 and incentive not in twice:
            yield f"incentive {incentive} is paid {times} times"
    standing = Counter(p.incentive for p in town.state.payouts if p.released_s is None and p.state != "cancelled")
    for incentive, number in standing.items():
        if number > 1:
            yield f"incentive {incentive} has {number} standing payouts"
    for payout in town.state.payouts:
        if payout.state == "succeeded" and net[payout.partner, payout.reference] < 1 and not given_back(town, payout):
            yield f"payout {payout.id} succeeded here, and {payout.partner} has no credit"


def _right_person(town: Town) -> Iterator[str]:
    """Money only ever reaches an account whose NIK is the participant's own."""
    owner = owners(town)
    who = {i.id: i.participant_id for i in town.state.incentives}
    nik = {person.participant_id: person.nik for person in town.people}
    for slug, reference, _, kind, account in town.books():
        incentive = owner.get((slug, reference))
        if incentive is None or kind != "credit":
            continue
        if town.sides[slug].world.accounts[account].nik_on_file != nik[who[incentive]]:
            yield f"incentive {incentive} was paid to an account with another NIK"


def _ledger(state: Snapshot) -> Iterator[str]:
    balance: defaultdict[int, Counter[str]] = defaultdict(Counter)
    reserved: Counter[int] = Counter()
    for entry in state.ledger:
        balance[entry.payout][entry.debit] += entry.amount_rupiah
        balance[entry.payout][entry.credit] -= entry.amount_rupiah
        reserved[entry.payout] += entry.kind == "reserve"
    for payout in state.payouts:
        place = PLACE[PayoutState(payout.state)]
        for account in ("reserved", "paid"):
            wanted = payout.amount_rupiah if place == account else 0
            if balance[payout.id][account] != wanted:
                has = balance[payout.id][account]
                yield f"the ledger has {has} of payout {payout.id} ({payout.state}) as {account}"
        if reserved[payout.id] != 1:
            yield f"payout {payout.id} was reserved {reserved[payout.id]} times"


def _funnel(state: Snapshot) -> Iterator[str]:
    counted = {(c.partner, c.stage, c.blocker): (c.incentives, c.amount_rupiah) for c in state.funnel}
    real: dict[tuple[str, str, str], tuple[int, int]] = {}
    for incentive in state.incentives:
        key = (incentive.partner, incentive.stage, incentive.blocker or "")
        number, amount = real.get(key, (0, 0))
        real[key] = (number + 1, amount + incentive.amount_rupiah)
    if counted != real:
        yield f"the funnel counts {counted}, there are {real}"
    accepted = sum(batch.accepted for batch in state.batches)
    if accepted != len(state.incentives):
        yield f"{accepted} incentives were accepted, there are {len(state.incentives)}"


def _words(state: Snapshot) -> Iterator[str]:
    heard: defaultdict[int, set[str]] = defaultdict(set)
    for word in state.heard:
        heard[word.payout].add(word.kind)
    for payout in state.payouts:
        wanted = _WORD.get(payout.state)
        if wanted is not None and not wanted & heard[payout.id]:
            yield f"payout {payout.id} is {payout.state} without a word of {payout.partner}"


def _unexplained(town: Town, incentive: Incentive) -> str | None:
    """Why nobody could say what becomes of an incentive."""
    state = town.state
    if incentive.stage in ("paid", "returned", "cancelled"):
        return None
    payouts = [p for p in state.payouts if p.incentive == incentive.id]
    standing = next((p for p in payouts if p.released_s is None and p.state != "cancelled"), None)
    moving = standing is not None and _moves(standing)
    code = incentive.blocker
    if code is None:
        if incentive.stage == "paying":
            return None if moving else "a payout is open and has no next step"
        if incentive.stage == "awaiting_verification":
            open_check = any(c.participant == incentive.participant and c.next_s is not None for c in state.checks)
            leaving = any(
                link.participant == incentive.participant and link.state == "unlinking" for link in state.links
            )
            return None if open_check or leaving else "no check of the NIK is open"
        return None
    case = standing is not None and any(c.payout == standing.id and c.open for c in state.cases)
    case = case or _held_by_a_forgotten_credit(town, incentive)
    owner = owner_of(BlockerCode(code), past_horizon=case)
    if owner in (Owner.GATEWAY, Owner.PARTNER):
        waits = moving or incentive.own_next_s is not None
        waits = waits or any(c.participant == incentive.participant and c.next_s is not None for c in state.checks)
        return None if waits else f"{owner.value} must act and nothing is due"
    if code in _WITH_CASE and not case:
        return "an operator must act and there is no case"
    if code == "link_pending":
        live = {"challenged", "opened", "exchanging", "waiting"}
        if not any(link.participant == incentive.participant and link.state in live for link in state.links):
            return "no link is pending"
    return None


def _moves(payout: Payout) -> bool:
    waits = payout.next_s is not None or payout.lease_until_s is not None
    return waits or (payout.state in ("submitting", "preparing") and payout.sent_deadline_s is not None)


def at_rest(town: Town) -> bool:
    """Whether nothing more will happen by itself."""
    state = town.state
    if any(side.scheduler.next_due_s() is not None for side in town.sides.values()):
        return False
    if state.notes or not state.batches or any(batch.state == "awaiting_approval" for batch in state.batches):
        return False
    return not restless(town)


def restless(town: Town) -> list[Incentive]:
    """The incentives that something will still happen to, by itself or by those who must act."""
    booked = sum(len(side.world.books) for side in town.sides.values())
    visits = [(person.visits, person.case) for person in town.people]
    key = (
        town.text,
        booked,
        visits,
        town.now_s // 3_600,
        town.resends,
        town.notices_lost,
        town.notices_late,
        len(town.forgotten),
    )
    if key != town.restless_for:
        net = credits_of(town)
        town.restless = [incentive for incentive in town.state.incentives if not _rests(town, incentive, net)]
        town.restless_for = key
    return town.restless


def _held_by_a_forgotten_credit(town: Town, incentive: Incentive) -> bool:
    """Whether there is a case of a credit at its partner that nobody could match after the store was put back."""
    lost = [reference for slug, reference in town.forgotten if slug == incentive.partner]
    return any(reference in case.detail for case in town.state.cases if case.open for reference in lost)


def _told_twice(town: Town, incentive: Incentive) -> bool:
    """Whether staff know of two words on its payouts that cannot both be true."""
    ours = {p.id for p in town.state.payouts if p.incentive == incentive.id}
    return any(case.code == "contradiction" and case.payout in ours for case in town.state.cases)


def _rests(town: Town, incentive: Incentive, net: Counter[int]) -> bool:
    if incentive.stage in ("paid", "returned", "cancelled"):
        told = _told_twice(town, incentive) or _held_by_a_forgotten_credit(town, incentive)
        if net[incentive.id] > 1 and not told:
            return False  # the statements show it
        return (incentive.stage == "paid") == (net[incentive.id] >= 1) or given_back_unseen(town, incentive)
    if incentive.stage == "paying":
        return _is_a_case(town, incentive) and net[incentive.id] == 0  # what was booked, a look-up finds even then
    code = incentive.blocker
    if shown_later(town, incentive, net):
        return False
    if code is None or owner_of(BlockerCode(code)) in (Owner.GATEWAY, Owner.PARTNER):
        return False
    live = [link for link in town.state.links if link.participant == incentive.participant]
    if any(link.state in ("challenged", "opened", "exchanging", "unlinking") for link in live):
        return False
    person = next(p for p in town.people if p.participant_id == incentive.participant_id)
    full = code == "balance_limit" and person.case == "full"  # tried again and again, and full whenever it is
    comes = code in COMES_BACK or brake.comes_again(town, person, code, incentive.participant)
    return (incentive.own_next_s is None or full) and not (comes and may_come(person.visits, person.case))


def shown_later(town: Town, incentive: Incentive, net: Counter[int]) -> bool:
    """Whether the next statement shows that a payment called failed was made all the same, or made and given back."""
    if net[incentive.id] > 0:
        return True
    ours = [p for p in town.state.payouts if p.incentive == incentive.id]
    return incentive.blocker == "partner_rejected" and any(given_back(town, p) for p in ours)


COMES_BACK = {
    "link_required", "link_pending", "link_revoked", "link_half_done", "consent_abandoned", "consent_denied"
}  # fmt: skip
"""Blockers that a participant lifts by opening the linking page (again)."""
MOST_VISITS = 5


def may_come(visits: int, case: str) -> bool:
    """Whether a person will try to link again."""
    return visits < (1 if case in ("denies", "unregistered", "blocked") else MOST_VISITS)


def verdict(town: Town) -> Iterator[str]:
    """What should have come out differently."""
    net = credits_of(town)
    for incentive in town.state.incentives:
        told = _told_twice(town, incentive) or _held_by_a_forgotten_credit(town, incentive)
        if net[incentive.id] > 1 and not told:
            yield f"incentive {incentive.id} is paid twice by a partner that called one failed, and nobody is told"
        if (incentive.stage == "paid") != (net[incentive.id] >= 1) and not given_back_unseen(town, incentive):
            yield f"incentive {incentive.id} is {incentive.stage} and paid {net[incentive.id]} times at the partner"
        if incentive.stage != "paid" and not _excused(town, incentive):
            yield f"incentive {incentive.id} could be paid and is {incentive.stage}, {incentive.blocker}"


_TRUTH = {
    "nik_mismatch": {"mismatch", "shares"}, "kyc_incomplete": {"basic"}, "account_not_found": {"unregistered"},
    "account_blocked": {"blocked"}, "account_shared": {"shares"}, "balance_limit": {"full"},
    "consent_denied": {"denies"}, "consent_abandoned": {"denies", "unregistered", "blocked"},
    "link_required": {"shares", "unregistered", "blocked"}, "link_pending": {"shares"},
}  # fmt: skip
"""Which accounts each blocker is true of."""


def _excused(town: Town, incentive: Incentive) -> bool:
    person = next(p for p in town.people if p.participant_id == incentive.participant_id)
    code = incentive.blocker
    payouts = [p for p in town.state.payouts if p.incentive == incentive.id]
    if incentive.stage == "cancelled":
        return incentive.id in town.cancelled
    if incentive.stage == "returned" and code != "deadline_passed":
        return any(given_back(town, p) for p in payouts)
    if code == "deadline_passed":
        return (
            incentive.stage == "returned"
            and incentive.deadline_on < jakarta_day(datetime.fromtimestamp(town.now_s, JAKARTA)).isoformat()
        )
    if person.case in _TRUTH.get(code or "", ()) or brake.excused(town, incentive):
        return True
    if any(town.manners.refused.get(p.reference) == code for p in payouts):
        return True
    if code == "account_not_found":
        return (
            person.participant_id in town.revoked
        )  # a check under a card token that is gone says no more (decision B6)
    if code in ("account_shared", "link_pending", "link_required", "link_half_done", "nik_mismatch"):
        shared = [p for p in town.people if f"{person.partner} {person.account}" in p.given]
        told = code != "link_half_done" or any(case.open and case.code == code for case in town.state.cases)
        return len(shared) > 1 and told  # what stands there half done another one may have to release
    if code == "contradiction":
        return incentive.id in contradicted_incentives(town)
    if code == "partner_float_short":
        return town.deposit_was_short
    if code == "partner_rejected":
        return incentive.payouts >= 3
    return False


def _is_a_case(town: Town, incentive: Incentive) -> bool:
    """Whether an operator has a payout's case, and rightly so: the gateway cannot find out by itself."""
    for payout in town.state.payouts:
        if payout.incentive != incentive.id or payout.released_s is not None or payout.state == "cancelled":
            continue
        for case in town.state.cases:
            if case.payout != payout.id or not case.open:
                continue
            if case.code == "reason_missing":
                return town.notices_lost
            if "life of its key is over" in case.detail or not town.resends:
                return True
            if town.now_s - (payout.first_sent_s or town.now_s) > MOST_DAYS * 86_400:
                return True  # statements are read so far back, and no further
            if payout.state == "rejected":  # a failure that is in doubt itself, or that nothing confirms
                return "identical request" in case.detail or "refusal" in case.detail
    return False


def doubtful(town: Town) -> list[Payout]:
    """Payouts of which an operator has a case, and that a partner's document would settle."""
    open_cases = {case.payout for case in town.state.cases if case.open and case.code in _BY_DOCUMENT}
    waits = {i.id for i in town.state.incentives if i.stage == "paying"}
    return [p for p in town.state.payouts if p.id in open_cases - town.settled and p.incentive in waits]
