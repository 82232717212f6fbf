"""OVO's answers in our words; a code that no table here lists is never a verdict (wallets.md 3, decisions O1-O15)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from adapters import accounts, answers
from adapters.ovo import sign
from adapters.snap import links, statements, values
from adapters.snap.codes import Envelope
from adapters.snap.payouts import Payouts
from contracts.errors import PartnerProtocolError
from contracts.identity import IdentityAnswer, IdentityQuery, Verdict
from contracts.incentive import BlockerCode
from contracts.linking import LinkGranted, LinkHeld, LinkRedirect, LinkReturn, LinkStep, Unlinked
from contracts.observation import Balance, StatementKind
from contracts.partner import Context
from contracts.plan import Response
from contracts.secret import Secret

_UNREADABLE = "unreadable"
_OV_CODE = re.compile(r"OV[0-9]{5}", re.ASCII)

LINK_REFUSALS: dict[str, BlockerCode] = {
    "4040711": BlockerCode.ACCOUNT_NOT_FOUND,
    "4030707": BlockerCode.ACCOUNT_BLOCKED,
}
"""Binding's refusals (decisions O3, assumed; 4030707 seen in wallets.md 3.3)."""

HELD = frozenset({"4030705", "4037405"})
"""With additionalInfo.reason ALREADY_LINKED: linked to another of our customers (decisions O3, assumed)."""

EXCHANGE_OVER: dict[str, BlockerCode] = dict.fromkeys(("4017401", "4017403", "4047401"), BlockerCode.CONSENT_ABANDONED)
"""The linkageToken or the authCode is no longer good: the participant starts again (4047401 recalled, rest assumed)."""

RETURN_REFUSALS: dict[str, BlockerCode] = {
    "OV00006": BlockerCode.CONSENT_DENIED,
    "OV00007": BlockerCode.CONSENT_DENIED,
}
"""Codes of `errorResponse`: refused, and locked out (decisions O5, assumed)."""

INQUIRY_REFUSALS: dict[str, BlockerCode] = {
    "4033702": BlockerCode.BALANCE_LIMIT,
    "4033707": BlockerCode.ACCOUNT_BLOCKED,
    "4033718": BlockerCode.ACCOUNT_BLOCKED,
    "4043711": BlockerCode.ACCOUNT_NOT_FOUND,
}
"""Final at the inquiry of a payout (decisions O8, wallets.md 3.5, 3.6, assumed)."""

IDENTITY: dict[str, Verdict] = {
    "MATCH": Verdict.MATCH,
    "NOT_MATCH": Verdict.MISMATCH,
    "NOT_AVAILABLE": Verdict.KYC_INCOMPLETE,
    "IN_PROGRESS": Verdict.PENDING,
}
"""`identificationMatch` (decisions O7, assumed)."""

TOPUP_REFUSALS: dict[str, BlockerCode] = {
    "4033802": BlockerCode.BALANCE_LIMIT,
    "4033803": BlockerCode.PARTNER_REJECTED,
    "4033805": BlockerCode.PARTNER_REJECTED,
    "4033807": BlockerCode.ACCOUNT_BLOCKED,
    "4033818": BlockerCode.ACCOUNT_BLOCKED,
    "4043811": BlockerCode.ACCOUNT_NOT_FOUND,
}
"""Final refusals of a top-up (decisions O8, wallets.md 3.6, assumed after SNAP's table)."""

PAYOUTS = Payouts(
    inquiry=sign.INQUIRY,
    transfer=sign.TOPUP,
    status=sign.STATUS,
    inquiry_refusals=INQUIRY_REFUSALS,
    inquiry_known=frozenset({"40901", "40418"}),  # it carries the payout's own reference: look it up (decisions X7)
    refusals=TOPUP_REFUSALS,
    account="customerNumber",
    account_of=accounts.mobile,
)

HISTORY = statements.History(
    call=sign.HISTORY,
    kinds={
        "TOPUP": StatementKind.CREDIT,
        "REVERSAL": StatementKind.REVERSAL,
        "FEE": StatementKind.FEE,
        "DEPOSIT": StatementKind.OTHER,
    },
)
"""The deposit's bookings (decisions S3, assumed)."""

assert len(set(IDENTITY.values())) == len(IDENTITY), "one verdict an answer"
assert set(HISTORY.kinds.values()) == set(StatementKind) - {StatementKind.PENDING}, "every booking has its type"


