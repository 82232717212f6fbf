"""A text for people, in the two languages of this project."""

from __future__ import annotations

import msgspec


class Text(msgspec.Struct, frozen=True):
    """What to tell people; no personal data."""

    id: str
    en: str
