"""An application on a fresh database, and clients with their tokens."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import httpx
import pytest

from adapters.registry import PARTNERS
from contracts.secret import Secret
from gateway.core import Core, build_core
from gateway.resources import open_resources
from gateway.settings import Settings
from tests.conftest import MASTER_KEY
from tests.gateway.api.kit import Api
from tests.gateway.app import app_of


def settings_on(database: str, redis_url: str) -> Settings:
    """Settings of an installation whose partners are never called."""
    return Settings(
        database_url=Secret(database),
        redis_url=Secret(redis_url),
        master_key=Secret(base64.b64encode(MASTER_KEY).decode()),
        profile="demo",
        public_url="http://127.0.0.1",
        partners={slug: {name: Secret("x") for name in p.manifest.credentials} for slug, p in PARTNERS.items()},
        hosts={slug: dict.fromkeys(p.manifest.hosts, "http://127.0.0.1:9") for slug, p in PARTNERS.items()},
    )


@pytest.fixture
async def core(database: str, redis_url: str) -> AsyncIterator[Core]:
    """The services on this test's own database."""
    async with open_resources(settings_on(database, redis_url)) as resources:
        yield build_core(resources)


@pytest.fixture
async def http(core: Core) -> AsyncIterator[httpx.AsyncClient]:
    """The application, called in process."""
    transport = httpx.ASGITransport(app_of(core), raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        yield client


@pytest.fixture
async def api(core: Core, http: httpx.AsyncClient) -> Api:
    """A maker, two approvers, an operator and a reader."""
    return await Api.open(core, http)
