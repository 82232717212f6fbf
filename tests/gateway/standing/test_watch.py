"""What a call tells about its partner: by the transport's own error, by the status, by whom a code speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from adapters.answers import RETRY_AFTER_MAX_S
from contracts.errors import Hint, PartnerUnavailable
from contracts.hold import CallFault
from contracts.identity import IdentityAnswer, Verdict
from contracts.incentive import BlockerCode
from contracts.linking import LinkHealth, LinkHeld, LinkInputs, LinkRefused
from contracts.partner import Blame, Code, Mark
from gateway.partners.transport import Reply
from gateway.partners.watch import LastAnswer, Told, of_error, of_result
from tests.gateway.payouts.fake import manifest
from tests.gateway.payouts.town import Town


class Kept:
    """A watch that keeps what it is told."""

    def __init__(self) -> None:
        self.told_of: list[tuple[str, Told]] = []

    def told(self, operation: str, told: Told) -> None:
        self.told_of.append((operation, told))


class Front:
    """What stands in front of a partner: raises, or answers this."""

    def __init__(self, answer: Reply | Exception) -> None:
        self.answer = answer

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def told(town: Town, answer: Reply | Exception) -> Told:
    """What one payout tells that gets this answer."""
    kept = Kept()
    town.desks["fake"].watched_by(kept)
    town.desks["fake"]._executor._hosts = {"api": Front(answer)}
    await town.due()
    await town.worker().tick_send("fake")
    ((operation, one),) = kept.told_of
    assert operation == "payout"
    return one


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (httpx.ConnectError("no route"), CallFault.REFUSED),
        (httpx.ConnectTimeout("slow"), CallFault.TIMED_OUT),
        (httpx.ReadTimeout("slow"), CallFault.TIMED_OUT),
        (httpx.RemoteProtocolError("half a reply"), CallFault.BROKEN),
        (Reply(502, {}, b"<html>Bad Gateway"), CallFault.SERVER_ERROR),
        (Reply(503, {}, b""), CallFault.SERVER_ERROR),
        (Reply(401, {}, b"<html>Unauthorized"), CallFault.UNAUTHORIZED),
        (Reply(429, {}, b"<html>Too many"), CallFault.THROTTLED),
        (Reply(200, {}, b"<html>Welcome"), CallFault.UNREADABLE),
    ],
)
async def test_a_fault_is_named_by_what_came(town: Town, answer: Reply | Exception, fault: CallFault) -> None:
    town.partner()
    one = await told(town, answer)
    assert not one.good
    assert one.fault is fault


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120.0), (" 7 ", 7.0), ("99999999999999999999", RETRY_AFTER_MAX_S), ("soon", None), ("-5", None)],
)
async def test_retry_after_is_read_on_any_status(town: Town, text: str, seconds: float | None) -> None:
    town.partner()
    assert (await told(town, Reply(503, {"retry-after": text}, b""))).retry_after_s == seconds


async def test_retry_after_may_be_a_date_by_our_clock(town: Town) -> None:
    town.partner()
    text = format_datetime(town.clock.now() + timedelta(seconds=90), usegmt=True)
    assert (await told(town, Reply(429, {"retry-after": text}, b""))).retry_after_s == pytest.approx(90.0, abs=1.0)


@pytest.mark.parametrize(
    ("hint", "fault"),
    [
        (Hint.CUSTOMER_TOKEN, None),
        (Hint.SESSION, None),
        (Hint.OUR_TOKEN, CallFault.UNAUTHORIZED),
        (Hint.NONE, CallFault.UNREADABLE),
    ],
)
def test_a_token_of_a_person_tells_nothing_about_the_partner(hint: Hint, fault: CallFault | None) -> None:
    error = PartnerUnavailable("refused", hint=hint)
    assert of_error(error, LastAnswer(), manifest()).fault is fault


@pytest.mark.parametrize(
    ("result", "good"),
    [
        (LinkHealth.ACTIVE, True),
        (LinkHealth.REVOKED, False),
        (LinkHealth.BLOCKED, False),
        (None, False),
        (LinkRefused(code=BlockerCode.ACCOUNT_NOT_FOUND), False),
        (LinkHeld(), False),
        (LinkInputs(names=("otp",)), True),
    ],
)
def test_a_refusal_while_linking_is_no_sign_of_health(result: object, good: bool) -> None:
    assert of_result(result, LastAnswer(), manifest()) == Told(good=good)


async def test_a_refusal_about_a_person_tells_nothing_and_one_of_ours_does(town: Town) -> None:
    code = Code(blames=Blame.OURS, mark=Mark.ASSUMED, source="test")
    bank = town.partner(codes={"4031702": code})
    kept = Kept()
    town.desks["fake"].watched_by(kept)
    bank.script("transfer", {"act": "say", "kind": "rejected", "reason": "account_blocked"})
    await town.due()
    await town.worker().tick_send("fake")
    assert kept.told_of[-1][1] == Told(good=False)
    bank.script("transfer", {"act": "say", "kind": "unknown", "code": "4031702"})
    await town.due()
    await town.worker().tick_send("fake")
    assert kept.told_of[-1][1].fault is CallFault.CREDENTIALS
    await town.due()
    await town.worker().tick_send("fake")
    assert kept.told_of[-1][1] == Told(good=True)


@pytest.mark.parametrize("verdict", Verdict)
def test_what_a_check_says_of_a_person_says_nothing_good_of_the_partner(verdict: Verdict) -> None:
    """A partner that comes back with wrong words must not be fed at full rate for each of them."""
    told = of_result(IdentityAnswer(verdict=verdict, partner_code="x"), LastAnswer(), manifest())
    assert told.good is (verdict in (Verdict.MATCH, Verdict.PENDING))
    assert told.fault is None
