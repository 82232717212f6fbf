"""For partners that send no notifications: nothing that claims to be one is taken."""

from __future__ import annotations

from typing import NoReturn

from contracts.errors import NotSupported, SignatureInvalid
from contracts.partner import Context, Notification


class NoCallbacks:
    """Refuses every kind: there is no key under which the partner could have signed it."""

    def __init__(self, partner: str) -> None:
        self._none = f"{partner} sends no notifications"

    def verify(self, ctx: Context, note: Notification) -> NoReturn:
        """Raises `SignatureInvalid`, always."""
        raise SignatureInvalid(self._none)

    def dedupe_key(self, note: Notification) -> NoReturn:
        """Not supported."""
        raise NotSupported(self._none)

    def read(self, note: Notification) -> NoReturn:
        """Not supported."""
        raise NotSupported(self._none)

    def reply(self, note: Notification) -> NoReturn:
        """Not supported."""
        raise NotSupported(self._none)
