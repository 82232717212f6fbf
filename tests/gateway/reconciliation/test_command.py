"""`gateway reconcile` as a process, over HTTP at each mock's own statement: a clean day, then one with every break."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from gateway.clock import jakarta_day
from gateway.services.reconciliation.breaks import NEXT_STEPS, BreakClass
from mock_partners.kit.world import Booking, Kind
from tests.gateway.payouts.city import City, open_city
from tests.sim.partners import MOCKS

PAYOUTS = 14
AMOUNT_RUPIAH = 600_000


@contextmanager
def served(city: City) -> Iterator[dict[str, str]]:
    """The mocks on HTTP, in a thread; the settings of a gateway that reaches them."""
    environment = {
        "DATABASE_URL": city.settings.database_url.reveal(),
        "GATEWAY_MASTER_KEY": city.settings.master_key.reveal(),
        "GATEWAY_PUBLIC_URL": city.settings.public_url,
    }
    servers = []
    for slug, side in city.sides.items():
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(side.app, log_config=None, access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        servers.append((server, thread))
        environment[f"{slug.upper()}_BASE_URL"] = f"http://127.0.0.1:{listening.getsockname()[1]}"
        for name, value in MOCKS[slug].CREDENTIALS["credentials"].items():
            environment[f"{slug.upper()}_{name.upper()}"] = value
    try:
        yield environment
    finally:
        for server, thread in servers:
            server.should_exit = True
            thread.join(30)


async def reconcile(environment: dict[str, str], slug: str, day: date, out: Path) -> tuple[int, str, Any, list[Any]]:
    """One run: exit status, what it printed, its JSON, its CSV."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    files = (out / f"{slug}.json", out / f"{slug}.csv")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "reconcile", "--partner", slug, "--date", day.isoformat(),
        "--json", str(files[0]), "--csv", str(files[1]),
        env=kept | {"COLUMNS": "250"} | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    text, _ = await asyncio.wait_for(child.communicate(), 120)
    assert child.returncode in (0, 1), text.decode()
    with files[1].open(newline="") as file:
        return child.returncode, text.decode(), json.loads(files[0].read_bytes()), list(csv.DictReader(file))


async def every_partner(
    city: City, environment: dict[str, str], day: date, out: Path
) -> dict[str, tuple[int, str, Any, list[Any]]]:
    """All of them, two at a time, at mocks whose clock is the machine's."""
    city.clock.go_to(datetime.now(UTC))
    seats = asyncio.Semaphore(2)

    async def one(slug: str) -> tuple[int, str, Any, list[Any]]:
        async with seats:
            return await reconcile(environment, slug, day, out)

    slugs = sorted(MOCKS)
    return dict(zip(slugs, await asyncio.gather(*map(one, slugs)), strict=True))


def break_statement(rows: list[Booking]) -> list[Booking]:
    """A statement with one break of each class that a statement can show, one payout each."""
    ours, broken = iter(rows), []
    next(ours)  # missing_there
    one = next(ours)
    broken.append(replace(one, amount_rupiah=AMOUNT_RUPIAH - 2_500))  # amount
    one = next(ours)
    broken += [one, replace(one, booked_at=one.booked_at + timedelta(seconds=9))]  # duplicate
    one = next(ours)
    broken += [one, replace(one, kind=Kind.REVERSAL)]  # reversed
    broken.append(replace(next(ours), account="+628110009999"))  # wrong_account
    one = next(ours)
    broken += [one, replace(one, kind=Kind.FEE, amount_rupiah=2_500)]  # fee
    one = next(ours)
    broken.append(replace(one, booked_at=one.booked_at - timedelta(days=1)))  # wrong_day
    one = next(ours)
    broken += [one, replace(one, reference="PORTAL-7", partner_reference="PORTAL7")]  # unknown_reference
    one = next(ours)
    broken += [one, replace(one, reference=f"{one.reference[:-4]}9999", partner_reference="X1")]  # missing_here
    return broken + list(ours)


