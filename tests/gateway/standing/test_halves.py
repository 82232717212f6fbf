"""What is only half of a payment, or no call at all, says nothing of whether the partner does what it is asked."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from contracts.errors import Hint, PartnerUnavailable
from contracts.hold import CallFault, HoldStage
from contracts.linking import LinkRedirect
from contracts.plan import Effect, Plan, Request, done
from gateway.clock import SystemClock
from gateway.partners.watch import Told
from gateway.worker.outage import FAILURES
from tests.gateway.payouts.test_worker import outage_of, until, working
from tests.gateway.payouts.town import Town

GOOD = Told(good=True)
DOWN = Told(good=False, fault=CallFault.SERVER_ERROR, words="HTTP 503")
OURS = Told(good=False, fault=CallFault.FLOAT_SHORT, words="016")


async def test_a_run_of_approvals_that_fail_is_not_broken_by_creates_that_do_not(town: Town) -> None:
    outage = outage_of(town)
    for _ in range(FAILURES):
        outage.told("prepare", GOOD)
        outage.told("approve", DOWN)
    assert not outage.admit()


@pytest.mark.parametrize("fault", [DOWN, OURS])
async def test_a_create_ends_no_hold_that_approvals_made(town: Town, fault: Told) -> None:
    outage = outage_of(town)
    for _ in range(FAILURES):
        outage.told("approve", fault)
    await outage.settle()
    outage.told("prepare", GOOD)
    await outage.settle()
    assert outage.down
    outage.told("approve", GOOD)
    await outage.settle()
    assert not outage.down


async def test_the_canary_goes_on_to_its_approval_and_nobody_else_does(town: Town) -> None:
    outage = outage_of(town)
    for _ in range(FAILURES):
        outage.told("approve", DOWN)
    await outage.settle()
    outage.told("prepare", GOOD)  # of one that was under way already
    assert not outage.admit()
    town.clock.advance(await outage.turn())
    assert await outage.turn() == 0.0
    assert [outage.admit(), outage.admit()] == [True, False]
    outage.told("prepare", GOOD)
    assert [outage.admit(), outage.admit()] == [True, False]
    outage.told("approve", DOWN)
    assert not outage.admit()


async def test_few_approvals_are_tried_while_none_works_and_all_are_paid_once_they_do(town: Town) -> None:
    town.clock = SystemClock()  # type: ignore[assignment]
    town.settings = msgspec.structs.replace(town.settings, max_in_flight=4)
    bank = town.partner(two_step=True)
    bank.script("approve", *["refused_connection"] * 400)
    for _ in range(40):
        await town.due()

    async def tried() -> bool:
        return bank.seen.count("approve") >= FAILURES

    async with working(town):
        await until(tried)
        await asyncio.sleep(2.0)
        assert bank.seen.count("approve") <= FAILURES + 8, "feeding went on"
        bank.acts.clear()

        async def drained() -> bool:
            return len(bank.booked) == 40

        await until(drained, within_s=40)
    await town.check()


async def test_a_page_that_needs_no_call_says_nothing_of_the_partner(town: Town) -> None:
    """A participant is sent to its page without asking it anything."""
    town.partner()
    outage = outage_of(town, stage=HoldStage.LINK)
    desk = town.desks["fake"]
    desk.watched_by(outage)

    def page(_context: object) -> Plan[LinkRedirect]:
        return done(LinkRedirect(url="https://page.example/"))

    for _ in range(FAILURES):
        outage.told("finish_link", DOWN)
        await desk.run("begin_link", page, subject="L1")
    await outage.settle()
    assert outage.down


@pytest.mark.parametrize(("operation", "closed_s"), [("begin_link", None), ("answer_link", None), ("payout", 3_600.0)])
async def test_too_many_codes_for_one_participant_stop_nobody_else(
    town: Town, monkeypatch: pytest.MonkeyPatch, operation: str, closed_s: float | None
) -> None:
    """One quota counts all calls of most partners: an hour that somebody is to wait for a code is theirs alone."""
    town.partner()
    desk, told = town.desks["fake"], []

    async def refused(_operation: str, retry_after_s: float | None) -> float:
        told.append(retry_after_s)
        return 25.0

    def throttled(_context: object) -> Plan[None]:
        yield Request(
            operation=f"fake.{operation}", effect=Effect.READ, host="api", method="POST", target="/status", headers={},
            content=b"{}", timeout_s=5.0,
        )  # fmt: skip
        raise PartnerUnavailable("HTTP 429", hint=Hint.THROTTLED, partner_code="4290700", retry_after_s=3_600.0)

    monkeypatch.setattr(desk._executor, "refused", refused)
    with pytest.raises(PartnerUnavailable):
        await desk.run(operation, throttled, subject="L1")
    assert told == [closed_s]
