"""What an installation that holds real money must not have: each thing is named, and none of the values."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import asyncpg

from adapters import rsa
from contracts.partner import Manifest
from gateway.security.clients import MAKING
from gateway.settings import PRODUCTION, Settings, SettingsError, Waits
from gateway.storage.base.database import Connection

_FEWEST_BYTES = 16
"""Different ones in a key: 32 random bytes have some thirty."""
_SHORTEST = 8
_SHORTEST_TOKEN = 24
_TESTS = re.compile(r"test[0-9]*\Z|\btest\b|-0{2,}[0-9]*\Z|\ASB-|change.?me|example", re.IGNORECASE)
"""How secrets of mocks, sandboxes and samples are called."""
_KNOWN_KEYS = frozenset({"c9f67113390cf7f7", "b685428a6199d687", "b3270076292d0642"})
"""Beginnings of the SHA-256 of the keys that the mock partners publish."""


def refuse(settings: Settings, manifests: Mapping[str, Manifest]) -> None:
    """Raise `SettingsError` that names everything unsafe at once, in the production profile."""
    if settings.profile != PRODUCTION:
        return
    if found := unsafe(settings, manifests):
        raise SettingsError(told(found))


def told(found: list[str]) -> str:
    """What was found, and the way out, as one message."""
    lines = "\n".join(f"  - {what}" for what in found)
    return (
        f"this is no safe production ({len(found)}):\n{lines}\nMend each (docs/production.md); for mocks and sandboxes"
        " set GATEWAY_PROFILE=demo."
    )


def unsafe(settings: Settings, manifests: Mapping[str, Manifest]) -> list[str]:
    """Everything in the settings that does not belong into production."""
    found: list[str] = []
    if min(len(set(key)) for key in settings.master_keys()) < _FEWEST_BYTES:
        found.append("GATEWAY_MASTER_KEY is not random: make one with `openssl rand -base64 32`")
    if len(settings.metrics_token.reveal()) < _SHORTEST_TOKEN:
        found.append(f"GATEWAY_METRICS_TOKEN has not {_SHORTEST_TOKEN} signs: make one with `openssl rand -hex 24`")
    if _in_clear(settings.public_url):
        found.append("GATEWAY_PUBLIC_URL is http: give the https address")
    if settings.waits != Waits():
        found.append("GATEWAY_WAITS is set: demonstrations shorten waits, production waits as the partners say")
    if settings.resend_on_assumed_absence:
        found.append("GATEWAY_RESEND_ON_ASSUMED_ABSENCE is on: where absence is only assumed, an operator decides")
    if settings.console_url:
        found.append("GATEWAY_CONSOLE_URL is set: there are no mock partners in production")
    if any(one.strip() == "*" or one.strip().endswith("/0") for one in settings.forwarded_allow_ips.split(",")):
        found.append("FORWARDED_ALLOW_IPS is everybody, who may then ask as anybody: name the addresses of the proxy")
    for slug, manifest in manifests.items():
        for name, host in manifest.hosts.items():
            address, variable = settings.hosts[slug][name], f"{slug}_{name}_url".upper()
            if address == host.sandbox_url.rstrip("/"):
                found.append(f"{variable} is not set: the sandbox's address is the default")
            elif _in_clear(address):
                found.append(f"{variable} is http: give an https address")
        for name, credential in manifest.credentials.items():
            value, variable = settings.partners[slug][name].reveal().strip(), f"{slug}_{name}".upper()
            if credential.pem:
                if hashlib.sha256(value.encode()).hexdigest()[:16] in _KNOWN_KEYS:
                    found.append(f"{variable} is the mock partner's published key")
                elif why := rsa.unusable(value, private=credential.secret):
                    found.append(f"{variable} {why}")
            elif value[:1] in ("'", '"') and value[:1] == value[-1:]:
                found.append(f"{variable} has quotes around it: take them away")
            elif credential.secret and (len(value) < _SHORTEST or _TESTS.search(value)):
                found.append(f"{variable} is a test's, a sample's or too short")
    return found


async def refuse_database(connection: asyncpg.Connection[asyncpg.Record], settings: Settings) -> None:
    """The same for what only the database knows."""
    if settings.profile == PRODUCTION and (found := await unsafe_database(connection)):
        raise SettingsError(told(found))


async def keep(connection: Connection, settings: Settings) -> None:
    """Note that production runs on this database; for what serves or pays, once nothing is unsafe."""
    if settings.profile == PRODUCTION:
        await connection.execute("INSERT INTO production (server) SELECT server FROM here() ON CONFLICT DO NOTHING")


async def agrees(connection: Connection, settings: Settings) -> None:
    """Raise `SettingsError` where production runs on this database and these settings are not production's: what they
    pay at mocks and sandboxes would count as paid.
    """
    if settings.profile == PRODUCTION:
        return
    if await connection.fetchval("SELECT EXISTS (SELECT FROM production p JOIN here() h ON h.server = p.server)"):
        raise SettingsError(
            f"production runs on this database, and GATEWAY_PROFILE is {settings.profile}: what mocks and sandboxes are"
            " asked to pay would count as paid. Name another database (DATABASE_URL; a copy of this one on another"
            " server will do), or unset GATEWAY_PROFILE."
        )


async def unsafe_database(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    """A role that no trigger and no grant holds, and clients that are two people in one."""
    found: list[str] = []
    if await connection.fetchval(
        "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'audit_log'::regclass"
    ):
        found.append(
            "DATABASE_URL names a superuser or the owner of the tables, whom nothing keeps from changing the record:"
            " migrate as the owner, run under the roles of docs/production.md (gateway_serve, gateway_worker)"
        )
    rows = await connection.fetch(
        "SELECT id FROM clients WHERE disabled_at IS NULL AND scopes && $1 AND scopes && '{batches:approve,ops}'"
        " ORDER BY id LIMIT 20",
        sorted(MAKING),
    )
    found += [f"the client {row['id']} both hands over and decides: make two, and disable it" for row in rows]
    rows = await connection.fetch(
        "SELECT id, url FROM clients, unnest(return_urls) AS url WHERE disabled_at IS NULL AND url LIKE 'http:%'"
        " ORDER BY id, url LIMIT 20"
    )
    clear = dict.fromkeys(row["id"] for row in rows if _in_clear(row["url"]))
    return found + [
        f"the client {one} has people led back over http: make one with https, and disable it" for one in clear
    ]


def _in_clear(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return False
    host = parts.hostname or ""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"
