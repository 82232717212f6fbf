"""A town of participants with linked, verified accounts and incentives that are due, in a real database."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Any

from contracts.linking import Grant
from contracts.payout import PayoutState
from contracts.secret import Secret
from gateway.clock import jakarta_day
from gateway.partners.desk import Desk
from gateway.partners.executor import Exchange, Executor
from gateway.partners.tokens import Tokens
from gateway.resources import Resources
from gateway.security import approval, places
from gateway.security.sealed import seal_grant
from gateway.security.vault import Vault
from gateway.services.reconciliation.statements import Statements
from gateway.settings import Settings, Waits
from gateway.storage.base.database import Connection, Database
from gateway.storage.payouts import ledger, payouts
from gateway.storage.payouts.payouts import PayoutRow
from tests.gateway.payouts.fake import NOON, Bank, FakePartner, Links, VirtualClock, manifest
from tests.gateway.payouts.ticks import Ticking

LONG_STEP_S = 1_200.0


class Quiet:
    """A journal that keeps nothing."""

    def write(self, exchange: Exchange) -> None:
        """Drop it."""


class Town:
    """One database, one clock, fake partners with their banks; services as a worker has them."""

    def __init__(self, database: Database, settings: Settings, clock: VirtualClock) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock
        self.vault = Vault(*settings.master_keys())
        self.links = Links()
        self.banks: dict[str, Bank] = {}
        self.desks: dict[str, Desk] = {}
        self._people = 0

    def partner(self, slug: str = "fake", *, bank: Bank | None = None, **changes: Any) -> Bank:
        """Open a partner; its bank."""
        bank = bank or Bank(self.clock)
        self.banks[slug] = bank
        self.desks[slug] = Desk(
            FakePartner(manifest(slug, **changes)),  # type: ignore[arg-type]
            credentials={},
            hosts={"api": "http://127.0.0.1:1"},
            executor=Executor(slug, {"api": bank}, self.clock, Quiet()),
            tokens=Tokens(None, self.vault, self.clock),
            clock=self.clock,
            waits=self.settings.waits,
            entropy=random.Random(1),
        )
        return bank

    @property
    def resources(self) -> Resources:
        return Resources(
            settings=self.settings,
            clock=self.clock,
            database=self.database,
            redis=None,  # type: ignore[arg-type] - nothing here uses the cache
            vault=self.vault,
            desks=self.desks,
        )

    def worker(self, name: str = "w1", *, grouped: bool = False) -> Ticking:
        """A worker's payout service."""
        return Ticking(self.resources, self.links, worker=name, grouped=grouped)

    def statements(self) -> Statements:
        """The statement service."""
        return Statements(self.resources)

    def account(self, slug: str, n: int) -> str:
        """The n-th person's account at a partner."""
        return f"{n:010d}"

    def grant(self, slug: str, n: int) -> Grant:
        """The n-th person's consent there."""
        return Grant(access_token=Secret(f"token-{n}"))

    def today(self, days: int = 0) -> date:
        """The Jakarta day, or one some days from it."""
        return jakarta_day(self.clock.now()) + timedelta(days=days)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    async def person(self, slug: str = "fake", *, proved_at: datetime | None = None) -> int:
        """A participant whose account is linked and verified; its row's id."""
        self._people += 1
        n, now = self._people, self.clock.now()
        name, link, account = f"P{n:05d}", f"L{n:05d}", self.account(slug, n)
        account_index = self.vault.index(places.account_index(slug), account)
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO clients (id, name, secret_hash, scopes, created_at)"
                " VALUES ('c', 'c', '', '{}', $1) ON CONFLICT DO NOTHING",
                now,
            )
            person: int = await connection.fetchval(
                "INSERT INTO participants (participant_id, nik_sealed, nik_index, name_sealed, phone_sealed, partner,"
                " account_sealed, account_index, link_id, link_active, verified, verified_until, facts_at, created_at)"
                " VALUES ($1, '', $2, $3, $4, $5, $6, $10, $7, true, true, $8, $9, $9) RETURNING id",
                name,
                f"{slug}{n}".encode(),
                self.vault.seal(places.name(name), f"Name {n}"),
                self.vault.seal(places.phone(name), phone_of(n)),
                slug,
                self.vault.seal(places.account(name), account),
                link,
                now + timedelta(days=90),
                now,
                account_index,
            )
            await connection.execute(
                "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state,"
                " return_url, grant_sealed, proved_at, created_at, updated_at)"
                " VALUES ($1, $2, 'c', $3, $4, $5, 'active', 'https://core.example/', $6, $7, $8, $8)",
                link,
                person,
                slug,
                account_index,
                self.vault.seal(places.link_account(link), account),
                seal_grant(self.vault, link, self.grant(slug, n)),
                proved_at,
                now,
            )
        return person

    async def incentive(
        self,
        person: int,
        *,
        amount: int = 600_000,
        due_on: date | None = None,
        deadline_on: date | None = None,
        approved: bool = True,
        period: str = "1",
        programme: str = "kp",
    ) -> int:
        """An incentive of a participant, due today unless said otherwise; its id."""
        now = self.clock.now()
        today = jakarta_day(now)
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO batches (id, client_id, state, rows_accepted, rows_rejected, rows_repeated,"
                " amount_rupiah, content_root, received_at) VALUES ('b', 'c', 'approved', 0, 0, 0, 0, '', $1)"
                " ON CONFLICT DO NOTHING",
                now,
            )
            await approve_batch(connection, "b", now)
            incentive: int = await connection.fetchval(
                "INSERT INTO incentives (batch_id, line, programme, purpose, period, participant, participant_id,"
                " nik_index, partner, amount_rupiah, due_on, deadline_on, content_hash, approved, link_active,"
                " verified, standing, facts_at, created_at)"
                " SELECT 'b', 1, $8, 'training', $2, t.id, t.participant_id, t.nik_index, t.partner, $3, $4, $5, '',"
                " $6, t.link_active, t.verified, t.standing, $7, $7 FROM participants t WHERE t.id = $1 RETURNING id",
                person,
                period,
                amount,
                due_on or today,
                deadline_on or today + timedelta(days=60),
                approved,
                now,
                programme,
            )
        await self.approve(incentive, approved=approved)
        return incentive

    async def approve(self, incentive: int, *, approved: bool = True) -> None:
        """Approve an incentive as it stands now; not `approved`: it was only handed over."""
        (row,) = await self.fetch(
            "SELECT i.programme, i.purpose, i.period, i.participant_id, i.nik_index, i.partner, i.amount_rupiah,"
            " i.due_on, i.deadline_on, t.account_index FROM incentives i JOIN participants t ON t.id = i.participant"
            " WHERE i.id = $1",
            incentive,
        )
        account_index = row.pop("account_index")
        digest = approval.digest(self.vault, approval.approved_row(**row), account_index)
        await self.execute(
            "UPDATE incentives SET digest = $2, approved = $3, lapsed_at = NULL WHERE id = $1",
            incentive,
            digest,
            approved,
        )

    async def due(self, slug: str = "fake", **kwargs: Any) -> int:
        """A new person with one incentive that is due; the incentive's id."""
        return await self.incentive(await self.person(slug), **kwargs)

    async def execute(self, query: str, *values: Any) -> None:
        """Change the store behind everyone's back."""
        async with self.database.connection() as connection:
            await connection.execute(query, *values)

    async def fetch(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Read the store."""
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(query, *values)]

    async def payout(self, incentive: int) -> PayoutRow:
        """The incentive's last payout."""
        async with self.database.connection() as connection:
            return (await payouts.for_incentive(connection, incentive))[-1]

    async def states(self, incentive: int) -> list[PayoutState]:
        """States of all payouts of an incentive, oldest first."""
        async with self.database.connection() as connection:
            return [row.state for row in await payouts.for_incentive(connection, incentive)]

    async def stands(self, incentive: int) -> tuple[str, str | None]:
        """Stage and blocker."""
        (row,) = await self.fetch("SELECT stage, blocker FROM incentives WHERE id = $1", incentive)
        return row["stage"], row["blocker"]

    async def cases(self, *, open_only: bool = True) -> list[str]:
        """Codes of the cases, oldest first."""
        rows = await self.fetch("SELECT code, closed_at FROM cases ORDER BY id")
        return [row["code"] for row in rows if row["closed_at"] is None or not open_only]

    async def check(self) -> None:
        """What must hold at every moment."""
        async with self.database.connection() as connection:
            assert await ledger.imbalance(connection) == 0
        counted = await self.fetch(
            "SELECT partner, stage, blocker, sum(incentives)::int AS n, sum(amount_rupiah)::bigint AS amount"
            " FROM funnel_counts GROUP BY 1, 2, 3 HAVING sum(incentives) <> 0 OR sum(amount_rupiah) <> 0"
        )
        real = await self.fetch(
            "SELECT partner, stage, coalesce(blocker, '') AS blocker, count(*)::int AS n,"
            " sum(amount_rupiah)::bigint AS amount FROM incentives GROUP BY 1, 2, 3"
        )
        key = lambda row: (row["partner"], row["stage"], row["blocker"])  # noqa: E731
        assert sorted(counted, key=key) == sorted(real, key=key)
        for bank in self.banks.values():
            for reference in {b["reference"] for b in bank.booked}:
                assert bank.credits(reference) <= 1, "one reference credited twice"
        for row in await self.fetch(
            "SELECT incentive, count(*) FILTER (WHERE state = 'succeeded') AS paid,"
            " count(*) FILTER (WHERE released_at IS NULL AND state <> 'cancelled') AS standing"
            " FROM payouts GROUP BY incentive"
        ):
            assert row["standing"] <= 1
        asked = await self.fetch(
            "SELECT p.id, p.state, c.code FROM cases c JOIN payouts p ON p.id = c.payout WHERE c.closed_at IS NULL"
            " AND c.code IN ('outcome_unknown', 'reason_missing') AND p.state IN ('succeeded', 'reversed', 'cancelled')"
        )
        assert not asked, "staff are asked what is known"
        for row in await self.fetch(
            "SELECT p.id FROM payouts p WHERE p.state IN ('succeeded', 'rejected', 'reversed')"
            " AND NOT EXISTS (SELECT 1 FROM observations o WHERE o.payout = p.id)"
        ):
            raise AssertionError(f"payout {row['id']} ended without a partner's word")

    async def drive(self, worker: Ticking, statements: Statements, *, hours: float, step_s: float = 20.0) -> None:
        """Let time pass with every tick in every step. While nothing is due steps grow, up to `LONG_STEP_S`: what is
        due then was due for hours, and each tick that finds nothing costs its queries all the same. Toward the end
        they shrink again, so that what is due by then is not left for want of a tick.
        """
        until, steps, idle = self.clock.now() + timedelta(hours=hours), 0, 0
        while (left_s := (until - self.clock.now()).total_seconds()) > 0:
            done = await worker.tick_deadlines() + await worker.tick_timers()
            for slug in self.desks:
                done += await worker.tick_lookups(slug) + await worker.tick_unpayable(slug)
                done += await worker.tick_send(slug) + await statements.tick(slug)
            steps += 1
            if steps % 8 == 0:
                await self.check()
            idle = 0 if done else idle + 1
            long_s = min(step_s * 2**idle, LONG_STEP_S, left_s / 2)
            await self.pass_time(max(step_s, long_s // step_s * step_s))
        await self.check()


async def approve_batch(connection: Connection, batch: str, now: datetime) -> None:
    """Two people approve a batch as it stands, once."""
    for name in ("ann", "bob"):
        await connection.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ($1, $1, '', '{}', $2)"
            " ON CONFLICT DO NOTHING",
            name,
            now,
        )
        await connection.execute(
            "INSERT INTO approvals (batch_id, client_id, decision, content_root, at)"
            " SELECT b.id, $2, 'approve', b.content_root, $3 FROM batches b WHERE b.id = $1"
            " AND NOT EXISTS (SELECT FROM approvals a WHERE a.batch_id = $1 AND a.client_id = $2)",
            batch,
            name,
            now,
        )


def phone_of(n: int) -> str:
    """The n-th person's phone, with digits that stand in no count, time or id."""
    return f"+62811{n * 6_180_339 % 10**7:07d}"


def town_settings(dsn: str, *, act_on_assumed: bool = True, waits: Waits | None = None) -> Settings:
    """An installation on a database."""
    return Settings(
        database_url=Secret(dsn),
        redis_url=Secret("redis://127.0.0.1:1"),
        master_key=Secret("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),  # protects nothing
        public_url="http://127.0.0.1",
        resend_on_assumed_absence=act_on_assumed,
        waits=waits or Waits(),
    )


@asynccontextmanager
async def open_town(dsn: str, *, act_on_assumed: bool = True, start: datetime = NOON) -> AsyncIterator[Town]:
    """A town in a fresh database."""
    settings = town_settings(dsn, act_on_assumed=act_on_assumed)
    database = await Database.open(dsn, size=8)
    try:
        yield Town(database, settings, VirtualClock(start))
    finally:
        await database.close()
