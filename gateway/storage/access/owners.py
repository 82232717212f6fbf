"""Whose a row is: the organisation that handed it over, by the ids that the API's addresses and bodies name."""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from gateway.storage.base.database import Connection

_OF_INCENTIVE = "SELECT i.organisation FROM incentives i"
OWNERS: dict[str, tuple[str, str]] = {
    "participant_id": (
        "SELECT organisation FROM participants WHERE participant_id = $1",
        "There is no incentive for this participant.",
    ),
    "link_id": (
        "SELECT p.organisation FROM links l JOIN participants p ON p.id = l.participant WHERE l.id = $1",
        "There is no such link.",
    ),
    "verification_id": (
        "SELECT p.organisation FROM verifications v JOIN participants p ON p.id = v.participant WHERE v.id = $1",
        "There is no such verification.",
    ),
    "incentive_id": (f"{_OF_INCENTIVE} WHERE i.id = $1", "There is no such incentive."),
    "payout_id": (f"{_OF_INCENTIVE} JOIN payouts p ON p.incentive = i.id WHERE p.id = $1", "There is no such payout."),
    "plan_id": ("SELECT organisation FROM plans WHERE id = $1", "There is no such plan."),
    "entitlement_id": ("SELECT organisation FROM entitlements WHERE id = $1", "There is no such entitlement."),
    "batch_id": ("SELECT organisation FROM batches WHERE id = $1", "There is no such batch."),
    "case_id": (
        f"{_OF_INCENTIVE} JOIN cases c ON i.id = coalesce(c.incentive, (SELECT p.incentive FROM payouts p"
        " WHERE p.id = c.payout)) WHERE c.id = $1",
        "There is no such case.",
    ),
    "settlement_id": (
        f"{_OF_INCENTIVE} JOIN payouts p ON p.incentive = i.id JOIN settlements s ON s.payout = p.id WHERE s.id = $1",
        "There is no such settlement.",
    ),
}
"""What an id is called -> its row's organisation, and how a row that is not there is told."""
_TEXTS = frozenset({"participant_id", "link_id", "batch_id", "plan_id"})
_MOST, _DIGITS = 2**63 - 1, 19


def possible(name: str, value: object) -> bool:
    """Whether a row can have this id at all; what cannot be is refused where ids are read."""
    if name in _TEXTS:
        return True
    text = str(value)
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS and 0 < int(text) <= _MOST


async def find(connection: Connection, name: str, value: object) -> str | None:
    """The organisation of the row with this id (a `possible` one); None: there is no such row."""
    given = value if name in _TEXTS else int(str(value))
    organisation: str | None = await connection.fetchval(OWNERS[name][0], given)
    return organisation
