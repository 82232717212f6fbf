"""A string that must never be printed: token, key, PIN, OTP, card number, account, phone, name."""

from __future__ import annotations

import hmac
from typing import final

import msgspec


@final
class Secret:
    """A value that prints as `***` and is read only by an explicit `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError("a secret wraps a str")
        self._value = value

    def reveal(self) -> str:
        """The value itself: only for the bytes of a partner request or for sealing."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled; seal it")


class Masked(msgspec.Struct, frozen=True):
    """What holds personal data or a secret in fields that are no `Secret`: it prints as its name alone."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"
