"""The folder in which the suites' servers keep their data."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import gettempdir

from tests.memory import servers_folder


def _hold(memory: Path, told: Connection) -> None:
    with servers_folder(memory, room_bytes=0) as home:
        (home / "postgres").mkdir()
        (home / "postgres" / "data").write_bytes(b"x")
        told.send(str(home))
        signal.pause()


def test_what_a_killed_run_left_goes_and_what_lives_stays(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    with here, there, servers_folder(tmp_path, room_bytes=0) as living:
        other = spawn.Process(target=_hold, args=(tmp_path, there))
        other.start()
        there.close()  # so that nobody waits for one that has died
        try:
            left = Path(here.recv())
            assert left.is_dir() and left != living and left.parent == living.parent
        finally:
            other.kill()
            other.join()
        assert (left / "postgres" / "data").exists()
        with servers_folder(tmp_path, room_bytes=0) as mine:
            assert not left.exists() and living.is_dir() and mine.is_dir()
        assert not mine.exists() and living.is_dir()
    assert [entry.name for entry in living.parent.iterdir()] == ["one-at-a-time"]


def test_without_room_in_memory_it_is_among_the_temporary_files(tmp_path: Path) -> None:
    with servers_folder(tmp_path, room_bytes=1 << 62) as home:
        assert tmp_path not in home.parents
        assert os.stat(home).st_mode & 0o001, "PostgreSQL's account must get in"
        assert Path(gettempdir()) in home.parents or Path("/var/tmp") in home.parents
    assert not list(tmp_path.iterdir()) and not home.exists()
