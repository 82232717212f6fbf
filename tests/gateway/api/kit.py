"""Clients, rows and a look at the whole store, for tests of the API."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from contracts.batch import COLUMNS
from gateway.core import Core
from gateway.security.clients import register

SCOPES = {
    "maker": ("links", "verifications", "incentives", "payouts", "batches", "read"),
    "one": ("batches:approve", "read"),
    "two": ("batches:approve", "read"),
    "three": ("batches:approve", "read"),
    "operator": ("ops", "read"),
    "reader": ("read",),
}
ORGANISATIONS = {"maker": "prakerja", "reader": "prakerja"}
"""The others decide and operate for every one."""


PROGRAMMES = ("prakerja-2026-1", "a", "b")
PURPOSES = ("training", "survey")


def nik(number: int) -> str:
    """A synthetic NIK (serial 99xx)."""
    return f"317401{1 + number % 28:02d}0{1 + number // 28 % 9}90{9900 + number // 252 % 100}"


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A valid row of participant `number`."""
    return {
        "programme": "prakerja-2026-1",
        "purpose": "training",
        "period": "1",
        "participant_id": f"P{number:08d}",
        "nik": nik(number),
        "full_name": 'Sari, Dewi "Ayu"' if number % 7 == 0 else "Dewi Lestari",
        "phone": f"+62812{number:08d}",
        "partner": "ovo",
        "account": f"+62812{number:08d}",
        "amount_rupiah": 600_000,
        "due_on": "2026-01-05",
        "deadline_on": "2099-12-31",
    } | changes


def as_csv(rows: list[dict[str, Any]], columns: tuple[str, ...] = COLUMNS) -> bytes:
    """Rows as a batch."""

    def cell(value: Any) -> str:
        text = str(value)
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"') else text

    return "".join(
        ",".join(cells) + "\n" for cells in [columns, *([cell(r[c]) for c in columns] for r in rows)]
    ).encode()


def as_ndjson(rows: list[dict[str, Any]]) -> bytes:
    """Rows as a batch."""
    return "".join(json.dumps(r) + "\n" for r in rows).encode()


@dataclass
class Api:
    """The application with a token for each role."""

    core: Core
    http: httpx.AsyncClient
    tokens: dict[str, str]
    ids: dict[str, str]

    @classmethod
    async def open(cls, core: Core, http: httpx.AsyncClient) -> Api:
        """Register the roles and fetch their tokens over HTTP."""
        tokens, ids = {}, {}
        now = core.resources.clock.now()
        for role, scopes in SCOPES.items():
            client = await register(
                core.resources.database,
                now,
                name=role,
                scopes=scopes,
                return_urls=["https://core.test/back"],
                organisation=ORGANISATIONS.get(role),
            )
            reply = await http.post(
                "/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=httpx.BasicAuth(client.client_id, client.secret),
            )
            assert reply.status_code == 200, reply.text
            tokens[role], ids[role] = reply.json()["access_token"], client.client_id
        for programme in PROGRAMMES:
            await core.programmes.register(programme, PURPOSES, "tests")
        return cls(core, http, tokens, ids)

    async def call(self, method: str, path: str, *, role: str = "maker", key: str | None = None, **more: Any) -> Any:
        """One request under a role's token."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}", **more.pop("headers", {})}
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self.http.request(method, path, headers=headers, **more)

    async def submit(
        self, body: bytes | AsyncIterator[bytes], *, key: str = "k1", kind: str = "text/csv", role: str = "maker"
    ) -> Any:
        """A batch."""
        return await self.call("POST", "/v1/batches", role=role, key=key, content=body, headers={"Content-Type": kind})

    async def decide(self, batch: dict[str, Any], role: str, decision: str = "approve", **changes: Any) -> Any:
        """An approver's word."""
        body = {"decision": decision, "content_root": batch["content_root"]} | changes
        return await self.call("POST", f"/v1/batches/{batch['batch_id']}/approvals", role=role, json=body)

    async def state(self) -> dict[str, str]:
        """Every table's rows and a hash over them: equal before and after what changes nothing. That something was
        refused is on record and changes nothing else; the count of the store's history goes on by itself.
        """
        found = {}
        async with self.core.resources.database.connection() as connection:
            tables = await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'store_timeline'"
                " ORDER BY tablename"
            )
            for (table,) in tables:
                refusals = (
                    " WHERE action NOT IN ('scope.refused', 'token.unknown', 'act.refused')"
                    if table == "audit_log"
                    else ""
                )
                lines = await connection.fetch(f"SELECT t::text AS line FROM {table} t{refusals} ORDER BY 1")
                digest = hashlib.sha256("\n".join(line["line"] for line in lines).encode()).hexdigest()
                found[table] = f"{len(lines)} {digest[:12]}"
        return found

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        """A look into the store."""
        async with self.core.resources.database.connection() as connection:
            return await connection.fetch(sql, *values)
