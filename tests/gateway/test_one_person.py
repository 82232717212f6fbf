"""One person is one person: a NIK has one spelling, and with it one index; whatever else looks like it is refused."""

from __future__ import annotations

import random
import unicodedata
from datetime import date

import pytest

from contracts.nik import Nik, NikInvalid, is_nik
from gateway.security import places
from gateway.security.vault import Vault
from tests.conftest import MASTER_KEY

NIK = "1101010101019901"
ODD = (" ", "-", ".", "\t", "\n", "\u00a0", "\u200b", "\ufeff", "\u0661", "\uff11", "\u00b2", "+", "0", "l", "O")


def test_no_other_spelling_is_a_nik() -> None:
    """Anything put in, or in the place of a digit: digits of other scripts count as digits for `str.isdigit` too."""
    rng = random.Random(11)
    spellings = {NIK[:at] + odd + NIK[at + cut :] for at in range(17) for odd in ODD for cut in (0, 1)}
    for zero in (0x0660, 0x06F0, 0x0966, 0xFF10, 0x1D7CE):
        spellings.add("".join(chr(zero + int(digit)) for digit in NIK))
        at = rng.randrange(16)
        spellings.add(NIK[:at] + chr(zero + int(NIK[at])) + NIK[at + 1 :])
    taken = set()
    for text in spellings:
        try:
            taken.add(Nik(text).reveal())
        except NikInvalid:
            continue
    assert {text for text in spellings if is_nik(text)} == taken
    assert all(len(text) == 16 and text.isascii() and text.isdecimal() for text in taken)
    same = {text for text in taken if unicodedata.normalize("NFKC", text) == NIK}
    assert same <= {NIK}, "two spellings of one NIK would be two people"


def test_a_nik_holds_a_date_of_birth_of_one_of_two_centuries() -> None:
    def is_date(year: int, month: int, day: int) -> bool:
        try:
            date(year, month, day)
        except ValueError:
            return False
        return True

    for year in (0, 1, 4, 23, 24, 98, 99):
        for month in range(14):
            for day in range(80):
                born = day - 40 if 41 <= day <= 71 else day
                nik = f"110101{day:02d}{month:02d}{year:02d}9901"
                try:
                    taken = bool(Nik(nik))
                except NikInvalid:
                    taken = False
                assert is_nik(nik) is taken and not is_nik(f"{nik[:12]}0000")
                assert taken is any(is_date(since + year, month, born) for since in (1900, 2000)), (day, month, year)


def test_one_nik_has_one_index_under_one_key() -> None:
    vault = Vault(MASTER_KEY)
    assert vault.index(places.NIK_INDEX, NIK) == Vault(MASTER_KEY).index(places.NIK_INDEX, Nik(NIK).reveal())
    with pytest.raises(NikInvalid):
        Nik(f"{NIK} ")
