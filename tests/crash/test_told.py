"""API and workers killed while events are made, read and delivered: each live endpoint and a reader miss none.

The core platform hands over, corrects and stops over HTTP, a reader follows from the beginning, and four endpoints are
called: one takes, one is slow, one answers 500 to every second call, one is dead.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest

from gateway.clock import SystemClock
from gateway.cursors import cursor_of
from gateway.demo.cluster import Process, free_ports, mock_credentials
from gateway.demo.core import ApiError, Client
from gateway.security.clients import Registered, register
from gateway.services.messages import delivery
from gateway.storage.base import roles
from gateway.storage.base.database import Database
from tests.bench import people
from tests.bench.servers import answers, environment
from tests.conftest import MASTER_KEY
from tests.gateway.messages.receiver import Receiver, every_second_fails, receiving, slow

DEAD = "http://127.0.0.1:9/hook"
WORKERS = 2
POLL_S = 0.002
LIMIT_S = 1_800.0


class Size(NamedTuple):
    """Batches and their rows, how many people of each get other accounts and how often, and kills of either kind."""

    batches: int
    rows: int
    moved: int
    moves: int
    kills: int


LONG = Size(20, 200, 10, 5, 10)
LEAST_EVENTS = 10_000


class Caller:
    """A client of the API that asks until it is answered, and knows whether it is being answered just now."""

    def __init__(self, http: httpx.AsyncClient, client: Registered) -> None:
        self._client = Client(http, client.client_id, client.secret)
        self.asking = False
        self.broken = 0
        """Requests that were taken and never answered."""
        self.answered = 0

    async def say(self, method: str, path: str, **options: Any) -> Any:
        for _ in range(10_000):
            self.asking = True
            try:
                answer = await self._client.call(method, path, **options)
                self.answered += 1
                return answer
            except httpx.ConnectError:
                pass  # it is being started again
            except httpx.TransportError:
                self.broken += 1
            except ApiError as error:
                if error.status != 429:
                    raise
            finally:
                self.asking = False
            await asyncio.sleep(0.05)
        raise AssertionError(f"{method} {path} was never answered")


class Maker(Caller):
    """The core platform, and two who approve for it."""

    def __init__(self, http: httpx.AsyncClient, client: Registered, approvers: list[Caller]) -> None:
        super().__init__(http, client)
        self._approvers = approvers
        self.done = 0
        """Batches handed over, corrected, approved and stopped."""

    async def make(self, size: Size) -> None:
        await self.say("POST", "/v1/programmes", json={"programme": "told", "purposes": ["training"]})
        for number in range(size.batches):
            first = number * size.rows
            rows = [_row(n) for n in range(first, first + size.rows)]
            key = {"Idempotency-Key": f"told-{number}"}
            batch = await self.say("POST", "/v1/batches", json={"rows": rows}, headers=key)
            assert batch["rows_accepted"] == size.rows, "what was begun before the kill is no other batch"
            for move in range(size.moves):
                for n in range(first, first + size.moved):
                    account = people.account(1_000_000 * (move + 1) + n)
                    to = {"partner": "bni", "account": account, "phone": people.phone(n)}
                    await self.say("PUT", f"/v1/participants/T{n}/account", json=to)
            batch = await self.say("GET", f"/v1/batches/{batch['batch_id']}")
            for approver in self._approvers:
                decision = {"decision": "approve", "content_root": batch["content_root"]}
                await approver.say("POST", f"/v1/batches/{batch['batch_id']}/approvals", json=decision)
            await self.say("POST", f"/v1/batches/{batch['batch_id']}/stop")
            self.done += 1


class Reader(Caller):
    """Follows `/v1/events` from the beginning."""

    def __init__(self, http: httpx.AsyncClient, client: Registered) -> None:
        super().__init__(http, client)
        self.events: list[dict[str, Any]] = []

    async def read(self, over: asyncio.Event) -> None:
        """Until there is nothing left after `over`."""
        cursor: dict[str, str] = {}
        while True:
            last = over.is_set()
            page = await self.say("GET", "/v1/events", params={"limit": "50", **cursor})
            self.events += page["events"]
            cursor = {"cursor": page["next_cursor"]}
            if not page["events"]:
                if last:
                    return
                await asyncio.sleep(POLL_S)


def _row(n: int) -> dict[str, Any]:
    return {
        "programme": "told", "purpose": "training", "period": "1", "participant_id": f"T{n}", "nik": people.nik(n),
        "full_name": f"ORANG {n}", "phone": people.phone(n), "partner": "bni", "account": people.account(n),
        "amount_rupiah": 600_000, "due_on": "2026-01-05", "deadline_on": "2099-12-31",
    }  # fmt: skip


@asynccontextmanager
async def nodes(folder: Path, database: str, redis_url: str, kills: int) -> AsyncIterator[tuple[str, list[Process]]]:
    """The API's address, and the processes: the API and then the workers, each started again when it dies."""
    port = free_ports().api
    known = await mock_credentials(9100)  # nobody is linked: no partner is called
    more = {"GATEWAY_WEBHOOK_NETWORKS": "127.0.0.1/32"}
    serve = ("gateway", "serve", "--host", "127.0.0.1", "--port", str(port))
    commands: list[tuple[str, str, tuple[str, ...]]] = [("api", roles.SERVE, serve)]
    commands += [(f"worker-{n}", roles.WORKER, ("tests.crash.hasty_worker",)) for n in range(WORKERS)]
    async with AsyncExitStack() as stack:
        found = []
        for name, role, command in commands:
            variables = environment(roles.as_role(database, role), redis_url, MASTER_KEY, known, **more)
            log = folder / f"{name}.log"
            process = Process(name, [sys.executable, "-m", *command], variables, log, kills)
            stack.push_async_callback(process.stop)
            await process.start()
            found.append(process)
        await answers(f"http://127.0.0.1:{port}/health/ready")
        yield f"http://127.0.0.1:{port}", found


