"""What one cell says: cleaned of what a spreadsheet or an eye cannot tell, and whether it is somebody's name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from contracts.batch import Fault, RowCode
from gateway.security import places
from gateway.security.vault import Vault

MAX_NAME = 120
_FORMULA = "=+-@#"
"""What a spreadsheet computes, or says of what it could not compute (#N/A)."""
_EMPTY = frozenset(
    {"nan", "NaN", "NaT", "null", "NULL", "(null)", "none", "None", "n/a", "N/A", "<NA>", "\\N", "undefined"}
)
"""How programs write that there is nothing; nobody is called so, in this spelling."""
_COMPUTED = re.compile(r"[=@\t\r\n]|[+-](?![0-9 .,()-]*\Z)", re.ASCII)
_LOST = "\ufffd"
"""Stands where a letter was lost."""
_UNSEEN: dict[int, str | None] = dict.fromkeys(
    [
        *map(ord, "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u200b\u200c\u200d\u2060\u3164\ufeff\uffa0"),
        *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0),
    ]
)  # fmt: skip
"""What a web page, a word processor or a keyboard puts between letters: soft hyphen, zero-width signs, and letters and
marks that draw nothing (fillers, variation selectors)."""
_UNSEEN[0x2800] = " "  # braille without a dot: drawn as a space
_MARKS = ("'", "=")
_MARKED = re.compile(r"""(?:'|="(?=.*"\Z))([+0-9-]+)"?""", re.ASCII)
"""Digits as a spreadsheet marks them to be text: behind an apostrophe, or as a formula."""


def cleaned(cell: str) -> str:
    """A cell without what cannot be seen: spaces of any kind around it, zero-width signs and soft hyphens, with an
    ordinary space for each other kind of space, and each letter in its one composed form (NFC); digits without the
    mark that makes them text.
    """
    if cell.isascii():
        cell = cell.strip(" ")
        marked = _MARKED.fullmatch(cell) if cell[:1] in _MARKS else None
        return marked[1] if marked else cell
    text = unicodedata.normalize("NFC", cell.translate(_UNSEEN))
    return "".join([" " if unicodedata.category(sign) == "Zs" else sign for sign in text]).strip(" ")


def plain(cell: object) -> str:
    """A cell of a file that we write: what a spreadsheet would compute stands behind an apostrophe, which it hides.
    Numbers and phones stay as they are.
    """
    text = "" if cell is None else str(cell)
    return f"'{text}" if _COMPUTED.match(text) else text


def sign_of(value: str, allowed: Callable[[str], bool]) -> str | None:
    """The first sign that does not belong there; a sign is not yet anybody's data."""
    for sign in value:
        if not allowed(sign):
            return f"U+{ord(sign):04X} {unicodedata.name(sign, '')}".strip()
    return None


def is_name(text: str) -> bool:
    """Whether it can be a person's name: letters, nothing unseen, nothing that a spreadsheet would compute."""
    fine = 0 < len(text) <= MAX_NAME and text.isprintable() and text == text.strip(" ") and text not in _EMPTY
    if not (fine and (text[0].isalpha() or _begins_a_name(text))):
        return False
    return text.isascii() or (text == cleaned(text) and not _spoilt(text))


def name_fault(text: str) -> Fault:
    """What is wrong with what is no name."""
    if text in _EMPTY:
        return Fault("full_name", RowCode.FIELD_MISSING.value)
    if text.isprintable() and _spoilt(text):
        return Fault("full_name", RowCode.ENCODING_INVALID.value)
    sign = sign_of(text, str.isprintable)
    if sign is None and not _begins_a_name(text):
        sign = sign_of(text.lstrip("'") or text, str.isalpha)  # the formula's, not the mark that we put before it
    return Fault("full_name", RowCode.FIELD_INVALID.value, sign)


def folded(name: str) -> str:
    """The same for a name in other capitals or with other spaces between its words."""
    return " ".join(name.split()).casefold()


def name_index(vault: Vault, name: str, name_folded: str) -> bytes:
    """64 bytes: the index of the name as it is written, then that of the name `folded`."""
    return vault.index(places.NAME_INDEX, name) + vault.index(places.NAME_FOLDED_INDEX, name_folded)


def _begins_a_name(text: str) -> bool:
    first = text.lstrip("'")[:1]  # as we write what was a formula
    return first not in ("", *_FORMULA) and any(map(str.isalpha, text))


def _spoilt(text: str) -> bool:
    """Whether letters were lost, or UTF-8 was read as Windows-1252 and written anew: no name is that by chance."""
    if _LOST in text:
        return True
    try:
        return not text.encode("cp1252").decode().isascii()
    except UnicodeError:
        return False
