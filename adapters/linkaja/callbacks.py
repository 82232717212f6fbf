"""LinkAja sends no notifications (wallets.md 4.5, 4.7): nothing that claims to be one is taken."""

from __future__ import annotations

from adapters.no_callbacks import NoCallbacks

CALLBACKS = NoCallbacks("LinkAja")
