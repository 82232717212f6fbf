"""The world that all of these tests start from."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.gateway.linking.world import World, a_world


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    """A gateway on a fresh database with three fake partners."""
    async with a_world(database) as opened:
        yield opened
