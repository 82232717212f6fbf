"""What still moves by itself is counted right whatever happened, and by counters and indexes alone."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.hold import HoldKind, HoldStage
from contracts.incentive import BLOCKERS, Owner
from gateway.services.ops.holds import Holds
from gateway.storage.ops import switches
from gateway.storage.ops.moving import Moving, moving
from tests.gateway.payouts.town import Town

_WAITING = tuple(code for code, text in BLOCKERS.items() if text.owner in (Owner.GATEWAY, Owner.PARTNER))
_LARGE = ("incentives", "payouts", "links", "verifications", "inbox", "participants")


async def asked(connection: Any, town: Town, organisation: str | None = None) -> Moving:
    until = town.clock.now() + timedelta(seconds=60)
    return await moving(connection, organisation, today=town.today(), until=until, waiting=_WAITING)


async def told(town: Town, organisation: str | None = None) -> Moving:
    async with town.database.transaction() as connection:
        return await asked(connection, town, organisation)


async def one_by_one(town: Town) -> tuple[int, dict[str, int]]:
    """The same by walking through everything: incentives, and payouts by state."""
    until: datetime = town.clock.now() + timedelta(seconds=60)
    paused = {
        r["partner"] for r in await town.fetch("SELECT partner FROM partner_switches WHERE paused_at IS NOT NULL")
    }
    checks: dict[int, list[datetime]] = {}
    for check in await town.fetch("SELECT participant, next_attempt_at FROM verifications WHERE state = 'open'"):
        checks.setdefault(check["participant"], []).append(check["next_attempt_at"])
    payouts = {p["incentive"]: p for p in await town.fetch(
        "SELECT * FROM payouts WHERE state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending')"
    )}  # fmt: skip
    found = 0
    for row in await town.fetch("SELECT * FROM incentives WHERE stage NOT IN ('paid', 'returned', 'cancelled')"):
        payout = payouts.get(row["id"]) if row["payout"] == "open" else None
        set_aside = payout is not None and payout["state"] in ("reserved", "prepared")
        if row["partner"] in paused and (row["stage"] == "scheduled" or set_aside):
            continue
        if row["blocker"] is None:
            found += row["due_on"] <= town.today() or row["stage"] == "awaiting_verification"
        elif row["blocker"] in {code.value for code in _WAITING} and row["due_on"] <= town.today():
            if row["payout"] == "open":
                at = [payout["next_at"]] if payout is not None else []
            else:
                at = [row["own_next_at"]] if row["blocker"] == row["own"] else checks.get(row["participant"], [])
            found += any(one is not None and one <= until for one in at)
    return found, dict(Counter(payout["state"] for payout in payouts.values()))


@pytest.mark.parametrize("seed", range(4))
async def test_what_moves_is_what_one_finds_by_walking_through(town: Town, seed: int) -> None:
    dice = random.Random(seed)
    banks = {"fake": town.partner(two_step=bool(seed % 2)), "other": town.partner("other")}
    workers = town.worker()
    for _ in range(14):
        await town.due(dice.choice(["fake", "other"]), due_on=town.today(dice.choice([0, 0, 0, 3])))
    blocked = {"act": "say", "kind": "rejected", "reason": "account_blocked"}
    acts: list[Any] = ["refused_connection", "lost", "garbage", "not_accepted", "ok", blocked]
    acts += [{"act": "say", "kind": kind} for kind in ("pending", "rejected")]
    seen = set()
    for _ in range(14):
        slug = dice.choice(["fake", "other"])
        banks[slug].script(dice.choice(["transfer", "inquiry", "create", "approve"]), dice.choice(acts))
        step = dice.randrange(8)
        if step < 4:
            await workers.tick_send(slug, dice.randint(1, 4))
        elif step == 4:
            await Holds(town.database, town.clock, "w1").hold(
                slug, dice.choice(list(HoldStage)), HoldKind.OUTAGE, fault="5xx", words="502", after_s=3.0
            )
        elif step == 5:
            async with town.database.transaction() as connection:
                paused = await town.fetch(
                    "SELECT FROM partner_switches WHERE partner = $1 AND paused_at IS NOT NULL", slug
                )
                if paused:
                    await switches.resume(connection, town.clock.now(), slug, by="ops")
                else:
                    await switches.pause(connection, town.clock.now(), slug, by="ops", reason="a test")
        elif step == 6:
            await workers.claim(slug, 2)
        else:
            await workers.tick_lookups(slug)
        if dice.random() < 0.2:
            await town.execute(
                "UPDATE participants SET verified = false, verified_until = NULL WHERE id = $1", dice.randint(1, 14)
            )
        town.clock.advance(dice.choice([1, 30, 4_000, 90_000]))
        now, (incentives, states) = await told(town), await one_by_one(town)
        assert now.incentives == incentives
        for state in ("preparing", "submitting", "unknown", "pending"):
            assert getattr(now, f"payouts_{state}") == states.get(state, 0)
        assert (await told(town, "main")).incentives == incentives
        assert (await told(town, "elsewhere")).incentives == 0
        seen.add(incentives)
    assert len(seen) > 2


async def test_no_large_table_is_read_from_end_to_end_even_where_all_were_empty(town: Town) -> None:
    """Plans made for empty tables are those that go wrong as the tables grow."""
    await town.execute(f"ANALYZE {', '.join(_LARGE)}")

    class Explains:
        def __init__(self, connection: Any) -> None:
            self.execute, self._connection = connection.execute, connection
            self.plan: list[str] = []

        async def fetchrow(self, sql: str, *values: Any) -> None:
            plan = await self._connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", *values)
            self.plan = [line[0].strip() for line in plan]

    async with town.database.transaction() as connection:
        explained = Explains(connection)
        with pytest.raises(Exception, match="missing required field"):
            await asked(explained, town)
    assert any("incentives_ready" in line for line in explained.plan)
    wide = [
        line for line in explained.plan if "Seq Scan on" in line and line.split("Seq Scan on ")[1].split()[0] in _LARGE
    ]
    assert wide == []
