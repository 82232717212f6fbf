"""The NIK check, all of it ASSUMED: BNI publishes no call that says whether a NIK belongs to an account.

Every assumption about it stands in this module and nowhere else (snap-bni.md 2.5, decision B6), so that a contracted
call replaces one file. A SNAP-shaped POST answers Y, N, U or P; a holder's name or NIK is neither asked for nor read.
"""

from __future__ import annotations

from adapters import accounts, answers
from adapters.facts import assumed
from adapters.snap.calls import READ, Call
from contracts.errors import PartnerProtocolError
from contracts.identity import IdentityAnswer, IdentityQuery, Verdict
from contracts.plan import Response
from contracts.secret import Secret

KYC = Call("identity.verify", READ, "/snap-service/v1/account-kyc-verification", "97")  # no SNAP service has this one

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
    assumed(
        "snap-bni.md 2.5, decisions B6",
        "BNI offers a NIK check by contract: POST account-kyc-verification, service code 97, under the SNAP token",
    ),
    assumed(
        "decisions B6",
        "identificationNoMatch is Y, N, U (no NIK on file) or P (KYC running); 4049711 unknown, 4039718 blocked",
    ),
)


def body(query: IdentityQuery) -> object:
    """Ask whether the NIK is the one on the account; `02` is SNAP's type of an eKTP (snap-bni.md 1.10)."""
    return {
        "partnerReferenceNo": query.reference,
        "accountNo": query.account,
        "bankCardToken": query.grant.access_token,
        "identificationNo": query.nik,
        "identificationType": "02",
    }


def verdict(reply: Response, query: IdentityQuery) -> IdentityAnswer:
    """What the answer says; whatever is not a listed answer is no verdict."""
    envelope = KYC.read(reply)
    match = answers.listed(answers.at(envelope.body, "additionalInfo", "identificationNoMatch"), MATCHES)
    if (refused := REFUSALS.get(envelope.code) or envelope.unusable) and match is None:
        return IdentityAnswer(verdict=refused, partner_code=envelope.code)
    KYC.expect(reply)
    shown = envelope.evidence("accountNo")
    if shown is not None and accounts.echoed(shown, query.account, account_of) not in (None, query.account):
        return IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=envelope.code)
    shown_niks = (
        envelope.body.get("identificationNo"),
        answers.at(envelope.body, "additionalInfo", "identificationNo"),
    )
    accounts.must_be_of_nik(query.nik, *shown_niks)
    if match is None:
        raise PartnerProtocolError("identificationNoMatch is none of Y, N, U, P")
    return IdentityAnswer(verdict=match, partner_code=envelope.code)


def account_of(number: str) -> Secret | None:
    """A BNI account has ten digits; leading zeros may have been lost on the way, or added to fill a wider field."""
    shown = accounts.digits(number)
    if not (shown.isascii() and shown.isdigit()) or len(shown) < 4 or len(shown.lstrip("0")) > 10:
        return None
    return Secret(shown.lstrip("0").zfill(10))
