"""DPoP: a token that was asked for with a key's proof is good beside fresh proofs of that key, for one request each,
and in no other way.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, OctKey, RSAKey

from gateway.core import Core
from gateway.security.clients import register
from gateway.security.dpop import ProofRefused, proved
from tests.gateway.api.kit import Api

NOW = datetime(2026, 1, 5, tzinfo=UTC)
URL = "https://pay.test/v1/funnel"
TOKEN = "a-token"
EC, OTHER, RSA = ECKey.generate_key("P-256"), ECKey.generate_key("P-256"), RSAKey.generate_key(2048)
_numbers = itertools.count(1)


def hash_of(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")


def proof(
    key: Key = EC, alg: str = "ES256", now: datetime = NOW, head: dict[str, Any] | None = None, **changes: Any
) -> str:
    """Of GET /v1/funnel with the token; a claim changed to None is left out."""
    claims = {"jti": f"j{next(_numbers)}", "htm": "GET", "htu": URL, "iat": now.timestamp(), "ath": hash_of(TOKEN)}
    public = key.as_dict(private=False) if not isinstance(key, OctKey) else key.as_dict()
    return jwt.encode(
        {"typ": "dpop+jwt", "alg": alg, "jwk": public} | (head or {}),
        {name: value for name, value in (claims | changes).items() if value is not None},
        key,
        algorithms=[alg],
    )


@pytest.mark.parametrize(("key", "alg"), [(EC, "ES256"), (RSA, "PS256")])
def test_a_proof_of_this_request_holds(key: Key, alg: str) -> None:
    assert proved(proof(key, alg), "GET", URL, NOW, TOKEN).thumbprint == key.thumbprint()
    assert proved(proof(key, alg, htu=f"{URL}?limit=1#x"), "GET", URL, NOW, TOKEN)
    assert proved(proof(key, alg, ath=None), "GET", URL, NOW)
    assert proved(proof(key, alg, htu=f"{URL}/P%3A1"), "GET", f"{URL}/P:1", NOW, TOKEN), "as it may stand in an address"


REFUSED = {
    "another method": proof(htm="POST"),
    "another address": proof(htu="https://pay.test/v1/payouts"),
    "another host": proof(htu="https://evil.test/v1/funnel"),
    "a longer address": proof(htu=f"{URL}/x"),
    "another token": proof(ath=hash_of("another")),
    "no token": proof(ath=None),
    "old": proof(iat=NOW.timestamp() - 61),
    "of the future": proof(iat=NOW.timestamp() + 31),
    "without an end": proof(iat="now"),
    "no time that is one": proof(iat=1e300),
    "no number": proof(jti=None),
    "an empty number": proof(jti=""),
    "a number without end": proof(jti="j" * 129),
    "another kind": proof(head={"typ": "JWT"}),
    "an algorithm of old": proof(RSA, "RS256"),
    "somebody else's key": proof(EC, head={"jwk": OTHER.as_dict(private=False)}),
    "a private key": proof(EC, head={"jwk": EC.as_dict(private=True)}),
    "a weak curve": proof(head={"jwk": ECKey.generate_key("P-384").as_dict(private=False)}),
    "a shared key": proof(OctKey.generate_key(256), "HS256"),
    "no key": proof(head={"jwk": {}}),
    "unsigned": proof().rpartition(".")[0] + ".",
    "cut": proof()[:-4],
    "nothing": "",
    "no proof": "a.b.c",
    "too long": proof(padding="x" * 9_000),
    "a head without a bottom": f"{base64.urlsafe_b64encode(b'[' * 5_100).decode()}.e30.x",
    "claims without a bottom": jws.serialize_compact(
        {"typ": "dpop+jwt", "alg": "ES256", "jwk": EC.as_dict(private=False)}, b'{"x":' + b"[" * 1_200, EC
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_no_other_proof_holds(why: str) -> None:
    with pytest.raises(ProofRefused):
        proved(REFUSED[why], "GET", URL, NOW, TOKEN)


async def test_a_stolen_token_is_worth_nothing(api: Api, core: Core) -> None:
    clock, public = core.resources.clock, core.resources.settings.public_url
    made = await register(core.resources.database, clock.now(), name="bound", scopes=["read"])
    at, funnel = f"{public}/oauth/token", f"{public}/v1/funnel"

    async def asked(*proofs: str) -> httpx.Response:
        return await api.http.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=httpx.BasicAuth(made.client_id, made.secret),
            headers=[("DPoP", one) for one in proofs],
        )

    def fresh(key: Key = EC, **changes: Any) -> str:
        return proof(key, now=clock.now(), **changes)

    first = fresh(htm="POST", htu=at, ath=None)
    reply = await asked(first)
    assert reply.status_code == 200 and reply.json()["token_type"] == "DPoP", reply.text
    token = reply.json()["access_token"]
    for proofs in (
        (first,),
        (fresh(htu=at, ath=None),),
        ("x",),
        (fresh(htm="POST", htu=at), fresh(htm="POST", htu=at)),
    ):
        again = await asked(*proofs)
        assert again.status_code == 400, "a proof twice, of another request, none, two"
        assert again.json()["error"] in ("invalid_dpop_proof", "invalid_request")

    async def call(kind: str, bare: str, *proofs: str) -> int:
        headers = [("Authorization", f"{kind} {bare}"), *(("DPoP", one) for one in proofs)]
        return (await api.http.get("/v1/funnel", headers=headers)).status_code

    mine = {"htu": funnel, "ath": hash_of(token)}
    good = fresh(**mine)
    assert await call("DPoP", token, good) == 200
    assert await call("dpop", token, fresh(**mine)) == 200
    for htm, status in (("HEAD", 200), ("GET", 401)):
        headers = {"Authorization": f"DPoP {token}", "DPoP": fresh(**mine, htm=htm)}
        assert (await api.http.head("/v1/funnel", headers=headers)).status_code == status, htm
    refused = [
        await call("Bearer", token),
        await call("Bearer", token, fresh(**mine)),
        await call("DPoP", token),
        await call("DPoP", token, good),
        await call("DPoP", token, fresh(OTHER, **mine)),
        await call("DPoP", token, fresh(htu=funnel, ath=hash_of("other"))),
        await call("DPoP", token, fresh(htu=at, ath=hash_of(token))),
    ]
    assert refused == [401] * 7
    two = await call("DPoP", token, fresh(**mine), fresh(**mine))
    assert two in (400, 401)
    bare = api.tokens["reader"]
    assert await call("DPoP", bare, fresh(htu=funnel, ath=hash_of(bare))) == 401, "what is bound to no key"
    assert await call("Bearer", bare) == 200
    noted = await api.fetch("SELECT count(*) AS n FROM audit_log WHERE action = 'token.unproved' AND actor = 'bound'")
    assert noted[0]["n"] >= 7
    reply = await api.http.get("/v1/funnel", headers={"Authorization": f"Bearer {token}"})
    assert reply.headers["WWW-Authenticate"].startswith('DPoP error="invalid_token", algs="ES256 PS256"')
