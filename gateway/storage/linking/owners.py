"""Who owns an account: the participant whose NIK matched it. One (partner, account) serves one NIK."""

from __future__ import annotations

from datetime import datetime

from gateway.storage.base.database import Connection
from gateway.storage.intake.participants import ParticipantRow


async def claim(connection: Connection, row: ParticipantRow, partner: str, account_index: bytes, now: datetime) -> bool:
    """The participant's NIK matched the account: theirs, unless another NIK's it is. Of two at once the first commit
    wins; the second waits for it here.
    """
    owner: bytes = await connection.fetchval(
        "INSERT INTO account_owners AS o (partner, account_index, nik_index, participant, since)"
        " VALUES ($1, $2, $3, $4, $5)"
        # An update that changes nothing locks and returns the row that stands in the way.
        " ON CONFLICT (partner, account_index) DO UPDATE SET since = o.since RETURNING nik_index",
        partner,
        account_index,
        row.nik_index,
        row.id,
        now,
    )
    return owner == row.nik_index


async def owner(connection: Connection, partner: str, account_index: bytes) -> int | None:
    """The participant whose match holds the account."""
    found: int | None = await connection.fetchval(
        "SELECT participant FROM account_owners WHERE partner = $1 AND account_index = $2", partner, account_index
    )
    return found


async def free(connection: Connection, participant: int, partner: str, account_index: bytes) -> bool:
    """The participant's match holds the account no longer: the link ended, or a later verdict said otherwise. False: it
    did not.
    """
    done = await connection.execute(
        "DELETE FROM account_owners WHERE partner = $1 AND account_index = $2 AND participant = $3",
        partner,
        account_index,
        participant,
    )
    return str(done) != "DELETE 0"