IN_THE_STORE = {
    "late": "WITH unannounced AS (DELETE FROM observations WHERE payout = $1 AND kind = 'pending')"
    " UPDATE payouts SET created_at = created_at - interval '3 d', sent_at = sent_at - interval '3 d',"
    " first_sent_at = first_sent_at - interval '3 d', sent_deadline = sent_deadline - interval '3 d' WHERE id = $1",
    "pending_on_one_side": "WITH gone AS (DELETE FROM ledger WHERE payout = $1 AND kind = 'settle')"
    " UPDATE payouts SET state = 'unknown', ended_at = NULL WHERE id = $1",
    "not_instructed": "UPDATE incentives SET approved = false WHERE id = (SELECT incentive FROM payouts WHERE id = $1)",
    "ledger": "DELETE FROM ledger WHERE payout = $1 AND kind = 'settle'",
}
"""Breaks that stand in our own books."""


async def pay_a_day(city: City) -> date:
    """So many payouts at each partner, all settled; the day they were booked on."""
    worker = city.worker()
    for slug in sorted(city.desks):
        for _ in range(PAYOUTS):
            await city.due(slug, amount=AMOUNT_RUPIAH)
        await worker.tick_send(slug)
    await city.pass_time(60.0)
    for slug in sorted(city.desks):
        await worker.tick_lookups(slug)
    assert (await city.audit()).audit.clean()
    return jakarta_day(city.clock.now())


def an_hour_of_one_day() -> datetime:
    """A little before now, with no midnight in Jakarta just ahead."""
    at = datetime.now(UTC) - timedelta(seconds=300)
    return at if jakarta_day(at) == jakarta_day(at + timedelta(seconds=200)) else at - timedelta(seconds=400)


async def test_a_clean_day_and_every_class_of_break_at_each_mock(database: str, redis_url: str, tmp_path: Path) -> None:
    async with open_city(database, start=an_hour_of_one_day()) as city:
        day = await pay_a_day(city)
        with served(city) as environment:
            environment["REDIS_URL"] = redis_url
            for slug, (status, text, told, rows) in (await every_partner(city, environment, day, tmp_path)).items():
                assert (status, told["by_class"], rows) == (0, {}, []), (slug, text)
                assert "no difference" in text
                assert told["reconciliation"]["totals"]["credits"] == PAYOUTS

            await city.execute("ALTER TABLE ledger DISABLE TRIGGER ledger_stays")
            await city.execute("ALTER TABLE observations DISABLE TRIGGER observations_stay")
            made: dict[str, dict[str, str]] = {slug: {} for slug in city.sides}
            for slug, side in city.sides.items():
                rows = side.world._by_day[day]
                side.world._by_day[day] = break_statement(rows)
                for name, sql in IN_THE_STORE.items():
                    reference = rows[-1 - len(made[slug])].reference
                    made[slug][name] = reference
                    await city.execute(sql, int(reference[2:]))
            everything = {kind.value for kind in BreakClass} - {"format"}
            for slug, (status, text, told, rows) in (await every_partner(city, environment, day, tmp_path)).items():
                assert status == 1
                assert told["by_class"] == dict.fromkeys(everything, 1), (slug, text)
                assert sorted(row["kind"] for row in rows) == sorted(one["kind"] for one in told["breaks"])
                for one in told["breaks"]:
                    step = NEXT_STEPS[BreakClass(one["kind"])]
                    assert (one["next_step"], one["owner"]) == (step.text, step.owner.value)
                    assert one["reference"] == made[slug].get(one["kind"], one["reference"])
                for name in everything:
                    assert name in text

            for side in city.sides.values():
                side.world._by_day[day] = [replace(side.world._by_day[day][0], reference="", partner_reference="")]
            for slug, (status, text, told, _) in (await every_partner(city, environment, day, tmp_path)).items():
                assert status == 1
                assert told["by_class"]["format"] == 1, (slug, text)
