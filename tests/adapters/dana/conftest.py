"""What every test of DANA's adapter starts from: the vectors' key on both sides, one person."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from adapters.dana import PARTNER
from contracts.partner import Context
from contracts.secret import Secret
from tests.adapters.story import PEM, context

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "dana" / "snap.json").read_text())
NOW = datetime(2026, 1, 1, 20, 4, 5, tzinfo=UTC)


@pytest.fixture
def ctx() -> Context:
    key = serialization.load_pem_private_key(PEM.encode(), password=None).public_key()
    public = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    made = context(PARTNER, NOW)
    return Context(
        now=NOW, serial=made.serial, tokens={}, hosts=made.hosts,
        credentials={**made.credentials, "dana_public_key_pem": Secret(public)},
    )  # fmt: skip
