"""What ends by itself or has grown old: certificates, the master key, clients' secrets. Told before it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import asyncpg
import msgspec
from cryptography import x509

from gateway.settings import Tls

SOON = timedelta(days=30)
OLD = timedelta(days=365)
"""A key or secret in use for so long is changed, whoever may have seen it meanwhile."""
_MOST = 20


class Aged(msgspec.Struct, frozen=True):
    """One thing whose time is over or nearly so."""

    what: str
    found: str
    mend: str
    over: bool = False
    """It does not work any more."""


def certificates(tls: Mapping[str, Tls], now: datetime) -> Iterator[Aged]:
    """Ours and the partners' authorities that end within `SOON`, by partner."""
    for slug, given in sorted(tls.items()):
        kinds = (("CLIENT_PEM", given.client_pem.reveal(), True), ("CA_PEM", given.ca_pem, False))
        for name, pem, all_needed in kinds:
            ends = [one.not_valid_after_utc for one in x509.load_pem_x509_certificates(pem.encode())] if pem else []
            if not ends:
                continue
            end = min(ends) if all_needed else max(ends)  # one authority takes another's place
            if end < now + SOON:
                over = end <= now
                told = f"{'ended' if over else 'ends'} on {end:%Y-%m-%d}"
                yield Aged(f"{slug.upper()}_{name}", told, "put the next certificate in its place", over)


async def stored(connection: asyncpg.Connection[asyncpg.Record], now: datetime) -> list[Aged]:
    """Keys and secrets of the store that are older than `OLD`, and what is left of a change that nobody ended."""
    found = []
    for row in await connection.fetch("SELECT key_id, active, activated_at FROM keyring WHERE retired_at IS NULL"):
        key_id, since = row["key_id"].hex(), row["activated_at"]
        if row["active"] and since < now - OLD:
            told = f"{key_id} seals since {since:%Y-%m-%d}"
            found.append(Aged("master key", told, "gateway keys add, rotate and retire (docs/production.md)"))
        elif not row["active"] and since is not None and since < now - SOON:
            told = f"{key_id}, which sealed from {since:%Y-%m-%d}, still opens"
            found.append(Aged("master key", told, f"gateway keys status; gateway keys retire {key_id}"))
    rows = await connection.fetch(
        "SELECT id, coalesce(old_secret_until, created_at) AS since FROM clients WHERE disabled_at IS NULL"
        " AND keys IS NULL AND octet_length(secret_hash) > 0 AND coalesce(old_secret_until, created_at) < $1"
        " ORDER BY since, id LIMIT $2",
        now - OLD,
        _MOST,
    )
    for row in rows:
        told = f"{row['id']} has had its secret since {row['since']:%Y-%m-%d}"
        found.append(Aged("client secret", told, f"gateway clients rotate {row['id']}, or keys in its place"))
    rows = await connection.fetch(
        "SELECT id, old_secret_until FROM clients WHERE disabled_at IS NULL AND keys IS NULL AND old_secret_until > $1"
        " ORDER BY old_secret_until, id LIMIT $2",
        now,
        _MOST,
    )
    for row in rows:
        told = f"the one of before of {row['id']} ends at {row['old_secret_until']:%Y-%m-%d %H:%M} UTC"
        found.append(Aged("client secret", told, "see that whoever uses it has the new one by then"))
    return found
