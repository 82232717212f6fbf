"""GoPay ID's KYC pull as a verdict on a NIK; the holder's data ends here (wallets.md 2.5, decisions G6, X10)."""

from __future__ import annotations

from adapters import accounts, answers
from adapters.answers import typed
from adapters.gopay import wire
from contracts import names
from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityAnswer, Verdict
from contracts.linking import LinkHealth
from contracts.nik import Nik
from contracts.plan import Response
from contracts.secret import Secret

NO_SUBMISSION = "1519"
"""SUBMISSION_NOT_FOUND: the holder never went through Verify (wallets.md 2.5, decision G6)."""

RUNNING_KYC = frozenset({"INITIATED", "IN_PROGRESS"})


def verdict(reply: Response, nik: Nik) -> IdentityAnswer:
    """KYC Data Pull as a verdict; the holder's data ends here (decision G6).

    HTTP 401 raises with `Hint.CUSTOMER_TOKEN`, whoever's words it is in: the only token shown is the participant's. It
    revokes nothing by itself, as it may refuse our merchant: `sure` asks once more.
    """
    if reply.status == 401:
        code = _error(answers.json_value(reply, Hint.CUSTOMER_TOKEN))
        raise answers.unavailable(reply, "HTTP 401", Hint.CUSTOMER_TOKEN, code or "401")
    if reply.status not in (200, 404):
        raise answers.no_answer(reply, "no submission", Hint.CUSTOMER_TOKEN)
    body = answers.json_value(reply)
    found = typed(body, wire.GopayIdReply, "a KYC submission")
    if reply.status == 200 and answers.flag(found.success) and found.data is not None:
        return _submission(reply, found.data, nik)
    code = _error(body)
    if reply.status == 200 or answers.flag(found.success) is not False or code is None:
        raise PartnerProtocolError(f"HTTP {reply.status} without the envelope that belongs to it")
    if code != NO_SUBMISSION:
        raise answers.unavailable(reply, "HTTP 404", code=code)
    return IdentityAnswer(verdict=Verdict.KYC_INCOMPLETE, partner_code=code)


def sure(refused: PartnerUnavailable, health: LinkHealth) -> PartnerUnavailable:
    """What a 401 at GoPay ID means, now that service 08 has spoken of the same token (decision G6)."""
    if health is LinkHealth.REVOKED:
        return refused
    return PartnerUnavailable(
        "HTTP 401", hint=Hint.CREDENTIALS, partner_code=refused.partner_code, retry_after_s=refused.retry_after_s
    )


def holder(reply: Response) -> str | None:
    """The name beside the NIK of a pull that was a verdict; None where it has none. Another type is no answer."""
    name = answers.at(answers.json_value(reply), "data", "submissionData", "ktp", "name")
    return typed(name, str | None, "the name beside a NIK")  # type: ignore[arg-type]


def proved(answer: IdentityAnswer, name: str | None, account: Secret, reply: Response) -> IdentityAnswer:
    """The match, if the declared account is registered under the holder's name; nothing of either name is kept.

    Another name proves no other NIK: it only leaves the account unproved.
    """
    unproved = IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=answer.partner_code)
    if reply.status in (400, 403) and (ours := wire.ours(answers.json_value(reply))) is not None:
        raise answers.unavailable(reply, "no name", ours, "016" if ours is Hint.FLOAT_SHORT else "400")
    if reply.status == 400 and answers.at(answers.json_value(reply, Hint.CREDENTIALS), "errors", "account"):
        return unproved
    if reply.status != 200:
        raise answers.no_answer(reply, "no name", Hint.CREDENTIALS)
    found = typed(answers.json_value(reply), wire.IrisValidation, "the name of an account")
    number = answers.written(found.account_no)
    if number and accounts.echoed(number, account, accounts.mobile) not in (None, account):
        raise PartnerProtocolError("field account_no is not the account asked about")
    return answer if name is not None and names.agree(name, found.account_name.reveal()) else unproved


def _error(body: object) -> str | None:
    errors = answers.at(body, "errors")
    return answers.plain(answers.at(errors[0], "code")) if isinstance(errors, list) and errors else None


def _submission(reply: Response, data: wire.GopayIdSubmission, nik: Nik) -> IdentityAnswer:
    said = answers.written(data.status).upper(), answers.written(data.result).upper()
    if said[0] in RUNNING_KYC:
        return IdentityAnswer(verdict=Verdict.PENDING, partner_code=said[0])
    if said == ("COMPLETED", "INVALID"):
        return IdentityAnswer(verdict=Verdict.KYC_INCOMPLETE, partner_code="COMPLETED.INVALID")
    if said != ("COMPLETED", "VALID"):
        raise answers.unavailable(reply, "a KYC status that is no verdict", code=answers.plain(said[0]))
    same = accounts.same_nik(nik, answers.at(data.submission_data, "ktp", "documentNumber"), "field ktp.documentNumber")
    return IdentityAnswer(verdict=Verdict.MATCH if same else Verdict.MISMATCH, partner_code="COMPLETED.VALID")
