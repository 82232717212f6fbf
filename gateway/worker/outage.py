"""Whether a partner is worth feeding: after a run of failures only a canary now and then, until it speaks again."""

from __future__ import annotations

import structlog

from gateway.clock import Clock
from gateway.services.payouts.sending import Answer

FAILURES = 5
"""So many tries in a row without a word that helps, and feeding stops."""
CANARY_S = 3.0
"""How often one payout is let through to see whether the partner is back."""

_FAILED = frozenset({Answer.NOTHING_DONE, Answer.NO_ANSWER})
_log = structlog.get_logger(__name__)


class Outage:
    """What one worker has seen of one partner lately."""

    def __init__(self, partner: str, clock: Clock) -> None:
        self._partner = partner
        self._clock = clock
        self._failures = 0
        self._canary_at: float | None = None

    @property
    def down(self) -> bool:
        """Whether feeding has stopped."""
        return self._canary_at is not None

    def wait_s(self) -> float:
        """How long until something may be sent; 0: now."""
        return 0.0 if self._canary_at is None else max(0.0, self._canary_at - self._clock.monotonic())

    def admit(self) -> bool:
        """Whether one more may be sent now; while the partner is down that one is the canary."""
        if self._canary_at is None:
            return True
        if self.wait_s() > 0.0:
            return False
        self._canary_at = self._clock.monotonic() + CANARY_S
        return True

    def note(self, answer: Answer) -> None:
        """Take in what a try told about the partner."""
        if answer is Answer.SKIPPED:
            return
        if answer not in _FAILED:
            if self.down:
                _log.info("partner_back", partner=self._partner)
            self._failures, self._canary_at = 0, None
            return
        self._failures += 1
        if self._failures >= FAILURES and not self.down:
            _log.warning("partner_down", partner=self._partner)
            self._canary_at = self._clock.monotonic() + CANARY_S
