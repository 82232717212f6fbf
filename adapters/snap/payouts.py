"""What SNAP answers say of a payout: inquiry, transfer and look-up are read alike at every partner; what differs is
data. An answer in the words of what stands in front of the partner raises, and after the WRITE that means: unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from adapters import accounts, answers
from adapters.snap import codes, values
from adapters.snap.calls import Call
from adapters.snap.codes import Envelope
from contracts.errors import PartnerProtocolError
from contracts.incentive import BlockerCode
from contracts.payout import (
    Outcome,
    OutcomeKind,
    PayoutOrder,
    not_accepted,
    not_found,
    pending,
    rejected,
    reversed_,
    succeeded,
    unknown,
)
from contracts.plan import Effect, Response
from contracts.secret import Secret

STATUS: dict[str, OutcomeKind] = {
    "00": OutcomeKind.SUCCEEDED,
    "01": OutcomeKind.PENDING,
    "02": OutcomeKind.PENDING,
    "03": OutcomeKind.PENDING,
    "04": OutcomeKind.REVERSED,
    "05": OutcomeKind.REJECTED,
    "06": OutcomeKind.REJECTED,
    "07": OutcomeKind.NOT_FOUND,
}
"""`latestTransactionStatus` (snap-bni.md 1.12)."""
assert set(STATUS) == {f"{n:02d}" for n in range(8)}, "every status of the standard has its word"


class Payouts(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's three endpoints of a payout, and its words there."""

    inquiry: Call
    transfer: Call
    status: Call
    inquiry_refusals: Mapping[str, BlockerCode]
    inquiry_known: frozenset[str] = frozenset()
    """Cases of the inquiry that speak of the payout itself; only where it carries the payout's own reference."""
    refusals: Mapping[str, BlockerCode]
    account: str
    """The field that shows the beneficiary."""
    account_of: Callable[[str], Secret | None]
    account_needed: bool = False
    """The document promises the field with every success."""
    named_by: tuple[str, ...] = ("referenceNo",)
    """Numbers of which a transfer's success has one at least, by the document's promise."""
    numbers: tuple[str, ...] = ("originalReferenceNo",)
    """Where a look-up shows the partner's number; the first one that is there."""
    refused_before: str = ""
    """The field of a look-up with the code that refused the transfer, where the partner has one."""
    word: tuple[str, ...] = ()
    """Where a code that refuses an account says in a word why."""
    words: Mapping[str, BlockerCode] = {}
    """The words by which it is not blocked, but something else."""

    def __post_init__(self) -> None:
        """A table with a slip in it is not imported."""
        reads = (self.inquiry, self.status)
        assert self.transfer.effect is Effect.WRITE
        assert all(call.effect is Effect.READ for call in reads)
        for call, table in ((self.inquiry, self.inquiry_refusals), (self.transfer, self.refusals)):
            for code in table:
                assert code[3:5] == call.service, f"{code} is not a code of service {call.service}"
                assert code[:3] in ("400", "403", "404"), f"{code} blames nobody and refuses nothing"
                assert code[:3] + code[5:] not in codes.NOT_ACCEPTED | self.inquiry_known, f"{code} has one word"

    def inquired(self, order: PayoutOrder, reply: Response) -> Outcome | None:
        """None: the account can be paid. Otherwise what ends the payout before any money moved."""
        envelope = self.inquiry.read(reply)
        refusal = self.inquiry_refusals.get(envelope.code) or envelope.unusable_because
        if refusal is not None:
            return rejected(self._in_words(envelope, refusal), partner_code=envelope.code)
        if envelope.case in self.inquiry_known:
            return unknown(partner_code=envelope.code, retry_after_s=answers.retry_after_s(reply))
        if envelope.code != self.inquiry.done:
            raise self.inquiry.unavailable(envelope)
        if self.shown(envelope, order.account) not in (None, order.account):  # then it is no verdict on ours
            raise PartnerProtocolError(f"field {self.account} is not the account asked about")
        return None

    def transferred(self, order: PayoutOrder, reply: Response) -> Outcome:
        """What the transfer's own answer says; a code without a line in the tables is no verdict."""
        envelope = self.transfer.read(reply)
        code = envelope.code
        if code == self.transfer.done:
            if not any(answers.named(envelope.body.get(field)) for field in self.named_by):
                raise PartnerProtocolError(f"field {self.named_by[0]} is missing")
            if _stands(envelope) not in (None, OutcomeKind.SUCCEEDED):
                raise PartnerProtocolError("field latestTransactionStatus disagrees with the code")
            return self._booked(envelope, order, code, envelope.optional_number("referenceNo"))
        if code == f"202{self.transfer.service}00":
            return pending(partner_code=code, partner_reference=envelope.optional_number("referenceNo"))
        stands = _stands(envelope) in (OutcomeKind.SUCCEEDED, OutcomeKind.PENDING, OutcomeKind.REVERSED)
        if code in self.refusals and not stands:
            return rejected(self._in_words(envelope, self.refusals[code]), partner_code=code)
        wait_s = answers.retry_after_s(reply)
        if envelope.case in codes.NOT_ACCEPTED and not stands:
            return not_accepted(codes.HINTS[envelope.case], partner_code=code, retry_after_s=wait_s)
        return unknown(partner_code=code, retry_after_s=wait_s)

    def _in_words(self, envelope: Envelope, refusal: BlockerCode) -> BlockerCode:
        if refusal is not BlockerCode.ACCOUNT_BLOCKED or not self.word:
            return refusal
        return self.words.get(answers.written(answers.at(envelope.body, *self.word)).upper(), refusal)

    def found(self, order: PayoutOrder, reply: Response) -> Outcome:
        """What a look-up says; its own responseCode only says that the asking worked (snap-bni.md 1.11)."""
        return answers.lasting(self._found(order, reply), reply)

    def _found(self, order: PayoutOrder, reply: Response) -> Outcome:
        envelope = self.status.read(reply)
        if envelope.code == f"404{self.status.service}01":
            if _stands(envelope) not in (None, OutcomeKind.NOT_FOUND):
                raise PartnerProtocolError("field latestTransactionStatus disagrees with the code")
            return not_found(partner_code=envelope.code)
        if envelope.code != self.status.done:
            raise self.status.unavailable(envelope)
        envelope.echo(self.transfer.service, "serviceCode")
        status = answers.digits(envelope.body.get("latestTransactionStatus"), 2)
        number = next(filter(None, map(envelope.optional_number, self.numbers)), None)
        kind = STATUS.get(status)
        if kind is OutcomeKind.SUCCEEDED:
            _must_be_kept(envelope)
            return self._booked(envelope, order, status, number)
        if kind is OutcomeKind.PENDING:
            return pending(partner_code=status, partner_reference=number)
        if kind is OutcomeKind.REVERSED:
            return self._given_back(envelope, order, status)
        if kind is OutcomeKind.NOT_FOUND:
            return not_found(partner_code=status)
        if kind is OutcomeKind.REJECTED:
            if self._named(envelope, order.account) not in (None, order.account):
                raise PartnerProtocolError(f"field {self.account} is not the account that was to be paid")
            before = envelope.optional_text(self.refused_before) or ""
            short = BlockerCode.PARTNER_FLOAT_SHORT if before == f"403{self.transfer.service}14" else None
            if (reason := self.refusals.get(before, short)) is not None:
                return rejected(reason, partner_code=before)
            return rejected(None, technical=True, partner_code=status)
        raise PartnerProtocolError("field latestTransactionStatus is missing or has an unlisted value")

    def shown(self, envelope: Envelope, account: Secret) -> Secret | None:
        """The beneficiary that an answer shows."""
        value = envelope.body.get(self.account)
        if value in (None, "") and not self.account_needed:
            return None
        return accounts.echoed(answers.written(value), account, self.account_of)

    def _given_back(self, envelope: Envelope, order: PayoutOrder, code: str) -> Outcome:
        """All of it, unless the answer shows a part, or another account; what is left of it may be shown as nothing."""
        return reversed_(
            partner_code=code,
            amount_rupiah=values.amount(envelope) or None,
            account=self._named(envelope, order.account),
        )

    def _named(self, envelope: Envelope, account: Secret) -> Secret | None:
        """The beneficiary, promised or not."""
        return None if envelope.body.get(self.account) in (None, "") else self.shown(envelope, account)

    def _booked(self, envelope: Envelope, order: PayoutOrder, code: str, number: str | None) -> Outcome:
        return succeeded(
            partner_code=code,
            partner_reference=number,
            amount_rupiah=values.amount(envelope),
            account=self.shown(envelope, order.account),
        )


def _stands(envelope: Envelope) -> OutcomeKind | None:
    """How a payment stands by the state that an answer shows, None where it shows none of the standard's."""
    return STATUS.get(answers.digits(envelope.body.get("latestTransactionStatus"), 2))


def _must_be_kept(envelope: Envelope) -> None:
    """A success of which the same answer says that money was given back is none, and no payment given back either."""
    for path in (("refundAmount",), ("additionalInfo", "refundAmount")):
        value = answers.at(envelope.body, *path)
        if isinstance(value, dict) and answers.written(value.get("value")) and values.rupiah(value, "refundAmount"):
            raise PartnerProtocolError("a success of which money was given back")
