"""A town whose database is copied at some moment and later replaced by that copy; its partners forget nothing."""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from contracts.secret import Secret
from gateway.embedded import create_database_from_template, drop_database
from gateway.services.reconciliation.recovery import Progress, Recoveries
from gateway.services.reconciliation.statements import Statements
from gateway.services.reconciliation.strays import Strays
from gateway.storage.base.database import Database
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Town


class Restoring:
    """The town, and the copy."""

    def __init__(self, town: Town, admin_dsn: str) -> None:
        self.town = town
        self._admin_dsn = admin_dsn
        self._copy = f"test_{uuid4().hex}"
        self._copied = ""
        self._original: Database | None = None

    async def __aenter__(self) -> Restoring:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for database in {self.town.database, self._original} - {None}:
            await database.close()
        await drop_database(self._admin_dsn, self._copy)

    async def copy(self) -> None:
        """Copy the database as it is now; everybody is away for that moment, and new workers come after it."""
        dsn = self.town.settings.database_url.reveal()
        await self.town.database.close()
        self._copied = await create_database_from_template(self._admin_dsn, urlsplit(dsn).path.lstrip("/"), self._copy)
        self.town.database = await Database.open(dsn, size=8)

    async def restore(self) -> None:
        """Go on with the copy: all that happened since is forgotten here, and nowhere else."""
        self._original = self.town.database
        self.town.settings = msgspec.structs.replace(self.town.settings, database_url=Secret(self._copied))
        self.town.database = await Database.open(self._copied, size=8)

    def recoveries(self, worker: Ticking) -> Recoveries:
        """The service as the command line has it."""
        return Recoveries(self.town.resources, worker, Statements(self.town.resources))

    async def tick(self, worker: Ticking, statements: Statements) -> None:
        """What workers do all the time, once."""
        await worker.tick_deadlines()
        await worker.tick_timers()
        for slug in self.town.desks:
            await worker.tick_lookups(slug)
            await worker.tick_unpayable(slug)
            await worker.tick_send(slug)
            await statements.tick(slug)
        await Strays(self.town.resources).tick()

    async def recover(self, worker: Ticking, *, hours: float = 6.0, step_s: float = 300.0) -> list[Progress]:
        """Rounds beside a worker that never stops trying, until every partner is let go; the last of each."""
        service, statements = self.recoveries(worker), Statements(self.town.resources)
        last: dict[str, Progress] = {}
        for _ in range(round(hours * 3600 / step_s)):
            last |= {one.partner: one for one in await service.round()}
            if not await service.under_way():
                break
            await self.tick(worker, statements)
            await self.town.check()
            await self.town.pass_time(step_s)
        return list(last.values())

    def credits(self) -> Counter[tuple[str, str, int]]:
        """What stands credited at the partners, by account and amount."""
        found: Counter[tuple[str, str, int]] = Counter()
        for slug, bank in self.town.banks.items():
            for line in bank.booked:
                found[slug, line["account"], line["amount"]] += 1 if line["kind"] == "credit" else -1
        return found
