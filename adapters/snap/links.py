"""Steps of linking that SNAP partners have alike: a refusal, a grant with its end, a refresh with its second look."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from datetime import datetime, timedelta
from urllib.parse import quote

from adapters import answers
from adapters.snap import values
from adapters.snap.calls import Call, Side
from adapters.snap.codes import Envelope
from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkRedirect, LinkRefused, LinkReturn, LinkStep, Unlinked
from contracts.partner import Context
from contracts.plan import Plan, Response, done
from contracts.secret import Secret

_GIVEN = ("accessToken", "refreshToken", "accountToken", "bankCardToken", "linkageToken", "redirectUrl")
_NOT_UNBOUND = frozenset({"failed", "failure", "fail", "false", "error", "rejected", "pending", "processing", "active"})
"""How `unlinkResult` ends where the link still stands (`UNBINDING_PENDING`, seen at Finpay); every other word is left
to the code (snap-bni.md 6.2).
"""
_WORDS = re.compile("[a-z]+")
_EXPIRY_MARGIN = timedelta(minutes=5)
CUSTOMER_TOKEN_LIFE = timedelta(days=15)
"""Where an answer names no life (snap-bni.md 1.4)."""


def page(ctx: Context, query: Mapping[str, str]) -> Plan[LinkStep]:
    """No call: the browser opens the partner's page by itself (service 10, snap-bni.md 1.5)."""
    written = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    step: LinkStep = LinkRedirect(url=f"{ctx.hosts['app']}/v1.0/get-auth-code?{written}")
    return done(step)


def refused(envelope: Envelope, table: Mapping[str, BlockerCode], *, of_account: bool = False) -> LinkRefused | None:
    """The refusal that a code means, None where the table does not list it. `of_account`: where the account itself is
    asked for, what the standard says of one is taken too.
    """
    code = table.get(envelope.code) or (envelope.unusable_because if of_account else None)
    return None if code is None or _gives(envelope) else LinkRefused(code=code, partner_code=envelope.code)


def _gives(envelope: Envelope) -> bool:
    """Whether an answer hands out access or a page: beside a refusal, that contradicts it."""
    told = (envelope.body, answers.at(envelope.body, "accessTokenInfo"))
    return any(not answers.nothing(answers.at(part, name) or None) for part in told for name in _GIVEN)


def granted(
    ctx: Context, envelope: Envelope, extra: Mapping[str, Secret] | None = None, held: Secret | None = None
) -> Grant:
    """The participant's token (service 74). Its end is named by a life in `tokenExpiresIn` or by a time in
    `accessTokenExpiryTime`; in no form that can be read, the standard's holds. `held` is the refresh token that stays
    where no new one comes. Without any the grant is good until its end, and the participant links again.
    """
    fresh = not answers.nothing(envelope.optional_text("refreshToken"))
    return Grant(
        access_token=values.token(envelope, "accessToken"),
        refresh_token=values.token(envelope, "refreshToken") if fresh else held,
        expires_at=_ends(ctx.now, envelope),
        extra=extra or {},
    )


def _ends(now: datetime, envelope: Envelope) -> datetime:
    life = values.seconds(envelope.body.get("tokenExpiresIn"))
    ends = values.expiry(envelope.body.get("accessTokenExpiryTime"))
    if life:
        return now + timedelta(seconds=life)
    return ends if ends and ends > now else now + CUSTOMER_TOKEN_LIFE  # none is over the moment it is given


def refresh(
    ctx: Context,
    side: Side,
    grant: Grant,
    call: Call,
    body: Callable[[Secret], object],
    second_look: tuple[Call, object] | None = None,
) -> Plan[Grant | None]:
    """A fresh grant, `extra` kept; None where the refresh token is refused, or there is none: the link is gone.

    No bearer is sent, so that 401 and cases 01 to 04 can only speak of the refresh token. Case 00 may as well mean that
    our own signature is refused, which must not end every link there is: it counts as *gone* only once the partner has
    taken a request of ours that is signed with the same key, the `second_look`; without one it says
    nothing.
    """
    if grant.refresh_token is None:
        return None
    reply = yield side.ask(ctx, call, body(grant.refresh_token))
    envelope = call.read(reply)
    if _gives(envelope) and envelope.code != call.done:
        raise PartnerProtocolError("a refusal beside a fresh token")
    if envelope.case in {"40101", "40102", "40103", "40104"}:
        return None
    if envelope.case == "40100" and second_look is not None:
        look, look_body = second_look
        reply = yield side.ask(ctx, look, look_body, n=1)
        seen = look.read(reply)
        if seen.code[:3] not in ("200", "404"):
            raise look.unavailable(seen)
        return None
    return granted(ctx, call.expect(reply), grant.extra, grant.refresh_token)


def unbound(call: Call, reply: Response, gone: Container[str] = ()) -> Unlinked:
    """What unbinding said: given back, or, by a code of `gone`, that there is nothing left to give back."""
    envelope = call.read(reply)
    if envelope.code not in gone:
        call.expect(reply)
    words = _WORDS.findall(answers.written(envelope.body.get("unlinkResult")).casefold())
    if not _NOT_UNBOUND.isdisjoint(words[-1:]) and "not" not in words:
        raise call.unavailable(envelope)
    return Unlinked(partner_code=envelope.code)


def must_live(ctx: Context, grant: Grant) -> None:
    """A refused token means *already gone* only where it has not simply run out: an expired one is refreshed first."""
    if grant.expires_at is not None and grant.expires_at - _EXPIRY_MARGIN <= ctx.now:
        raise PartnerUnavailable("the customer's token has expired", hint=Hint.CUSTOMER_TOKEN)


def returned(
    query: Mapping[str, str], *, state: str | None, error: str | None, table: Mapping[str, BlockerCode]
) -> LinkReturn:
    """The browser's way back: `authCode`, or a code of refusal in `error`. Whatever is neither a code nor a listed
    refusal is a linking that was not finished; the code is kept.
    """
    if error := answers.told(error):
        refused_by = table.get(error, BlockerCode.CONSENT_ABANDONED)
        return LinkReturn(refused=refused_by, state=state, partner_code=answers.plain(error))
    code = answers.auth_code(query)
    if not code:
        return LinkReturn(refused=BlockerCode.CONSENT_ABANDONED, state=state)
    return LinkReturn(code=Secret(code), state=state)
