"""Every operation of every partner on fixed contexts, each plan fed with answers that lead it to its last request."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from contracts.errors import NotSupported, PartnerError
from contracts.identity import IdentityQuery
from contracts.linking import Grant, LinkAnswer, LinkFinish, LinkRedirect, LinkStart, UnlinkOrder
from contracts.nik import Nik
from contracts.partner import AccessToken, Context, Partner
from contracts.payout import PayoutOrder
from contracts.plan import Effect, Plan, Request, Response
from contracts.secret import Secret
from tests.partners import each

PEM: str = json.loads((Path(__file__).parents[1] / "vectors" / "ovo" / "rsa.json").read_text())["private_key_pem"]
"""The throw-away RSA key of the vectors; it protects nothing."""
REFERENCE = "2001234567890123456"
NAME = Secret("SITI NUR AÏSYAH")
PHONE = Secret("+6281234567890")
BANK_ACCOUNT = Secret("0115476151")
NIK = Nik("3374141308759921")  # synthetic: serial 99xx
DAY = date(2026, 3, 1)
TIMES = (
    datetime(2026, 1, 15, 3, 0, 0, 250_000, tzinfo=UTC),
    datetime(2026, 2, 28, 17, 30, 59, tzinfo=UTC),  # already March in Jakarta
)
STORIES = each("story")


class Carried(dict[str, Secret]):
    """What was kept between two steps, whatever an adapter calls it."""

    def __missing__(self, name: str) -> Secret:
        return Secret(f"{name}-1")


def context(partner: Partner, now: datetime) -> Context:
    wanted = partner.manifest.credentials
    return Context(
        now=now,
        serial="26011510000000042",
        credentials={name: Secret(PEM if wish.pem else f"{name}-0001") for name, wish in wanted.items()},
        tokens={name: Secret(f"{name}-token-0001") for name in partner.manifest.tokens},
        hosts={name: f"https://{name}.example.test" for name in partner.manifest.hosts},
    )


def plans(partner: Partner, ctx: Context) -> Iterator[tuple[str, Plan[Any]]]:
    """Every operation that the partner offers, as `(name, plan)`."""
    manifest, now = partner.manifest, ctx.now
    account = PHONE if manifest.account_is_phone else BANK_ACCOUNT
    who: dict[str, Any] = {"account": account, "phone": PHONE}
    grant = Grant(
        access_token=Secret("customer-token-1"), refresh_token=Secret("refresh-1"), expires_at=now + timedelta(days=3),
        extra=Carried(account=account),
    )  # fmt: skip
    order = PayoutOrder(
        reference=REFERENCE, amount_rupiah=600_000, name=NAME, created_at=now - timedelta(hours=30),
        grant=grant, partner_reference="PARTNER123", **who,
    )  # fmt: skip
    start = LinkStart(
        link_id="L00000000000000001", reference=REFERENCE, name=NAME, state="s" * 32,
        redirect_uri=f"https://gateway.example/callbacks/{manifest.slug}/link?st=" + "s" * 32, **who,
    )  # fmt: skip
    carry = Carried(partnerReferenceNo=Secret("partnerReferenceNo-1"))
    # An OTP was sent by a request before, of which there is always something to keep.
    first = carry if "otp" in manifest.first_inputs else {}
    typed = {"card_no": Secret("1946340000009901"), "otp": Secret("482913")}
    answers = {
        name: LinkAnswer(link_id=start.link_id, reference=REFERENCE, name=start.name, inputs=typed, carry=held, **who)
        for name, held in (("answer_link", first), ("answer_link.otp", carry))
    }
    orders = {
        name: UnlinkOrder(link_id=start.link_id, reference=REFERENCE, grant=grant, inputs=typed, carry=held, **who)
        for name, held in (("unlink", {}), ("unlink.otp", carry))
    }
    finish = LinkFinish(
        link_id=start.link_id, reference=REFERENCE, code=Secret("auth-code-1"), carry=carry,
        redirect_uri=start.redirect_uri, **who,
    )  # fmt: skip
    held = AccessToken(value=Secret("held-1"), life_s=0.0, refresh=Secret("refresh-1"))
    makers: dict[str, Any] = {
        **{f"fetch_token.{name}": lambda n=name: partner.fetch_token(ctx, n, None) for name in manifest.tokens},
        **{f"fetch_token.{name}.held": lambda n=name: partner.fetch_token(ctx, n, held) for name in manifest.tokens},
        "begin_link": lambda: partner.begin_link(ctx, start),
        **{name: lambda a=answer: partner.answer_link(ctx, a) for name, answer in answers.items()},
        "finish_link": lambda: partner.finish_link(ctx, finish),
        "link_health": lambda: partner.link_health(ctx, grant),
        "refresh_grant": lambda: partner.refresh_grant(ctx, grant),
        **{name: lambda o=unlink: partner.unlink(ctx, o) for name, unlink in orders.items()},
        "verify_nik": lambda: partner.verify_nik(ctx, IdentityQuery(reference=REFERENCE, nik=NIK, grant=grant, **who)),
        "payout": lambda: partner.payout(ctx, order),
        "prepare": lambda: partner.prepare(ctx, order),
        "approve": lambda: partner.approve(ctx, order),
        "withdraw": lambda: partner.withdraw(ctx, order),
        "find_payout": lambda: partner.find_payout(ctx, order),
        "statement": lambda: partner.statement(ctx, DAY, None),
        "statement.next": lambda: partner.statement(ctx, DAY, "2"),
        "balance": lambda: partner.balance(ctx),
    }
    for name, make in makers.items():
        try:
            yield name, make()
        except (NotSupported, ValueError):
            continue  # not declared, or no second page


def requests(slug: str, plan: Plan[Any]) -> Iterator[Request]:
    """What a plan asks, answered so that it goes on as long as it can; at the end what it asked a browser to open."""
    try:
        request = next(plan)
        while True:
            yield request
            body = STORIES[slug].GOES_ON.get(request.operation, {"responseCode": "5000000"})
            code = str(body["responseCode"]) if "responseCode" in body else "401"
            status = int(code[:3]) if len(code) in (3, 7) else 200
            request = plan.send(Response(status=status, headers={}, content=json.dumps(body).encode()))
    except (StopIteration, PartnerError, NotSupported) as end:
        if isinstance(end, StopIteration) and isinstance(end.value, LinkRedirect):
            yield Request(
                operation="link.page", effect=Effect.READ, host="app", method="GET", target=end.value.url, headers={}
            )


def written(request: Request) -> dict[str, Any]:
    """A request as JSON, to the byte."""
    told: dict[str, Any] = {
        "operation": request.operation, "effect": request.effect.value, "host": request.host,
        "request": f"{request.method} {request.target}", "headers": dict(request.headers),
        "content": _text(request.content), "timeout_s": request.timeout_s,
    }  # fmt: skip
    if request.frozen is not None:
        told["frozen"] = _text(request.frozen)
    if request.max_response_bytes != 1_048_576:
        told["max_response_bytes"] = request.max_response_bytes
    return told


def story(partner: Partner) -> dict[str, list[dict[str, Any]]]:
    """All requests of all operations of a partner, by operation and time."""
    told: dict[str, list[dict[str, Any]]] = {}
    for now in TIMES:
        ctx = context(partner, now)
        for name, plan in plans(partner, ctx):
            asked = [written(request) for request in requests(partner.manifest.slug, plan)]
            if asked:
                told[f"{name} {now.isoformat()}"] = asked
    return told


def _text(content: bytes) -> str:
    text = content.decode("utf-8", "surrogateescape")
    return text if re.fullmatch(r"[\x20-\x7e\u00a0-\uffff]*", text) else "base64:" + base64.b64encode(content).decode()
