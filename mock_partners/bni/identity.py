"""The NIK check, which BNI has not published: every line of it is assumed (decisions B6)."""

from __future__ import annotations

from mock_partners.bni.autopay import Desk
from mock_partners.bni.transfers import fields_of
from mock_partners.kit.http import Reply
from mock_partners.kit.identity import Match, checked
from mock_partners.kit.snap.gate import Asked, Gate
from mock_partners.kit.snap.magic import refuse_if_magic
from mock_partners.kit.snap.payments import active
from mock_partners.kit.snap.refusals import Refusal
from mock_partners.kit.world import World

SERVICE = "97"
WORDS = {Match.SAME: "Y", Match.OTHER: "N", Match.NONE: "U", Match.RUNNING: "P"}


class Identity:
    """`POST /snap-service/v1/account-kyc-verification`; it never tells the NIK on file."""

    def __init__(self, world: World, gate: Gate, desk: Desk) -> None:
        self._world, self._gate, self._desk = world, gate, desk

    async def verify(self, asked: Asked) -> Reply:
        """Answers additionalInfo.identificationNoMatch: Y, N, U (no NIK on file) or P (the KYC is running)."""
        fields = fields_of(asked)
        reference = fields.text("partnerReferenceNo", 64)
        number = fields.text("accountNo", 19, pattern="[0-9]+")
        link = self._desk.link(fields.text("bankCardToken", 128))
        nik = fields.text("identificationNo", 16, pattern="[0-9]{16}")
        fields.text("identificationType", 2, pattern="02")
        refuse_if_magic(number)
        account = self._world.accounts.get(number)
        if account is None or link is None or link.account is not account:
            raise Refusal(404, "11", "Invalid Account")
        match = checked(active(account), nik)
        if match is Match.UNAVAILABLE:
            raise Refusal(500, "00", "General Error")
        return self._gate.say(
            200, SERVICE, partnerReferenceNo=reference, accountNo=account.account,
            additionalInfo={"identificationNoMatch": WORDS[match]},
        )  # fmt: skip
