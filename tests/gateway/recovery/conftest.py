"""The town, once per test, with everything that a restore needs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.embedded import EmbeddedPostgres
from tests.gateway.payouts.town import open_town
from tests.gateway.recovery.restoring import Restoring


@pytest.fixture
async def restoring(postgres: EmbeddedPostgres, database: str) -> AsyncIterator[Restoring]:
    """A town with nobody in it, whose database can be copied and put back."""
    async with open_town(database) as town, Restoring(town, postgres.dsn) as opened:
        yield opened
