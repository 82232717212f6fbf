"""Slow heads, slow bodies and silent connections are ended; what is only long or thought about is not. And a head that
some proxy may have read otherwise is none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import h11
import pytest
import uvicorn

from gateway.api import sockets
from gateway.cli.serve import server_config

HEAD = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Reads a body and tells its size; `/think` takes its time over it."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    if scope["path"] == "/think":
        await asyncio.sleep(1.5)
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    for name, value in {"HEAD_S": 0.6, "BODY_S": 0.6, "CHECK_S": 0.05, "MOST_CONNECTIONS": 8}.items():
        monkeypatch.setattr(sockets, name, value)
    config = server_config(app)  # type: ignore[arg-type]
    config.lifespan, config.loop = "off", "none"
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve(None))
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await asyncio.wait_for(task, 10)


class Peer:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def drip(self, data: bytes, every_s: float, times: int) -> bool:
        """Send `data` again and again; whether the connection was ended meanwhile."""
        for _ in range(times):
            self.writer.write(data)
            try:
                await self.writer.drain()
                if await asyncio.wait_for(self.reader.read(1), every_s) == b"":
                    return True
            except TimeoutError:
                continue
            except ConnectionError:
                return True
        return False

    async def answer(self) -> bytes:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        size = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        return await self.reader.readexactly(size)


Connect = Callable[..., Awaitable[Peer]]


@pytest.fixture
async def peer(port: int) -> AsyncIterator[Connect]:
    """Makes connections, and closes what is left of them."""
    async with contextlib.AsyncExitStack() as stack:

        async def connect(source: str = "127.0.0.1") -> Peer:
            made = Peer(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))
            stack.callback(made.writer.close)
            return made

        yield connect


def test_a_connection_stands_idle_for_longer_than_balancers_keep_one() -> None:
    assert server_config(app).timeout_keep_alive > 600  # type: ignore[arg-type]


async def test_a_silent_connection_is_ended(peer: Connect) -> None:
    assert await (await peer()).drip(b"", 3.0, 1)


async def test_a_head_that_never_ends_is_ended(peer: Connect) -> None:
    slow = await peer()
    slow.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert await slow.drip(b"X-A: b\r\n", 0.1, 60)


async def test_a_body_that_drips_is_ended(peer: Connect) -> None:
    slow = await peer()
    slow.writer.write(HEAD % (b"", 100_000))
    assert await slow.drip(b"x", 0.1, 60)


async def test_a_later_request_is_bounded_as_the_first_one(peer: Connect) -> None:
    kept = await peer()
    kept.writer.write(HEAD % (b"", 2) + b"ab")
    assert await kept.answer() == b"2"
    await asyncio.sleep(1.0)
    kept.writer.write(HEAD % (b"", 3) + b"abc")
    assert await kept.answer() == b"3", "the time between two requests is another bound's"
    kept.writer.write(b"GET / HTTP/1.1\r\n")
    assert await kept.drip(b"X-A: b\r\n", 0.1, 60)


async def test_what_is_long_but_flows_is_taken(peer: Connect) -> None:
    steady = await peer()
    steady.writer.write(HEAD % (b"", 30 * 2_000))
    assert not await steady.drip(b"x" * 2_000, 0.05, 30)
    assert await steady.answer() == b"60000"


async def test_an_answer_that_takes_time_is_no_slow_request(peer: Connect) -> None:
    patient = await peer()
    patient.writer.write(HEAD % (b"think", 1) + b"a")
    assert await patient.answer() == b"1"


async def test_who_sends_no_more_still_gets_the_answer(peer: Connect) -> None:
    """As `nc -N` and some proxies do: the writing half is closed behind the request."""
    asks = await peer()
    asks.writer.write(HEAD % (b"think", 1) + b"a")
    asks.writer.write_eof()
    assert await asks.answer() == b"1"
    assert await asyncio.wait_for(asks.reader.read(), 10) == b"", "and nothing waits for another request"


async def test_a_body_that_is_cut_by_the_end_is_none(peer: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "BODY_S", 60.0)
    cut = await peer()
    cut.writer.write(HEAD % (b"", 5) + b"ab")
    cut.writer.write_eof()
    assert await asyncio.wait_for(cut.reader.read(), 10) == b""


async def test_one_connection_too_many_takes_nothing_from_those_that_stand(peer: Connect) -> None:
    standing = [await peer() for _ in range(8)]
    assert await (await peer()).drip(b"", 3.0, 1)
    for one in standing[:2]:
        one.writer.write(HEAD % (b"", 1) + b"a")
        assert await one.answer() == b"1"


async def test_who_has_the_most_gives_up_what_waits_for_others_and_never_what_is_served(
    peer: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "HEAD_S", 60.0)
    busy = await peer()
    busy.writer.write(HEAD % (b"think", 1) + b"a")
    idle = [await peer() for _ in range(7)]
    others = [await peer("127.0.0.2") for _ in range(3)]
    for one in others:
        one.writer.write(HEAD % (b"", 1) + b"a")
        assert await one.answer() == b"1"
    assert [await one.drip(b"", 10.0, 1) for one in idle[:3]] == [True] * 3, "the oldest that wait"
    idle[-1].writer.write(HEAD % (b"", 1) + b"a")
    assert await idle[-1].answer() == b"1"
    assert await busy.answer() == b"1"


async def test_two_that_have_as_many_take_nothing_from_each_other(
    peer: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "HEAD_S", 60.0)
    standing = [await peer(source) for source in ("127.0.0.1", "127.0.0.2") * 4]
    assert await (await peer("127.0.0.2")).drip(b"", 10.0, 1)
    for one in standing:
        one.writer.write(HEAD % (b"", 1) + b"a")
        assert await one.answer() == b"1"


async def test_one_address_has_so_many_and_a_newcomer_of_it_takes_the_place_of_its_oldest(
    peer: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "HEAD_S", 60.0)
    monkeypatch.setattr(sockets, "MOST_OF_ONE", 3)
    crowd = [await peer("127.0.0.3") for _ in range(4)]
    assert await crowd[0].drip(b"", 10.0, 1)
    through_a_proxy = [await peer() for _ in range(4)]
    for one in (*crowd[1:], *through_a_proxy):
        one.writer.write(HEAD % (b"", 1) + b"a")
        assert await one.answer() == b"1"


async def test_a_crowd_of_idle_connections_of_one_address_takes_nothing_from_another(
    peer: Connect, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    """As it is set, 5,000 of them; a small one otherwise."""
    monkeypatch.setattr(sockets, "HEAD_S", 600.0)
    monkeypatch.setattr(sockets, "MOST_CONNECTIONS", 2_048 if long else 8)
    idle = [await peer("127.0.0.3") for _ in range(5_000 if long else 30)]
    served = [await peer("127.0.0.2") for _ in range(4)]
    for one in served:
        one.writer.write(HEAD % (b"", 1) + b"a")
    assert [await one.answer() for one in served] == [b"1"] * 4
    assert await idle[0].drip(b"", 10.0, 1), "the crowd's own oldest made room"


@pytest.mark.parametrize(
    ("host", "allowed", "proxy"),
    [
        ("10.1.2.3", "127.0.0.1,10.0.0.0/8", True),
        ("10.1.2.3", ["10.1.2.3"], True),
        ("10.1.2.4", "10.1.2.3,unix", False),
        ("2001:db8::7", "*", True),
        ("::1", "127.0.0.1,::1", True),
        ("192.0.2.1", "", False),
        ("", "", True),
    ],
)
def test_a_proxy_that_is_named_is_many_addresses(host: str, allowed: list[str] | str, proxy: bool) -> None:
    assert sockets._is_proxy(host, allowed) is proxy


LONG = b"X-A: " + b"a" * sockets.HEAD_BYTES
ODD_HEADS = {
    "bare LF": b"GET / HTTP/1.1\nHost: x\n\n",
    "one bare LF": b"GET / HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n",
    "a CR within": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n",
    "folded encoding": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n",
    "a length twice": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\na",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na",
    "endless at once": b"GET / HTTP/1.1\r\nHost: x\r\n" + LONG + b"\r\n\r\n",
    "HTTP/2 unasked": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "folded trailer": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: b\r\n c\r\n\r\n",
}


def events(*pieces: bytes) -> list[object]:
    """What the server's reader makes of these bytes."""
    found: list[object] = []
    reader = h11.Connection(h11.SERVER, sockets.HEAD_BYTES)
    reader._receive_buffer = sockets._Head()
    for piece in pieces:
        reader.receive_data(piece)
        while (event := reader.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            found.append(event)
    return found


@pytest.mark.parametrize("name", sorted(ODD_HEADS))
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_head_that_a_proxy_may_have_read_otherwise_is_refused(name: str, step: int) -> None:
    data = ODD_HEADS[name]
    if name == "endless at once" and step == 1:
        step = 500
    with pytest.raises(h11.RemoteProtocolError):
        events(*(data[at : at + step] for at in range(0, len(data), step)))


@pytest.mark.parametrize("step", [1, 2, 3, 1_000])
def test_a_usual_head_is_read_however_it_is_cut(step: int) -> None:
    data = (
        b"POST /a HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2;x=y\r\n\n\n\r\n0\r\nX-T: z\r\n\r\n"
    )
    first, *bodies, last = events(*(data[at : at + step] for at in range(0, len(data), step)))
    assert isinstance(first, h11.Request) and isinstance(last, h11.EndOfMessage)
    assert first.target == b"/a" and dict(first.headers)[b"x-empty"] == b"" and dict(last.headers) == {b"x-t": b"z"}
    assert b"".join(bytes(one.data) for one in bodies if isinstance(one, h11.Data)) == b"\n\n"
