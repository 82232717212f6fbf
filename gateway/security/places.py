"""Names of the places where sealed fields live (associated data of the seal) and of the blind indexes."""

from __future__ import annotations

NIK_INDEX = "nik"
"""Equality of NIKs, whoever handed them over."""
NAME_INDEX = "name"
NAME_FOLDED_INDEX = "name folded"
PHONE_INDEX = "phone"
"""Equality with what was known of the same participant."""
CONTENT_INDEX = "incentive content"
"""Keyed hash of a row as handed over; a plain hash could be searched for the NIK in it."""
APPROVED_ROW = "approved row"
"""Keyed digest of what two people approved (gateway/security/approval.py)."""
AUDIT_SEAL = "audit seal"
"""Code of a link of the chain over the record of decisions."""
REQUEST_INDEX = "request"
"""Keyed hash of a request under an `Idempotency-Key`, for the same reason."""
FROZEN_BODY = "frozen body"
"""Keyed hash of what a payout's WRITE carries, for the same reason: all of it but the account stands in its row."""


def account_index(partner: str) -> str:
    """Index kind for accounts at one partner."""
    return f"account:{partner}"


def grant_index(partner: str) -> str:
    """Index kind for customer tokens of one partner."""
    return f"grant:{partner}"


def nik(participant_id: str) -> str:
    """A participant's NIK."""
    return f"participants.nik|{participant_id}"


def name(participant_id: str) -> str:
    """A participant's full name."""
    return f"participants.name|{participant_id}"


def phone(participant_id: str) -> str:
    """A participant's phone."""
    return f"participants.phone|{participant_id}"


def account(participant_id: str) -> str:
    """A participant's current account."""
    return f"participants.account|{participant_id}"


def link_account(link_id: str) -> str:
    """The account a link is for."""
    return f"links.account|{link_id}"


def link_carry(link_id: str) -> str:
    """What an adapter keeps between two steps of linking."""
    return f"links.carry|{link_id}"


def link_grant(link_id: str) -> str:
    """The participant's access at the partner."""
    return f"links.grant|{link_id}"


def inbox_raw(partner: str, kind: str, event_key: str) -> str:
    """A notification exactly as received."""
    return f"inbox.raw|{partner}:{kind}:{event_key}"


def idempotency_answer(client_id: str, key: str) -> str:
    """The answer given to a request with an `Idempotency-Key`; it may hold a one-time address."""
    return f"idempotency.answer|{client_id}:{key}"


def operator_totp(client_id: str) -> str:
    """The secret from which a person's one-time codes come."""
    return f"operators.totp|{client_id}"


def webhook_secret(endpoint_id: str) -> str:
    """What signs the calls to one webhook endpoint."""
    return f"webhook_endpoints.secret|{endpoint_id}"


def content_key(batch_id: str) -> str:
    """The key of a batch's content root."""
    return f"batches.content_key|{batch_id}"
