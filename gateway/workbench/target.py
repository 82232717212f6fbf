"""Where the workbench goes: a mock that it starts itself, or the addresses in the environment."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from contracts.errors import Forbidden, NotFound
from contracts.partner import Manifest, Partner
from contracts.secret import Secret
from gateway.clock import Clock, SystemClock
from gateway.demo.cluster import Process, bare_environment, free_ports, mock_credentials
from gateway.demo.cohort import SMALL
from gateway.partners import tls
from gateway.partners.transport import Sender
from gateway.resources import CONNECT_TIMEOUT_S
from gateway.settings import partner_credentials, partner_hosts, partner_tls
from gateway.workbench.bench import Bench, Wishes
from gateway.workbench.people import Ask, AskedPerson, MockPerson, Person

ALLOW = "WORKBENCH_ALLOW_HOSTS"
"""Names the hosts beyond this machine that may be reached, one by one: whoever has production's addresses in the
environment does not get there by a slip.
"""
_WAITS = "settlement_s=0.5,reversal_s=3"
_READY_S, _POLL_S = 30.0, 0.05
_NOWHERE = "http://127.0.0.1:9"
"""The gateway's address as the mock knows it: nobody listens on the discard port. Notifications are not read, and a
browser that comes back is stopped before it asks.
"""


class Staging(msgspec.Struct, frozen=True, kw_only=True):
    """How the mock is set up."""

    account: str | None = None
    """Another of its test accounts than the first."""
    behaviour: str = ""
    """The account's, as in a world file: `pay:lost_answer`."""
    scenario: Path | None = None


@asynccontextmanager
async def on_mock(partner: Partner, wishes: Wishes, staging: Staging) -> AsyncIterator[Bench]:
    """A bench at a mock of the partner's, started for it on loopback and ended after it."""
    slug = partner.manifest.slug
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="workbench-")))
        port_base = free_ports().mocks
        known = (await mock_credentials(port_base))[slug]
        listed = _listed(known["test_accounts"], staging.account)
        (folder / "world.csv").write_text(_world(slug, listed, staging.behaviour))
        command = [
            sys.executable, "-m", "mock_partners", "serve", "--world", str(folder / "world.csv"), "--only", slug,
            "--port-base", str(port_base), "--notify-base", _NOWHERE, "--no-console", "--waits", _WAITS,
        ]  # fmt: skip
        command += ["--scenario", str(staging.scenario.resolve())] if staging.scenario else []
        mock = Process("mock", command, bare_environment(), folder / "mock.log", restarts=0)
        stack.push_async_callback(mock.stop)
        await mock.start()
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=10.0, trust_env=False))
        base_url = known["base_url"]
        await _ready(mock, http, base_url)
        person = MockPerson(listed, base_url, http)
        environment = {f"{slug}_{name}".upper(): value for name, value in known["credentials"].items()}
        environment[f"{slug}_BASE_URL".upper()] = base_url
        wishes = msgspec.structs.replace(wishes, redirect_base=_NOWHERE)
        yield await stack.enter_async_context(opened(partner, environment, person, wishes, SystemClock()))


@asynccontextmanager
async def on_environment(
    partner: Partner, environment: Mapping[str, str], wishes: Wishes, ask: Ask
) -> AsyncIterator[Bench]:
    """A bench at the addresses and with the credentials that the gateway itself would take from the environment.

    Raises `Forbidden` for a host beyond this machine that `WORKBENCH_ALLOW_HOSTS` does not name.
    """
    manifest = partner.manifest
    check_allowed(manifest, environment)
    person = AskedPerson(manifest.slug, environment, ask)
    base = environment.get("GATEWAY_PUBLIC_URL", wishes.redirect_base).rstrip("/")
    wishes = msgspec.structs.replace(wishes, redirect_base=base)
    async with opened(partner, environment, person, wishes, SystemClock()) as bench:
        yield bench


def check_allowed(manifest: Manifest, environment: Mapping[str, str]) -> None:
    """Raise `Forbidden` unless every host of the partner is this machine or named by the environment."""
    allowed = {name.strip().lower() for name in environment.get(ALLOW, "").split(",")}
    hosts = {urlsplit(url).hostname or "" for url in partner_hosts(environment, manifest).values()}
    refused = sorted(host for host in hosts if not _is_loopback(host) and host not in allowed)
    if refused:
        raise Forbidden(
            f"{manifest.name} would be reached at {', '.join(refused)}, which the environment does not allow.",
            remedy=f"To send real requests to its sandbox set {ALLOW}={','.join(refused)}.",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@asynccontextmanager
async def opened(
    partner: Partner, environment: Mapping[str, str], person: Person, wishes: Wishes, clock: Clock
) -> AsyncIterator[Bench]:
    """A bench with the gateway's own transport to the hosts that the environment names."""
    hosts = partner_hosts(environment, partner.manifest)
    credentials: dict[str, Secret] = partner_credentials(environment, partner.manifest)
    slug = partner.manifest.slug
    trusted = tls.contexts({slug: partner_tls(environment, slug)}).get(slug)
    async with AsyncExitStack() as stack:
        senders = {}
        for name, url in hosts.items():
            senders[name] = Sender(url, connect_timeout_s=CONNECT_TIMEOUT_S, pool_size=2, tls=trusted)
            stack.push_async_callback(senders[name].aclose)
        yield Bench(
            partner, credentials=credentials, hosts=hosts, senders=senders, person=person, clock=clock, wishes=wishes
        )


def _listed(accounts: list[dict[str, Any]], account: str | None) -> dict[str, Any]:
    """The test account asked for, or the first."""
    for listed in accounts:
        if account in (None, listed["account"]):
            return listed
    known = ", ".join(f"{listed['account']} ({listed['shows']})" for listed in accounts)
    raise NotFound("The mock has no such test account.", remedy=f"It has: {known}.")


def _world(slug: str, listed: Mapping[str, Any], behaviour: str) -> str:
    """A world file with the columns of the one that is shipped; a row only where the account is to misbehave."""
    header = (SMALL / "world.csv").read_text().splitlines()[0]
    if not behaviour:
        return f"{header}\n"
    values = {"partner": slug, "phone": listed["account"], "balance_rupiah": "0", "monthly_in_rupiah": "0"}
    values |= {name: str(value) for name, value in listed.items()} | {"behaviour": behaviour}
    return f"{header}\n" + ",".join(values.get(column, "") for column in header.split(",")) + "\n"


async def _ready(mock: Process, http: httpx.AsyncClient, base_url: str) -> None:
    async with asyncio.timeout(_READY_S):
        while True:
            if mock.failed.done():
                mock.failed.result()
            with contextlib.suppress(httpx.TransportError):
                if (await http.get(f"{base_url}/__mock__/health")).status_code == 200:
                    return
            await asyncio.sleep(_POLL_S)
