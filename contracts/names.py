"""Whether two spellings of a person's name are one name. A difference proves nothing about the person or the NIK: it
only leaves something unproved.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_APART = re.compile(r"[^a-z.]+", re.ASCII)
_NO_LETTER = re.compile(r"[^A-Za-z0-9]+", re.ASCII)
_WITHIN = re.compile(r"['’`]")
"""Within a word: `Nu'man`."""

TITLES = frozenset(
    {
        *("hj", "haji", "hajjah", "kh", "ust", "ustad", "ustadz", "ustadzah"),
        *("dr", "drg", "drs", "dra", "ir", "prof", "tn", "ny", "nn", "bpk", "bapak", "ibu", "sdr", "sdri"),
        *("raden", "rr", "ra", "mr", "mrs", "ms"),
        *("se", "sh", "skom", "spd", "spdi", "ssos", "sag", "ssi", "skep", "skm", "sip", "stp", "spt", "amd", "amdkeb"),
        *("gopay", "dnid"),  # a wallet, as banks write it before its customer's name
        *("mm", "mh", "msi", "mpd", "mkom", "mba", "msc", "phd", "mag", "mt", "ssn", "spsi", "sked"),
    }
)
"""Before and behind a name, without their dots."""


_MAYBE_TITLES = frozenset({"h", "r"})
"""Haji and Raden, or the first letter of a name."""
_SPELT = {
    "muhammad": (re.compile(r"m[uo](?:h|ch|kh)am+[ae]d"), re.compile(r"m[uo](?:h|ch|kh)|m[uo]?hd")),
    "ahmad": (re.compile(r"a(?:h|ch|kh)m[ae]d"), re.compile(r"a[ck]h")),
    "abdul": (re.compile(r"abdu[lr]"), re.compile(r"abd")),
}
"""Words that everybody spells (also within another) and shortens as they like: `Mochamad`, `Moh.`; `Akhmad`, `Ach.`;
`Abdur`, `Abd.`.
"""


def agree(one: str, other: str) -> bool:
    """Whether both have the same words: in any order, without titles, an initial standing for a word; or, in one order,
    the same letters, wherever words are parted (`Nur Hidayah`, `Nurhidayah`).

    At least one word is the same in full. Whatever stands behind a comma is titles.
    """
    return any(
        _same(_counted(first), _counted(second)) or _as_one(first) == _as_one(second) != ""
        for first in _readings(one)
        for second in _readings(other)
    )


def plain(name: str) -> str:
    """A name in letters A to Z, digits and single spaces, for systems that take nothing else: marks and apostrophes
    go, whatever else is no letter parts words. The name itself where nothing would be left of it.
    """
    letters = unicodedata.normalize("NFKD", _WITHIN.sub("", name)).encode("ascii", "ignore").decode()
    return " ".join(_NO_LETTER.sub(" ", letters).split()) or name


def _same(first: Counter[str], second: Counter[str]) -> bool:
    full = {word for word in first.keys() & second.keys() if len(word) > 1}
    if not full:
        return False
    return _fit(_rest(first, full), _rest(second, full))


def _rest(words: Counter[str], full: set[str]) -> dict[str, tuple[int, int]]:
    """What is left of a name, by first letter: how many initials and how many words in full."""
    rest: dict[str, tuple[int, int]] = {}
    for word, times in words.items():
        if word not in full:
            initials, written = rest.get(word[0], (0, 0))
            rest[word[0]] = (initials + times, written) if len(word) == 1 else (initials, written + times)
    return rest


def _fit(first: dict[str, tuple[int, int]], second: dict[str, tuple[int, int]]) -> bool:
    """Whether each word that is left finds one of its own: no two words in full, which would differ, are a pair."""
    return first.keys() == second.keys() and all(
        sum(first[letter]) == sum(second[letter])
        and first[letter][1] <= second[letter][0]
        and second[letter][1] <= first[letter][0]
        for letter in first
    )


def _readings(name: str) -> tuple[list[str], list[str]]:
    """The words of a name as they stand, with and without what may be a title or an initial."""
    plain = (
        unicodedata.normalize("NFKD", _WITHIN.sub("", name.split(",")[0])).encode("ascii", "ignore").decode().lower()
    )
    words: list[str] = []
    for token in filter(None, _APART.split(plain)):
        if token.replace(".", "") not in TITLES:
            words += [_spelt(word) for word in token.split(".") if word and word not in TITLES]
    return words, [word for word in words if word not in _MAYBE_TITLES]


def _counted(words: list[str]) -> Counter[str]:
    """A word written twice counts once, an initial as often as it stands there."""
    return Counter(each for each in words if len(each) == 1) + Counter({word for word in words if len(word) > 1})


def _as_one(words: list[str]) -> str:
    """The letters in a row; none where one is an initial, which stands for a word."""
    letters = "" if any(len(word) == 1 for word in words) else "".join(words)
    for usual, (spelt, _) in _SPELT.items():
        letters = spelt.sub(usual, letters)
    return letters


def _spelt(word: str) -> str:
    return next((usual for usual, forms in _SPELT.items() if any(form.fullmatch(word) for form in forms)), word)
