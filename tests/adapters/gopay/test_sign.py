"""Signatures against the vectors of docs/partners/wallets.md 8."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec
import pytest

from adapters import rsa
from adapters.gopay import PARTNER, sign
from adapters.snap import sign as snap
from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable, SignatureInvalid
from contracts.partner import Notification
from contracts.secret import Secret


def test_published_hmac_is_reproduced(vector):
    published = vector("hmac")["published"]
    assert snap.hmac_sha512(vector("hmac")["secret"], published["string_to_sign"]) == published["signature"]


@pytest.mark.parametrize("index", range(3))
def test_linking_calls_reproduce_v8_v19_v20(index, vector, ctx, finish, grant, unlink_order):
    wanted = vector("hmac")["requests"][index]
    plans = {
        "link.exchange": lambda: PARTNER.finish_link(ctx, finish),
        "link.health": lambda: PARTNER.link_health(ctx, grant),
        "unlink": lambda: PARTNER.unlink(ctx, unlink_order),
    }
    request = next(plans[wanted["operation"]]())
    assert request.operation == wanted["operation"]
    assert (request.host, request.method, request.target) == ("snap", "POST", wanted["target"])
    assert request.content == wanted["body"].encode()
    assert hashlib.sha256(request.content).hexdigest() == wanted["body_sha256"]
    assert request.headers["X-SIGNATURE"] == wanted["signature"]
    assert request.headers["X-TIMESTAMP"] == vector("hmac")["timestamp"]
    assert request.headers["Authorization"] == "Bearer b2b-token-0001"
    customer = None if wanted["operation"] == "link.exchange" else "Bearer cust-token-0001"
    assert request.headers.get("Authorization-Customer") == customer
    assert request.headers["X-EXTERNAL-ID"] == "0176729784500000100"
    assert request.headers["X-PARTNER-ID"] == "M100001"
    assert request.headers["X-DEVICE-ID"] == "prakerja-gateway"
    assert request.headers["CHANNEL-ID"] == "95221"


def test_token_request_reproduces_v10(vector, ctx):
    wanted = vector("rsa")["token"]
    request = next(PARTNER.fetch_token(ctx, "snap", None))
    assert request.target == "/v1.0/access-token/b2b"
    assert request.content == b'{"grantType":"client_credentials"}'
    assert request.headers["X-CLIENT-KEY"] == wanted["client_id"]
    assert request.headers["X-TIMESTAMP"] == wanted["timestamp"]
    assert request.headers["X-SIGNATURE"] == wanted["signature"]
    assert "Authorization" not in request.headers


def test_seamless_data_reproduces_v10(vector):
    wanted = vector("rsa")["seamless"]
    data, signature = sign.seamless(vector("rsa")["private_key_pem"], Secret(wanted["account"]))
    assert quote(data, safe="") == wanted["seamless_data"]
    assert signature == wanted["signature_base64"]


def test_seamless_data_has_the_published_shape(vector):
    """V4: its key is not copied, its form is ours."""
    published = vector("rsa")["published_seamless"]
    data, signature = sign.seamless(vector("rsa")["private_key_pem"], Secret(published["account"]))
    assert quote(data, safe="") == published["seamless_data"]
    for text in (quote(signature, safe=""), published["seamless_sign"]):
        assert quote(unquote(text), safe="") == text, "encoded exactly once, to the last character"
        assert base64.b64decode(unquote(text), validate=True)


def test_linking_page_carries_the_signed_text_once_encoded(vector, ctx, start, drive):
    step, requests = drive(PARTNER.begin_link(ctx, start))
    assert requests == []
    address = urlsplit(step.url)
    assert (address.scheme, address.netloc, address.path) == (
        "https",
        "merchants-app.sbx.midtrans.com",
        "/v1.0/get-auth-code",
    )
    raw = dict(part.split("=", 1) for part in address.query.split("&"))
    assert raw["seamlessData"] == "mobileNumber%3D6281234567890%26paymentType%3Dgopay"
    assert raw["seamlessSign"] == quote(vector("rsa")["seamless"]["signature_base64"], safe="")
    decoded = dict(parse_qsl(address.query, strict_parsing=True))
    assert decoded["redirectUrl"] == start.redirect_uri
    assert decoded["state"] == start.state
    assert decoded["merchantId"] == "303b4f89-0000-4000-8000-62a8ffaefaf3"
    assert (decoded["lang"], decoded["scopes"]) == ("id", "DEFAULT")


@pytest.mark.parametrize("change", [{"redirect_uri": "https://gw.example.test/" + "x" * 240}, {"state": "s" * 33}])
def test_linking_page_keeps_the_published_limits(change, ctx, start):
    with pytest.raises(PartnerUnavailable) as raised:
        PARTNER.begin_link(ctx, msgspec.structs.replace(start, **change))
    assert raised.value.hint is Hint.CREDENTIALS


def test_basic_headers_reproduce_v5(vector):
    for sample in vector("iris")["basic"]:
        assert sign.basic(sample["key"]) == sample["authorization"]


def test_creator_and_approver_use_their_own_keys(vector, ctx, order):
    _, creator, approver = (sample["authorization"] for sample in vector("iris")["basic"])
    used = {
        next(plan).operation: next(again).headers["Authorization"]
        for plan, again in (
            (operation(ctx, order), operation(ctx, order))
            for operation in (PARTNER.prepare, PARTNER.approve, PARTNER.withdraw, PARTNER.find_payout)
        )
    }
    assert used == {
        "payout.create": creator,
        "payout.approve": approver,
        "payout.reject": approver,
        "payout.status": creator,
    }


# --- notifications -----------------------------------------------------------------------------------------------


def test_link_notice_of_v10_is_accepted_at_its_own_path(vector, ctx):
    wanted = vector("rsa")["link_notice"]
    method, target, digest, at = wanted["string_to_sign"].split(":", 3)
    assert hashlib.sha256(wanted["body"].encode()).hexdigest() == digest
    note = Notification(
        kind="link",
        method=method,
        target=target,
        headers={"x-timestamp": at, "x-signature": wanted["signature"]},
        body=wanted["body"].encode(),
    )
    PARTNER.callbacks.verify(ctx, note)
    spaced = msgspec.structs.replace(note, body=wanted["body"].replace(",", " ,\n").replace(":", ": ").encode())
    PARTNER.callbacks.verify(ctx, spaced)
    forgeries = (
        {"target": "/callbacks/gopay" + target},
        {"method": "PUT"},
        {"body": wanted["body"].replace("ENABLED", "DISABLED").encode()},
        {"body": wanted["body"].replace("Account linked", "Accountlinked").encode()},
        {"headers": {"x-timestamp": "2026-01-02T03:04:06+07:00", "x-signature": wanted["signature"]}},
        {"headers": {"x-timestamp": at, "x-signature": "%%%"}},
        {"headers": {"x-timestamp": at, "x-signature": "ñ"}},
        {"headers": {"x-timestamp": at}},
        {"headers": {"x-signature": wanted["signature"]}},
        {"headers": {}},
    )
    for change in forgeries:
        with pytest.raises(SignatureInvalid):
            PARTNER.callbacks.verify(ctx, msgspec.structs.replace(note, **change))


@pytest.mark.parametrize(
    ("at", "valid"),
    [
        ("2026-01-02T03:04:05+07:00", True),
        ("2026-01-01T20:04:05Z", True),
        ("2026-01-01T20:04:05.250Z", True),
        ("2026-01-02T02:49:05+07:00", True),
        ("2026-01-02T02:49:04+07:00", False),
        ("2026-01-02T03:19:05+07:00", True),
        ("2026-01-02T03:19:06+07:00", False),
        ("2026-01-02T03:04:05", False),
        ("now", False),
    ],
)
def test_link_notice_must_be_recent(at, valid, vector, ctx, notice):
    body = vector("rsa")["link_notice"]["body"].encode()
    target = "/callbacks/gopay/v1.0/registration-account/notify"
    text = f"POST:{target}:{hashlib.sha256(body).hexdigest()}:{at}"
    note = notice("link", body, x_timestamp=at, x_signature=rsa.sign(vector("rsa")["private_key_pem"], text))
    if valid:
        PARTNER.callbacks.verify(ctx, note)
    else:
        with pytest.raises(SignatureInvalid):
            PARTNER.callbacks.verify(ctx, note)


@pytest.mark.parametrize("index", range(2))
def test_iris_notices_reproduce_v7_over_raw_bytes(index, vector, ctx, notice):
    sample = vector("iris")["notices"][index]
    body = sample["body"].encode()
    PARTNER.callbacks.verify(ctx, notice("payout", body, iris_signature=sample["signature"]))
    for forged, signature in (
        (body.replace(b",", b", "), sample["signature"]),
        (body.replace(b"10000.00", b"90000.00"), sample["signature"]),
        (body, sample["signature"][:-1] + "0"),
        (body, ""),
        (body, "ñ"),
        (body, hashlib.sha512(body).hexdigest()),
    ):
        with pytest.raises(SignatureInvalid):
            PARTNER.callbacks.verify(ctx, notice("payout", forged, iris_signature=signature))
    with pytest.raises(SignatureInvalid):
        PARTNER.callbacks.verify(ctx, notice("payout", body))


def test_identity_notice_must_name_a_token(ctx, notice):
    body = {"submissionId": "s-1", "partnerSessionId": "p-1", "status": "COMPLETED", "result": "VALID"}
    PARTNER.callbacks.verify(ctx, notice("identity", body, authorization="cust-token-0001"))
    for headers in ({}, {"authorization": ""}, {"authorization": "Bearer "}, {"authorization": "x" * 8193}):
        with pytest.raises(SignatureInvalid):
            PARTNER.callbacks.verify(ctx, notice("identity", body, **headers))


def test_unknown_kind_is_refused(ctx, notice):
    note = msgspec.structs.replace(notice("payout", {}, authorization="cust-token-0001"), kind="other")
    with pytest.raises(SignatureInvalid):
        PARTNER.callbacks.verify(ctx, note)


def test_two_keys_of_midtrans_are_good_while_it_changes_over(ctx, notice):
    def with_(**credentials):
        return msgspec.structs.replace(ctx, credentials={**ctx.credentials, **credentials})

    def signed(key, body=b'{"reference_no":"1d4f8423393005","status":"processed"}'):
        made = notice("payout", {})
        headers = {"iris-signature": hashlib.sha512(body + key).hexdigest()}
        return msgspec.structs.replace(made, body=body, headers=headers)

    both = with_(iris_merchant_key=Secret("old-key, new-key,"))
    for key in (b"old-key", b"new-key"):
        PARTNER.callbacks.verify(both, signed(key))
    for key in (b"", b"old-key, new-key,", b"older-key"):
        with pytest.raises(SignatureInvalid):
            PARTNER.callbacks.verify(both, signed(key))


def test_hexadecimal_has_no_case(ctx, notice):
    body = b'{"reference_no":"a","status":"completed"}'
    signature = hashlib.sha512(body + ctx.credential("iris_merchant_key").encode()).hexdigest()
    PARTNER.callbacks.verify(ctx, notice("payout", body, iris_signature=f" {signature.upper()}"))


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        *((word, True) for word in ("Bearer token-1", "token-1", "bearer  token-1", "x" * 8192)),
        *((word, False) for word in ("", "Bearer", "Bearer ", "Bearer null", "two words", "é", "x" * 8193)),
    ],
)
def test_a_kyc_notice_is_a_hint_about_a_token_that_can_be_one(header, taken, ctx):
    """Nobody signs it: what stands in its header is all that is looked for."""
    note = Notification(
        kind="identity", method="POST", target="/", headers={"authorization": header}, body=b'{"status":"COMPLETED"}'
    )
    if taken:
        PARTNER.callbacks.verify(ctx, note)
        assert PARTNER.callbacks.read(note).access_token == Secret(header.split()[-1])
        return
    with pytest.raises(SignatureInvalid):
        PARTNER.callbacks.verify(ctx, note)
    with pytest.raises(PartnerProtocolError):
        PARTNER.callbacks.read(note)
