"""The SMS box: every OTP a mock sends, to be read at `/__mock__/sms` (decisions X4)."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mock_partners.kit.turn import effect

KEPT_PER_PHONE = 50


@dataclass(frozen=True, repr=False)
class Sms:
    """One message sent: its code and when."""

    code: str
    sent_at: datetime


class SmsBox:
    """Draws six random digits per message from a seeded generator; `fixed` gives sandbox phones their constant OTP."""

    def __init__(self, rng: random.Random, fixed: Mapping[str, str] | None = None) -> None:
        self._rng = rng
        self.fixed = dict(fixed or {})
        self._box: dict[str, deque[Sms]] = defaultdict(lambda: deque(maxlen=KEPT_PER_PHONE))

    def send(self, phone: str, at: datetime) -> str:
        """Sends a new OTP to a phone in the form +62.. and returns it."""
        code = self.fixed.get(phone) or f"{self._rng.randrange(1_000_000):06d}"
        if not effect("lose_sms"):
            self._box[phone].appendleft(Sms(code, at))
        return code

    def newest_first(self, phone: str) -> list[dict[str, str]]:
        return [{"code": sms.code, "sent_at": sms.sent_at.isoformat()} for sms in self._box.get(phone, ())]
