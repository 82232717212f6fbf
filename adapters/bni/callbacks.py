"""BNI sends us no notifications: SNAP has none for services 17 and 36 (snap-bni.md 1.13), and Autopay's are about
debits, which we never make (snap-bni.md 2.4). Every kind is refused.
"""

from __future__ import annotations

from contracts.errors import NotSupported, SignatureInvalid
from contracts.observation import Notice
from contracts.partner import Context, Notification

_NONE = "BNI sends no notifications"


class BniCallbacks:
    """Refuses every notification."""

    def verify(self, ctx: Context, note: Notification) -> None:
        """Nothing that arrives here can be BNI's."""
        raise SignatureInvalid(_NONE)

    def dedupe_key(self, note: Notification) -> str:
        """Not declared."""
        raise NotSupported(_NONE)

    def read(self, note: Notification) -> Notice:
        """Not declared."""
        raise NotSupported(_NONE)

    def reply(self, note: Notification) -> tuple[int, bytes]:
        """Not declared."""
        raise NotSupported(_NONE)
