"""A lost answer is a real TCP reset under uvicorn, after the whole request was read (decisions X8)."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
import uvloop

from mock_partners.kit.http import Abort, Call, MockApp, Reply, Route, json_reply
from mock_partners.kit.server import bind, config

SEEN: list[bytes] = []


async def lose(call: Call) -> Reply:
    SEEN.append(call.body)
    raise Abort


async def echo(call: Call) -> Reply:
    return json_reply(200, {"target": call.target, "body": call.body.decode(), "method": call.method})


def make_app() -> MockApp:
    return MockApp(
        [Route("POST", "/lose", lose), Route("POST", "/echo/{x:str}", echo), Route("GET", "/echo/{x:str}", echo)]
    )


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    sock = bind(0)
    server = uvicorn.Server(config(make_app()))

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[sock]))

    thread = threading.Thread(target=run)
    address = sock.getsockname()
    sock.listen()
    thread.start()
    yield address
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


def ask(address: tuple[str, int], path: str, body: bytes) -> socket.socket:
    """Send the head with the first ten bytes, and the rest, if any, by itself: the server must wait for it.

    Nothing is sent once the request is whole, since by then the server may have reset the connection.
    """
    client = socket.create_connection(address, timeout=10)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    try:
        client.sendall(head + body[:10])
        if body[10:]:
            client.sendall(body[10:])
    except OSError:
        client.close()
        raise
    return client


def whole_answer(client: socket.socket) -> int:
    """Read an answer to its end, in however many pieces it comes; its status."""
    with contextlib.closing(http.client.HTTPResponse(client)) as answer:
        answer.begin()
        answer.read()
        return answer.status


def test_the_connection_is_reset_after_the_request_was_read(address: tuple[str, int]) -> None:
    SEEN.clear()
    body = b"x" * 200_000
    with ask(address, "/lose", body) as client, pytest.raises(ConnectionResetError):
        client.recv(1)
    assert [body] == SEEN


def test_other_connections_live_on(address: tuple[str, int]) -> None:
    with ask(address, "/echo/1", b"one") as kept:
        assert whole_answer(kept) == 200
        with ask(address, "/lose", b"two") as client, pytest.raises(ConnectionResetError):
            client.recv(1)
        kept.sendall(b"POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert whole_answer(kept) == 200


async def test_in_process_the_client_sees_a_read_error() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app()), base_url="http://mock") as client:
        with pytest.raises(httpx.ReadError):
            await client.post("/lose", content=b"x")


async def test_a_handler_sees_the_target_undecoded_and_the_body_of_a_get() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app()), base_url="http://mock") as client:
        reply = await client.request("GET", "/echo/a%2Bb?x=%2B1&y=a%20b", content=b'{"from": 1}')
    assert reply.json() == {"target": "/echo/a%2Bb?x=%2B1&y=a%20b", "body": '{"from": 1}', "method": "GET"}


async def test_a_bug_in_a_handler_is_a_500_and_its_message_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(call: Call) -> Reply:
        raise KeyError(call.body.decode())

    app = MockApp([Route("POST", "/broken", broken)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mock") as client:
        reply = await client.post("/broken", content=b"3174052209989901")
    assert reply.status_code == 500
    assert "KeyError" in caplog.text
    assert "in broken" in caplog.text
    assert "3174052209989901" not in caplog.text + reply.text
