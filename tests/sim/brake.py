"""What must always hold about a crowd of equal answers, and what ends with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.partners.kit import LINK
from tests.sim.crowd import STAGES
from tests.sim.snapshot import Held, Incentive, Refusal

if TYPE_CHECKING:
    from tests.sim.cohort import Person
    from tests.sim.town import Town

WITHIN_S = {"link": 8 * 3_600.0, "proof": 7 * 60.0, "verify": 7 * 60.0, "payout": 12 * 60.0}
"""So long after its end a crowd's stage is held no more; longer where money must move to find out, and where nobody may
come any more who could show it (six hours, seen late).
"""
OURS_S = 3_600.0
"""So much longer, where it was our own limit: so seldom is it tried whether that is over."""
_MAY_NOT_LINK = ("account_not_found", "account_blocked")
RUN_S = 6 * 3_600.0
"""What was refused so long before a hold belongs to its run."""


def is_over(town: Town) -> bool:
    """Whether the partner is right again, and reachable."""
    crowd = town.crowd
    return crowd is not None and crowd.begun_s is not None and town.now_s >= _right_s(town)


def ends_s(town: Town) -> float:
    """When that will be, as far as it lies ahead."""
    until_s = None if town.crowd is None else town.crowd.until_s
    return until_s if until_s is not None and until_s > town.now_s else float("inf")


def _right_s(town: Town) -> float:
    crowd = town.crowd
    assert crowd is not None
    waits = crowd.around == "outage after" and crowd.around not in crowd.done
    if waits or crowd.until_s is None:
        return float("inf")
    return max(crowd.until_s, town.sides[crowd.partner].down_until_s)


def restless(town: Town, *, documents: bool = False) -> list[str]:
    """What a crowd leaves to be done: its holds, and looks at whom it was wrong about. A hold of payments may wait for
    `documents`: the only payment that could end it may be in doubt.
    """
    if town.crowd is None or town.crowd.begun_s is None:
        return []  # it begins once everything else rests, at the latest
    if town.now_s < _right_s(town):
        return ["the crowd is not over"]
    good = _good(town)
    standing = {one.id: one.standing for one in town.state.participants if not one.verified}
    found = [
        f"{one.kind} hold at {one.stage}"
        for one in town.state.holds
        if one.open and not (documents and one.stage == "payout")
    ]
    found += [
        f"participant {one.participant} is looked at again"
        for one in town.state.refusals
        if one.next_look_s is not None and one.participant in good and standing.get(one.participant) == one.code
    ]
    found += [f"participant {one.participant} is checked" for one in town.state.checks if one.next_s is not None]
    return found + [
        f"the refusal of payout {one.id} is looked up again"
        for one in town.state.payouts
        if one.state == "rejected" and one.next_s is not None
    ]


def broken(town: Town) -> Iterator[str]:
    """Rules that do not hold now."""
    crowd = town.crowd
    if crowd is None:
        return
    _note_who_waits(town)
    for hold in town.state.holds:
        if hold.partner != crowd.partner and hold.kind == "brake":
            yield f"{hold.partner} is held at {hold.stage}, and {crowd.partner} was wrong"
        if hold.kind == "brake" and hold.open and town.now_s > _released_by_s(town, hold):
            yield f"{hold.partner} is still held at {hold.stage}"
        if crowd.about_us and hold.stage == STAGES[crowd.stage].value:
            if hold.kind == "brake":
                yield f"{hold.partner} is held for its word about us as for a crowd of people"
            if hold.kind == "ours" and hold.open and town.now_s > _released_by_s(town, hold) + OURS_S:
                yield f"{hold.partner} is still held for its word about us"
        if crowd.clean and hold.kind == "brake":
            yield f"{hold.partner} is held at {hold.stage}, and nobody was answered wrongly"
    for case in town.state.cases:
        if crowd.clean and case.code == "partner_unavailable":
            yield f"a case, and nobody was answered wrongly: {case.detail}"
    if crowd.about_us:
        good = _good(town)
        for one in town.state.refusals:
            if (one.partner, one.stage) == (crowd.partner, STAGES[crowd.stage].value) and one.participant in good:
                yield f"participant {one.participant} is refused ({one.code}) for what is said about us"
    yield from _nothing_hard(town)


def _released_by_s(town: Town, hold: Held) -> float:
    if any(one.partner == hold.partner for one in town.state.paused):
        return float("inf")
    since_s = max(_right_s(town), hold.since_s, town.resumed_s.get(hold.partner, 0.0))
    if hold.stage == "payout":  # nobody else to pay: those who were refused are tried again a day later
        since_s = max(since_s, town.waits_s.get(hold.partner, float("inf")))
    return since_s + WITHIN_S[hold.stage]


def _note_who_waits(town: Town) -> None:
    """Since when there is somebody at a partner by whose payment could be found out whether it is right again."""
    today = town.local().date().isoformat()
    waiting = {
        one.partner
        for one in town.state.incentives
        if one.stage == "scheduled" and one.own is None and one.payout is None and one.approved and not one.cancelled
        and one.link_active and one.verified and one.due_on <= today <= one.deadline_on
    }  # fmt: skip
    for partner in town.sides:
        if partner in waiting:
            town.waits_s.setdefault(partner, town.now_s)
        else:
            town.waits_s.pop(partner, None)


def _good(town: Town) -> set[int]:
    """Participants of whom the world knows nothing but good."""
    ok = {person.participant_id for person in town.people if person.case == "ok"}
    return {one.id for one in town.state.participants if one.participant_id in ok}


def _nothing_hard(town: Town) -> Iterator[str]:
    """Whoever is good keeps link and account, whatever a crowd is told: no such trouble lasts a day."""
    good = _good(town)
    for link in town.state.links:
        if link.participant not in good or link.ended_because not in ("nik_mismatch", "link_revoked"):
            continue
        yield f"link {link.id} of a good account has ended: {link.ended_because}"


def verdict(town: Town) -> Iterator[str]:
    """What should have come out differently."""
    if town.crowd is None:
        return
    good = _good(town)
    standing = {one.id: one.standing for one in town.state.participants if not one.verified}
    for hold in town.state.holds:
        if hold.kind != "brake":
            continue
        for one in town.state.refusals:
            if not _of_run(one, hold) or one.participant not in good or one.asked_again_s is not None:
                continue
            if (
                hold.stage in ("link", "verify")
                and standing.get(one.participant) == one.code
                or _payout_stands(town, one)
            ):
                yield f"participant {one.participant} was refused in a crowd and never asked again"


def _of_run(refusal: Refusal, hold: Held) -> bool:
    same = (refusal.partner, refusal.stage) == (hold.partner, hold.stage)
    return same and hold.since_s - RUN_S <= refusal.said_s <= (hold.released_s or float("inf"))


def comes_again(town: Town, person: Person, standing: str | None, participant: int) -> bool:
    """Whether somebody whom a crowd kept from linking tries again unasked: who was refused in a hold is invited."""
    crowd = town.crowd
    if crowd is None or crowd.stage != LINK or person.case != "ok" or standing not in _MAY_NOT_LINK:
        return False
    said = [one for one in town.state.refusals if one.participant == participant and one.stage == "link"]
    return not any(_of_run(one, hold) for one in said[-1:] for hold in town.state.holds if hold.kind == "brake")


def _payout_stands(town: Town, refusal: Refusal) -> bool:
    return refusal.stage == "payout" and any(
        one.participant == refusal.participant and one.own == refusal.code and one.payout is None
        for one in town.state.incentives
    )


def excused(town: Town, incentive: Incentive) -> bool:
    """Whether an incentive may be unpaid: who is refused by right may be told another word."""
    crowd = town.crowd
    if crowd is None or crowd.clean or incentive.partner != crowd.partner or incentive.participant in _good(town):
        return False
    return any((one.participant, one.code) == (incentive.participant, incentive.blocker) for one in town.state.refusals)