async def kill(process: Process) -> None:
    """At once, and back once another has its place."""
    pid = process.pid
    os.kill(pid, signal.SIGKILL)
    while process.pid == pid:
        if process.failed.done():
            process.failed.result()
        await asyncio.sleep(POLL_S)


async def kill_api(api: Process, maker: Maker, reader: Reader, size: Size, rng: random.Random) -> None:
    """While it is asked by both, at moments spread over the batches."""
    for place in range(size.kills):
        while maker.done * size.kills < place * size.batches * 0.9:
            await asyncio.sleep(POLL_S)
        await asyncio.sleep(rng.random() * 0.3)
        while not (maker.asking and reader.asking):
            await asyncio.sleep(0)
        await kill(api)
        answered = reader.answered
        while reader.answered == answered:
            await asyncio.sleep(POLL_S)


async def kill_workers(workers: list[Process], live: list[Receiver], size: Size, rng: random.Random) -> int:
    """While calls are under way, at moments spread over what has been taken; how many were under way."""
    caught = 0
    for place in range(1, size.kills + 1):
        moment = LEAST_EVENTS * place * len(live) // (size.kills + 1)
        while sum(len(receiver.ids) for receiver in live) < moment or not any(one.at_once for one in live):
            await asyncio.sleep(POLL_S)
        caught += sum(receiver.at_once for receiver in live)
        await kill(rng.choice(workers))
    return caught


async def stored(database: str) -> list[dict[str, Any]]:
    """What there is to be told, in order, as the store has it."""
    connection = await asyncpg.connect(database, timeout=10)
    try:
        rows = await connection.fetch("SELECT tx::text::bigint AS at, seq, type, subject FROM events ORDER BY tx, seq")
        return [dict(row) for row in rows]
    finally:
        await connection.close()


