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
    BATCH_DOUBTED = "batch.doubted"
    """Most of its people are refused at a partner, and others are not."""
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


_HELD = "stage kind fault? words? since next_canary_at? by?"
_CASE = "case_id code partner? payout_id? incentive_id? detail"
DATA: dict[EventType, tuple[str, ...]] = {
    kind: tuple(names.split())
    for kind, names in (
        (
            EventType.INCENTIVE_CHANGED,
            "incentive_id participant_id batch_id programme purpose period partner amount_rupiah due_on deadline_on"
            " stage blocker?",
        ),
        (EventType.APPROVAL_LAPSED, "incentive_id participant_id batch_id because"),
        (EventType.BATCH_RECEIVED, "rows_accepted rows_rejected rows_repeated"),
        (EventType.BATCH_APPROVED, "content_root"),
        (EventType.BATCH_REJECTED, ""),
        (EventType.BATCH_EXPIRED, ""),
        (EventType.BATCH_STOPPED, "incentives"),
        (EventType.BATCH_DOUBTED, "partner refused answered codes"),
        (EventType.BATCH_INCENTIVES_CHANGED, "batch_id incentives"),
        (EventType.PLAN_CHANGED, "plan_id programme state content_root"),
        (EventType.ENTITLEMENT_CHANGED, "entitlement_id plan_id participant_id state"),
        (EventType.PARTICIPANT_CHANGED, "participant_id fields"),
        (EventType.PARTICIPANT_ACCOUNT_CHANGED, "participant_id partner"),
        (EventType.LINK_CHANGED, "link_id participant_id partner state ended_because?"),
        (EventType.VERIFICATION_COMPLETED, "verification_id participant_id link_id partner verdict? blocker?"),
        (EventType.VERIFICATION_EXPIRED, "participant_id link_id? partner"),
        (EventType.PAYOUT_CHANGED, "payout_id incentive_id partner state reason?"),
        (EventType.CASE_OPENED, _CASE),
        (EventType.CASE_CLOSED, f"{_CASE} closed_by?"),
        (EventType.PARTNER_PAUSED, "by reason?"),
        (EventType.PARTNER_RESUMED, "by"),
        (EventType.PARTNER_HELD, _HELD),
        (EventType.PARTNER_RELEASED, _HELD),
        (EventType.PARTNER_RECOVERY_BEGAN, "partner since"),
        (EventType.PARTNER_RECOVERY_ENDED, "partner since"),
        (EventType.WEBHOOK_DISABLED, "webhook_endpoint_id because last_error?"),
    )
}
"""Names of each type's data; a question mark behind one that may be null."""
