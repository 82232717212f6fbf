"""A folder for servers whose data need not outlive a run: in memory where the system has such a folder with room.

On a disk each test's database costs several times as much: making one creates some thousand files, and ext4, which
does not use an inode again right after its file is gone, searches longer for others with each database dropped.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import IO
from uuid import uuid4

from gateway.embedded import data_home
from gateway.embedded.process import own_directory

MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30
"""What must be free in memory: containers often have 64 MB there, and a run takes some hundred."""
MARK = ".lock"
"""In a run's folder: locked as long as the run lives."""


@contextmanager
def servers_folder(memory: Path = MEMORY, *, room_bytes: int = ROOM_BYTES) -> Iterator[Path]:
    """A new folder that PostgreSQL's account may enter, removed at the end; what killed runs left goes first."""
    in_memory = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= room_bytes
    all_runs = data_home((memory if in_memory else Path(gettempdir())) / f"prakerja-tests-{os.geteuid()}")
    mine = all_runs / uuid4().hex[:12]
    with (all_runs / "one-at-a-time").open("wb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # else a folder could be taken for a killed run's before its mark is locked
        for left in all_runs.glob(f"*/{MARK}"):
            with suppress(FileNotFoundError), left.open("rb") as mark:
                if _locked(mark):
                    _remove(left.parent)
        own_directory(mine, 0o711)
        mark = (mine / MARK).open("xb")
        _locked(mark)
    with mark:
        yield mine
        _remove(mine)


def _locked(mark: IO[bytes]) -> bool:
    """Take its lock, if nobody else has it."""
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(folder: Path) -> None:
    """All but the mark, then the mark: by what a killed run leaves of its folder the next one finds it."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != MARK:
            entry.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
