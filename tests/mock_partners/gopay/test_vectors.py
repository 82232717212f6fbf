"""The mock's own verification and signing reproduce the vectors that are pinned for both sides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from mock_partners.gopay.authcode import signed_data
from mock_partners.gopay.notices import core_signature
from mock_partners.gopay.payouts import notice_signature
from mock_partners.kit.basic import basic_ok
from mock_partners.kit.http import Call
from mock_partners.kit.keys import Key, private_key, private_pem
from mock_partners.kit.snap.signatures import (
    asymmetric_ok,
    asymmetric_text,
    body_hash,
    sign_asymmetric,
    symmetric_ok,
    symmetric_text,
)

FOLDER = Path(__file__).parents[2] / "vectors" / "gopay"
CORE: dict[str, Any] = json.loads((FOLDER / "core.json").read_text())
HMAC: dict[str, Any] = json.loads((FOLDER / "hmac.json").read_text())
IRIS: dict[str, Any] = json.loads((FOLDER / "iris.json").read_text())
RSA: dict[str, Any] = json.loads((FOLDER / "rsa.json").read_text())


def flipped(text: str, at: int = 5) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def test_published_hmac_v2() -> None:
    text = HMAC["published"]["string_to_sign"].encode()
    assert symmetric_ok(HMAC["secret"].encode(), text, HMAC["published"]["signature"])
    assert not symmetric_ok(HMAC["secret"].encode(), text, flipped(HMAC["published"]["signature"]))


@pytest.mark.parametrize("vector", HMAC["requests"], ids=lambda vector: vector["name"])
def test_transaction_signatures_v8_v19_v20(vector: dict[str, str]) -> None:
    body = vector["body"].encode()
    assert body_hash(body) == vector["body_sha256"]
    text = symmetric_text("POST", vector["target"], HMAC["token"], body, HMAC["timestamp"])
    assert symmetric_ok(HMAC["secret"].encode(), text, vector["signature"])
    assert not symmetric_ok(HMAC["secret"].encode(), text[:-1] + b"8", vector["signature"])


def test_token_signature_v10() -> None:
    assert private_pem(Key.WALLETS).strip() == RSA["private_key_pem"].strip()
    vector = RSA["token"]
    text = f"{vector['client_id']}|{vector['timestamp']}".encode()
    assert asymmetric_ok(private_key(Key.WALLETS).public_key(), text, vector["signature"])
    assert sign_asymmetric(private_key(Key.WALLETS), text) == vector["signature"]


def test_link_notice_signature_v10() -> None:
    vector = RSA["link_notice"]
    text = asymmetric_text(
        "POST", "/v1.0/registration-account/notify", vector["body"].encode(), RSA["token"]["timestamp"]
    )
    assert text.decode() == vector["string_to_sign"]
    assert sign_asymmetric(private_key(Key.WALLETS), text) == vector["signature"]


def test_seamless_signature_v10() -> None:
    data, sign = RSA["seamless"]["seamless_data"], RSA["seamless"]["signature_base64"]
    assert signed_data(data, quote_plus(sign)) == data
    assert signed_data(quote_plus(data), quote_plus(quote_plus(sign))) == data
    assert signed_data(data, quote_plus(flipped(sign))) is None
    assert signed_data(flipped(data, 20), quote_plus(sign)) is None


@pytest.mark.parametrize("vector", IRIS["basic"], ids=lambda vector: vector["key"])
def test_basic_v5(vector: dict[str, str]) -> None:
    def call(authorization: str) -> Call:
        return Call("GET", "/", "", {"authorization": authorization}, b"")

    assert basic_ok(call(vector["authorization"]), vector["key"])
    assert basic_ok(call(vector["authorization"].replace("Basic", "basic")), vector["key"])
    assert not basic_ok(call(vector["authorization"]), vector["key"], "password")
    for wrong in (flipped(vector["authorization"], 9), vector["authorization"][6:], vector["authorization"][:-1], ""):
        assert not basic_ok(call(wrong), vector["key"])


@pytest.mark.parametrize("vector", IRIS["notices"], ids=["failed", "completed"])
def test_iris_signature_v7(vector: dict[str, str]) -> None:
    assert notice_signature(vector["body"].encode(), IRIS["merchant_key"]) == vector["signature"]


@pytest.mark.parametrize("vector", CORE["notices"], ids=lambda vector: vector["account_status"])
def test_core_signature_v6(vector: dict[str, str]) -> None:
    told = core_signature(CORE["account_id"], vector["account_status"], vector["status_code"], CORE["server_key"])
    assert told == vector["signature_key"]
