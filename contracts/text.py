"""Texts for people, in the two languages of this project, and digits as people type them."""

from __future__ import annotations

import unicodedata

import msgspec


class Text(msgspec.Struct, frozen=True):
    """What to tell people; no personal data."""

    id: str
    en: str


_BETWEEN = frozenset(" .-\t\u00a0\u2010\u2011\u2012\u2013")


def typed_digits(text: str) -> str:
    """Digits as people type and paste them, `123 456` or in another script's signs, as plain ones; a text that holds
    anything but digits and what is put between them as it is.
    """
    found = []
    for sign in text:
        if sign.isdecimal():
            found.append(str(unicodedata.decimal(sign)))
        elif sign not in _BETWEEN and unicodedata.category(sign) not in ("Cf", "Zs"):  # Cf: comes with a copied message
            return text
    return "".join(found) or text
