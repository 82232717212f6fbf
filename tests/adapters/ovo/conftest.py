"""What every test of OVO's adapter starts from: one context, one participant, canned answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.linking import Grant, LinkFinish, LinkStart
from contracts.partner import Context
from contracts.payout import PayoutOrder
from contracts.plan import Response
from contracts.secret import Secret
from tests.adapters.playing import snap_reply
from tests.adapters.story import PHONE as ACCOUNT

VECTORS = Path(__file__).parents[2] / "vectors" / "ovo"
NOW = datetime(2026, 1, 1, 20, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="session")
def key_pem() -> str:
    """The throw-away RSA key of the vectors; it protects nothing."""
    pem: str = json.loads((VECTORS / "rsa.json").read_text())["private_key_pem"]
    return pem


@pytest.fixture(scope="session")
def ctx(key_pem: str) -> Context:
    return Context(
        now=NOW,
        serial="12345678901234567",
        credentials={
            "client_id": Secret("test-client-id"),
            "client_secret": Secret("ovo-client-secret-test"),
            "private_key_pem": Secret(key_pem),
            "partner_id": Secret("partner-0001"),
            "channel_id": Secret("95221"),
            "device_id": Secret("device-0001"),
            "api_version": Secret("v2.0"),
            "token_version": Secret("v1.0"),
        },
        tokens={"snap": Secret("ovo-b2b-token-0001")},
        hosts={},
    )


@pytest.fixture(scope="session")
def order(grant: Grant) -> PayoutOrder:
    return PayoutOrder(
        reference="0112345678901234567",
        amount_rupiah=600_000,
        account=ACCOUNT,
        phone=ACCOUNT,
        name=Secret("Budi Santoso"),
        created_at=NOW - timedelta(hours=1),
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
        redirect_uri="https://gw.example.test/callbacks/ovo/link?st=st-0001",
    )


@pytest.fixture(scope="session")
def finish() -> LinkFinish:
    return LinkFinish(
        link_id="u-1",
        reference="0100000000000000009",
        code=Secret("auth-ovo-1"),
        carry={"linkage_token": Secret("linkage-0001")},
        redirect_uri="https://gw.example.test/callbacks/ovo/link?st=st-0001",
        phone=ACCOUNT,
        account=ACCOUNT,
    )


@pytest.fixture(scope="session")
def say() -> Callable[..., Response]:
    return snap_reply
