"""A partner whose statements are what a test says, and a town with everything that a restore needs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.embedded import EmbeddedPostgres
from tests.gateway.payouts.town import Town, open_town
from tests.gateway.reconciliation.desk import Bureau
from tests.gateway.reconciliation.restoring import Restoring


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    """A town with nobody in it."""
    async with open_town(database) as opened:
        yield opened


@pytest.fixture
async def bureau(database: str) -> AsyncIterator[Bureau]:
    """One partner, `fake`, with no payouts."""
    async with open_town(database) as town:
        yield Bureau(town)


@pytest.fixture
async def restoring(postgres: EmbeddedPostgres, database: str) -> AsyncIterator[Restoring]:
    """A town with nobody in it, whose database can be copied and put back."""
    async with open_town(database) as town, Restoring(town, postgres.dsn) as opened:
        yield opened
