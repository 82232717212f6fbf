"""The NIK check, which BNI has not published: every line of it is assumed (decisions B6)."""

from __future__ import annotations

import hmac

from mock_partners.bni.autopay import Desk
from mock_partners.bni.transfers import fields_of
from mock_partners.kit.behaviour import Behaviour, verify_behaviour
from mock_partners.kit.http import Reply
from mock_partners.kit.magic import refuse_if_magic
from mock_partners.kit.snap import Asked, Gate, Refusal
from mock_partners.kit.world import Account, World

SERVICE = "97"


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
        if not account.active:
            raise Refusal(403, "18", "Inactive Account")
        behaviour = verify_behaviour(account)
        if behaviour is Behaviour.UNAVAILABLE_TWICE:
            raise Refusal(500, "00", "General Error")
        match = "P" if behaviour is Behaviour.IN_PROGRESS else self._compare(account, nik)
        return self._gate.say(
            200, SERVICE, partnerReferenceNo=reference, accountNo=account.account,
            additionalInfo={"identificationNoMatch": match},
        )  # fmt: skip

    @staticmethod
    def _compare(account: Account, nik: str) -> str:
        if not account.nik_on_file or account.kyc != "full":
            return "U"
        return "Y" if hmac.compare_digest(account.nik_on_file.encode(), nik.encode()) else "N"