def complete(receiver: Receiver, truth: list[dict[str, Any]]) -> None:
    """Each event came, and each subject's in their order."""
    wanted = {f"msg_{event['at']}_{event['seq']}" for event in truth}
    assert receiver.ids == wanted, (len(wanted - receiver.ids), len(receiver.ids - wanted))
    told: dict[str, list[str]] = defaultdict(list)
    for message in receiver.firsts():
        told[message["subject"]].append(message["cursor"])
    right: dict[str, list[str]] = defaultdict(list)
    for event in truth:
        right[event["subject"]].append(cursor_of(event["at"], event["seq"]))
    assert told == right


async def test_ten_thousand_events_reach_every_live_endpoint_and_a_reader_whatever_is_killed(
    tmp_path: Path, database: str, redis_url: str, long: bool
) -> None:
    if not long:
        pytest.skip("API and workers were NOT killed under webhooks: it takes minutes (--long)")
    size, rng = LONG, random.Random("told")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(LIMIT_S))
        url, (api, *workers) = await stack.enter_async_context(nodes(tmp_path, database, redis_url, size.kills))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30.0))
        core, *approvers = await clients(database)
        maker = Maker(http, core, [Caller(http, one) for one in approvers])
        reader = Reader(http, core)
        live = [await stack.enter_async_context(receiving(manner)) for manner in (None, slow, every_second_fails)]
        for receiver in live:
            made = await maker.say("POST", "/v1/webhook-endpoints", json={"url": receiver.url})
            receiver.secret = made["secret"]
        dead = await maker.say("POST", "/v1/webhook-endpoints", json={"url": DEAD})
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(reader.read(over))
            making = group.create_task(maker.make(size))
            killing = group.create_task(kill_workers(workers, live, size, rng))
            await kill_api(api, maker, reader, size, rng)
            await making
            truth = await stored(database)
            assert len(truth) >= LEAST_EVENTS
            while not all(len(receiver.ids) >= len(truth) for receiver in live):
                await asyncio.sleep(0.1)
            caught = await killing
            over.set()
            await reading
        print(
            f"{len(truth)} events; killed: API {api.restarted} times, workers {[one.restarted for one in workers]};"
            f" broken: {maker.broken} of the maker's requests, {reader.broken} of the reader's; {caught} calls caught;"
            f" taken {[len(one.taken) for one in live]}"
        )
        assert await stored(database) == truth, "nothing happened after the last stop"
        assert [event["cursor"] for event in reader.events] == [cursor_of(e["at"], e["seq"]) for e in truth]
        for receiver in live:
            complete(receiver, truth)
        assert api.restarted == sum(one.restarted for one in workers) == size.kills
        assert maker.broken and reader.broken and caught
        view = await maker.say("GET", f"/v1/webhook-endpoints/{dead['endpoint']['webhook_endpoint_id']}")
        assert view["failing_since"] is not None and view["waiting"] <= delivery.MOST_WAITING + delivery.PAGE
        await agrees(maker, reader, size)


async def agrees(maker: Maker, reader: Reader, size: Size) -> None:
    """What the events say of each incentive is what the lists say."""
    told = {event["subject"]: event["data"] for event in reader.events if event["type"] == "incentive.changed"}
    listed: dict[str, dict[str, Any]] = {}
    cursor: dict[str, str] = {}
    for _ in range(size.batches * size.rows):
        page = await maker.say("GET", "/v1/incentives", params={"limit": "200", **cursor})
        listed |= {item["incentive_id"]: item for item in page["incentives"]}
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(listed) == size.batches * size.rows and listed.keys() == told.keys()
    for key, item in listed.items():
        assert (told[key]["stage"], told[key]["partner"]) == (item["stage"], item["partner"]) == ("cancelled", "bni")


async def clients(database: str) -> list[Registered]:
    """Who hands over, and two who approve."""
    store, now = await Database.open(database, size=1), SystemClock().now()
    try:
        core = await register(store, now, name="core", scopes=["batches", "links", "read"], organisation="prakerja")
        return [core, *[await register(store, now, name=name, scopes=["batches:approve"]) for name in ("one", "two")]]
    finally:
        await store.close()
