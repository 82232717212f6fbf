"""What is measured of the whole installation, for Prometheus, `gateway doctor --live` and the alerts alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge

from gateway.services.ops.partners import PartnerView
from gateway.storage.base.database import Connection
from gateway.storage.base.moment import Moment
from gateway.storage.intake import reapprovals
from gateway.storage.ops import funnel, gauges, story
from gateway.storage.payouts import settlements

_NUMBERS = {
    "cases_open": ("Open cases.", ("partner", "code")),
    "cases_overdue": ("Open cases that should have been decided.", ("partner",)),
    "unknown_oldest_seconds": ("Since when the oldest unknown payout is on its way.", ("partner",)),
    "notifications_oldest_seconds": ("How long the oldest notification waits to be applied.", ("partner",)),
    "approval_oldest_seconds": ("How long approvals are waited for; code: of what.", ("code",)),
    "second_person_oldest_seconds": ("How long the oldest act waits for a second person; code: which.", ("code",)),
    "refusals_provisional": ("Refusals of people that are asked about again by themselves.", ("partner", "code")),
    "statements_out_of_time": ("Statements that took too long, today and yesterday; code: who asked.", ("code",)),
    "loop_failing_seconds": ("How long a loop of a worker has failed at each try; code: which loop.", ("code",)),
    "webhook_dead_letters": ("Deliveries to enabled clients that were given up.", ()),
}


async def measured(connection: Connection, moment: Moment, views: Sequence[PartnerView]) -> CollectorRegistry:
    """Everything that is measured at one moment; `views`: the partners as they are."""
    registry = CollectorRegistry()
    labels = ("programme", "partner", "stage", "blocker")
    incentives = Gauge("gateway_incentives", "Incentives by stage and blocker.", labels, registry=registry)
    rupiah = Gauge("gateway_incentives_rupiah", "Their amount.", labels, registry=registry)
    for row in await funnel.counts(connection, None, moment):
        names = (row.programme, row.partner, row.stage.value, row.blocker.value if row.blocker else "")
        incentives.labels(*names).inc(row.incentives)
        rupiah.labels(*names).inc(row.amount_rupiah)
    made = {
        name: Gauge(f"gateway_{name}", help_, labels, registry=registry) for name, (help_, labels) in _NUMBERS.items()
    }
    for name, found, value in await gauges.measure(connection, moment.now):
        (made[name].labels(**found) if found else made[name]).set(value)
    if (lapsed := await reapprovals.first_lapsed(connection)) is not None:
        made["approval_oldest_seconds"].labels("lapsed").set((moment.now - lapsed).total_seconds())
    halves = {one["code"]: one["since"] for one in reversed((await story.halves(connection, moment.now)).rows)}
    if (document := await settlements.first_open(connection)) is not None:
        halves["settlement"] = document
    for code, since in halves.items():
        made["second_person_oldest_seconds"].labels(code).set((moment.now - since).total_seconds())
    _partners(registry, views, moment.now)
    return registry


def _partners(registry: CollectorRegistry, views: Sequence[PartnerView], now: datetime) -> None:
    """Which partners are not fed as usual, and what waits for them."""
    labels = ("partner", "stage", "kind", "fault")
    held = Gauge("gateway_partner_held_seconds", "How long a partner's stage is held.", labels, registry=registry)
    paused = Gauge("gateway_partner_paused_seconds", "How long a partner is paused.", ("partner",), registry=registry)
    flying = Gauge("gateway_partner_in_flight", "Unanswered attempts, while held.", ("partner",), registry=registry)
    still = Gauge(
        "gateway_standing_seconds",
        "How long due work has not moved.",
        ("partner", "stage", "because"),
        registry=registry,
    )
    waiting = Gauge("gateway_partner_backlog", "Due incentives, while held.", ("partner",), registry=registry)
    for view in views:
        for hold in view.holds:
            names = (view.partner, hold.stage.value, hold.kind.value, hold.fault or "")
            held.labels(*names).set((now - hold.since).total_seconds())
        for one in view.stands:
            since_s = math.inf if one.since is None else (now - one.since).total_seconds()
            still.labels(one.partner, one.stage, one.because.value).set(since_s)
        if view.paused is not None:
            paused.labels(view.partner).set((now - view.paused.since).total_seconds())
        if view.load is not None:
            flying.labels(view.partner).set(view.load.in_flight)
            waiting.labels(view.partner).set(view.load.backlog)
