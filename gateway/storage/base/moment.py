"""When somebody looks: what is told of an incentive that waits depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import msgspec


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Now, and what follows from it."""

    now: datetime
    today: date
    """In Jakarta."""
    sent_before: Mapping[str, datetime]
    """By partner: an outcome that is unknown since before then is an operator's."""

    @property
    def values(self) -> list[object]:
        """As a statement's first three parameters; the third is JSON by partner."""
        return [self.now, self.today, {partner: at.isoformat() for partner, at in self.sent_before.items()}]
