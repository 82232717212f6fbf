"""One participant of a wallet, for the partners whose folder says no other; `ctx` is the partner's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from contracts.identity import IdentityQuery
from contracts.linking import Grant, UnlinkOrder
from contracts.nik import Nik
from contracts.partner import Context
from contracts.plan import Request
from contracts.secret import Secret
from tests.adapters import playing
from tests.adapters.story import PHONE as ACCOUNT


@pytest.fixture(scope="session")
def grant(ctx: Context) -> Grant:
    return Grant(
        access_token=Secret("cust-token-0001"),
        refresh_token=Secret("refresh-0001"),
        expires_at=ctx.now + timedelta(days=3),
    )


@pytest.fixture(scope="session")
def unlink_order(grant: Grant) -> UnlinkOrder:
    return UnlinkOrder(link_id="u-1", reference="0100000000000000010", account=ACCOUNT, phone=ACCOUNT, grant=grant)


@pytest.fixture(scope="session")
def query(grant: Grant) -> IdentityQuery:
    """A check of a synthetic NIK (serial 99xx)."""
    return IdentityQuery(
        reference="0100000000000000011",
        nik=Nik("3174012304909901"),
        account=ACCOUNT,
        phone=ACCOUNT,
        grant=grant,
    )


@pytest.fixture(scope="session")
def run() -> Callable[..., tuple[list[Request], Any]]:
    return playing.drive
