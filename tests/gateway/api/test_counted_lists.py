"""A list by a stage, blocker, partner or programme that nobody has is answered by the funnel's counters, and no other
one is cut short by them.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from contracts.incentive import BlockerCode, Stage
from gateway.services.intake.incentives import IncentiveView
from gateway.storage.intake import incentives as stored
from gateway.storage.intake.incentives import IncentiveFilter
from tests.gateway.api.kit import Api, as_csv, row


async def _change(api: Api, rng: random.Random) -> None:
    """Rows in whatever state, some with a payout that is only set aside, and a partner that everything waits for."""
    facts = [
        "approved = true", "link_active = true", "verified = true", "cancelled = true", "past_deadline = true",
        "standing = 'kyc_incomplete'", "own = 'partner_rejected'", "payout = 'succeeded', payouts = 1",
        "payout = 'reversed', payouts = 1", "link_active = true, verified = true, approved = true",
    ]  # fmt: skip
    for _ in range(rng.randrange(5, 14)):
        await api.fetch(f"UPDATE incentives SET {rng.choice(facts)} WHERE line = {rng.randrange(2, 12)}")
    for line in rng.sample(range(2, 12), rng.randrange(3)):
        await api.fetch(
            "WITH set_aside AS (UPDATE incentives SET payout = 'open' WHERE line = $1 AND payout IS NULL RETURNING *)"
            " INSERT INTO payouts (id, incentive, participant, partner, link_id, reference, amount_rupiah, state,"
            " created_at, updated_at)"
            " SELECT id, id, participant, partner, 'L', id::text, amount_rupiah, $2, now(), now() FROM set_aside",
            line,
            rng.choice(["reserved", "pending", "unknown"]),
        )
    if rng.random() < 0.5:
        await api.fetch(
            "INSERT INTO partner_switches (partner, paused_at, paused_by, reason) VALUES ('ovo', now(), 'x', 'x')"
            " ON CONFLICT DO NOTHING"
        )


@pytest.mark.parametrize("seed", range(3))
async def test_a_filter_shows_what_all_shows_of_it(api: Api, seed: int) -> None:
    rng = random.Random(seed)
    await api.fetch("ALTER TABLE payouts DISABLE TRIGGER payouts_belong")
    for key in range(4):
        if key == 0:
            assert (await api.submit(as_csv([row(n) for n in range(1, 11)]))).status_code == 201
        await _change(api, rng)
        everyone = await api.core.incentives.find(IncentiveFilter(), 0, 100)
        assert len(everyone) == 10

        def shown(view: IncentiveView) -> BlockerCode | None:
            return None if view.blocker is None else view.blocker.code

        for filters, matches in (
            *(({"stage": s}, lambda v, s=s: v.stage is s) for s in Stage),
            *(({"blocker": b}, lambda v, b=b: shown(v) is b) for b in BlockerCode),
            *(({"partner": p}, lambda v, p=p: v.partner == p) for p in ("ovo", "bni")),
            *(
                (
                    {"stage": s, "blocker": b, "organisation": "prakerja"},
                    lambda v, s=s, b=b: (v.stage, shown(v)) == (s, b),
                )
                for s in Stage
                for b in (BlockerCode.LINK_REQUIRED, BlockerCode.APPROVAL_MISSING)
            ),
        ):
            found = await api.core.incentives.find(IncentiveFilter(**filters), 0, 100)
            assert found == [view for view in everyone if matches(view)], filters


@pytest.mark.parametrize(
    "wanted", [{"stage": Stage.RETURNED}, {"blocker": BlockerCode.KYC_INCOMPLETE}, {"partner": "bni"}]
)
async def test_what_nobody_has_is_not_looked_for(api: Api, wanted: dict[str, Any], monkeypatch: Any) -> None:
    await api.submit(as_csv([row(n) for n in range(1, 11)]))

    class Explained:
        def __init__(self, connection: Any) -> None:
            self.connection, self.plan = connection, ""
            self.execute = connection.execute

        async def fetch(self, sql: str, *values: Any) -> list[Any]:
            plan = await self.connection.fetch(f"EXPLAIN ANALYZE {sql}", *values)
            self.plan = "\n".join(line[0] for line in plan)
            return []

    async with api.core.resources.database.connection() as connection:
        explained = Explained(connection)
        await stored.find(explained, IncentiveFilter(**wanted), 0, 50, api.core.incentives.moment())  # type: ignore[arg-type]
        assert "on incentives i" in explained.plan
        looked = [line for line in explained.plan.splitlines() if "on incentives i" in line]
        assert all("never executed" in line for line in looked), explained.plan


async def test_what_only_waits_for_its_partner_is_listed_by_that(api: Api) -> None:
    await api.submit(as_csv([row(n) for n in range(1, 4)]))
    await api.fetch("UPDATE incentives SET link_active = true, verified = true, approved = true")
    wanted = IncentiveFilter(blocker=BlockerCode.PARTNER_PAUSED)
    assert await api.core.incentives.find(wanted, 0, 50) == []
    await api.fetch(
        "INSERT INTO partner_switches (partner, paused_at, paused_by, reason) VALUES ('ovo', now(), 'x', 'x')"
    )
    assert len(await api.core.incentives.find(wanted, 0, 50)) == 3
