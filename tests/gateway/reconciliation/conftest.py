"""A partner whose statements are what a test says, on the real executor, service and database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.gateway.payouts.town import open_town
from tests.gateway.reconciliation.desk import Bureau


@pytest.fixture
async def bureau(database: str) -> AsyncIterator[Bureau]:
    """One partner, `fake`, with no payouts."""
    async with open_town(database) as town:
        yield Bureau(town)
