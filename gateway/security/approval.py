"""What two people approve about an incentive, and the keyed digest that binds it: whoever has the database alone can
change the row, but not make the digest of what he has made of it. And what is kept of the body that is sent for it.
"""

from __future__ import annotations

import hmac
from datetime import date

from gateway.security import places
from gateway.security.vault import Vault

_KEYED = b"\x01"
"""Before a stored hash that is keyed."""


def approved_row(
    programme: str,
    purpose: str,
    period: str,
    participant_id: str,
    nik_index: bytes,
    partner: str,
    amount_rupiah: int,
    due_on: date,
    deadline_on: date,
) -> str:
    """The approved row as text, but for the account; `begin_payouts` in the schema makes the same of the rows that are
    about to be paid.
    """
    return (
        f"{programme}\x1f{purpose}\x1f{period}\x1f{participant_id}\x1f{nik_index.hex()}\x1f{partner}"
        f"\x1f{amount_rupiah}\x1f{due_on!s}\x1f{deadline_on!s}"
    )


def digest(vault: Vault, row: str, account_index: bytes, under: bytes = b"") -> bytes:
    """32 bytes over the row and the account, and over the root of the payment plan `under` which it was made, if any: a
    row that was handed over otherwise is not approved by a plan's approvals, nor by another plan's.
    """
    plan = f"\x1f{under.hex()}" if under else ""
    return vault.index(places.APPROVED_ROW, f"{row}\x1f{account_index.hex()}{plan}")


def kept_hash(vault: Vault, frozen: bytes, stored: bytes | None = None) -> bytes:
    """What the store keeps of the SHA-256 of a payout's body: keyed, as all of that body but the account stands in the
    row, and a plain hash could be searched for it. `stored`: what is kept already; the plain hash of an earlier version
    stays while the payout is under way.
    """
    if stored is not None and hmac.compare_digest(stored, frozen):
        return stored
    return _KEYED + vault.index(places.FROZEN_BODY, frozen.hex())
