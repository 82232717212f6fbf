"""Clients that nobody here wrote are admitted however they write, and one changed byte is refused (snap-bni.md 6.1)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.mock_partners.signers import CLIENTS, ENDPOINTS, STYLES, Signer, Style
from tests.mock_partners.wire import PACKAGES, Sent, start
from tests.partners.kit import Endpoint

UNKNOWN_TOKEN = {partner: client.UNKNOWN_TOKEN for partner, client in CLIENTS.items()}
"""The case of 401 for a bearer that nobody issued."""
TOKENS = [
    (partner, name)
    for partner, client in CLIENTS.items()
    for name in client.PRODUCTS
    if client.PRODUCTS[name].token_path
]
"""The products that give out a token of ours."""
PRINTABLE = [chr(number) for number in range(0x21, 0x7F)]


class Stage:
    """One mock with its clients' tokens; shared by examples, since refused calls leave nothing behind."""

    def __init__(self, partner: str) -> None:
        self.mock = start(partner)
        self.signers = {product: Signer(self.mock, product) for product in CLIENTS[partner].PRODUCTS}
        for signer in self.signers.values():
            asyncio.run(signer.authenticate())
        self.customer = self.mock.customer_token()

    def sign(self, endpoint: Endpoint, style: Style = STYLES[0], **bytes_: bytes) -> Sent:
        bearer = {"b2b": None, "": "", "customer": self.customer}[endpoint.bearer]
        customer = self.customer if endpoint.customer else ""
        return self.signers[endpoint.product].sign(endpoint, style, bearer=bearer, customer=customer, **bytes_)

    def code(self, sent: Sent) -> str:
        return asyncio.run(self.mock.send(sent)).code


@cache
def stage(partner: str) -> Stage:
    return Stage(partner)


def own(code: str, endpoint: Endpoint) -> bool:
    """Whether an answer is the operation's own and not the gate's."""
    return code[3:5] == endpoint.service and code[:3] not in ("401", "409") and code[5:] != "00" or code[:1] == "2"


def test_every_mock_has_a_client_here() -> None:
    """Of a partner more: `PRODUCTS` and `ENDPOINTS` in its `tests/partners/<partner>/client.py`, or, of one that is not
    SNAP, its calls in `EXTRA` alone.
    """
    assert CLIENTS.keys() == PACKAGES.keys()
    assert [slug for slug, client in CLIENTS.items() if not (client.ENDPOINTS or client.EXTRA)] == []


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.id)
@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_every_style_is_admitted_everywhere(style: Style, endpoint: Endpoint) -> None:
    fresh = Stage(endpoint.partner)
    asyncio.run(fresh.signers[endpoint.product].authenticate(style))
    code = fresh.code(fresh.sign(endpoint, style))
    assert own(code, endpoint), code


@given(
    endpoint=st.sampled_from(ENDPOINTS),
    style=st.sampled_from(STYLES),
    place=st.sampled_from(["signature", "timestamp", "partner", "token", "customer", "body", "path", "query"]),
    where=st.integers(0, 10_000),
    other=st.sampled_from(PRINTABLE),
)
def test_one_changed_byte_is_refused_with_the_documented_code(
    endpoint: Endpoint, style: Style, place: str, where: int, other: str
) -> None:
    at = stage(endpoint.partner)
    sent = at.sign(endpoint, style)
    changed, expected = changed_at(sent, endpoint, place, where, other)
    if changed == sent:
        return
    got = asyncio.run(at.mock.send(changed))
    if place == "path":
        assert got.status == 404
    else:
        assert got.code == f"{expected[:3]}{endpoint.service}{expected[3:]}"


def changed_at(sent: Sent, endpoint: Endpoint, place: str, where: int, other: str) -> tuple[Sent, str]:
    """The request with one byte changed in a signed place, and status and case of the refusal."""

    def flip(text: str, after: int = 0) -> str:
        if len(text) <= after:
            return text
        position = after + where % (len(text) - after)
        return text[:position] + other + text[position + 1 :]

    def header(name: str, after: int = 0) -> Sent:
        return sent.with_header(name, flip(sent.headers[name], after)) if name in sent.headers else sent

    match place:
        case "signature":
            return header("x-signature"), "40100"
        case "timestamp":
            return header("x-timestamp"), "40100"
        case "partner":
            return header("x-partner-id"), "40100"
        case "token":
            return header("authorization", len("Bearer ")), "401" + UNKNOWN_TOKEN[endpoint.partner]
        case "customer":
            return header("authorization-customer", len("Bearer ")), "40102"
        case "body":
            return replace(sent, body=flip(sent.body.decode("latin-1")).encode("latin-1")), "40100"
        case "path":
            return replace(sent, path=flip(sent.path, 1)), "404"
        case _:
            return replace(sent, query=flip(sent.query)), "40100"


@given(
    product=st.sampled_from(TOKENS),
    name=st.sampled_from(["x-signature", "x-timestamp", "x-client-key"]),
    style=st.sampled_from(STYLES),
    where=st.integers(0, 10_000),
    other=st.sampled_from(PRINTABLE),
)
@example(product=("ovo", "snap"), name="x-signature", style=STYLES[0], where=341, other="R")
def test_one_changed_byte_of_a_token_call_is_refused(
    product: tuple[str, str], name: str, style: Style, where: int, other: str
) -> None:
    at = stage(product[0])
    sent = at.signers[product[1]].token_call(style=style)
    value = sent.headers[name]
    position = where % len(value)
    changed = value[:position] + other + value[position + 1 :]
    if changed != value:
        assert at.code(sent.with_header(name, changed)) == "4017300"


