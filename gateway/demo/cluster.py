"""The demonstration's processes: PostgreSQL, Valkey, the mock partners, the API and workers, all on loopback."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx

from adapters.registry import PARTNERS
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey
from gateway.embedded.process import die_with
from gateway.security.vault import Vault
from gateway.storage.base import roles, witness
from gateway.storage.base.migrate import migrate

_READY_S = 60.0
_STOP_S = 20.0
_MOST_RESTARTS = 20


class ClusterError(Exception):
    """A process of the demonstration did not start or ended; the message holds the end of its log."""


@dataclass(slots=True)
class Cluster:
    """What runs, and where it is reached."""

    folder: Path
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    api_url: str
    page_port: int
    """Where the demonstration shows itself."""
    mocks: dict[str, str]
    console_url: str
    environment: dict[str, str]
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        """Where the store is."""
        return self.postgres.dsn

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: process.pid for name, process in self.processes.items()}


def peak_mb(pid: int) -> int:
    """The most memory that a process has had, in MB; 0 where the system does not tell (it is Linux' `/proc`), or of a
    process that is gone.
    """
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1000
    return 0


class Process:
    """One child: logs to a file, dies with the demo, is started again if it ends and may."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], log: Path, restarts: int) -> None:
        self.name = name
        self.restarted = 0
        self._command = command
        self._environment = dict(environment)
        self._log = log
        self._restarts = restarts
        self._child: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int:
        """The child's process id."""
        assert self._child is not None
        return self._child.pid

    async def start(self) -> None:
        """Start it and keep an eye on it."""
        await self._spawn()
        self._watch = asyncio.create_task(self._supervise(), name=f"watch {self.name}")

    async def stop(self) -> None:
        """End it: in order first, by force when that takes too long."""
        if self._watch is not None:
            self._watch.cancel()
        if self._child is None or self._child.returncode is not None:
            return
        self._child.terminate()
        try:
            await asyncio.wait_for(self._child.wait(), _STOP_S)
        except TimeoutError:
            self._child.kill()
            await self._child.wait()

    async def _spawn(self) -> None:
        owner = os.getpid()
        with self._log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                preexec_fn=lambda: die_with(owner, signal.SIGTERM),
            )

    async def _supervise(self) -> None:
        while True:
            assert self._child is not None
            status = await self._child.wait()
            if self.restarted >= self._restarts:
                self.failed.set_exception(ClusterError(f"{self.name} ended with status {status}: {self.log_end()}"))
                return
            self.restarted += 1
            await self._spawn()

    def log_end(self) -> str:
        """The last lines of its log."""
        return self._log.read_text(errors="replace")[-2000:].strip()


@asynccontextmanager
async def running(
    folder: Path,
    *,
    world: Path,
    workers: int,
    waits: str,
    seed: int,
    say: Callable[[str], object],
    scenario: Path | None = None,
    port_base: int | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
    api_restarts: int = 0,
    worker_restarts: int = _MOST_RESTARTS,
    store: EmbeddedPostgres | None = None,
) -> AsyncIterator[Cluster]:
    """Start everything in `folder` (database included) and end it again. `say(text)` is told what is being started.

    `scenario`: what the mocks do wrong. `port_base`: the first of the ports; without it some that are free.
    `settings`: more of the gateway's environment. `..._restarts`: how often a process that ended is started again.
    `store`: a PostgreSQL that runs already, in place of one in `folder`.
    """
    ports = free_ports(port_base)
    async with AsyncExitStack() as stack:
        say("PostgreSQL and Valkey")
        postgres = store or EmbeddedPostgres(folder / "postgres")
        if store is None:
            await stack.enter_async_context(postgres)
        valkey = await stack.enter_async_context(EmbeddedValkey(folder / "valkey"))
        await roles.make(postgres.dsn)
        await migrate(postgres.dsn)
        key = secrets.token_bytes(32)
        await witness.keep(postgres.dsn, Vault(key))
        api_url = f"http://127.0.0.1:{ports.api}"
        known = await mock_credentials(ports.mocks)
        mocks = {name: given["base_url"] for name, given in known.items()}
        console_url = f"http://127.0.0.1:{ports.mocks}/"
        cluster = Cluster(folder, postgres, valkey, api_url, ports.page, mocks, console_url, {})
        console = {"GATEWAY_CONSOLE_URL": console_url}
        cluster.environment = {**_environment(cluster, known, waits, key), **console, **settings}
        logs = folder / "logs"
        logs.mkdir(exist_ok=True)

        async def launch(name: str, *command: str, restarts: int = 0) -> None:
            environment = bare_environment()
            if command[0] == "gateway":
                role = roles.SERVE if command[1] == "serve" else roles.WORKER
                environment = cluster.environment | {"DATABASE_URL": roles.as_role(cluster.database_url, role)}
            process = Process(name, [sys.executable, "-m", *command], environment, logs / f"{name}.log", restarts)
            cluster.processes[name] = process
            stack.push_async_callback(process.stop)
            await process.start()

        say("mock partners")
        await launch(
            "mocks", "mock_partners", "serve", "--world", str(world), "--port-base", str(ports.mocks),
            "--notify-base", api_url, "--waits", waits, "--seed", str(seed),
            *(("--scenario", str(scenario)) if scenario else ()),
        )  # fmt: skip
        say("API and workers")
        await launch("api", "gateway", "serve", "--host", "127.0.0.1", "--port", str(ports.api), restarts=api_restarts)
        for number in range(1, workers + 1):
            await launch(f"worker-{number}", "gateway", "worker", restarts=worker_restarts)
        await _ready(cluster)
        (folder / "pids.json").write_text(json.dumps(cluster.pids()))
        yield cluster


