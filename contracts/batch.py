"""A batch: incentives handed over at once, approved by two people, bound to its exact content."""

from __future__ import annotations

import enum

import msgspec

COLUMNS = (
    "programme", "purpose", "period", "participant_id", "nik", "full_name", "phone", "partner", "account",
    "amount_rupiah", "due_on", "deadline_on",
)  # fmt: skip
"""The fields of one row, as CSV header or as the keys of one NDJSON object."""

REQUIRED_APPROVALS = 2
"""By two clients, neither of them the one that submitted it."""


class BatchState(enum.Enum):
    """Where a batch stands."""

    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    """An approver said no; its incentives are cancelled."""


class RowCode(enum.Enum):
    """Why a row was refused at intake; the rest of the batch goes on."""

    ROW_MALFORMED = "row_malformed"
    FIELD_MISSING = "field_missing"
    FIELD_INVALID = "field_invalid"
    NIK_INVALID = "nik_invalid"
    PARTNER_UNKNOWN = "partner_unknown"
    AMOUNT_INVALID = "amount_invalid"
    DATE_INVALID = "date_invalid"
    PARTICIPANT_CONFLICT = "participant_conflict"
    NIK_DUPLICATE = "nik_duplicate"
    INCENTIVE_CONFLICT = "incentive_conflict"


ROW_REMEDY: dict[RowCode, str] = {
    RowCode.ROW_MALFORMED: "Send one CSV row with the header's columns, or one JSON object, per line.",
    RowCode.FIELD_MISSING: "Fill the field named.",
    RowCode.FIELD_INVALID: "Correct the field named.",
    RowCode.NIK_INVALID: "Check the NIK against the participant's KTP: 16 digits with a real date of birth.",
    RowCode.PARTNER_UNKNOWN: "Use a partner from GET /v1/partners.",
    RowCode.AMOUNT_INVALID: "Give whole rupiah, without separators, above zero and within the partner's limit.",
    RowCode.DATE_INVALID: "Give dates as YYYY-MM-DD, the deadline not before the due date.",
    RowCode.PARTICIPANT_CONFLICT: "Use the participant's current NIK, partner and account, or change them first.",
    RowCode.NIK_DUPLICATE: "Another participant holds this instalment under the same NIK; settle who is right.",
    RowCode.INCENTIVE_CONFLICT: "The instalment was handed over before with other content; cancel that one first.",
}
assert set(ROW_REMEDY) == set(RowCode), "every row error says what to do"


class RowError(msgspec.Struct, frozen=True, kw_only=True):
    """One refused row: where, which field, why, what to do; never the value."""

    line: int
    """1-based line of the file; a CSV header is line 1."""
    field: str | None
    code: RowCode
    remedy: str