@given(
    where=st.integers(0, 10_000),
    other=st.sampled_from(PRINTABLE),
    partner=st.sampled_from(sorted({partner for partner, _ in TOKENS})),
)
def test_one_changed_byte_of_a_token_calls_body_is_a_bad_request(where: int, other: str, partner: str) -> None:
    """The body of a token call is not signed; what it says is looked at all the same."""
    at = stage(partner)
    sent = at.signers["snap"].token_call()
    position = where % len(sent.body)
    body = sent.body[:position] + other.encode() + sent.body[position + 1 :]
    if body != sent.body:
        assert at.code(replace(sent, body=body)) in ("4007300", "4007301", "4007302")


@pytest.mark.parametrize("partner", sorted({partner for partner, _ in TOKENS}))
def test_the_other_spellings_of_a_base64_signature_are_refused(partner: str) -> None:
    """The last letter of 256 bytes in base64 has bits that say nothing: a lenient decoder would take four spellings."""
    at = Stage(partner)
    sent = at.signers["snap"].token_call()
    value = sent.headers["x-signature"]
    assert value.endswith("==")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twins = [value[:-3] + alphabet[alphabet.index(value[-3]) + more] + "==" for more in (1, 2, 3)]
    codes = [at.code(sent.with_header("x-signature", twin)) for twin in twins]
    assert [(code[:3], code[5:]) for code in (*codes, at.code(sent))] == [("401", "00")] * 3 + [("200", "00")]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.id)
def test_headers_that_snap_does_not_sign_may_change(endpoint: Endpoint) -> None:
    """The string to sign holds no X-EXTERNAL-ID, CHANNEL-ID or X-DEVICE-ID (snap-bni.md 1.7)."""
    fresh = Stage(endpoint.partner)
    sent = fresh.sign(endpoint)
    for name, value in (("x-external-id", "7" * 18), ("channel-id", "95222"), ("x-device-id", "device-2")):
        sent = sent.with_header(name, value)
    assert own(fresh.code(sent), endpoint)


@pytest.mark.parametrize("scheme", ["bearer ", "BEARER  ", ""], ids=["lower case", "upper case", "no scheme"])
@pytest.mark.parametrize(
    "endpoint", [one for one in ENDPOINTS if one.customer or one.bearer == "b2b"][::3], ids=lambda one: one.id
)
def test_how_a_token_is_introduced(endpoint: Endpoint, scheme: str) -> None:
    """An authentication scheme has no case (RFC 9110, 11.1); only the customer's token may come without (X9)."""
    fresh = Stage(endpoint.partner)
    sent = fresh.sign(endpoint)
    if scheme and "authorization" in sent.headers:
        sent = sent.with_header("authorization", scheme + sent.headers["authorization"].removeprefix("Bearer "))
    if endpoint.customer:
        given = sent.headers["authorization-customer"].removeprefix("Bearer ")
        sent = sent.with_header("authorization-customer", scheme + given)
    if endpoint.method == "POST":
        sent = sent.with_header("content-type", "Application/JSON;charset=UTF-8")
    assert own(fresh.code(sent), endpoint)


@pytest.mark.parametrize("hashed", [b"null", b""], ids=["signed as null", "signed as no body"])
@pytest.mark.parametrize(
    "endpoint", [one for one in ENDPOINTS if one.bearer == "customer" or (one.customer and one.bearer)],
    ids=lambda one: one.id,
)  # fmt: skip
def test_a_body_that_is_null_is_no_body(endpoint: Endpoint, hashed: bytes) -> None:
    """JavaScript sends `null` where there is nothing to say; only calls that can do without fields take it."""
    fresh = Stage(endpoint.partner)
    code = fresh.code(fresh.sign(endpoint, sent=b"null", hashed=hashed))
    wanted = f"400{endpoint.service}02" if endpoint.needs_fields else f"200{endpoint.service}00"
    assert code == wanted, "`needs_fields` of its Endpoint in client.py says whether it is refused without a body"


def test_null_is_a_bad_request_at_bni() -> None:
    fresh = Stage("bni")
    assert fresh.code(fresh.sign(CLIENTS["bni"].ENDPOINTS[0], sent=b"null", hashed=b"null")) == "4001100"


@pytest.mark.parametrize("body", [b"{}", b"{ }", b'{\n "a": "\xc3\xa9 b"\n}'])
@pytest.mark.parametrize("endpoint", [one for one in ENDPOINTS if one.method == "GET"], ids=lambda one: one.id)
def test_a_get_with_a_body_signs_the_body(endpoint: Endpoint, body: bytes) -> None:
    fresh = Stage(endpoint.partner)
    minified = b'{"a":"\xc3\xa9 b"}' if b"a" in body else b"{}"
    assert fresh.code(fresh.sign(endpoint, sent=body, hashed=minified)) == f"200{endpoint.service}00"
    assert fresh.code(fresh.sign(endpoint, sent=body, hashed=b"")) == f"401{endpoint.service}00"
