"""Each operation that is named for a blocker lifts it, pressed at /ops by a person who acts for every organisation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

import httpx
import pytest

from contracts.hold import HoldKind, HoldStage
from contracts.incentive import BLOCKERS, BlockerCode, Owner
from contracts.lifting import LIFTED_BY
from gateway.routes.ops.acts import ACT_OF
from gateway.services.intake.batches import Decision
from gateway.storage.ops import holds
from gateway.storage.ops.holds import NewHold
from tests.gateway.api.kit import as_csv, nik, row
from tests.gateway.ops.desk import Desk
from tests.gateway.ops.test_acts import press

B = BlockerCode
ANOTHER = {"new_partner": "ovo", "account": "+6281299990000", "phone": "+6281299990000"}
ELSEWHERE = {
    "settle": "tests/gateway/standing/test_ways_out.py",
    "close": "tests/gateway/standing/test_cases.py",
    "compare": "tests/gateway/ops/test_acts.py",
}
"""Acts that need what a partner's mock says; each is tried there."""
OF_ROWS = {B.NIK_INVALID, B.NIK_DUPLICATE, B.PARTICIPANT_CONFLICT}
"""Of refused rows alone (tests/gateway/intake/test_remedies.py)."""
OF_PAYOUTS = {B.PAYMENT_REVERSED, B.STALLED}
"""Of a payment that came back (tests/gateway/payouts/test_paid_again.py), and of cases."""


class Blocked(NamedTuple):
    """Somebody whose instalment is approved, and waits under a blocker."""

    desk: Desk
    incentive: int
    code: BlockerCode

    async def now(self) -> str | None:
        (found,) = await self.desk.api.fetch("SELECT blocker FROM incentives WHERE id = $1", self.incentive)
        blocker: str | None = found["blocker"]
        return blocker


async def handed_over(desk: Desk, code: BlockerCode) -> Blocked:
    """By a client of an organisation that no operator is of."""
    batch = (await desk.api.submit(as_csv([row(1)]))).json()
    for role in ("one", "two"):
        assert (await desk.api.decide(batch, role)).status_code == 200
    (made,) = await desk.api.fetch("SELECT id, organisation FROM incentives")
    assert made["organisation"] == "prakerja"
    return Blocked(desk, made["id"], code)


async def linked(them: Blocked, *, active: bool, verified: bool = False, standing: str | None = None) -> None:
    """As the store knows a person who linked, or whose link is over."""
    await them.desk.api.fetch(
        "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
        " created_at, updated_at) SELECT 'L1', id, 'maker', partner, account_index, account_sealed, $1,"
        " 'https://core.test/back', now(), now() FROM participants",
        "active" if active else "failed",
    )
    await them.desk.api.fetch(
        "UPDATE participants SET link_id = 'L1', link_active = $1, verified = $2, verified_until = CASE WHEN $2 THEN"
        " now() + interval '1 day' END, standing = $3, facts_at = now()",
        active,
        verified,
        standing,
    )


async def stands(them: Blocked, *, active: bool) -> None:
    await linked(them, active=active, standing=them.code.value)


async def own(them: Blocked) -> None:
    """Met while paying, and waiting until tomorrow."""
    await linked(them, active=True, verified=True)
    await them.desk.api.fetch("UPDATE incentives SET own = $1, own_next_at = now() + interval '1 day'", them.code.value)


async def link(them: Blocked, browser: httpx.AsyncClient) -> None:
    await stands(them, active=False)
    assert (await press(browser, f"/ops/incentives/{them.incentive}", "link")).status_code == 200
    assert await them.now() == "link_pending"
    (newest,) = await them.desk.api.fetch("SELECT state FROM links ORDER BY created_at DESC LIMIT 1")
    assert newest["state"] == "challenged"


async def account(them: Blocked, browser: httpx.AsyncClient) -> None:
    if them.code in (B.BALANCE_LIMIT, B.MONTHLY_LIMIT):
        await own(them)
    else:
        await stands(them, active=them.code is not B.ACCOUNT_SHARED)
    reply = await press(browser, f"/ops/incentives/{them.incentive}", "account", **ANOTHER)
    assert (reply.status_code, await them.now()) == (303, "link_required"), reply.text


async def correct(them: Blocked, browser: httpx.AsyncClient) -> None:
    await stands(them, active=True)
    right = {"what": "nik", "value": nik(50)}
    assert (await press(browser, f"/ops/incentives/{them.incentive}", "correct", **right)).status_code == 303
    assert await them.now() == "approval_missing", "approved for another NIK"


async def check(them: Blocked, browser: httpx.AsyncClient) -> None:
    await stands(them, active=True)
    if BLOCKERS[them.code].owner is not Owner.PARTICIPANT:
        await them.desk.api.fetch(
            "INSERT INTO verifications (id, participant, link_id, nik_index, state, next_attempt_at, created_at)"
            " SELECT 4711, id, 'L1', nik_index, 'open', now() + interval '1 day', now() FROM participants"
        )
    assert (await press(browser, f"/ops/incentives/{them.incentive}", "check")).status_code == 303
    due = await them.desk.api.fetch("SELECT FROM verifications WHERE state = 'open' AND next_attempt_at <= now()")
    assert len(due) == 1


async def move(them: Blocked, browser: httpx.AsyncClient) -> None:
    await own(them)
    shown = await press(browser, f"/ops/incentives/{them.incentive}", "move")
    assert "Langkah berikutnya dimajukan." in shown.text
    await them.desk.api.core.payouts.tick_timers()
    assert await them.now() is None


