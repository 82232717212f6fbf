"""A gateway on a real database with fake partners, a few participants, and a browser for each of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx

from contracts.identity import IdentityAnswer, Verdict
from contracts.linking import LinkRedirect, Unlinked
from contracts.observation import PayoutNotice
from contracts.partner import Capability, Partner
from contracts.secret import Secret
from gateway.core import Core
from gateway.partners.desk import Desk
from gateway.partners.executor import Executor
from gateway.partners.tokens import Tokens
from gateway.resources import Resources
from gateway.security import places
from gateway.security.clients import ClientDirectory, hashed
from gateway.security.vault import Vault
from gateway.services.intake.corrections import Corrections
from gateway.services.linking.links import Linking
from gateway.services.linking.verification import Verification
from gateway.services.messages.inbox import Inbox
from gateway.settings import Settings
from gateway.storage.base.database import Database
from tests.gateway.app import app_of
from tests.gateway.linking.fake import INPUTS, REDIRECT, Bank, FakeClock, FakePartner, Silent, manifest

HOME = "https://core.example.test/back?from=links"
PUBLIC = "http://gateway.test"
ACCEPT = {"Accept": "text/html"}
TOKEN = "access-token-of-a-test"


class FakePayouts:
    """Takes notices about payouts."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.seen: list[tuple[str, str]] = []

    async def notice(self, partner: str, notice: PayoutNotice, event_key: str) -> str:
        if notice.reference not in self.known:
            return "no_such_payout"
        self.seen.append((str(notice.reference), event_key))
        return "applied"


