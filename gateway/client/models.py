"""What the API answers. Fields that a newer API adds are ignored; states and codes are text: new ones may be added."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """An answer."""


class Text(Model, frozen=True, kw_only=True):
    """What to tell people, in Indonesian and English."""

    id: str
    en: str


class Blocker(Model, frozen=True, kw_only=True):
    """Why an incentive does not move, and who must act."""

    code: str
    owner: str
    since: datetime
    next_attempt_at: datetime | None
    act_by: date
    text: Text


class Incentive(Model, frozen=True, kw_only=True):
    """One instalment."""

    incentive_id: str
    batch_id: str
    programme: str
    purpose: str
    period: int | str
    participant_id: str
    partner: str
    amount_rupiah: int
    due_on: date
    deadline_on: date
    approved: bool
    stage: str
    blocker: Blocker | None
    payout_id: str | None
    payouts: int
    created_at: datetime
    changed_at: datetime


class Approval(Model, frozen=True, kw_only=True):
    """One client's decision about a batch."""

    client_id: str
    decision: str
    at: datetime


class BatchWarning(Model, frozen=True, kw_only=True):
    """What is odd about so many rows of a batch: for its approvers to read."""

    code: str
    rows: int
    text: Text


class Batch(Model, frozen=True, kw_only=True):
    """Incentives handed over at once; approve exactly this `content_root`."""

    batch_id: str
    state: str
    submitted_by: str
    rows_accepted: int
    rows_rejected: int
    rows_repeated: int
    amount_rupiah: int
    content_root: str
    approvals: list[Approval]
    approvals_missing: int
    received_at: datetime
    decided_at: datetime | None
    reapproval: bool = False
    plan_id: str | None = None
    partners: list[dict[str, Any]] = []
    warnings: list[BatchWarning] = []


class Submitted(Model, frozen=True, kw_only=True):
    """One incentive and the batch that was made for it."""

    incentive: Incentive
    batch: Batch


class Plan(Model, frozen=True, kw_only=True):
    """A payment plan; approve exactly this `content_root`."""

    plan_id: str
    state: str
    programme: str
    name: str
    most_participants: int
    most_rupiah: int
    content: str
    content_root: str
    submitted_by: str
    approvals: list[Approval]
    approvals_missing: int
    received_at: datetime
    decided_at: datetime | None


class Fault(Model, frozen=True, kw_only=True):
    """Why a row, a participant or a notice was refused."""

    code: str
    field: str | None
    remedy: Text


class PlanItem(Model, frozen=True, kw_only=True):
    """What became of one participant or notice."""

    number: int
    outcome: str
    participant_id: str | None = None
    entitlement_id: str | None = None
    incentives: int = 0
    deadlines_over: int = 0
    not_taken: list[str] = []
    faults: list[Fault] = []


class PlanItems(Model, frozen=True, kw_only=True):
    """What became of each participant or notice of a request, in its order."""

    made: int
    repeated: int
    refused: int
    items: list[PlanItem]


class Entitlement(Model, frozen=True, kw_only=True):
    """A participant under a payment plan."""

    entitlement_id: str
    plan_id: str
    programme: str
    participant_id: str
    state: str
    incentives: list[Incentive]
    created_at: datetime
    changed_at: datetime


class StageTotal(Model, frozen=True, kw_only=True):
    """What of a batch stands at one stage under one blocker."""

    stage: str
    blocker: str | None
    incentives: int
    amount_rupiah: int


class BatchTotals(Model, frozen=True, kw_only=True):
    """What a batch's accepted rows come to."""

    batch_id: str
    totals: list[StageTotal]


class RowResult(Model, frozen=True, kw_only=True):
    """What became of one line of a batch."""

    line: int
    outcome: str = "accepted"
    programme: str | None = None
    purpose: str | None = None
    period: str | None = None
    participant_id: str | None = None
    incentive_id: str | None = None
    stage: str | None = None
    blocker: str | None = None
    partner: str | None = None
    amount_rupiah: int | None = None
    paid_at: datetime | None = None
    partner_reference: str | None = None
    not_taken: list[str] = []
    faults: list[Fault] = []
    field: str | None = None
    code: str | None = None


