"""Stage and blocker of an incentive: the database's functions against an independent model, for every combination."""

from __future__ import annotations

import itertools

import asyncpg
import msgspec

from contracts.incentive import BLOCKERS, BlockerCode, Stage


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a stage and blocker are derived from."""

    cancelled: bool
    approved: bool
    past_deadline: bool
    link_active: bool
    verdict_match: bool
    """A `match` for the participant's NIK, link and account that has not expired."""
    standing: BlockerCode | None
    """What holds for the participant as a whole: how the last link or verification ended."""
    own: BlockerCode | None
    """What this incentive met while paying."""
    payout_open: bool
    """A payout exists that is neither rejected-and-released, cancelled, nor reversed-and-released."""
    payout_succeeded: bool
    payout_reversed: bool


def derive(facts: Facts) -> tuple[Stage, BlockerCode | None]:
    """What an incentive's stage and blocker should be, written down a second time.

    A stage is how far it got; a blocker is why it does not go on. A payout already on its way is followed to its end
    whatever else
    changed, so `payout_*` facts come first.
    """
    if facts.payout_reversed:
        return Stage.RETURNED, BlockerCode.PAYMENT_REVERSED
    if facts.payout_succeeded:
        return Stage.PAID, facts.own if facts.own is BlockerCode.CONTRADICTION else None
    if facts.payout_open:
        return Stage.PAYING, facts.own
    if facts.cancelled:
        return Stage.CANCELLED, None
    if facts.past_deadline:
        return Stage.RETURNED, BlockerCode.DEADLINE_PASSED
    if not facts.link_active:
        stage = Stage.AWAITING_LINK
    elif not facts.verdict_match:
        stage = Stage.AWAITING_VERIFICATION
    else:
        stage = Stage.SCHEDULED
    if facts.own is not None:
        return stage, facts.own
    if stage is not Stage.SCHEDULED:
        if facts.standing is not None:
            return stage, facts.standing
        if stage is Stage.AWAITING_LINK:
            return stage, BlockerCode.LINK_REQUIRED
    if not facts.approved:
        return stage, BlockerCode.APPROVAL_MISSING
    return stage, None


async def test_the_database_agrees_with_the_model_on_every_combination(database: str) -> None:
    connection = await asyncpg.connect(database)
    codes = (None, BlockerCode.CONSENT_DENIED, BlockerCode.CONTRADICTION, BlockerCode.BALANCE_LIMIT)
    switches = itertools.product((False, True), repeat=5)
    checked = 0
    try:
        for cancelled, approved, past, linked, verified in switches:
            for payout, standing, own in itertools.product((None, "open", "succeeded", "reversed"), codes, codes):
                facts = Facts(
                    cancelled=cancelled,
                    approved=approved,
                    past_deadline=past,
                    link_active=linked,
                    verdict_match=verified,
                    standing=standing,
                    own=own,
                    payout_open=payout == "open",
                    payout_succeeded=payout == "succeeded",
                    payout_reversed=payout == "reversed",
                )
                stage, blocker = derive(facts)
                row = await connection.fetchrow(
                    "SELECT incentive_stage($1, $2, $3, $4, $5), incentive_blocker($1, $2, $4, $5, $3, $6, $7, $8)",
                    payout,
                    cancelled,
                    past,
                    linked,
                    verified,
                    approved,
                    standing.value if standing else None,
                    own.value if own else None,
                )
                assert row is not None
                assert (row[0], row[1]) == (stage.value, blocker.value if blocker else None), facts
                checked += 1
    finally:
        await connection.close()
    assert checked == 2**5 * 4 * 4 * 4


def test_every_blocker_has_an_owner_and_texts() -> None:
    for code in BlockerCode:
        text = BLOCKERS[code]
        assert text.indonesian and text.english, code
