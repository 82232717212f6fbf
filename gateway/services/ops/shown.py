"""What somebody has read before they act: a page sends it along, so that nothing is lifted that it did not show."""

from __future__ import annotations

import hashlib
from datetime import datetime


def as_read(since: datetime, text: str) -> str:
    """Of a pause or case of that time, with this reason or evidence; both may gain more while a page stands open."""
    return hashlib.sha256(f"{since.timestamp()} {text}".encode()).hexdigest()[:16]
