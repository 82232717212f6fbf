"""The mocks' own SNAP verification reproduces the published vectors and takes what a faithful client may vary."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mock_partners.kit.keys import Key, private_key, private_pem, public_pem
from mock_partners.kit.snap.signatures import (
    asymmetric_ok,
    asymmetric_text,
    body_hash,
    minify,
    parse_timestamp,
    sign_asymmetric,
    symmetric_ok,
    symmetric_text,
)

FOLDER = Path(__file__).parents[2] / "vectors" / "snap"


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return loaded


SYMMETRIC = load("symmetric.json")["vectors"]
ASYMMETRIC = load("asymmetric.json")
MINIFY = load("minify.json")["vectors"]


def flipped(text: str, at: int) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def by_name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("vector", SYMMETRIC, ids=by_name)
def test_symmetric_vectors(vector: dict[str, Any]) -> None:
    if vector["body"] is not None:
        text = symmetric_text(
            vector["method"], vector["target"], vector["token"], vector["body"].encode(), vector["timestamp"]
        )
        assert text.decode() == vector["string_to_sign"]
        assert body_hash(vector["body"].encode()) == vector["body_sha256"]
    secret, text = vector["secret"].encode(), vector["string_to_sign"].encode()
    assert symmetric_ok(secret, text, vector["signature"])
    for at in (0, 40, len(vector["signature"]) - 3):
        assert not symmetric_ok(secret, text, flipped(vector["signature"], at))
    for at in (0, len(text) // 2, len(text) - 1):
        assert not symmetric_ok(secret, flipped(text.decode(), at).encode(), vector["signature"])


def test_hex_is_taken_only_where_it_is_agreed() -> None:
    vector = SYMMETRIC[0]
    secret, text = vector["secret"].encode(), vector["string_to_sign"].encode()
    as_hex = base64.b64decode(vector["signature"]).hex()
    assert not symmetric_ok(secret, text, as_hex)
    assert symmetric_ok(secret, text, as_hex, encodings=("base64", "hex"))


@pytest.mark.parametrize("vector", ASYMMETRIC["vectors"], ids=by_name)
def test_asymmetric_vectors(vector: dict[str, Any]) -> None:
    if "body" in vector:
        text = asymmetric_text(vector["method"], vector["target"], vector["body"].encode(), vector["timestamp"])
    else:
        text = f"{vector['client_key']}|{vector['timestamp']}".encode()
    assert text.decode() == vector["string_to_sign"]
    key = private_key(Key.T0)
    assert sign_asymmetric(key, text) == vector["signature"]
    assert asymmetric_ok(key.public_key(), text, vector["signature"])
    assert not asymmetric_ok(key.public_key(), text, flipped(vector["signature"], 7))
    assert not asymmetric_ok(key.public_key(), flipped(text.decode(), 3).encode(), vector["signature"])
    assert not asymmetric_ok(key.public_key(), text, "not base64!")
    assert not asymmetric_ok(private_key(Key.WALLETS).public_key(), text, vector["signature"])


def test_the_committed_keys_are_the_sheets_own() -> None:
    der = private_key(Key.T0).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert hashlib.sha256(der).hexdigest() == ASYMMETRIC["key"]["spki_sha256"]
    assert private_pem(Key.T0) == ASYMMETRIC["key"]["private_key_pem"]
    assert len({public_pem(key) for key in Key}) == len(Key)
    for key in Key:
        file = Path(__file__).parents[3] / "mock_partners" / "kit" / "keys" / key.value
        assert "protects nothing" in file.read_text().splitlines()[0]


@pytest.mark.parametrize("vector", MINIFY, ids=by_name)
def test_minify_vectors(vector: dict[str, Any]) -> None:
    received = vector["received"].encode()
    assert hashlib.sha256(received).hexdigest() == vector["raw_sha256"]
    assert body_hash(received) == vector["minified_sha256"]


@pytest.mark.parametrize(
    ("received", "kept"),
    [
        (b'{ "a" :\t"b c\\" d" ,\r\n"e":[1, 2] }', b'{"a":"b c\\" d","e":[1,2]}'),
        (b'{"path":"a\\/b \\u00e9 \\\\","x": 1.0}', b'{"path":"a\\/b \\u00e9 \\\\","x":1.0}'),
        ('{"name": "é à"}'.encode(), '{"name":"é à"}'.encode()),
        (b'{"a": "\\\\", "b": "c d"}', b'{"a":"\\\\","b":"c d"}'),
        (b"", b""),
    ],
)
def test_minify_touches_nothing_but_whitespace_outside_strings(received: bytes, kept: bytes) -> None:
    assert minify(received) == kept
    assert minify(kept) == kept


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-15T10:00:00+07:00", 1768446000.0),
        ("2026-01-15T03:00:00Z", 1768446000.0),
        ("2026-01-15T03:00:00.250Z", 1768446000.25),
        ("2026-01-15T10:00:00.000+07:00", 1768446000.0),
        ("2026-01-15T12:00:00+09:00", 1768446000.0),
    ],
)
def test_timestamps_with_any_offset_are_understood(text: str, seconds: float) -> None:
    moment = parse_timestamp(text)
    assert moment is not None
    assert moment.timestamp() == seconds


@pytest.mark.parametrize("text", ["", "2026-01-15T10:00:00", "2026-01-15", "1768446000", "2026-13-15T10:00:00Z", "x"])
def test_timestamps_without_an_offset_are_not(text: str) -> None:
    assert parse_timestamp(text) is None
