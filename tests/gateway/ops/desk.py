"""People with accounts, each in a browser of their own."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from gateway.services.ops.operators import ROLES, Enrolled
from tests.gateway.api.kit import Api
from tests.gateway.app import app_of


def code(person: Enrolled, at_s: float) -> str:
    """What the person's authenticator app shows."""
    query = parse_qs(urlsplit(person.totp_uri).query)
    return TOTP(base64.b32decode(query["secret"][0]), 6, SHA1(), 30).generate(int(at_s)).decode()  # noqa: S303


@dataclass
class Desk:
    """The pages, and somebody of each role."""

    api: Api
    people: dict[str, Enrolled]

    @classmethod
    async def open(cls, api: Api) -> Desk:
        people = {role: await api.core.operators.enrol(f"{role}-one", (role,), actor="test") for role in ROLES}
        return cls(api, people)

    @asynccontextmanager
    async def browser(self, address: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
        """A browser with a cookie jar of its own."""
        application: Any = app_of(self.api.core)
        transport = httpx.ASGITransport(application, raise_app_exceptions=False, client=(address, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client

    def now_s(self) -> float:
        return self.api.core.resources.clock.now().timestamp()

    async def sign_in(self, browser: httpx.AsyncClient, role: str, **changes: str) -> httpx.Response:
        """Name, password and the code of now."""
        person = self.people[role]
        typed = {"name": f"{role}-one", "password": person.password, "code": code(person, self.now_s())} | changes
        return await browser.post("/ops/sign-in", data=typed)

    @asynccontextmanager
    async def signed_in(self, role: str) -> AsyncIterator[httpx.AsyncClient]:
        async with self.browser() as browser:
            assert (await self.sign_in(browser, role)).status_code == 303
            yield browser


async def csrf(browser: httpx.AsyncClient, path: str = "/ops") -> str:
    """The secret of the session's forms."""
    found = re.search(r'name="csrf" value="([^"]+)"', (await browser.get(path)).text)
    assert found is not None
    return found[1]


async def send(browser: httpx.AsyncClient, path: str, **fields: Any) -> httpx.Response:
    """A form of this session's own."""
    return await browser.post(path, data={"csrf": await csrf(browser)} | fields)
