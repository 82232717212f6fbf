"""What the core platform is told: the event types of `/v1/events` and of webhooks (docs/events.md)."""

from __future__ import annotations

import enum


class EventType(enum.Enum):
    """Types are stable; new ones may be added."""

    INCENTIVE_CHANGED = "incentive.changed"
    APPROVAL_LAPSED = "approval.lapsed"
    """What was approved is no longer what would be paid: two people approve it anew."""
    BATCH_RECEIVED = "batch.received"
    BATCH_APPROVED = "batch.approved"
    BATCH_REJECTED = "batch.rejected"
    BATCH_EXPIRED = "batch.expired"
    BATCH_STOPPED = "batch.stopped"
    BATCH_INCENTIVES_CHANGED = "batch.incentives_changed"
    PLAN_CHANGED = "plan.changed"
    ENTITLEMENT_CHANGED = "entitlement.changed"
    PARTICIPANT_CHANGED = "participant.changed"
    """NIK, name, phone, partner or account was corrected."""
    PARTICIPANT_ACCOUNT_CHANGED = "participant.account_changed"
    LINK_CHANGED = "link.changed"
    VERIFICATION_COMPLETED = "verification.completed"
    VERIFICATION_EXPIRED = "verification.expired"
    PAYOUT_CHANGED = "payout.changed"
    CASE_OPENED = "case.opened"
    CASE_CLOSED = "case.closed"
    PARTNER_PAUSED = "partner.paused"
    PARTNER_RESUMED = "partner.resumed"
    PARTNER_HELD = "partner.held"
    """It is not fed as usual at one stage: an outage, throttling, or a refusal of us."""
    PARTNER_RELEASED = "partner.released"
    PARTNER_RECOVERY_BEGAN = "partner.recovery_began"
    PARTNER_RECOVERY_ENDED = "partner.recovery_ended"
    WEBHOOK_DISABLED = "webhook.disabled"