async def mock_credentials(port_base: int) -> dict[str, Any]:
    """What `mock-partners credentials` hands over, by partner: base URL, credentials, test accounts."""
    command = [sys.executable, "-m", "mock_partners", "credentials", "--json", "--port-base", str(port_base)]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=bare_environment())
    output, _ = await asyncio.wait_for(child.communicate(), _READY_S)
    if child.returncode != 0:
        raise ClusterError("mock-partners credentials failed")
    known: dict[str, Any] = json.loads(output)
    return known


def _environment(cluster: Cluster, known: Mapping[str, Any], waits: str, key: bytes) -> dict[str, str]:
    """The gateway's settings: what an installation would put into its environment, with the mocks' credentials."""
    environment = bare_environment() | {
        "DATABASE_URL": roles.as_role(cluster.database_url, roles.OPERATE),
        "REDIS_URL": cluster.valkey.url,
        "GATEWAY_MASTER_KEY": base64.b64encode(key).decode(),
        "GATEWAY_PROFILE": "demo",
        "GATEWAY_PUBLIC_URL": cluster.api_url,
        "GATEWAY_RESEND_ON_ASSUMED_ABSENCE": "true",
        "GATEWAY_WAITS": waits,
        "GATEWAY_WEBHOOK_NETWORKS": "127.0.0.1/32",
    }
    for partner, given in known.items():
        environment[f"{partner.upper()}_BASE_URL"] = given["base_url"]
        for name, value in given["credentials"].items():
            environment[f"{partner.upper()}_{name.upper()}"] = value
    return environment


def bare_environment() -> dict[str, str]:
    """What a child needs of ours and no more, so that settings lying about on the machine change nothing."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONUNBUFFERED": "1"}


class Ports(NamedTuple):
    """The first of each kind: the mocks' console is at `mocks`, the partners follow one by one."""

    page: int
    api: int
    mocks: int


def free_ports(base: int | None = None) -> Ports:
    """Ports that are free just now, from `base` on where it is given, else below those that Linux hands out to clients:
    a connection would take one before its server does. Raises `ClusterError`.
    """
    for _ in range(50 if base is None else 1):
        first = secrets.randbelow(20_000) + 12_000 if base is None else base
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + 3 + len(PARTNERS)):
                    place = stack.enter_context(socket.socket())
                    # As servers do: connections of a demonstration that just ended keep nobody out.
                    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    place.bind(("127.0.0.1", port))
            except OSError:
                continue
            return Ports(first, first + 1, first + 2)
    if base is None:
        raise ClusterError("no free ports between 12000 and 32000")
    raise ClusterError(f"ports {base} to {base + 2 + len(PARTNERS)} are not all free: give another --port-base")


async def _ready(cluster: Cluster) -> None:
    """Wait until the API and every mock answer, or a process has ended."""
    urls = [f"{cluster.api_url}/health/ready", *(f"{url}/__mock__/health" for url in cluster.mocks.values())]
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _READY_S
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as http:  # no proxy leads to this machine
        while urls:
            for process in cluster.processes.values():
                if process.failed.done():
                    process.failed.result()
            with contextlib.suppress(httpx.TransportError):
                if (await http.get(urls[0])).status_code == 200:
                    del urls[0]
                    continue
            if loop.time() > deadline:
                api = cluster.processes["api"].log_end()
                raise ClusterError(f"{urls[0]} did not answer within {_READY_S:.0f} s; the API's log ends: {api}")
            await asyncio.sleep(0.1)
