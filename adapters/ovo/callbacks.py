"""OVO sends no notifications (wallets.md 3.6)."""

from __future__ import annotations

from adapters.no_callbacks import NoCallbacks

CALLBACKS = NoCallbacks("OVO")
