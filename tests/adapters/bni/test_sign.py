"""BNI's requests to the byte: hosts, tokens, headers, signatures."""

from __future__ import annotations

from datetime import datetime

import pytest

from adapters import rsa
from adapters.bni import PARTNER, sign
from adapters.snap import sign as snap
from adapters.snap.calls import Call, Side
from contracts.plan import Effect
from contracts.secret import Secret
from tests.adapters.bni import samples


def test_t2_the_transfer_is_the_sheets_vector() -> None:
    vector = samples.VECTORS["symmetric"][0]
    at = datetime.fromisoformat("2022-04-26T17:07:36+07:00")
    ctx = samples.context(
        now=at,
        credentials=samples.secrets({**samples.CREDENTIALS, "api_secret": vector["secret"]}),
        tokens=samples.secrets({"snap": "test-token"}),
    )
    order = samples.order(reference="20220426170737356898", amount_rupiah=55_000, created_at=at)
    plan = PARTNER.payout(ctx, order)
    next(plan)
    request = plan.send(samples.reply("2001500", samples.INQUIRED))
    assert request.content == vector["content"].encode()
    assert snap.body_hash(request.content) == vector["body_hash"]
    assert request.target == "/snap-service/v1/transfer-intrabank"
    assert request.headers["X-SIGNATURE"] == vector["signature"]
    assert request.headers["X-TIMESTAMP"] == "2022-04-26T17:07:36+07:00"


@pytest.mark.parametrize(
    ("name", "target", "client"),
    [
        ("snap", "/snap/v1/access-token/b2b", "snap-client"),
        ("autopay", "/api/v1.0/access-token/b2b", "autopay-client"),
    ],
)
def test_a_token_request_is_signed_with_the_private_key(name: str, target: str, client: str) -> None:
    request = next(PARTNER.fetch_token(samples.context(tokens={}), name, None))
    assert (request.operation, request.host, request.target) == (f"token.{name}", name, target)
    assert request.effect is Effect.READ
    assert request.content == b'{"grantType":"client_credentials","additionalInfo":{}}'
    text = f"{client}|2026-01-15T10:00:00+07:00"
    assert request.headers["X-CLIENT-KEY"] == client
    assert request.headers["X-SIGNATURE"] == rsa.sign(samples.VECTORS["private_key_pem"], text)


@pytest.mark.parametrize(
    ("side", "secret", "partner", "token"),
    [
        (sign.SNAP, "snap-secret", "snap-partner", "snap-token"),
        (sign.AUTOPAY, "autopay-secret", "autopay-merchant", "autopay-token"),
    ],
)
def test_each_host_has_its_own_keys(side: Side, secret: str, partner: str, token: str) -> None:
    request = side.ask(samples.context(), Call("x", Effect.READ, "/x", "00"), {}, n=3)
    text = snap.string_to_sign("POST", "/x", token, b"{}", "2026-01-15T10:00:00+07:00")
    assert request.host == side.host
    assert dict(request.headers) == {
        "Content-Type": "application/json",
        "X-TIMESTAMP": "2026-01-15T10:00:00+07:00",
        "X-SIGNATURE": snap.hmac_sha512(secret, text),
        "X-PARTNER-ID": partner,
        "X-EXTERNAL-ID": "2601151000000004203",
        "CHANNEL-ID": "95221",
        "Authorization": f"Bearer {token}",
    }


def test_attempts_of_one_payout_differ_only_in_headers() -> None:
    def transfer(**changes: object) -> tuple[bytes, bytes | None, dict[str, str]]:
        plan = PARTNER.payout(samples.context(**changes), samples.order())
        next(plan)
        request = plan.send(samples.reply("2001500", samples.INQUIRED))
        return request.content, request.frozen, dict(request.headers)

    first = transfer()
    assert transfer() == first, "the same context gives the same bytes"
    later = transfer(
        now=datetime.fromisoformat("2026-01-15T12:00:00+07:00"),
        serial="26011512000000001",
        tokens=samples.secrets({"snap": "another"}),
    )
    assert later[:2] == first[:2]
    differing = {name for name in first[2] if first[2][name] != later[2][name]}
    assert differing == {"X-TIMESTAMP", "X-SIGNATURE", "X-EXTERNAL-ID", "Authorization"}


def test_the_frozen_body_is_the_whole_transfer() -> None:
    plan = PARTNER.payout(samples.context(), samples.order())
    next(plan)
    request = plan.send(samples.reply("2001500", samples.INQUIRED))
    frozen = PARTNER.frozen_body(samples.context(), samples.order())
    assert request.frozen is None and request.content == frozen
    assert PARTNER.frozen_body(samples.context(), samples.order(amount_rupiah=600_001)) != frozen
    assert PARTNER.frozen_body(samples.context(), samples.order(account=Secret("0115476152"))) != frozen
