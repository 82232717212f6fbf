"""What each process may do in the database. The schema belongs to who migrates: nobody else can switch off what guards
it, empty a table, or change what is only ever added to.

A role is made by whoever runs the server (docs/production.md); `gateway migrate` grants it what stands here.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from gateway.storage.base.database import connect

SERVE, WORKER, OPERATE, READ = "gateway_serve", "gateway_worker", "gateway_operate", "gateway_read"
"""Of `gateway serve`, of `gateway worker`, of all other commands, and of who only reads."""
ROLES = (SERVE, WORKER, OPERATE, READ)
RIGHTS = {
    # s: SELECT, i: INSERT, u: UPDATE, d: DELETE, l: lock a row that is not changed; of serve, worker, other commands
    "access_tokens": ("sid", "", "sd"),
    "account_owners": ("siud", "siud", "siud"),
    "account_proofs": ("si", "s", "su"),
    "approvals": ("si", "si", "si"),
    "audit_log": ("si", "si", "si"),
    "audit_seals": ("si", "si", "si"),
    "backlog_samples": ("sid", "sid", "sid"),
    "batch_errors": ("si", "si", "si"),
    "batch_notes": ("si", "si", "si"),
    "batch_repeats": ("si", "si", "si"),
    "batches": ("siu", "siu", "siu"),
    "cases": ("siu", "siu", "siu"),
    "client_assertions": ("sid", "sid", "sid"),
    "clients": ("sil", "sl", "siu"),
    "completions": ("si", "si", "si"),
    "consents": ("si", "si", "si"),
    "entitlements": ("siu", "su", "su"),
    "erased_instalments": ("", "", "si"),
    "erased_and_paid": ("s", "s", "s"),
    "erasures": ("s", "", "siu"),
    "events": ("si", "sid", "sid"),
    "events_purged": ("s", "su", "su"),
    "exchanges": ("si", "sid", "sid"),
    "funnel_counts": ("siu", "siu", "siu"),
    "good_answers": ("siu", "siu", "siu"),
    "holds": ("siud", "siud", "siu"),
    "idempotency": ("siud", "sid", "siu"),
    "inbox": ("siu", "siud", "siud"),
    "inbox_refusals": ("siu", "", ""),
    "incentives": ("siu", "siu", "siu"),
    "keyring": ("s", "s", "siu"),
    "ledger": ("si", "si", "si"),
    "links": ("siu", "siu", "siu"),
    "instances": ("siu", "siu", "siu"),
    "lookalikes": ("sd", "sid", "sid"),
    "nik_corrections": ("siud", "siud", "siud"),
    "observations": ("si", "si", "si"),
    "operator_sessions": ("siud", "sid", "siud"),
    "operators": ("siu", "su", "siu"),
    "participants": ("siu", "siu", "siu"),
    "partner_switches": ("siu", "siu", "siu"),
    "partner_waits": ("s", "s", "s"),
    "payouts": ("siu", "siu", "siu"),
    "work_fails": ("s", "siud", "s"),
    "plan_approvals": ("si", "si", "si"),
    "plans": ("siu", "siu", "siu"),
    "production": ("si", "si", "si"),
    "programmes": ("si", "s", "si"),
    "purposes": ("si", "s", "si"),
    "reapprovals": ("si", "s", "su"),
    "reconciliation_breaks": ("si", "si", "si"),
    "reconciliations": ("siu", "siu", "siu"),
    "reconciliations_told": ("", "si", ""),
    "recoveries": ("siu", "siu", "siu"),
    "refusals": ("siud", "siud", "siud"),
    "refused_counts": ("siu", "siu", "siu"),
    "schema_migrations": ("s", "s", "s"),
    "settlements": ("siu", "siu", "siu"),
    "statement_findings": ("", "siud", "siud"),
    "statement_lines": ("s", "siu", "siu"),
    "statement_reads": ("s", "si", "si"),
    "statements_out_of_time": ("siud", "siud", "siud"),
    "stopped_people": ("sid", "sd", "sd"),
    "store_timeline": ("siu", "siu", "siu"),
    "strays": ("siu", "siu", "siu"),
    "usual_amounts": ("siu", "siu", "siu"),
    "verifications": ("siu", "siu", "siu"),
    "webhook_deliveries": ("sud", "siud", "s"),
    "webhook_endpoints": ("siud", "siud", "siud"),
}
"""By table or view: what their statements need, as far as the code tells (tests/gateway/test_roles.py)."""
_SECRET = frozenset({"access_tokens", "client_assertions", "idempotency", "operator_sessions", "operators"})
"""By what is in them somebody may be let in: not for who reads."""
_WORDS = {"s": "SELECT", "i": "INSERT", "u": "UPDATE", "d": "DELETE", "l": "UPDATE (created_at)"}
"""A lock needs the right to change some column of it."""


def rights(role: str) -> dict[str, str]:
    """By table, what a role may do there, as letters."""
    if role == READ:
        return {table: "s" for table in RIGHTS if table not in _SECRET}
    place = ROLES.index(role)
    return {table: letters[place] for table, letters in RIGHTS.items() if letters[place]}


def statements(role: str) -> Iterator[str]:
    """What makes its rights these and no others, whatever they were."""
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}"
    yield f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role}"
    yield f"GRANT USAGE ON SCHEMA public TO {role}"
    for table, letters in rights(role).items():
        yield f"GRANT {', '.join(_WORDS[letter] for letter in letters)} ON {table} TO {role}"
    if role != READ:
        yield f"GRANT USAGE ON SEQUENCE id_serial TO {role}"
        yield f"GRANT EXECUTE ON FUNCTION audit_stands_still() TO {role}"


async def grant(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    """Give each role that the server has what it needs here; their names. As the schema's owner, on a whole schema."""
    found = await connection.fetch("SELECT rolname::text AS name FROM pg_roles WHERE rolname = ANY($1)", list(ROLES))
    names = [row["name"] for row in found]
    if names:
        async with connection.transaction():
            await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            for name in names:
                await connection.execute(";\n".join(statements(name)))
    return sorted(names)


async def make(dsn: str) -> None:
    """Let the server have the roles, without passwords: for one that is embedded, which nobody else reaches."""
    connection = await connect(dsn, timeout=10)
    try:
        known = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
        for role in ROLES:
            if role not in known:
                await connection.execute(f"CREATE ROLE {role} LOGIN")
        await connection.execute(f"GRANT {SERVE}, {WORKER} TO {OPERATE}")
    finally:
        await connection.close()


def as_role(dsn: str, role: str) -> str:
    """The same database's URL for another role, without a password."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))
