"""What every test of LinkAja's adapter starts from: one context, one participant, canned answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.linking import Grant, LinkFinish, LinkStart
from contracts.partner import Context
from contracts.payout import PayoutOrder
from contracts.plan import Response
from contracts.secret import Secret
from tests.adapters.playing import json_reply, snap_reply
from tests.adapters.story import PHONE as ACCOUNT

VECTORS = Path(__file__).parents[2] / "vectors" / "linkaja"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REDIRECT = "https://gw.example.test/callbacks/linkaja/link?st=st-0001"


@pytest.fixture(scope="session")
def ctx() -> Context:
    pem = json.loads((VECTORS / "rsa.json").read_text())["private_key_pem"]  # throw-away, protects nothing
    return Context(
        now=NOW,
        serial="12345678901234567",
        credentials={
            "hmac_username": Secret("test-partner"),
            "hmac_secret": Secret("test-secret"),
            "client_id": Secret("test-client-id"),
            "client_secret": Secret("lj-client-secret-test"),
            "private_key_pem": Secret(pem),
            "partner_id": Secret("partner-0001"),
            "merchant_id": Secret("506300000000000"),
            "channel_id": Secret("95221"),
        },
        tokens={"snap": Secret("lj-b2b-token-0001"), "legacy": Secret("lj-access-0001")},
        hosts={},
    )


@pytest.fixture(scope="session")
def order(grant: Grant) -> PayoutOrder:
    return PayoutOrder(
        reference="PAYOUT-0001",
        amount_rupiah=50_000,
        account=ACCOUNT,
        phone=ACCOUNT,
        name=Secret("Budi Santoso"),
        created_at=NOW,
        grant=grant,
    )


@pytest.fixture(scope="session")
def start() -> LinkStart:
    return LinkStart(
        link_id="u-1",
        reference="0100000000000000009",
        account=ACCOUNT,
        phone=Secret("+6281999999999"),
        name=Secret("BUDI SANTOSO"),
        state="st-0001",
        redirect_uri=REDIRECT,
    )


@pytest.fixture(scope="session")
def finish() -> LinkFinish:
    return LinkFinish(
        link_id="u-1",
        reference="0100000000000000009",
        code=Secret("auth-lj-1"),
        carry={},
        redirect_uri=REDIRECT,
        phone=ACCOUNT,
        account=ACCOUNT,
    )


@pytest.fixture(scope="session")
def snap_say() -> Callable[..., Response]:
    return snap_reply


@pytest.fixture(scope="session")
def say() -> Callable[..., Response]:
    return json_reply
