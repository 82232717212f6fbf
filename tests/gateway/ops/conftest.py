"""The application and its clients, as for the API's own tests, and people signed in to it."""

from __future__ import annotations

import pytest

from tests.gateway.api.conftest import api, core, http
from tests.gateway.api.kit import Api
from tests.gateway.ops.desk import Desk

__all__ = ["api", "core", "http"]


@pytest.fixture
async def desk(api: Api) -> Desk:
    """One person of each role, enrolled, nobody signed in."""
    return await Desk.open(api)
