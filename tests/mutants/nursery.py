"""What every run of the tests imports and no mutant changes: loaded once, before the runs are forked off."""

import importlib

from mock_partners.registry import PARTNERS

HEAVY = (
    "aiohttp", "asyncpg", "authlib", "cryptography.hazmat.primitives.asymmetric.rsa", "httpx", "hypothesis",
    "litestar", "msgspec", "pytest", "pytest_asyncio.plugin", "redis.asyncio", "uvicorn",
    "mock_partners.kit.server", *(f"mock_partners.{slug}" for slug in PARTNERS),
)  # fmt: skip

for _name in HEAVY:
    importlib.import_module(_name)
