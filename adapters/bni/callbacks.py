"""BNI sends us no notifications: SNAP has none for services 17 and 36 (snap-bni.md 1.13), and Autopay's are about
debits, which we never make (snap-bni.md 2.4).
"""

from __future__ import annotations

from adapters.no_callbacks import NoCallbacks

CALLBACKS = NoCallbacks("BNI")