class Challenge(Model, frozen=True, kw_only=True):
    """The one address that the participant must open."""

    url: str | None = None
    again: bool = False
    expires_at: datetime | None = None


class LinkLine(Model, frozen=True, kw_only=True):
    """A link in a list."""

    link_id: str
    participant_id: str
    partner: str
    state: str
    ended_because: str | None
    created_at: datetime
    updated_at: datetime


class Link(LinkLine, frozen=True, kw_only=True):
    """A participant's consent at one partner."""

    challenge: Challenge | None


class Withdrawal(Model, frozen=True, kw_only=True):
    """Where a participant withdraws their consent."""

    url: str
    expires_at: datetime


class Need(Model, frozen=True, kw_only=True):
    """What keeps all of a participant's incentives."""

    code: str
    owner: str
    text: Text
    since: datetime


class PendingCorrection(Model, frozen=True, kw_only=True):
    """Another NIK that waits for a second person's word."""

    asked_by: str
    asked_at: datetime


class Participant(Model, frozen=True, kw_only=True):
    """A participant without a word about who it is."""

    participant_id: str
    partner: str
    link_active: bool
    verified: bool
    verified_until: datetime | None
    needs: Need | None
    correction: PendingCorrection | None


class Verification(Model, frozen=True, kw_only=True):
    """One check of the NIK."""

    verification_id: str
    participant_id: str
    link_id: str
    state: str
    verdict: str | None
    tries: int
    next_attempt_at: datetime | None
    decided_at: datetime | None
    expires_at: datetime | None
    created_at: datetime


class Hastened(Model, frozen=True, kw_only=True):
    """How an incentive stands that was asked to move now."""

    incentive_id: str
    stage: str
    blocker: str | None
    payout_id: str | None
    hastened: bool


class Payout(Model, frozen=True, kw_only=True):
    """One movement of money."""

    payout_id: str
    incentive_id: str
    participant_id: str
    programme: str
    purpose: str
    period: str
    link_id: str
    partner: str
    reference: str
    partner_reference: str | None
    amount_rupiah: int
    state: str
    attempt: int
    reason: str | None
    next_at: datetime | None
    first_sent_at: datetime | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


class Case(Model, frozen=True, kw_only=True):
    """What an operator must look at."""

    case_id: str
    state: str
    code: str
    partner: str
    payout_id: str | None
    incentive_id: str | None
    detail: str
    opened_at: datetime
    due_at: datetime
    closed_at: datetime | None
    closed_by: str | None


class Event(Model, frozen=True, kw_only=True):
    """What happened: docs/events.md."""

    cursor: str
    type: str
    subject: str
    data: dict[str, Any]
    at: datetime


class WebhookEndpoint(Model, frozen=True, kw_only=True):
    """Where a client is called, without its secret."""

    webhook_endpoint_id: str
    url: str
    types: list[str]
    created_at: datetime
    disabled_at: datetime | None
    disabled_because: str | None
    cursor: str
    failing_since: datetime | None
    last_error: str | None
    waiting: int
    dead_letters: int
    two_secrets_until: datetime | None
    replay_cursor: str | None = None


class NewWebhookEndpoint(Model, frozen=True, kw_only=True):
    """An endpoint with its secret, which is shown once."""

    endpoint: WebhookEndpoint
    secret: str

    def __repr__(self) -> str:
        return "NewWebhookEndpoint(***)"


class WebhookEndpoints(Model, frozen=True, kw_only=True):
    """The client's endpoints."""

    webhook_endpoints: list[WebhookEndpoint]


class Tried(Model, frozen=True, kw_only=True):
    """What came of a test delivery."""

    delivered: bool
    status: int | None
    error: str | None
    took_ms: int


class DeadLetter(Model, frozen=True, kw_only=True):
    """A delivery that was given up."""

    cursor: str
    subject: str
    tries: int
    since: datetime
    dead_at: datetime
    last_error: str | None


class Funnel(Model, frozen=True, kw_only=True):
    """All incentives by stage; it adds up in every snapshot."""

    as_of: datetime
    incentives: int
    amount_rupiah: int
    stages: dict[str, Any]
