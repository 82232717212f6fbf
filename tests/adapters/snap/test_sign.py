"""SNAP's signatures against the sheets' vectors, and what minifying may never do."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from adapters import rsa
from adapters.snap import sign
from adapters.snap.calls import READ, Bearer, Call, Side, token_call
from contracts.linking import Grant
from contracts.partner import Context
from contracts.secret import Secret

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "bni" / "signatures.json").read_text(encoding="utf-8")
)
PRIVATE_KEY: str = VECTORS["private_key_pem"]


SIDE = Side()


def context(at: str, **changed: str) -> Context:
    """A moment, and what every host wants to know of us."""
    names = ("client_id", "client_secret", "partner_id", "channel_id")
    given = dict.fromkeys(names, "1") | {"private_key_pem": PRIVATE_KEY} | changed
    return Context(
        now=datetime.fromisoformat(at),
        serial="0" * 17,
        hosts={},
        tokens={"snap": Secret("b2b")},
        credentials={name: Secret(value) for name, value in given.items()},
    )


def public_key() -> str:
    key = serialization.load_pem_private_key(PRIVATE_KEY.encode(), password=None).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def test_the_vectors_key_is_the_sheets() -> None:
    key = serialization.load_pem_private_key(PRIVATE_KEY.encode(), password=None).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert hashlib.sha256(der).hexdigest() == VECTORS["public_key_spki_sha256"]


def test_t1_access_token() -> None:
    vector = VECTORS["asymmetric_token"]
    text = sign.token_string_to_sign(vector["client_id"], vector["at"])
    assert text == vector["string_to_sign"]
    assert rsa.sign(PRIVATE_KEY, text) == vector["signature"]
    request = SIDE.ask(context(vector["at"], client_id=vector["client_id"]), token_call("token", READ, "/token", "73"))
    assert request.headers == {
        "Content-Type": "application/json",
        "X-TIMESTAMP": vector["at"],
        "X-CLIENT-KEY": vector["client_id"],
        "X-SIGNATURE": vector["signature"],
    }


@pytest.mark.parametrize("vector", VECTORS["symmetric"], ids=lambda vector: str(vector["name"]))
def test_t2_t3_t4_symmetric(vector: dict[str, str]) -> None:
    method, target, token, _, at = vector["string_to_sign"].split(":", 4)
    content = vector["content"].encode()
    assert sign.body_hash(content) == vector["body_hash"]
    assert sign.string_to_sign(method, target, token, content, at) == vector["string_to_sign"]
    ctx = context(at, client_secret=vector["secret"])
    call = Call("call", READ, target, method=method, bearer=Bearer.GIVEN if token else Bearer.NONE)
    request = SIDE.ask(ctx, call, json.loads(content) if content else None, bearer=Secret(token) if token else None)
    assert (request.content, request.headers["X-TIMESTAMP"]) == (content, at)
    assert request.headers["X-SIGNATURE"] == vector["signature"]
    assert request.headers.get("Authorization") == (f"Bearer {token}" if token else None)


def test_v2_hmac() -> None:
    vector = VECTORS["hmac"]
    assert sign.hmac_sha512(vector["secret"], vector["string_to_sign"]) == vector["signature"]


def test_t5_notification() -> None:
    vector = VECTORS["notification"]
    method, target, _, at = vector["string_to_sign"].split(":", 3)
    content = vector["content"].encode()
    text = sign.asymmetric_string_to_sign(method, target, content, at)
    assert text == vector["string_to_sign"]
    assert rsa.sign(PRIVATE_KEY, text) == vector["signature"]
    assert rsa.valid(public_key(), text, vector["signature"])
    assert not rsa.valid(public_key(), text + " ", vector["signature"])
    assert not rsa.valid(public_key(), text, "not base64!")
    assert not rsa.valid(public_key(), text, "")


def test_t6_white_space_does_not_count() -> None:
    vector = VECTORS["whitespace"]
    pretty = json.dumps(json.loads(VECTORS["notification"]["content"]), indent=2).encode()
    assert sign.body_hash(pretty) == vector["pretty_hash"]
    assert sign.body_hash(sign.minify(pretty)) == vector["minified_hash"]


def test_t10_the_text_is_hashed_as_it_stands() -> None:
    vector = VECTORS["non_ascii"]
    assert sign.body_hash(vector["utf8"].encode()) == vector["utf8_hash"]
    assert sign.body_hash(vector["escaped"].encode()) == vector["escaped_hash"]
    assert sign.minify(vector["escaped"].encode()) == vector["escaped"].encode()


def test_a_customer_token_is_sent_and_not_signed() -> None:
    ctx = context("2026-01-15T10:00:00+07:00", device_id="d")
    without = SIDE.ask(ctx, Call("call", READ, "/x")).headers
    named = Side(headers={"X-DEVICE-ID": "device_id"})
    headers = named.ask(ctx, Call("call", READ, "/x"), grant=Grant(access_token=Secret("customer"))).headers
    assert headers == {**without, "Authorization-Customer": "Bearer customer", "X-DEVICE-ID": "d"}
    assert without["Authorization"] == "Bearer b2b"
    assert "Authorization" not in SIDE.ask(ctx, Call("call", READ, "/x", bearer=Bearer.NONE)).headers


def test_a_path_names_credentials() -> None:
    ctx = context("2026-01-15T10:00:00+07:00", api_version="v2.0")
    assert SIDE.ask(ctx, Call("call", READ, "/{api_version}/x"), query="?day={x}").target == "/v2.0/x?day={x}"
    with pytest.raises(KeyError, match="device_id"):
        SIDE.ask(ctx, Call("call", READ, "/{device_id}/x"))


def test_one_of_two_keys_signed() -> None:
    other = generate_private_key(public_exponent=65_537, key_size=2_048).public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    signature = rsa.sign(PRIVATE_KEY, "text")
    assert rsa.valid(pem + public_key(), "text", signature)
    assert rsa.valid(public_key() + pem, "text", signature)
    assert not rsa.valid(pem, "text", signature)
    assert not rsa.valid("nothing", "text", signature)


def test_a_timestamp_is_jakarta_time() -> None:
    now = datetime(2025, 12, 31, 17, 0, 0, 123456, tzinfo=UTC)
    assert sign.timestamp(now) == "2026-01-01T00:00:00+07:00"
    assert sign.timestamp(now, milliseconds=True) == "2026-01-01T00:00:00.123+07:00"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SPACE = st.text(alphabet=" \t\r\n", max_size=3)


@given(value=JSON, ascii_only=st.booleans(), indent=st.integers(0, 4))
def test_minify_equals_the_compact_form(value: Any, ascii_only: bool, indent: int) -> None:
    pretty = json.dumps(value, indent=indent, ensure_ascii=ascii_only, separators=(" , ", "\t:\r\n")).encode()
    compact = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode()
    assert sign.minify(pretty) == compact
    assert sign.minify(compact) == compact
    assert json.loads(sign.minify(pretty)) == value


@given(text=st.text(), before=SPACE, after=SPACE)
def test_minify_keeps_strings_byte_for_byte(text: str, before: str, after: str) -> None:
    for ascii_only in (True, False):
        string = json.dumps(text, ensure_ascii=ascii_only)
        padded = f"{before}{{{after}{string}{before}:{after}{string}}}{before}".encode()
        assert sign.minify(padded) == f"{{{string}:{string}}}".encode()


@given(noise=st.binary(max_size=200))
def test_minify_takes_any_bytes_and_is_stable(noise: bytes) -> None:
    assert sign.minify(sign.minify(noise)) == sign.minify(noise)
