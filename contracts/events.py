"""What the core platform is told: the event types of `/v1/events`."""

from __future__ import annotations

import enum


class EventType(enum.Enum):
    """Types are stable; new ones may be added."""

    LINK_CHANGED = "link.changed"
    VERIFICATION_COMPLETED = "verification.completed"
    INCENTIVE_CHANGED = "incentive.changed"
    PAYOUT_CHANGED = "payout.changed"
    BATCH_RECEIVED = "batch.received"
    BATCH_APPROVED = "batch.approved"
    BATCH_REJECTED = "batch.rejected"
    PARTNER_PAUSED = "partner.paused"
    PARTNER_RESUMED = "partner.resumed"
    PARTNER_HELD = "partner.held"
    """It is not fed as usual at one stage: an outage, throttling, or a refusal of us."""
    PARTNER_RELEASED = "partner.released"
    CASE_OPENED = "case.opened"
