"""Other banks and their customers, whom BNI reaches through the switch, RTGS and SKN (snap-bni.md 1.11, 2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.snap.magic import UNNAMED, named, refuse_if_magic
from mock_partners.kit.snap.refusals import Refusal
from mock_partners.kit.world import Account

HOLDERS = ("HANS WIJAYA", "RATNA DEWI", "JOKO SUSILO", "MARIA ULFAH", "YUSUF HIDAYAT", "LINA MARLINA")
ENDS = {
    "03": Behaviour.PENDING_THEN_SUCCESS,
    "04": Behaviour.REVERSED_LATER,
    "06": Behaviour.PENDING_THEN_FAILED,
}
"""How a payment to `9999900006` and its like ends, in latestTransactionStatus' words (snap-bni.md 1.12)."""


@dataclass(frozen=True)
class Bank:
    """A bank under its switch code and its BIC."""

    code: str
    bic: str
    name: str


BANKS = (
    Bank("002", "BRINIDJA", "BANK RAKYAT INDONESIA"),
    Bank("008", "BMRIIDJA", "BANK MANDIRI"),
    Bank("014", "CENAIDJA", "BANK CENTRAL ASIA"),
    Bank("022", "BNIAIDJA", "BANK CIMB NIAGA"),
    Bank("213", "PUBAIDJ1", "BANK BTPN"),
    Bank("451", "BSMDIDJA", "BANK SYARIAH INDONESIA"),
)
"""014 and CENAIDJA are in BNI's samples (snap-bni.md 2.2, 2.3); the others are recalled."""
HEAD_OFFICE = 3 * "X"
"""What a BIC of eleven letters ends in where no branch is meant."""
_BY_CODE = {key: bank for bank in BANKS for key in (bank.code, bank.bic, bank.bic + HEAD_OFFICE)}


CLEARING_CODE = re.compile("([0-9]{3})[0-9]{4}")
"""`0140397`, in a sample of BNI's Python SDK: the switch code and the bank's clearing branch (recalled)."""


def bank_of(code: str) -> Bank | None:
    """The bank of a switch code, a clearing code, or a BIC with or without its branch part."""
    clearing = CLEARING_CODE.fullmatch(code)
    return _BY_CODE.get(clearing[1] if clearing is not None else code)


def holder(bank: Bank, number: str) -> Account:
    """The customer behind a number at another bank: every number that is not magic has one, always the same."""
    refuse_if_magic(number)
    status, end = named(number) or ("", "")
    place = sha256(f"{bank.code}:{number}".encode()).digest()[0] % len(HOLDERS)
    return Account(
        "bni", number, phone="", holder_name=HOLDERS[place], nik_on_file="", kyc="full", status="active",
        behaviour=ENDS.get(end, Behaviour.NONE) if status == UNNAMED else Behaviour.NONE,
    )  # fmt: skip


def known_bank(code: str) -> Bank:
    """The bank of a code, or case 03 of 404 (snap-bni.md 1.8)."""
    bank = bank_of(code)
    if bank is None:
        raise Refusal(404, "03", "Bank Not Supported By Switch")
    return bank