def bound(reply: Response) -> LinkStep:
    """What binding said: the page to open and the linkageToken that its authCode will belong to, or why not."""
    envelope = sign.BIND.read(reply)
    if envelope.code == sign.BIND.done:
        carry = {"linkage_token": values.token(envelope, "linkageToken")}
        return LinkRedirect(url=values.url(envelope, "redirectUrl"), carry=carry)
    if step := _held(envelope) or links.refused(envelope, LINK_REFUSALS, of_account=envelope.code not in HELD):
        return step
    raise sign.BIND.unavailable(envelope)


def returned(query: Mapping[str, str]) -> LinkReturn:
    """The browser's way back: an authCode, or `errorResponse` as JSON with OVO's own state, which is ignored (O4)."""
    error = answers.told(query.get("errorResponse"))
    code = error and _error_code(error)
    return links.returned(query, state=None, error=code, table=RETURN_REFUSALS)


def exchanged(ctx: Context, link_id: str, reply: Response) -> LinkStep:
    """What the exchange of the authCode said; it may show whom the binding was for."""
    envelope = sign.EXCHANGE.read(reply)
    envelope.echo(link_id, "additionalInfo", "custIdMerchant")
    if step := links.refused(envelope, EXCHANGE_OVER) or _held(envelope):
        return step
    return LinkGranted(grant=links.granted(ctx, sign.EXCHANGE.expect(reply)))


def unbinding_begun(reply: Response) -> Secret | Unlinked:
    """The token for the second call; or that there is nothing to unbind: the customer's token, alive by its date and
    the only one shown, is refused. Case 00 is no such word: it means that the token is to be refreshed (O13).
    """
    envelope = sign.UNBIND_BEGIN.read(reply)
    if envelope.case in {"40101", "40102", "40103", "40104"}:
        return Unlinked(partner_code=envelope.code)
    return values.token(sign.UNBIND_BEGIN.expect(reply), "accessToken")


def identity(query: IdentityQuery, reply: Response) -> IdentityAnswer:
    """The verdict on the NIK; everything else in the answer is dropped."""
    envelope = sign.IDENTITY.read(reply)
    verdict = answers.listed(answers.at(envelope.body, "additionalInfo", "identificationMatch"), IDENTITY)
    if (refused := envelope.unusable) and verdict is None:
        return IdentityAnswer(verdict=refused, partner_code=envelope.code)
    sign.IDENTITY.expect(reply)
    shown = accounts.proof(envelope.body.get("customerNumber"), query.account)
    if shown is None:
        raise PartnerProtocolError("field customerNumber does not show which account was checked")
    if shown != query.account:
        return IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=envelope.code)
    accounts.must_be_of_nik(query.nik, answers.at(envelope.body, "additionalInfo", "identificationNo"))
    if verdict is None:
        raise PartnerProtocolError("field additionalInfo.identificationMatch is missing or has an unlisted value")
    return IdentityAnswer(verdict=verdict, partner_code=envelope.code)


def balance(reply: Response) -> Balance:
    """What is left of our deposit (decisions S3)."""
    infos = answers.items(sign.BALANCE.expect(reply).body.get("accountInfos"), "field accountInfos")
    deposits = [info for info in infos if answers.written(answers.at(info, "balanceType")).upper() == "DEPOSIT"]
    if len(deposits) != 1:
        raise PartnerProtocolError("field accountInfos does not hold one DEPOSIT")
    return Balance(amount_rupiah=values.rupiah(deposits[0].get("availableBalance"), "availableBalance", sen=True))


def _held(envelope: Envelope) -> LinkHeld | None:
    reason = answers.written(answers.at(envelope.body, "additionalInfo", "reason"))
    held = envelope.code in HELD and reason.upper() == "ALREADY_LINKED"
    return LinkHeld(partner_code=envelope.code) if held else None


def _error_code(error: str) -> str | None:
    """The OV code of `errorResponse`; None where it names none at all, `unreadable` where it is no JSON or its code is
    of another kind.
    """
    try:
        said = json.loads(error[:2048])
    except (ValueError, RecursionError):
        return _UNREADABLE
    code = answers.at(said, "code")
    if not said or isinstance(said, dict) and "code" in said and code in (None, "", "OV00000"):
        return None
    return code if isinstance(code, str) and _OV_CODE.fullmatch(code) else _UNREADABLE
