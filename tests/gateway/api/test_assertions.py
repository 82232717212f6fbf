"""`private_key_jwt`: a client's own signature opens once, for this gateway and for minutes; nothing else does."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, RSAKey

from contracts.errors import InvalidRequest, NotFound
from gateway.core import Core
from gateway.security.assertions import TYPE, AssertionRefused, issuer_of, proved, public_keys
from gateway.security.clients import register, rotate, set_keys
from tests.gateway.api.kit import Api

NOW = datetime(2026, 1, 5, tzinfo=UTC)
OURS = "https://pay.test"
TOKENS = f"{OURS}/oauth/token"
EC = ECKey.generate_key("P-256", {"kid": "ec"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
STRANGER = ECKey.generate_key("P-256", {"kid": "ec"})
KEYS = public_keys(json.dumps({"keys": [key.as_dict(private=False) for key in (EC, RSA)]}))
PEM = RSA.as_pem(private=False)


def signed(key: Key, alg: str, now: datetime = NOW, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A statement of client `c`; a claim changed to None is left out."""
    claims = {"iss": "c", "sub": "c", "aud": OURS, "exp": now.timestamp() + 60, "jti": "1"} | changes
    head = {"alg": alg, "kid": key.kid} | (header or {})
    return jwt.encode(
        {name: value for name, value in head.items() if value is not None},
        {name: value for name, value in claims.items() if value is not None},
        key,
        algorithms=[alg],
    )


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(("key", "alg"), [(EC, "ES256"), (RSA, "PS256")])
@pytest.mark.parametrize("aud", [OURS, [OURS], [TOKENS], [OURS, TOKENS]])
def test_the_clients_own_signature_proves_it(key: Key, alg: str, aud: object) -> None:
    assertion = signed(key, alg, aud=aud, iat=NOW.timestamp() + 10, nbf=NOW.timestamp())
    assert issuer_of(assertion) == "c"
    assert proved(assertion, KEYS, "c", {OURS, TOKENS}, NOW).jti == "1"


def under_a_secret(secret: bytes) -> str:
    """A statement under HS256, as who mistakes one kind of key for another would take it."""
    text = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{BODY}"
    code = hmac.digest(secret, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(code).decode().rstrip('=')}"


GOOD = signed(EC, "ES256")
HEAD, BODY, SIGNATURE = GOOD.split(".")
REFUSED = {
    "another key": signed(STRANGER, "ES256"),
    "no signature": f"{part({'alg': 'none', 'kid': 'ec'})}.{BODY}.",
    "the public key as a secret": under_a_secret(PEM),
    "an algorithm of old": signed(RSA, "RS256"),
    "a signature of another statement": f"{HEAD}.{part({'iss': 'c', 'sub': 'c'})}.{SIGNATURE}",
    "no key named": signed(EC, "ES256", header={"kid": None}),
    "a key of another kind named": signed(EC, "ES256", header={"kid": "rsa"}),
    "a key brought along": signed(STRANGER, "ES256", header={"kid": "own", "jwk": STRANGER.as_dict(private=False)}),
    "an unknown rule to keep": f"{part({'alg': 'ES256', 'kid': 'ec', 'crit': ['x'], 'x': 1})}.{BODY}.{SIGNATURE}",
    "of somebody else": signed(EC, "ES256", iss="d"),
    "about somebody else": signed(EC, "ES256", sub="d"),
    "for somebody else": signed(EC, "ES256", aud="https://other.test"),
    "for us and somebody else": signed(EC, "ES256", aud=[OURS, "https://other.test"]),
    "for nobody": signed(EC, "ES256", aud=[]),
    "expired": signed(EC, "ES256", exp=NOW.timestamp()),
    "good for hours": signed(EC, "ES256", exp=NOW.timestamp() + 3_600),
    "good for ever": signed(EC, "ES256", exp=None),
    "without a number of its own": signed(EC, "ES256", jti=None),
    "with an empty one": signed(EC, "ES256", jti=""),
    "with an endless one": signed(EC, "ES256", jti="x" * 129),
    "from the future": signed(EC, "ES256", iat=NOW.timestamp() + 40),
    "not yet": signed(EC, "ES256", nbf=NOW.timestamp() + 40),
    "with a text for a time": signed(EC, "ES256", nbf="soon"),
    "nothing": "",
    "two parts": f"{HEAD}.{BODY}",
    "without a bottom": jws.serialize_compact({"alg": "ES256", "kid": "ec"}, b'{"iss":' + b"[" * 1_200, EC),
}


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_else_does(what: str) -> None:
    with pytest.raises(AssertionRefused):
        proved(REFUSED[what], KEYS, "c", {OURS}, NOW)
    assert issuer_of(REFUSED[what]) in ("", "c", "d")


