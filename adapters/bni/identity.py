"""The NIK check, all of it ASSUMED: BNI publishes no call that says whether a NIK belongs to an account.

Every assumption about it stands in this module and nowhere else (snap-bni.md 2.5, decision B6), so that a contracted
call replaces one file. A SNAP-shaped POST answers Y, N, U or P; a holder's name or NIK is neither asked for nor read.
"""

from __future__ import annotations

from adapters.bni import sign, wire
from adapters.snap import codes
from contracts.errors import PartnerProtocolError
from contracts.identity import IdentityAnswer, IdentityQuery, Verdict
from contracts.partner import Context, Fact, Mark
from contracts.plan import Effect, Request, Response
from contracts.secret import Secret

KYC = sign.Call(
    operation="identity.verify",
    side=sign.SNAP,
    target="/snap-service/v1/account-kyc-verification",  # assumed (decision B6)
    service="97",  # assumed (decision B6): no SNAP service has this number
    effect=Effect.READ,
)
IDENTITY_KTP = "02"
"""SNAP's `identificationType` of an eKTP (snap-bni.md 1.10); that BNI takes it here is assumed."""

MATCHES: dict[str, Verdict] = {
    "Y": Verdict.MATCH,
    "N": Verdict.MISMATCH,
    "U": Verdict.KYC_INCOMPLETE,
    "P": Verdict.PENDING,
}
"""`identificationNoMatch` (assumed, decision B6)."""
assert set(MATCHES) == set("YNUP"), "decision B6 names four answers"

REFUSALS: dict[str, Verdict] = {
    "4049711": Verdict.ACCOUNT_NOT_FOUND,
    "4039718": Verdict.ACCOUNT_BLOCKED,
}
"""Codes that are verdicts (assumed, decision B6). Every other one is "could not tell"."""
assert {code[3:5] for code in REFUSALS} == {KYC.service}

FACTS = (
    Fact(
        mark=Mark.ASSUMED,
        text="BNI offers a NIK check by contract: POST account-kyc-verification, service code 97, under the SNAP token",
        source="snap-bni.md 2.5, decisions B6",
    ),
    Fact(
        mark=Mark.ASSUMED,
        text="identificationNoMatch is Y, N, U (no NIK on file) or P (KYC running); 4049711 unknown, 4039718 blocked",
        source="decisions B6",
    ),
)


class BniKyc(wire.Wire, frozen=True, kw_only=True):
    """The request (assumed, decision B6)."""

    partner_reference_no: str
    account_no: Secret
    bank_card_token: Secret
    identification_no: Secret
    identification_type: str = IDENTITY_KTP


class BniMatch(wire.Answer, frozen=True, kw_only=True):
    """The answer's extension (assumed, decision B6)."""

    identification_no_match: str


class BniKycAnswer(wire.Answer, frozen=True, kw_only=True):
    """The answer (assumed, decision B6)."""

    partner_reference_no: str | None = None
    account_no: Secret | None = None
    additional_info: BniMatch


def request(ctx: Context, query: IdentityQuery) -> Request:
    """Ask whether the NIK is the one on the account."""
    body = BniKyc(
        partner_reference_no=query.reference,
        account_no=query.account,
        bank_card_token=query.grant.access_token,
        identification_no=Secret(query.nik.reveal()),
    )
    return sign.post(ctx, KYC, wire.encode(body))


def verdict(reply: Response, query: IdentityQuery) -> IdentityAnswer:
    """What the answer says; whatever is not a listed answer is no verdict."""
    envelope = codes.read(reply, KYC.service)
    if envelope.code in REFUSALS:
        return IdentityAnswer(verdict=REFUSALS[envelope.code], partner_code=envelope.code)
    if envelope.code != f"200{KYC.service}00":
        raise codes.unavailable(envelope, reply)
    answer = wire.read(envelope, BniKycAnswer)
    if answer.partner_reference_no not in (None, "", query.reference):
        raise PartnerProtocolError("the answer is about another partnerReferenceNo")
    if answer.account_no not in (None, query.account):
        return IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=envelope.code)
    match = MATCHES.get(answer.additional_info.identification_no_match)
    if match is None:
        raise PartnerProtocolError("identificationNoMatch is none of Y, N, U, P")
    return IdentityAnswer(verdict=match, partner_code=envelope.code)
