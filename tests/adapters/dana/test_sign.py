"""DANA's three signatures against vectors that OpenSSL made, by adapter and mock alike (decisions D2, D4, D7)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from adapters import rsa
from adapters.dana import PARTNER, sign
from contracts.linking import LinkRedirect, LinkStart
from contracts.partner import Context
from contracts.secret import Secret
from mock_partners.dana.credentials import snap_client
from tests.adapters.dana.conftest import VECTORS
from tests.adapters.story import NAME, PEM, PHONE, REFERENCE

TEXTS = {name: one.get("text") or one["string_to_sign"] for name, one in VECTORS.items() if isinstance(one, dict)}


@pytest.mark.parametrize("name", TEXTS)
def test_every_vector_is_made_by_the_adapter_and_taken_by_the_mock(name: str) -> None:
    assert rsa.sign(PEM, TEXTS[name]) == VECTORS[name]["signature"]
    assert snap_client().signed(TEXTS[name].encode(), VECTORS[name]["signature"])
    assert not snap_client().signed(TEXTS[name].encode() + b" ", VECTORS[name]["signature"])


def test_a_call_is_signed_without_a_token(ctx: Context) -> None:
    call = VECTORS["call"]
    request = sign.DANA.ask(ctx, sign.TOPUP, json.loads(call["body"]))
    assert request.content.decode() == call["body"]
    assert (request.headers["X-TIMESTAMP"], request.headers["X-SIGNATURE"]) == (call["timestamp"], call["signature"])
    assert "Authorization" not in request.headers


def test_the_page_s_data_is_signed_before_it_is_encoded(ctx: Context) -> None:
    start = LinkStart(
        link_id="L00000000000000001", reference=REFERENCE, account=PHONE, phone=PHONE, name=NAME, state="s" * 32,
        redirect_uri="https://gateway.example/callbacks/dana/link?st=s&x=1",
    )  # fmt: skip
    with pytest.raises(StopIteration) as stopped:
        next(PARTNER.begin_link(ctx, start))
    step: Any = stopped.value.value
    assert isinstance(step, LinkRedirect)
    told = dict(parse_qsl(urlsplit(step.url).query, strict_parsing=True))
    assert (told["seamlessData"], told["seamlessSign"]) == tuple(VECTORS["seamless"].values())
    assert (told["redirectUrl"], told["state"]) == (start.redirect_uri, start.state)


def test_a_query_signs_the_text_that_is_sent(ctx: Context) -> None:
    request = sign.profile(ctx, sign.HEALTH, Secret("token-1"), ["LOGIN_ID"])
    sent = msgspec.json.decode(request.content, type=dict[str, msgspec.Raw])
    text = bytes(sent["request"]).decode()
    assert rsa.valid(ctx.credential("dana_public_key_pem"), text, json.loads(bytes(sent["signature"])))
