"""LinkAja sends no notifications (wallets.md 4.5, 4.7): nothing that claims to be one is taken."""

from __future__ import annotations

from typing import NoReturn

from contracts.errors import NotSupported, SignatureInvalid
from contracts.partner import Context, Notification


class LinkAjaCallbacks:
    """Refuses every kind."""

    def verify(self, ctx: Context, note: Notification) -> NoReturn:
        """There is no key under which LinkAja could have signed it."""
        raise SignatureInvalid("LinkAja sends no notifications")

    def dedupe_key(self, note: Notification) -> NoReturn:
        """Not supported."""
        raise NotSupported("LinkAja sends no notifications")

    def read(self, note: Notification) -> NoReturn:
        """Not supported."""
        raise NotSupported("LinkAja sends no notifications")

    def reply(self, note: Notification) -> NoReturn:
        """Not supported."""
        raise NotSupported("LinkAja sends no notifications")


CALLBACKS = LinkAjaCallbacks()