async def cancel(them: Blocked, browser: httpx.AsyncClient) -> None:
    if them.code is B.DEADLINE_PASSED:
        await them.desk.api.fetch("UPDATE incentives SET past_deadline = true")
    else:
        await own(them)
    assert (await press(browser, f"/ops/incentives/{them.incentive}", "cancel")).status_code == 303
    assert await them.now() is None


async def approve(them: Blocked, browser: httpx.AsyncClient) -> None:
    api = them.desk.api
    await linked(them, active=True, verified=True)
    mismatch = them.code is B.APPROVAL_MISMATCH
    await api.fetch(
        "UPDATE incentives SET approved = false, lapsed_at = now(), own = $1", them.code.value if mismatch else None
    )
    assert await them.now() == them.code.value
    reply = await press(browser, f"/ops/incentives/{them.incentive}", "approve")
    assert reply.status_code == 303, reply.text
    (made,) = await api.fetch("SELECT id, client_id, organisation, content_root FROM batches WHERE reapproval")
    assert (made["client_id"], made["organisation"]) == ("op-operator-one", "prakerja")
    seen = await api.call("GET", f"/v1/batches/{made['id']}")
    assert seen.status_code == 200, "whose rows they are sees what is put up of them"
    for role in ("one", "two"):
        await api.core.batches.decide(api.ids[role], made["id"], Decision.APPROVE, made["content_root"])
    assert await them.now() is None


async def release(them: Blocked, browser: httpx.AsyncClient) -> None:
    await own(them)
    now = them.desk.api.core.resources.clock.now()
    new = NewHold(
        partner="ovo", stage=HoldStage.PAYOUT, kind=HoldKind.OURS, fault="float_short", words="40", opened_by="w1",
        next_canary_at=now + timedelta(hours=1),
    )  # fmt: skip
    async with them.desk.api.core.resources.database.transaction() as connection:
        assert await holds.hold(connection, now, new) is not None
    assert (await press(browser, f"/ops/incentives/{them.incentive}", "release")).status_code == 303
    await them.desk.api.core.payouts.tick_timers()
    assert await them.now() is None


async def resume(them: Blocked, browser: httpx.AsyncClient) -> None:
    api = them.desk.api
    await linked(them, active=True, verified=True)
    await api.core.partners.pause("ovo", "cut-off", actor="operator")
    page, path = f"/ops/incentives/{them.incentive}", f"/v1/incentives/{them.incentive}"
    assert (await api.call("GET", path)).json()["blocker"]["code"] == "partner_paused"
    assert (await press(browser, page, "resume")).status_code == 303
    assert (await api.call("GET", path)).json()["blocker"] is None


async def prove(them: Blocked, browser: httpx.AsyncClient) -> None:
    await stands(them, active=True)
    desk, page = them.desk, f"/ops/incentives/{them.incentive}"
    assert (await press(browser, page, "prove", document="BA 17-2026")).status_code == 303
    assert await them.now() == them.code.value, "one person's word"
    desk.people["operator-two"] = await desk.api.core.operators.enrol("operator-two-one", ("operator",), actor="test")
    async with desk.signed_in("operator-two") as other:
        assert (await press(other, page, "prove", document="BA 17-2026")).status_code == 303
    assert await them.now() is None, "asked anew"


ACTS: dict[str, Callable[[Blocked, httpx.AsyncClient], Awaitable[None]]] = {
    one.__name__: one for one in (link, account, correct, check, move, cancel, approve, release, resume, prove)
}
PAIRS = [
    (code, ACT_OF[way].name)
    for code, ways in LIFTED_BY.items()
    for way in ways
    if code not in OF_ROWS | OF_PAYOUTS and ACT_OF[way].name not in ELSEWHERE
]


@pytest.mark.parametrize(("code", "act"), PAIRS, ids=lambda one: getattr(one, "value", one))
async def test_what_is_named_for_a_blocker_lifts_it(desk: Desk, code: BlockerCode, act: str) -> None:
    them = await handed_over(desk, code)
    async with desk.signed_in("operator") as browser:
        await ACTS[act](them, browser)


@pytest.mark.parametrize("what", ["nik", "proof"])
async def test_a_second_person_finds_the_button_where_the_list_of_halves_leads(desk: Desk, what: str) -> None:
    """Also where no incentive has a blocker that the act lifts: everything was paid."""
    them, api = await handed_over(desk, B.ACCOUNT_UNPROVED), desk.api
    name, page = row(1)["participant_id"], f"/ops/participants/{row(1)['participant_id']}"
    if what == "nik":
        await api.fetch("UPDATE incentives SET payout = 'succeeded', payouts = 1")
        first = await api.call("PUT", f"/v1/participants/{name}", json={"nik": nik(50)})
        assert first.status_code == 202, first.text
    else:
        await stands(them, active=True)
        first = await api.call(
            "POST", f"/v1/participants/{name}/account-proof", role="operator", json={"document": "BA 17-2026"}
        )
        assert first.status_code == 200, first.text
    async with desk.signed_in("operator") as browser:
        assert page in (await browser.get("/ops/cases")).text
        if what == "nik":
            done = await press(browser, page, "correct", what="nik", value=nik(50))
        else:
            done = await press(browser, page, "prove", document="BA 17-2026")
        assert done.status_code == 303, done.text
        assert page not in (await browser.get("/ops/cases")).text
