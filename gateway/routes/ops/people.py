"""`/ops`, one by one: incentives, a participant's whole story, payouts, and cases with their evidence. All masked."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from contracts.errors import InvalidRequest, NotFound
from contracts.incentive import BLOCKERS, BlockerCode, Stage
from contracts.payout import PayoutState
from gateway import ops
from gateway.clock import JAKARTA, jakarta_day
from gateway.core import Core
from gateway.cursors import ByTime
from gateway.routes.ops.acts import ACTS, Act, Target, closing, lifting
from gateway.routes.ops.session import FORM_BYTES, Browser, form, language, page, signed_in, to
from gateway.security import places
from gateway.security.vault import SealBroken
from gateway.services.brake.batches import begins
from gateway.services.intake.incentives import IncentiveView
from gateway.services.ops.shown import as_read
from gateway.storage.intake import participants
from gateway.storage.intake.incentives import IncentiveFilter
from gateway.storage.ops import audit, holds, story, switches
from gateway.storage.payouts import settlements

PAGE = 100
_PAYOUTS = ByTime("payouts by time/", "")
_DIGITS = {"nik": 16, "phone": range(9, 15)}


@get("/incentives", guards=[signed_in()])
async def list_incentives(
    core: NamedDependency[Core],
    request: Browser,
    stage: FromQuery[str] = "",
    blocker: FromQuery[str] = "",
    partner: FromQuery[str] = "",
    after: FromQuery[int] = 0,
) -> Response[str]:
    """Incentives by stage, blocker and partner, a page at a time; an empty choice of the form is all."""
    chosen = {"stage": stage, "blocker": blocker, "partner": partner}
    try:
        wanted = msgspec.convert({name: value for name, value in chosen.items() if value}, IncentiveFilter)
    except msgspec.ValidationError:
        raise NotFound("There is no such stage or blocker.") from None
    found = await core.incentives.find(wanted, min(max(after, 0), 2**63 - 1), PAGE + 1)
    return page(
        request,
        "incentives.html",
        here="/ops/incentives",
        rows=found[:PAGE],
        more=found[PAGE - 1].incentive_id if len(found) > PAGE else None,
        chosen=chosen,
        stages=[one.value for one in Stage],
        blockers=[one.value for one in BlockerCode],
        partners=list(core.resources.desks),
    )


@post("/search", guards=[signed_in()], request_max_body_size=FORM_BYTES)
async def search(core: NamedDependency[Core], request: Browser) -> Response[Any]:
    """By participant, reference, payout, incentive or link; a NIK or a phone by its index, so it is in no address."""
    text = (await form(request)).get("q", "")
    if not 1 <= len(text) <= 100:
        raise InvalidRequest("Type 1 to 100 characters.", field="q")
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
    niks, phones = _indexes(core, text)
    async with core.resources.database.transaction() as connection:
        found = await story.find(
            connection, text, niks=niks, phones=phones, number=number, partners=list(core.resources.desks)
        )
        if by := [name for name, wanted in (("niks", niks), ("phones", phones)) if wanted]:  # told of nobody's as well
            now, actor = core.resources.clock.now(), request.auth.client_id
            about = {"by": by, "found": len(found.rows)}
            await audit.record(connection, now, actor, "participant.search", "ops", about)
            for one in found.rows:  # whose the NIK or phone is was told, whether they are looked at next or not
                await audit.record(connection, now, actor, "participant.found", one["participant_id"], {"by": by})
    if len(found.rows) == 1:
        return to(f"/ops/participants/{found.rows[0]['participant_id']}")
    return page(request, "found.html", found=found)


def _indexes(core: Core, text: str) -> tuple[list[bytes], dict[str, bytes]]:
    """What a NIK, and a phone at each partner, would be found by."""
    digits = "".join(str(unicodedata.decimal(sign)) for sign in text if sign.isdecimal())
    niks = [core.resources.vault.index("nik", digits)] if len(digits) == _DIGITS["nik"] else []
    phones = {}
    if len(digits) in _DIGITS["phone"]:  # type: ignore[operator]
        local = digits.removeprefix("62").removeprefix("0")
        for partner, desk in core.resources.desks.items():
            account = f"+62{local}" if desk.manifest.account_is_phone else digits
            phones[partner] = core.resources.vault.index(f"account:{partner}", account)
    return niks, phones


@get("/participants/{participant_id:str}", guards=[signed_in()])
async def show_participant(
    core: NamedDependency[Core], request: Browser, participant_id: FromPath[str]
) -> Response[str]:
    """Everything about one person, masked; that it was looked at is recorded."""
    async with core.resources.database.transaction() as connection:
        person = await story.participant(connection, participant_id)
        if person is None:
            raise NotFound("There is no such participant.")
        now = core.resources.clock.now()
        await audit.record(connection, now, request.auth.client_id, "participant.read", participant_id, {})
        links = await story.links(connection, person["id"])
        checks = await story.verifications(connection, person["id"])
        payouts = await story.payouts(connection, person["id"])
        another_nik = await participants.nik_correction(connection, person["id"])
    acts = ["stop-person"]
    acts += ["correct"] * (another_nik is not None)  # a second person is sent here, whatever the incentives wait for
    acts += ["prove"] * (person["standing"] == BlockerCode.ACCOUNT_UNPROVED.value)
    incentives = story.page(
        await core.incentives.find(IncentiveFilter(participant_id=participant_id), 0, story.MOST + 1)
    )
    return page(
        request,
        "participant.html",
        person=person,
        phone=_masked(core, places.phone(participant_id), person["phone_sealed"]),
        account=_masked(core, places.account(participant_id), person["account_sealed"]),
        links=links,
        offered=[(ACTS[name], Target(participant=participant_id)) for name in acts],
        checks=checks,
        payouts=payouts,
        incentives=incentives,
        today=jakarta_day(now),
    )


def _masked(core: Core, place: str, sealed: bytes) -> str:
    """The last three signs, as on a receipt."""
    try:
        value = core.resources.vault.open(place, sealed)
    except SealBroken:
        return "?"
    return f"…{value[-3:]}"


@get("/payouts", guards=[signed_in()])
async def list_payouts(
    core: NamedDependency[Core],
    request: Browser,
    payout_state: FromQuery[PayoutState] = PayoutState.UNKNOWN,
    partner: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[str]:
    """Payouts in one state, those that nothing has changed for the longest first, a page at a time."""
    async with core.resources.database.connection() as connection:
        rows, more = await story.payouts_in(connection, payout_state.value, partner or None, _PAYOUTS.before(after))
    return page(
        request,
        "payouts.html",
        here="/ops/payouts",
        rows=rows,
        more=_PAYOUTS.after(rows[-1]["updated_at"], str(rows[-1]["id"])) if more else None,
        chosen={"payout_state": payout_state.value, "partner": partner},
        states=[one.value for one in PayoutState],
        partners=list(core.resources.desks),
        next_of=next_of,
    )


_BEFORE_THE_ANSWER = {PayoutState.PREPARING.value, PayoutState.SUBMITTING.value}


def next_of(payout: asyncpg.Record) -> datetime | None:
    """When the gateway does the next thing about a payout by itself: while an answer is awaited, until when it is."""
    at: datetime | None = payout["sent_deadline" if payout["state"] in _BEFORE_THE_ANSWER else "next_at"]
    return at


@get("/payouts/{payout_id:int}", guards=[signed_in()])
async def show_payout(
    core: NamedDependency[Core], request: Browser, payout_id: FromPath[int], before: FromQuery[int | None] = None
) -> Response[str]:
    """One payout with all evidence in one column; exchanges before one that was shown, where there are many."""
    async with core.resources.database.connection() as connection:
        row = await story.payout(connection, payout_id)
        if row is None:
            raise NotFound("There is no such payout.")
        found = await story.evidence(connection, payout_id, None if before is None else min(max(before, 0), 2**63 - 1))
        proposals = [one for one in await settlements.of(connection, payout_id) if one.open]
    incentive = await core.incentives.get(row["incentive"])
    mine = request.auth.client_id
    confirming = [(ACTS["confirm"], Target(settlement=one.id)) for one in proposals if one.proposed_by != mine]
    return page(
        request,
        "payout.html",
        payout=row,
        next_at=next_of(row),
        incentive=incentive,
        found=found,
        letter=_letter(core, row, language(request)),
        proposals=proposals,
        offered=confirming + await _offered(core, incentive, payout_id, found.cases),
    )


def _letter(core: Core, payout: asyncpg.Record, chosen: str) -> str:
    """A letter to the partner's support with both references and nothing personal, in the page's language."""
    manifest = core.resources.desks[payout["partner"]].manifest
    at = payout["first_sent_at"]
    return ops.render(
        "letter.txt",
        chosen,
        name=manifest.name,
        payout=payout,
        sent="–" if at is None else f"{at.astimezone(JAKARTA):%Y-%m-%d %H:%M:%S} WIB (UTC+7)",
    )


@get("/cases", guards=[signed_in()])
async def list_cases(
    core: NamedDependency[Core],
    request: Browser,
    code: FromQuery[str] = "",
    partner: FromQuery[str] = "",
    after: FromQuery[int] = 0,
) -> Response[str]:
    """What an operator must look at, the most urgent first, a page at a time; an empty choice of the form is all."""
    async with core.resources.database.connection() as connection:
        rows, more = await story.open_cases(
            connection, partner=partner or None, code=code or None, after=min(max(after, 0), 2**63 - 1)
        )
        kinds = await story.case_kinds(connection)
        halves = await story.halves(connection, core.resources.clock.now())
        documents = await settlements.open_ones(connection)
    return page(
        request,
        "cases.html",
        here="/ops/cases",
        rows=rows,
        more=rows[-1]["id"] if more else None,
        halves=halves,
        documents=documents,
        chosen={"code": code, "partner": partner},
        codes=sorted({kind["code"] for kind in kinds}),
        partners=sorted({kind["partner"] for kind in kinds}),
        now=core.resources.clock.now(),
    )


@get("/cases/{case_id:int}", guards=[signed_in()])
async def show_case(
    core: NamedDependency[Core], request: Request[Any, Any, Any], case_id: FromPath[int]
) -> Response[Any]:
    """A case with its evidence, what lifts it, and a letter where it is about one payout."""
    async with core.resources.database.connection() as connection:
        row = await story.case(connection, case_id)
        payout = None if row is None or row["payout"] is None else await story.payout(connection, row["payout"])
    if row is None:
        raise NotFound("There is no such case.")
    code = BlockerCode(row["code"])
    about = row["incentive"] if payout is None else payout["incentive"]
    incentive = None if about is None else await core.incentives.get(about)
    if incentive is None:
        offered = await _at_partner(core, row["partner"], code) + closing(row)
    else:
        offered = await _offered(core, incentive, row["payout"], [row])
        if row["closed_at"] is None and row["detail"].startswith(begins(incentive.batch_id)):
            offered.append((ACTS["stop-batch"], Target(batch=incentive.batch_id)))
    return page(
        request,
        "case.html",
        here="/ops/cases",
        row=row,
        text=BLOCKERS[code],
        now=core.resources.clock.now(),
        offered=offered,
        letter=None if payout is None else _letter(core, payout, language(request)),
    )


@get("/incentives/{incentive_id:int}", guards=[signed_in()])
async def show_incentive(core: NamedDependency[Core], request: Browser, incentive_id: FromPath[int]) -> Response[str]:
    """One incentive: why it is not paid, and what lifts that."""
    row = await core.incentives.get(incentive_id)
    payout = None if row.payout_id is None else int(row.payout_id)
    today = jakarta_day(core.resources.clock.now())
    async with core.resources.database.connection() as connection:
        found = await story.cases_of(connection, incentive_id)
    return page(request, "incentive.html", row=row, today=today, offered=await _offered(core, row, payout, found))


async def _offered(core: Core, row: IncentiveView, payout: int | None, cases: story.Rows) -> list[tuple[Act, Target]]:
    """What lifts an incentive's blocker, and those of its open cases; each act once."""
    target = Target(
        incentive=int(row.incentive_id), participant=row.participant_id, partner=row.partner, payout=payout,
        batch=row.batch_id,
    )  # fmt: skip
    there = await _at(core, row.partner, target)
    more = [BlockerCode(case["code"]) for case in cases if case["closed_at"] is None]
    codes = dict.fromkeys((*(() if row.blocker is None else (row.blocker.code,)), *more))
    found = {(act.name, str(it)): (act, it) for code in codes for act, it in lifting(code, *there)}
    return [*found.values(), *closing(*cases)]


async def _at_partner(core: Core, partner: str, code: BlockerCode) -> list[tuple[Act, Target]]:
    return lifting(code, *await _at(core, partner, Target(partner=partner)))


async def _at(core: Core, partner: str, target: Target) -> list[Target]:
    """The target with what whoever resumes its partner has to read, and what holds the partner."""
    async with core.resources.database.connection() as connection:
        switch = (await switches.paused(connection)).get(partner)
        held = await holds.open_holds(connection, partner)
    if switch is not None:
        read, why = as_read(switch.paused_at, switch.reason), f"{switch.paused_by}: {switch.reason}"
        target = msgspec.structs.replace(target, read=read, paused_for=why)
    return [target, *(Target(hold=one.id) for one in held)]


HANDLERS = [
    list_incentives, show_incentive, search, show_participant, list_payouts, show_payout, list_cases, show_case,
]  # fmt: skip
