"""`/ops`: the funnel as a picture, whose turn it is, how the partners are, how long it will take; and one partner."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from contracts.errors import NotFound
from contracts.incentive import BLOCKERS, Owner, Stage
from gateway import ops
from gateway.clock import jakarta_day
from gateway.core import Core
from gateway.ops import pictures, words
from gateway.routes.ops.acts import ACTS, Target
from gateway.routes.ops.session import Browser, language, page, signed_in
from gateway.services.ops import funnel, standstill
from gateway.services.ops.funnel import FunnelRow
from gateway.services.ops.partners import trouble
from gateway.services.ops.plan import BurnDown, Forecast
from gateway.services.ops.standstill import Because
from gateway.storage.ops import funnel as stored
from gateway.storage.ops import story
from gateway.storage.ops.backlog import Sample
from gateway.storage.ops.funnel import RefusedCount

WORK = {"verification": ("Pencocokan NIK", "Verification"), "payout": ("Pembayaran", "Payouts")}


@get("/", guards=[signed_in()])
async def overview(core: NamedDependency[Core], request: Browser) -> Response[str]:
    """Everything at a glance; its middle part is fetched anew every few seconds."""
    return page(request, "overview.html", here="/ops", **await _glance(core, language(request)))


@get("/live", guards=[signed_in()])
async def live(core: NamedDependency[Core], request: Browser) -> Response[str]:
    """The part of the overview that changes."""
    return page(request, "live.html", **await _glance(core, language(request)))


@get("/partners/{partner:str}", guards=[signed_in()])
async def partner_page(core: NamedDependency[Core], request: Browser, partner: FromPath[str]) -> Response[str]:
    """One partner: what it can do, what is assumed about it, how it answered, its switch."""
    view = next((view for view in await core.partners.all() if view.partner == partner), None)
    if view is None:
        raise NotFound("There is no such partner.")
    health = {hours: await core.partners.answered(partner, timedelta(hours=hours)) for hours in (1, 24)}
    here = Target(partner=partner)
    offered = [(ACTS["release"], Target(hold=int(hold.hold_id))) for hold in view.holds]
    if view.paused is not None:
        offered.append((ACTS["resume"], Target(partner=partner, read=view.paused.read)))
    offered += [(ACTS["pause"], here), (ACTS["ask-again"], here)]
    work = {stage: said[ops.LANGUAGES.index(language(request))] for stage, said in WORK.items()}
    return page(
        request,
        "partner.html",
        partner=view,
        health=health,
        trouble=trouble,
        troubles=await core.partners.troubles(partner, timedelta(hours=24)),
        kind=words.kind,
        offered=offered,
        work=work,
    )


async def _glance(core: Core, chosen: str) -> dict[str, Any]:
    at = ops.LANGUAGES.index(chosen)
    async with core.resources.database.connection() as connection:
        rows = await funnel.counts(connection, None, core.incentives.moment())
        refused = await stored.refused(connection, None, None)
        open_cases, waiting_batches = await story.count_open(connection)
        stands = await standstill.read(connection, core.resources.clock.now())
    views, plan = await core.partners.all(stands), await core.plan.burn_down(stands=stands)
    names = {view.partner: view.name for view in views}
    return {
        "as_of": core.resources.clock.now(),
        "today": jakarta_day(core.resources.clock.now()),
        "funnel": _funnel(rows, at, _later(rows, plan)),
        "turns": _turns(rows),
        "refused_rows": dict(_by_code(refused)),
        "open_cases": open_cases,
        "waiting_batches": waiting_batches,
        "partners": [
            {
                "slug": view.partner,
                "name": view.name,
                "paused": view.paused and view.paused.reason,
                "holds": view.holds,
                "stands": [one for one in view.stands if one.because not in (Because.HELD, Because.PAUSED)],
                "lately": view.lately,
                "trouble": trouble(view.lately),
            }
            for view in views
        ],
        "burn": [_card(one, plan, names, at) for one in plan.forecasts],
    }


def _by_code(refused: list[RefusedCount]) -> Counter[str]:
    found = Counter[str]()
    for row in refused:
        found[row.code] += row.rows
    return found


def _later(rows: list[FunnelRow], plan: BurnDown) -> int:
    """Incentives that nothing holds up, and whose day has not come: those that are ready but for what is due."""
    ready = (row for row in rows if row.stage in (Stage.SCHEDULED, Stage.PAYING))
    free = sum(row.incentives for row in ready if row.owner in (None, Owner.GATEWAY, Owner.PARTNER))
    return max(free - sum(one.due for one in plan.forecasts if one.stage == "payout"), 0)


def _funnel(rows: list[FunnelRow], at: int, later: int) -> list[dict[str, Any]]:
    bars: list[dict[str, Any]] = []
    for stage, said in words.STAGES.items():
        mine = [row for row in rows if row.stage is stage]
        ended = stage in (Stage.RETURNED, Stage.CANCELLED)
        bars.append(
            {
                "stage": stage.value,
                "name": said[at],
                "count": sum(row.incentives for row in mine),
                "amount": sum(row.amount_rupiah for row in mine),
                "later": later if stage is Stage.SCHEDULED else 0,
                "blocked": 0 if ended else sum(row.incentives for row in mine if row.blocker is not None),
            }
        )
    most = max(one["count"] for one in bars)
    return [one | {"bar": pictures.bar(one["count"], one["blocked"], most)} for one in bars]


def _turns(rows: list[FunnelRow]) -> list[dict[str, Any]]:
    """Blockers with who must act, the largest first."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row.blocker is None or row.owner is None:
            continue
        text = BLOCKERS[row.blocker]
        one = found.setdefault(
            (row.blocker.value, row.owner.value),
            {"code": row.blocker.value, "owner": row.owner.value, "id": text.indonesian, "en": text.english}
            | {"incentives": 0, "amount": 0},
        )
        one["incentives"] += row.incentives
        one["amount"] += row.amount_rupiah
    return sorted(found.values(), key=lambda one: -one["incentives"])


def _card(one: Forecast, plan: BurnDown, names: dict[str, str], at: int) -> dict[str, Any]:
    mine: list[Sample] = [s for s in plan.samples if (s.partner, s.stage) == (one.partner, one.stage)]
    points = [(sample.at, max(sample.due, 0)) for sample in mine] + [(plan.as_of, one.due)]
    name = f"{names.get(one.partner, one.partner)}: {WORK[one.stage][at]}"
    picture = pictures.burn_down(points, one.done_at, name) if any(due for _, due in points) else ""
    return {
        "name": name,
        "due": one.due,
        "blocked": one.blocked,
        "per_s": one.per_s,
        "done_at": one.done_at,
        "basis": one.basis,
        "stands": one.stands,
        "picture": picture,
    }


HANDLERS = [overview, live, partner_page]
