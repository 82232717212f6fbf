"""An account or a NIK as partners write it: the forms of a mobile number, and an account that comes back changed."""

from __future__ import annotations

import re
from collections.abc import Callable

from adapters import answers
from contracts.errors import PartnerProtocolError
from contracts.nik import Nik, is_nik
from contracts.secret import Secret

_E164 = re.compile(r"\+62(8[0-9]{7,12})", re.ASCII)
_MOBILE = re.compile(r"(?:(?:\+|00)?62)?0?(8[0-9]{7,12})", re.ASCII)
_VIRTUAL = re.compile(r"[0-9]{2,5}?0(8[0-9]{8,11})", re.ASCII)
"""A wallet as banks number it: the wallet's prefix and the phone (`84`, `898` or `8528` before `08..` in DOKU's list of
e-wallets); longer than any phone.
"""
_NIK = re.compile(r"[0-9]{16}", re.ASCII)
_KIND = re.compile(r"\+?(?:62|0)?8?[0-9]{0,2}", re.ASCII)
"""The beginning of a mobile number, which tells a mobile operator and no person."""
_PROOF_DIGITS = 4
_SHOWN = re.compile(r"[0-9Xx*•#]{4,32}")
_SEPARATORS = str.maketrans("", "", " .-/()\t\u00a0\u2009\u202f\u2010\u2011\u2012\u2013\u2014")
"""Spaces, brackets and dashes of all kinds: numbers are copied out of documents."""


def local(account: Secret) -> Secret:
    """`+6281..` as `081..`."""
    return Secret(f"0{_subscriber(account)}")


def msisdn(account: Secret) -> Secret:
    """`+6281..` as `6281..`."""
    return Secret(f"62{_subscriber(account)}")


def mobile(number: str) -> Secret | None:
    """A mobile number in our form, `+6281..`, out of `081..`, `6281..`, `+6281..`, `006281..`, `62081..`, `81..`
    (its zero lost) or `8528081..` (with a wallet's prefix); None where it is none.
    """
    number = number.translate(_SEPARATORS)
    found = _MOBILE.fullmatch(number) or _VIRTUAL.fullmatch(number)
    return None if found is None else Secret(f"+62{found.group(1)}")


def digits(text: str) -> str:
    """A number without the separators that people and systems put into it (a NIK, an account)."""
    return text.translate(_SEPARATORS)


def same_nik(ours: Nik, theirs: object, field: str) -> bool:
    """Whether the NIK that a partner tells in `field` is ours; a `PartnerProtocolError` where it tells none."""
    shown = digits(f"{theirs}" if type(theirs) is int else theirs.strip() if isinstance(theirs, str) else "")
    if _NIK.fullmatch(shown) is None or not is_nik(shown):  # `0000000000000000` is nobody's
        raise PartnerProtocolError(f"{field} is missing or not 16 digits of a NIK")
    return ours.same_as(shown)


def must_be_of_nik(ours: Nik, *theirs: object) -> None:
    """A check's answer that shows the NIK asked about must show ours; a masked one, or none, says nothing. Raises
    `PartnerProtocolError`.
    """
    for each in theirs:
        shown = digits(answers.written(each))
        if _NIK.fullmatch(shown) and not ours.same_as(shown):
            raise PartnerProtocolError("the answer is about another NIK")


def echoed(theirs: str, ours: Secret, read: Callable[[str], Secret | None]) -> Secret | None:
    """The account that an answer speaks of: `ours` itself where it agrees, another where it does not, None where all
    its digits are masked. `read` turns the partner's form into ours, None where it cannot.

    An account that lost its leading zero is the same one; a masked one is, where it shows digits and they agree.
    A text that is no account at all is a `PartnerProtocolError`.
    """
    account = read(theirs)
    if account is not None:
        return ours if account == ours else account
    shown = digits(theirs).removeprefix("+")
    if _SHOWN.fullmatch(shown) is None:
        raise PartnerProtocolError("an account cannot be read")
    if not any(each.isdigit() for each in shown):
        return None
    forms = {ours.reveal().removeprefix("+"), ours.reveal().lstrip("0")}
    if (phone := _E164.fullmatch(ours.reveal())) is not None:
        forms |= {f"0{phone.group(1)}", phone.group(1)}
    return ours if any(_agrees(shown, form) for form in forms) else Secret(shown)


def proof(theirs: object, ours: Secret) -> Secret | None:
    """The mobile number that an answer names as the one asked about, as `echoed` reads it: None where none is named, or
    where a mask leaves fewer than four digits that tell one person from another.
    """
    shown = answers.written(theirs)
    account = echoed(shown, ours, mobile) if shown else None
    if account == ours and mobile(shown) is None:
        rest = _KIND.sub("", digits(shown), count=1)
        return ours if sum(map(str.isdigit, rest)) >= _PROOF_DIGITS else None
    return account


def listed(theirs: object, read: Callable[[str], Secret | None]) -> Secret | None:
    """The account that a line of a statement names, in our form; one of another shape (another bank's) is another
    account, not none. None where none is named or digits of it are masked.
    """
    if not isinstance(theirs, str):
        return None
    shown = digits(theirs).removeprefix("+")
    return read(theirs) or (Secret(shown) if shown.isascii() and shown.isdigit() else None)


def _agrees(shown: str, form: str) -> bool:
    """Whether the digits that a masked account shows stand in `form` too: each in its place, or, where the mask has
    another length than what it hides, before and after it.
    """
    if len(shown) == len(form):
        return all(not one.isdigit() or one == other for one, other in zip(shown, form, strict=True))
    parts = re.split(r"[^0-9]+", shown)
    return len(parts) == 2 and len("".join(parts)) < len(form) and form.startswith(parts[0]) and form.endswith(parts[1])


def _subscriber(account: Secret) -> str:
    found = _E164.fullmatch(account.reveal())
    if found is None:
        raise ValueError("the account is no Indonesian mobile number in E.164")
    return found.group(1)