@given(st.text(max_size=60) | st.lists(st.binary(max_size=40), max_size=4).map(
    lambda parts: ".".join(base64.urlsafe_b64encode(one).decode() for one in parts)
))  # fmt: skip
def test_noise_is_refused(text: str) -> None:
    assert issuer_of(text) == ""
    with pytest.raises(AssertionRefused):
        proved(text, KEYS, "c", {OURS}, NOW)


SETS = {
    "a private key": {"keys": [EC.as_dict(private=True)]},
    "a shared key": {"keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}]},
    "a short key": {"keys": [{"kty": "RSA", "kid": "a", "e": "AQAB", "n": "v" * 171}]},
    "another curve": {"keys": [ECKey.generate_key("P-384", {"kid": "a"}).as_dict(private=False)]},
    "no name": {"keys": [ECKey.generate_key("P-256").as_dict(private=False) | {"kid": None}]},
    "one name twice": {"keys": [key.as_dict(private=False) for key in (EC, STRANGER)]},
    "none": {"keys": []},
    "no set": [],
    "numbers": {"keys": [1]},
    "no point": {"keys": [{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "a"}]},
}


@pytest.mark.parametrize("what", SETS)
def test_only_good_public_keys_are_kept(what: str) -> None:
    with pytest.raises(InvalidRequest):
        public_keys(json.dumps(SETS[what]))
    with pytest.raises(InvalidRequest):
        public_keys("no json")


async def test_a_client_with_keys_gets_a_token_once_for_each_statement_and_none_for_its_secret(
    api: Api, core: Core
) -> None:
    database, now = core.resources.database, core.resources.clock.now()
    made = await register(database, now, name="c", scopes=["read"])
    other = await register(database, now, name="d", scopes=["read"])
    await set_keys(database, now, "c", KEYS)
    with pytest.raises(NotFound):
        await rotate(database, now, "c", at_once=False)
    public = core.resources.settings.public_url
    grant = {"grant_type": "client_credentials", "client_assertion_type": TYPE}

    async def ask(assertion: str, path: str = "/oauth/token", auth: Any = None, **form: str) -> tuple[int, Any]:
        data = grant | {"client_assertion": assertion} | form
        reply = await api.http.post(path, data=data, auth=auth)
        return reply.status_code, reply.json()

    first = signed(EC, "ES256", now, aud=public, jti="a")
    status, token = await ask(first)
    assert (status, token["scope"]) == (200, "read")
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert (await api.http.get("/v1/funnel", headers=bearer)).status_code == 200
    assert (await ask(first))[0] == 401, "used"
    assert (await ask(signed(RSA, "PS256", now, aud=f"{public}/oauth/token", jti="b"), client_id="c"))[0] == 200
    assert (await ask(signed(EC, "ES256", now, aud=public, jti="c"), client_id="d"))[0] == 401, "another's name"
    assert (await ask(signed(EC, "ES256", now, aud=public, jti="d", iss="d", sub="d")))[0] == 401, "has no keys"
    assert (await ask(signed(EC, "ES256", now, aud=f"{public}/oauth/revoke", jti="e")))[0] == 401, "not for here"
    status, body = await ask(signed(EC, "ES256", now, aud=public, jti="f"), auth=(other.client_id, other.secret))
    assert (status, body["error"]) == (400, "invalid_request"), "two ways at once"
    plain = {"grant_type": "client_credentials"}
    assert (await api.http.post("/oauth/token", data=plain, auth=("c", made.secret))).status_code == 401
    revoking = signed(EC, "ES256", now, aud=f"{public}/oauth/revoke", jti="g")
    assert (await ask(revoking, "/oauth/revoke", token=token["access_token"]))[0] == 200
    core.clients.forget()
    assert (await api.http.get("/v1/funnel", headers=bearer)).status_code == 401
    kept = await api.fetch("SELECT count(*) FROM client_assertions")
    assert kept[0][0] == 3, "one for each that was taken"
