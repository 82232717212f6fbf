"""The floor: the same signed calls, as many at a time, with the same client against the same mock, and nothing else.

Run as a process.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import uvloop

from adapters.registry import PARTNERS
from contracts.partner import Context
from contracts.payout import OutcomeKind, PayoutOrder
from contracts.plan import Plan, Response
from contracts.secret import Secret
from gateway.partners.transport import Sender
from gateway.settings import Settings, from_environment
from tests.bench.people import AMOUNT_RUPIAH, account

T = TypeVar("T")


def main() -> None:
    """Pay argv[1] times and say how long that took."""
    settings = from_environment(os.environ, {slug: partner.manifest for slug, partner in PARTNERS.items()})
    print(json.dumps(uvloop.run(_pay(settings, int(sys.argv[1]), int(sys.argv[2])))))


async def _pay(settings: Settings, payouts: int, people: int) -> dict[str, float]:
    partner = PARTNERS["bni"]
    senders = {
        name: Sender(url, connect_timeout_s=5.0, pool_size=2 * settings.max_in_flight)
        for name, url in settings.hosts["bni"].items()
    }
    bare = Context(
        now=datetime.now(UTC),
        serial=f"{secrets.randbelow(9 * 10**16) + 10**16}",
        credentials=settings.partners["bni"],
        tokens={},
        hosts=settings.hosts["bni"],
    )
    token = await run(senders, partner.fetch_token(bare, "snap", None))
    with_token = msgspec.structs.replace(bare, tokens={"snap": token.value})
    left = iter(range(payouts))
    started, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(settings.max_in_flight):
            group.create_task(_lane(senders, with_token, left, people))
    taken = {"seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}
    for sender in senders.values():
        await sender.aclose()
    return taken


async def _lane(senders: dict[str, Sender], shared: Context, left: Iterator[int], people: int) -> None:
    for n in left:
        now = datetime.now(UTC)
        context = msgspec.structs.replace(shared, now=now, serial=f"{secrets.randbelow(9 * 10**16) + 10**16}")
        order = PayoutOrder(
            reference=f"99{secrets.randbelow(10**17):017d}",
            amount_rupiah=AMOUNT_RUPIAH,
            account=Secret(account(n % people)),
            phone=Secret(f"+62811{n % people:08d}"),
            name=Secret("ORANG"),
            created_at=now,
            grant=None,
        )
        outcome = await run(senders, PARTNERS["bni"].payout(context, order))
        assert outcome.kind is OutcomeKind.SUCCEEDED


async def run(senders: dict[str, Sender], plan: Plan[T]) -> T:
    """What a plan comes to, each of its requests sent once."""
    try:
        request = next(plan)
        while True:
            reply = await senders[request.host].send(
                request.method, request.target, request.headers, request.content, request.timeout_s
            )
            request = plan.send(Response(status=reply.status, headers=reply.headers, content=reply.content))
    except StopIteration as stop:
        result: T = stop.value
        return result


if __name__ == "__main__":
    main()
