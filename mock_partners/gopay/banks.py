"""Where Iris pays to beside GoPay, and whose the accounts there are (wallets.md 2.6)."""

from __future__ import annotations

import re
from hashlib import sha256

from mock_partners.kit.world import Account, World

GOPAY, OVO = "gopay", "ovo"
NAMES = {
    GOPAY: "GoPay",
    OVO: "OVO",
    "bca": "Bank Central Asia ( BCA )",
    "bni": "Bank Negara Indonesia ( BNI )",
    "bri": "Bank Rakyat Indonesia ( BRI )",
    "cimb": "CIMB Niaga",
    "danamon": "Bank Danamon",
    "mandiri": "Bank Mandiri",
    "permata": "Bank Permata",
}
"""Codes and names; Iris' list is longer. BCA's name and the codes are in clients' tests, the other names recalled."""
PHONE = re.compile("(62|08)[0-9]{7,13}")
DIGITS = re.compile("[0-9]+")
SHORTEST, LONGEST = 6, 34
HOLDERS = ("HANS WIJAYA", "RATNA DEWI", "JOKO SUSILO", "MARIA ULFAH", "YUSUF HIDAYAT", "LINA MARLINA")


def number_problems(bank: str, number: str) -> list[str]:
    """What is wrong with an account number, in Iris' words; a wallet's is a phone (its word is assumed)."""
    if bank in (GOPAY, OVO):
        return [] if PHONE.fullmatch(number) else ["is invalid"]
    problems = [f"is too short (minimum is {SHORTEST} characters)"] if len(number) < SHORTEST else []
    problems += [f"is too long (maximum is {LONGEST} characters)"] if len(number) > LONGEST else []
    return problems if DIGITS.fullmatch(number) else [*problems, "is not a number"]


def customer(world: World, bank: str, number: str) -> Account | None:
    """Whose number it is. Elsewhere than at GoPay every number that can be one is somebody's, always the same one's."""
    if bank not in NAMES or number_problems(bank, number):
        return None
    if bank == GOPAY:
        found = world.by_phone(number)
        return found[0] if found else None
    place = sha256(f"{bank}:{number}".encode()).digest()[0] % len(HOLDERS)
    return Account("gopay", number, phone="", holder_name=HOLDERS[place], nik_on_file="", kyc="full", status="active")
