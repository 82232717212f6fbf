"""Stands for Redis where a test or a simulation decides when it is away or empty."""

from __future__ import annotations

from redis.exceptions import ConnectionError as CacheDown


class Cache:
    """Outlives processes; lost and unreachable as the test wants."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.down = False

    async def get(self, name: str) -> bytes | None:
        self._reach()
        return self.values.get(name)

    async def set(self, name: str, value: bytes, ex: int) -> None:
        self._reach()
        self.values[name] = value

    async def eval(self, script: str, keys: int, name: str, count: int, ex: int, ahead: int) -> None:
        """The one script that is run on it (`storage/base/timeline.py`): the higher count stays, if it may be true."""
        self._reach()
        told = int(self.values.get(name, b"0"))
        self.values[name] = str(told if count <= told <= count + ahead else count).encode()

    async def delete(self, name: str) -> None:
        self._reach()
        self.values.pop(name, None)

    def _reach(self) -> None:
        if self.down:
            raise CacheDown("no cache")
