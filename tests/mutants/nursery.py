"""What every run of the tests imports and no mutant changes: loaded once, before the runs are forked off."""

import importlib

HEAVY = (
    "aiohttp", "asyncpg", "authlib", "cryptography.hazmat.primitives.asymmetric.rsa", "httpx", "hypothesis",
    "litestar", "msgspec", "pytest", "pytest_asyncio.plugin", "redis.asyncio", "uvicorn",
    "mock_partners.bni", "mock_partners.gopay", "mock_partners.linkaja", "mock_partners.ovo",
    "mock_partners.kit.server",
)  # fmt: skip

for _name in HEAVY:
    importlib.import_module(_name)
