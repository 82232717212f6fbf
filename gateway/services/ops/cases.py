"""Cases that end between people, outside of the gateway: whoever settled one says so, and why, on record."""

from __future__ import annotations

from contracts.errors import Conflict, NotFound
from contracts.incentive import BlockerCode
from contracts.lifting import CLOSED_BY_HAND, LIFTED_BY
from contracts.payout import OPEN_STATES, PayoutState
from gateway.clock import Clock
from gateway.security import personal
from gateway.services.ops.shown import as_read
from gateway.storage.base.database import Connection, Database, transact
from gateway.storage.ops import audit, cases
from gateway.storage.ops.cases import Case, StillAbout


class Cases:
    """Closes cases in somebody's name."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def close(self, case_id: int, reason: str, *, actor: str, read: str | None = None) -> Case:
        """Call a case settled; one that is closed already stays as it is. It pays nothing and lets nothing be paid.
        `read` (`as_read`): its evidence, as whoever closes it has read it.

        Raises `NotFound`, `Conflict` where there is more evidence by now, where the gateway itself closes it once what
        it tells of is over, or where something that only the gateway can end still waits for it, `InvalidRequest` for a
        reason that names somebody.
        """
        personal.refuse(reason, "reason")
        now = self._clock.now()

        async def work(connection: Connection) -> Case:
            case = await cases.lock(connection, case_id)
            if case is None:
                raise NotFound("There is no such case.")
            if case.closed_at is not None:
                return case
            if read not in (None, as_read(case.opened_at, case.detail)):
                raise Conflict("It says more by now.", remedy="Read its evidence, and close it then.")
            code = BlockerCode(case.code)
            if code not in CLOSED_BY_HAND:
                raise Conflict(
                    "This case closes by itself once what it tells of is over.",
                    remedy=f"What ends it: {', or '.join(LIFTED_BY[code])}.",
                )
            _nothing_left(await cases.left(connection, case))
            await audit.record(
                connection, now, actor, "case.close", str(case_id), {"code": case.code, "reason": reason}
            )
            return await cases.close(connection, now, case, by=actor)

        return await transact(self._database, work)


def _nothing_left(left: StillAbout) -> None:
    """Raise `Conflict` where closing the case would leave somebody waiting with nothing to say why."""
    if left.payout_state is not None and PayoutState(left.payout_state) in OPEN_STATES:
        raise Conflict(
            f"Its payout is {left.payout_state}: what became of it comes first.",
            remedy="Look-ups and statements end it, or a document of the partner (POST /v1/settlements).",
        )
    if left.stray is not None:
        raise Conflict(
            f"The credit under our reference {left.stray} is not settled.",
            remedy="Two people settle it (`gateway recover --settle`), which closes the case.",
        )
    if left.blocked:
        raise Conflict(
            "Its incentive is not paid, and waits for this.",
            remedy="Cancel the incentive, and have it handed over again where it is still to be paid.",
        )
