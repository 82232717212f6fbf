"""What both embedded servers need: a child that dies with its owner, an account to run under, a directory it can reach.

How a server ends with its owner: on Linux the kernel is asked (`PR_SET_PDEATHSIG`) to send it the signal of an orderly
stop when the thread that started it ends, however it ends, kill -9 included. So start servers from the main thread.
Elsewhere an owner that is killed leaves its servers running, and the next start in that directory says so.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import hashlib
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
LOG_LIMIT_BYTES = 8 * 1024 * 1024
SOCKET_PATH_LIMIT_BYTES = 103  # sun_path: 104 bytes on macOS, 108 on Linux, a closing zero included
_PR_SET_PDEATHSIG = 1


class EmbeddedError(RuntimeError):
    """An embedded server could not be run; the text says what to do about it."""


class EmbeddedServer(ABC):
    """One server process in one directory, owned by this process; usable from others through its URL."""

    name: str
    stop_signal: signal.Signals

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None

    @abstractmethod
    def prepare(self) -> tuple[Sequence[str], pwd.struct_passwd | None]:
        """Makes the data directory ready; returns the command and the account to run it under (None: our own)."""

    @abstractmethod
    async def answers(self) -> bool:
        """True once a client is served; False while the server is still starting."""

    @property
    @abstractmethod
    def socket_name(self) -> str:
        """The name of the server's socket inside its directory."""

    @property
    def pid(self) -> int:
        """The server's process id; EmbeddedError when it is not running."""
        if self._child is None:
            raise EmbeddedError(f"{self.name} is not running")
        return self._child.pid

    @property
    def socket_dir(self) -> Path:
        """Where the socket lies: the data directory, or a short one under /tmp where that path is too long for one."""
        if len(os.fsencode(self.data_dir / self.socket_name)) <= SOCKET_PATH_LIMIT_BYTES:
            return self.data_dir
        return Path("/tmp") / f"{self.name}-{_digest(self.data_dir)}"  # noqa: S108  see own_directory

    @property
    def log_file(self) -> Path:
        """The server's own log, beside its data directory."""
        return self.data_dir.with_name(self.data_dir.name + ".log")

    async def start(self) -> Self:
        """Starts the server and returns once it answers; EmbeddedError with the end of its log when it does not."""
        if self._child is not None:
            raise EmbeddedError(f"{self.name} is already running")
        if threading.current_thread() is not threading.main_thread():
            raise EmbeddedError(f"start {self.name} from the main thread: it ends with the thread that started it")
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            await self._wait_for_predecessor()
            command, account = self.prepare()
            self._child = self._spawn(command, account)
            await self._wait_until_it_answers()
        except BaseException:
            await self.stop()
            raise
        return self

    async def stop(self) -> None:
        """Ends the server: in order first, by force when that takes too long. Does nothing when it has ended."""
        if self._child is not None:
            for sig, limit_s in ((self.stop_signal, STOP_LIMIT_S), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
                if self._child.poll() is None:
                    self._child.send_signal(sig)
                    with contextlib.suppress(subprocess.TimeoutExpired):  # then the next, harder signal
                        await asyncio.to_thread(self._child.wait, limit_s)
            self._child = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def restart(self) -> None:
        """Stops the server if it still runs and starts it again on the same data and the same URL."""
        await self.stop()
        await self.start()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _take_lock(self) -> None:
        lock = self.data_dir.with_name(self.data_dir.name + ".lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise EmbeddedError(
                f"another process runs {self.name} in {self.data_dir}: stop it or name another directory"
            ) from None
        self._lock = lock

    async def _wait_for_predecessor(self) -> None:
        """A killed server leaves processes for a moment, an orphan of a killed owner is still shutting down."""
        deadline = time.monotonic() + STOP_LIMIT_S
        while pids := processes_in(self.data_dir):
            if time.monotonic() > deadline:
                raise EmbeddedError(f"processes {pids} still use {self.data_dir}: end them or name another directory")
            await asyncio.sleep(0.05)

    def _spawn(self, command: Sequence[str], account: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
        owner = os.getpid()
        self.log_file.touch(mode=0o600)
        append = self.log_file.stat().st_size < LOG_LIMIT_BYTES
        with self.log_file.open("ab" if append else "wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.data_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal stops the owner, which then stops its servers in order
                preexec_fn=lambda: die_with(owner, self.stop_signal),
                env=server_environment(),
                user=account and account.pw_uid,
                group=account and account.pw_gid,
                extra_groups=account and [],
            )

    async def _wait_until_it_answers(self) -> None:
        assert self._child is not None
        deadline, pause_s = time.monotonic() + START_LIMIT_S, 0.01
        while not await self.answers():
            if self._child.poll() is not None:
                raise EmbeddedError(f"{self.name} ended with status {self._child.returncode}: {self._log_end()}")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{self.name} did not answer within {START_LIMIT_S} s: {self._log_end()}")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.2)

    def _log_end(self) -> str:
        with self.log_file.open("rb") as log:
            log.seek(max(0, self.log_file.stat().st_size - 2000))
            return log.read().decode(errors="replace").strip()


def die_with(owner: int, stop_signal: signal.Signals) -> None:
    """Runs in the child before exec: asks the kernel for `stop_signal` when `owner` ends. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)
        if os.getppid() != owner:  # it ended before we could ask
            os._exit(1)


def server_environment() -> dict[str, str]:
    """An environment in which no variable of ours (PGHOST, locale) changes what the server does."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def unprivileged_account() -> pwd.struct_passwd | None:
    """The account a server runs under that refuses to be root: None unless we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedError("PostgreSQL refuses to run as root and there is no account 'postgres' or 'nobody' here")


def reachable(path: Path, account: pwd.struct_passwd | None) -> bool:
    """Whether `account` may enter every folder from the root down to `path`, and enter or run `path` itself."""
    if account is None:
        return True

    def may_pass(entry: Path) -> bool:
        facts = entry.stat()
        if facts.st_uid == account.pw_uid:
            return bool(facts.st_mode & stat.S_IXUSR)
        return bool(facts.st_mode & (stat.S_IXGRP if facts.st_gid == account.pw_gid else stat.S_IXOTH))

    real = path.resolve()
    return all(may_pass(entry) for entry in (real, *real.parents))


def data_home(preferred: Path) -> Path:
    """The folder for the servers' data: `preferred`, or for root one under /var/tmp when `preferred` is out of reach.

    Root's own home is closed to the account that PostgreSQL runs under; opening it up is not ours to do.
    """
    preferred = preferred.absolute()
    missing = [entry for entry in (preferred, *preferred.parents) if not entry.exists()]
    nearest = missing[-1].parent if missing else preferred
    account = unprivileged_account()
    if reachable(nearest, account):
        for entry in reversed(missing):
            entry.mkdir(exist_ok=True)
            if account is not None:
                entry.chmod(0o755)  # whatever our umask: the account must get through
        return preferred
    return own_directory(Path("/var/tmp") / f"prakerja-gateway-{_digest(preferred)}", 0o711)  # noqa: S108


def demonstrations() -> Path:
    """The folder for what this account's demonstrations keep, each in one of its own; raises `EmbeddedError`."""
    try:
        # Of each account another: in the one that the first has made nobody else may write.
        home = data_home(Path(tempfile.gettempdir()) / f"prakerja-gateway-{os.geteuid()}")
        return own_directory(home, 0o711)
    except OSError as error:
        raise EmbeddedError(f"no folder for data: {error}; set TMPDIR to one that can be written to") from None


def own_directory(path: Path, mode: int, owner: pwd.struct_passwd | None = None) -> Path:
    """Makes a folder in a place open to all, or checks that the one there is ours (or `owner`'s) and no link."""
    path.mkdir(mode=mode, exist_ok=True)
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid not in (os.geteuid(), owner and owner.pw_uid):
        raise EmbeddedError(f"{path} belongs to someone else: name another data directory")
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner.pw_uid, owner.pw_gid)
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def processes_in(directory: Path) -> list[int]:
    """Processes whose working directory is `directory`; both servers work in theirs. Empty where there is no /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "cwd") == str(directory.resolve()):
                found.append(int(entry.name))
        except OSError:
            continue  # ended meanwhile, or another user's
    return found