class World:
    """One test's gateway: partners `shared` (redirect), `sole` (redirect, one link an account), `bank` (form)."""

    def __init__(self, database: Database, dsn: str) -> None:
        self.clock = FakeClock()
        self.vault = Vault(b"k" * 32)
        self.database = database
        self.dsn = dsn
        self.banks = {slug: Bank() for slug in ("shared", "sole", "bank")}
        manifests = [
            manifest("shared", REDIRECT),
            manifest("sole", REDIRECT | {Capability.GRANT_REFRESH}, exclusive=True),
            manifest("bank", INPUTS),
        ]
        settings = Settings(
            database_url=Secret(dsn), redis_url=Secret("redis://unused"), master_key=Secret("unused"), public_url=PUBLIC
        )
        tokens = Tokens(None, self.vault, self.clock)
        desks = {}
        for each in manifests:
            partner: Partner = FakePartner(each, self.banks[each.slug])  # type: ignore[assignment]
            desks[each.slug] = Desk(
                partner,
                credentials={},
                hosts={"fake": "http://fake.test"},
                executor=Executor(each.slug, {"fake": self.banks[each.slug]}, self.clock, Silent()),
                tokens=tokens,
                clock=self.clock,
                waits=settings.waits,
            )
            self.banks[each.slug].always = {
                "begin": LinkRedirect(url="https://partner.example.test/consent", carry={"kept": Secret("kept-token")}),
                "verify": IdentityAnswer(verdict=Verdict.MATCH),
                "unlink": Unlinked(),
            }
        self.resources = Resources(
            settings=settings,
            clock=self.clock,
            database=database,
            redis=None,  # type: ignore[arg-type]
            vault=self.vault,
            desks=desks,
        )
        self.linking = Linking(self.resources)
        self.verification = Verification(self.resources)
        self.payouts = FakePayouts()
        self.inbox = Inbox(self.resources, self.verification, self.payouts)
        # No test here uses any other service.
        core: dict[str, Any] = {field.name: None for field in dataclasses.fields(Core)} | {
            "resources": self.resources,
            "clients": ClientDirectory(database, self.clock),
            "linking": self.linking,
            "verification": self.verification,
            "payouts": self.payouts,
            "inbox": self.inbox,
            "corrections": Corrections(self.resources),
        }
        self.core = Core(**core)
        self.app = app_of(self.core)
        self.api = self.browser()
        self.api.headers["Authorization"] = f"Bearer {TOKEN}"
        self._people = 0

    def browser(self) -> httpx.AsyncClient:
        """A browser of its own: cookies, no redirects followed."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=PUBLIC, headers=ACCEPT)

    async def person(
        self, partner: str, account: str = "+6281200000001", nik: str | None = None, batch: str = "b"
    ) -> str:
        """A participant with one approved incentive; returns the core platform's id."""
        self._people += 1
        nik = nik or f"110101010190{9900 + self._people:04d}"
        return await unlinked(self.database, self.vault, self.clock.now(), self._people, partner, account, nik, batch)

    async def start(self, pid: str) -> dict[str, Any]:
        """`POST /v1/links`."""
        reply = await self.api.post("/v1/links", json={"participant_id": pid, "return_url": HOME})
        assert reply.status_code == 201, reply.text
        link: dict[str, Any] = reply.json()
        return link

    async def opened(self, pid: str) -> tuple[str, httpx.AsyncClient, str]:
        """A link at the partner's page: its id, the browser, and the state the partner got."""
        link = await self.start(pid)
        return await self.open(link)

    async def open(self, link: dict[str, Any]) -> tuple[str, httpx.AsyncClient, str]:
        """Open a challenge; the link's id, the browser, and the state the partner got."""
        browser = self.browser()
        reply = await press(browser, link["challenge"]["url"])
        assert reply.status_code == 303, reply.text
        begun = [sent for name, sent in self.banks[link["partner"]].sent if name == "begin"][-1]
        return link["link_id"], browser, parse_qs(urlsplit(begun["redirect_uri"]).query)["st"][0]

    async def linked(self, pid: str, step: Any, partner: str | None = None) -> str:
        """A link that went through the partner's page and ended with `step`; its id."""
        link_id, browser, state = await self.opened(pid)
        slug = (await self.link(link_id))["partner"]
        self.banks[slug].will("finish", step)
        reply = await browser.get(f"/callbacks/{slug}/link", params={"st": state, "code": "code-1"})
        assert reply.status_code == 303, reply.text
        return link_id

    async def link(self, link_id: str) -> dict[str, Any]:
        return await self.one("SELECT * FROM links WHERE id = $1", link_id)

    async def facts(self, pid: str) -> tuple[bool, bool, str | None]:
        """Link active, verified, standing."""
        row = await self.one("SELECT link_active, verified, standing FROM participants WHERE participant_id = $1", pid)
        return row["link_active"], row["verified"], row["standing"]

    async def incentive(self, pid: str) -> tuple[str, str | None]:
        """Stage and blocker of the participant's incentive."""
        row = await self.one("SELECT stage, blocker FROM incentives WHERE participant_id = $1", pid)
        return row["stage"], row["blocker"]

    async def check(self, link_id: str) -> dict[str, Any]:
        """The link's newest verification."""
        return await self.one("SELECT * FROM verifications WHERE link_id = $1 ORDER BY id DESC LIMIT 1", link_id)

    async def one(self, text: str, *values: object) -> dict[str, Any]:
        async with self.database.connection() as connection:
            row = await connection.fetchrow(text, *values)
        assert row is not None
        return dict(row)

    async def all(self, text: str, *values: object) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(text, *values)]

    async def everything(self) -> str:
        """Every row of every table, as text: to compare, and to search for what must not be there."""
        tables = await self.all("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        parts = []
        for table in tables:
            name = table["tablename"]
            rows = await self.all(f"SELECT t::text AS row FROM {name} t ORDER BY 1")
            parts.append(f"{name}\n" + "\n".join(row["row"] for row in rows))
        # Binary columns show as hex: what lies in them unsealed must be found too.
        return re.sub(
            r"\\\\x([0-9a-f]+)", lambda found: found[0] + bytes.fromhex(found[1]).decode("latin-1"), "\n".join(parts)
        )


async def unlinked(
    database: Database, vault: Vault, now: datetime, n: int, partner: str, account: str, nik: str, batch: str = "b"
) -> str:
    """The n-th participant, with one incentive of a batch and no link; returns the core platform's id."""
    pid = f"P{n}"
    async with database.transaction() as connection:
        row = await connection.fetchval(
            "INSERT INTO participants (participant_id, nik_sealed, nik_index, name_sealed, phone_sealed, partner,"
            " account_sealed, account_index, facts_at, created_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$9)"
            " RETURNING id",
            pid,
            vault.seal(places.nik(pid), nik),
            vault.index(places.NIK_INDEX, nik),
            vault.seal(places.name(pid), "Siti Percobaan"),
            vault.seal(places.phone(pid), account),
            partner,
            vault.seal(places.account(pid), account),
            vault.index(places.account_index(partner), account),
            now,
        )
        await connection.execute(
            "INSERT INTO incentives (batch_id, line, programme, purpose, period, participant, participant_id,"
            " nik_index, partner, amount_rupiah, due_on, deadline_on, content_hash, approved, link_active,"
            " verified, facts_at, created_at) VALUES ($7, $1, 'prakerja', 'training', '1', $2, $3, $4, $5, 600000,"
            " '2026-01-02', '2026-12-31', '', true, false, false, $6, $6)",
            n,
            row,
            pid,
            vault.index(places.NIK_INDEX, nik),
            partner,
            now,
            batch,
        )
    return pid


async def press(browser: httpx.AsyncClient, url: str, **headers: str) -> httpx.Response:
    """Open a challenge and press its button; whatever the page is, if it has none."""
    page = await browser.get(url)
    if 'value="begin"' not in page.text:
        return page
    headers = {"Origin": PUBLIC, **headers}
    return await browser.post(url, data={"csrf": csrf(page.text), "action": "begin"}, headers=headers)


def csrf(page: str) -> str:
    """The token in a form."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None, page
    return found.group(1)


@asynccontextmanager
async def a_world(dsn: str) -> AsyncIterator[World]:
    """Open a world with its client and batch."""
    database = await Database.open(dsn, size=8)
    try:
        world = World(database, dsn)
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, return_urls, created_at)"
            " VALUES ('core', 'Core', '', '{links,verifications,read}', $1, now())",
            [HOME],
        )
        await connection.execute(
            "INSERT INTO batches (id, client_id, state, rows_accepted, rows_rejected, rows_repeated, amount_rupiah,"
            " content_root, received_at) VALUES ('b', 'core', 'approved', 0, 0, 0, 0, '', now())"
        )
        await connection.execute(
            "INSERT INTO access_tokens (token_hash, client_id, scopes, expires_at)"
            " VALUES ($1, 'core', '{links,verifications,read}', '2099-01-01')",
            hashed(TOKEN),
        )
        await connection.close()
        yield world
    finally:
        await database.close()
