"""The fault table of the partner transport: whatever happens, "never sent" is only said when it is true.

Each case runs against a raw socket server that counts how often it has seen a whole request; a partner that has seen
one may have paid, so no such case may end in `NEVER_SENT`, and no case may show the server a second request.
"""

import asyncio
import gzip
import importlib.util
import logging
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.partners.transport import LEFT, NEVER_SENT, REPLY_LIMIT_BYTES, Reply, Sender

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Partner: bni\r\n\r\nok"
Behaviour = Callable[["Partner", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Partner:
    """A raw server: reads one whole request at a time, counts it, then behaves as the case says."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.seen: list[bytes] = []
        self.connections = 0
        self.closed = asyncio.Event()
        self.open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.release = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.open[task] = writer
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                self.seen.append(head + await reader.readexactly(length))
                await self.behave(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client hung up or the case did: the end of this connection either way
        finally:
            writer.close()
            self.closed.set()

    async def hang_up(self) -> None:
        """Ends every connection and waits for its task, so that nothing is left to the closing loop."""
        self.release.set()
        for writer in self.open.values():
            writer.transport.abort()
        await asyncio.gather(*self.open, return_exceptions=True)


@asynccontextmanager
async def partner(behave: Behaviour) -> AsyncIterator[tuple[Partner, str]]:
    it = Partner(behave)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    async with server:
        try:
            yield it, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            await it.hang_up()


@asynccontextmanager
async def sender(base_url: str, *, connect_timeout_s: float = 2.0, pool_size: int = 4) -> AsyncIterator[Sender]:
    it = Sender(base_url, connect_timeout_s=connect_timeout_s, pool_size=pool_size)
    try:
        yield it
    finally:
        await it.aclose()


async def pay(it: Sender, method: str = "POST", timeout_s: float = 5.0) -> Reply:
    return await it.send(method, "/pay", {"X-TIMESTAMP": "t"}, b'{"amount":"1.00"}', timeout_s)


def says(raw: bytes) -> Behaviour:
    async def behave(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return behave


def encoded(name: bytes, body: bytes) -> Behaviour:
    return says(b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (name, len(body), body))


@pytest.mark.parametrize("own", [{}, {"accept": "application/json"}, {"User-Agent": "sdk"}])
async def test_a_request_says_who_sends_it_and_what_it_takes(own: dict[str, str]) -> None:
    """Firewalls in front of partners refuse one that does not, with 403, whatever it is signed with; a plan's own
    header takes the place of ours.
    """
    async with partner(says(OK)) as (it, url), sender(url) as out:
        await out.send("POST", "/pay", own, b"{}", 5.0)
    head = it.seen[0].lower().split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    said = [tuple(line.split(b": ", 1)) for line in head]
    usual = {b"accept": b"*/*", b"accept-encoding": b"identity", b"user-agent": b"prakerja-gateway"}
    wanted = usual | {name.lower().encode(): value.encode() for name, value in own.items()}
    assert sorted(pair for pair in said if pair[0] in usual) == sorted(wanted.items()), "each once"
    assert {name for name, _ in said} - set(usual) == {b"host", b"content-length"}


async def closes(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    raise ConnectionAbortedError


async def resets(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionAbortedError


async def hangs(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await it.release.wait()


async def trickles(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends a byte often enough that no time-out between bytes would ever fire."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not it.release.is_set():
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.01)


async def breaks_off(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    raise ConnectionAbortedError


async def answers_once_then_closes(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if len(it.seen) > 1:
        raise ConnectionAbortedError
    writer.write(OK)
    await writer.drain()


async def answers_once_then_resets(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if len(it.seen) > 1:
        await resets(it, reader, writer)
    writer.write(OK)
    await writer.drain()


async def floods(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * (REPLY_LIMIT_BYTES + 1))
    await writer.drain()
    await it.release.wait()


SENT_AND_LOST = {
    "closes after read": (closes, httpx.RemoteProtocolError),
    "reset after read": (resets, httpx.ReadError),
    "hangs": (hangs, httpx.ReadTimeout),
    "slow trickle": (trickles, httpx.ReadTimeout),
    "breaks off inside the body": (breaks_off, httpx.ReadError),
    "garbage": (says(b"\x00\xffnot http at all\r\n\r\n"), httpx.RemoteProtocolError),
    "garbage with a NIK": (says(b"NIK 3171010101909901\r\n\r\n"), httpx.RemoteProtocolError),
    "oversize body": (floods, httpx.RemoteProtocolError),
    "oversize header": (
        says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
        httpx.RemoteProtocolError,
    ),
    "no deflate though it says so": (encoded(b"deflate", b"\xff\xffok"), httpx.RemoteProtocolError),
    "cut gzip": (encoded(b"gzip", gzip.compress(b"ok" * 99)[:-9]), httpx.RemoteProtocolError),
    "gzip that unpacks to more than is read": (
        encoded(b"gzip", gzip.compress(b"0" * (REPLY_LIMIT_BYTES + 1))),
        httpx.RemoteProtocolError,
    ),
    "another compression": (encoded(b"br", b"ok"), httpx.RemoteProtocolError),
}


@pytest.mark.parametrize("name", [b"UTF-8", b"none", b"", b"identity", b"utf8"])
async def test_an_encoding_that_is_none_is_read_as_it_stands(name: bytes) -> None:
    async with partner(encoded(name, b"ok")) as (_, url), sender(url) as out:
        assert (await pay(out)).content == b"ok"


@pytest.mark.parametrize("name", [b"gzip", b"x-gzip", b"GZIP", b"gzip, UTF-8"])
async def test_a_reply_that_was_pressed_unasked_is_unpacked(name: bytes) -> None:
    async with partner(encoded(name, gzip.compress(b"ok" * 999))) as (_, url), sender(url) as out:
        reply = await pay(out)
    assert reply.content == b"ok" * 999 and "content-encoding" not in reply.headers


def raw_deflate(body: bytes) -> bytes:
    press = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return press.compress(body) + press.flush()


@pytest.mark.parametrize(
    ("name", "pressed"),
    [
        (b"gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),  # by the partner, and by what stands in front
        (b"gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]) + bytes(64)),  # members, and padding
        (b"deflate", raw_deflate),
        (b"gzip", lambda body: body),  # taken off on its way, and its name left
        (b"deflate", lambda body: body),
    ],
)
async def test_the_bytes_themselves_tell_how_they_are_pressed(name: bytes, pressed: Callable[[bytes], bytes]) -> None:
    body = b'{"responseCode":"2001700"}' * 99
    async with partner(encoded(name, pressed(body))) as (_, url), sender(url) as out:
        assert (await pay(out)).content == body


@pytest.mark.parametrize("unasked", [OK.replace(b"ok", b"no"), b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
async def test_what_comes_unasked_on_a_kept_connection_is_no_answer_to_the_next_request(unasked: bytes) -> None:
    """A second answer, or the farewell of a balancer that found the connection idle."""
    said = asyncio.Event()

    async def says_more(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        if len(it.seen) == 1:
            await said.wait()
            writer.write(unasked)
            await writer.drain()
            it.closed.set()

    async with partner(says_more) as (it, url), sender(url) as out:
        assert (await pay(out)).content == b"ok"
        said.set()
        await it.closed.wait()
        (kept,) = [kept for (kept, _) in next(iter(out._session.connector._conns.values()))]  # type: ignore[union-attr]
        while not kept.should_close:  # until the loop has read it
            await asyncio.sleep(0)
        assert await pay(out) == (200, {"content-length": "2", "x-partner": "bni"}, b"ok")
        assert (len(it.seen), it.connections) == (2, 2)


async def test_deflate_is_unpacked_and_a_long_header_costs_nothing() -> None:
    """What something in front adds: a compression that nobody asked for, a policy of many kilobytes."""
    body = zlib.compress(b"ok" * 999)
    policy = b"Content-Security-Policy: " + b"x" * 12_000
    said = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n%b\r\nContent-Length: %d\r\n\r\n" % (policy, len(body))
    async with partner(says(said + body)) as (_, url), sender(url) as out:
        assert (await pay(out)).content == b"ok" * 999


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", SENT_AND_LOST)
async def test_a_request_that_was_read_never_counts_as_unsent(fault: str, method: str) -> None:
    behave, expected = SENT_AND_LOST[fault]
    timeout_s = 0.2 if expected is httpx.ReadTimeout else 5.0
    async with partner(behave) as (it, url), sender(url) as out:
        with pytest.raises(httpx.TransportError) as raised:
            await pay(out, method, timeout_s)
        assert not isinstance(raised.value, NEVER_SENT)
        assert type(raised.value) is expected
        assert "3171" not in f"{raised.value!r}{raised.value.__cause__!r}"
        assert len(it.seen) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("behave", [answers_once_then_closes, answers_once_then_resets])
async def test_a_kept_connection_that_dies_is_not_resent_on_another(behave: Behaviour, method: str) -> None:
    """aiohttp's own retry of idempotent methods would show the server a third request here."""
    async with partner(behave) as (it, url), sender(url) as out:
        assert (await pay(out, method)).status == 200
        with pytest.raises(httpx.TransportError) as raised:
            await pay(out, method)
        assert not isinstance(raised.value, NEVER_SENT)
        assert len(it.seen) == 2
        assert it.connections == 1


async def test_a_connection_closed_while_idle_is_replaced_and_seen_once() -> None:
    async def answer_and_close(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        raise ConnectionAbortedError

    async with partner(answer_and_close) as (it, url), sender(url) as out:
        for calls in range(1, 4):
            assert (await pay(out, "GET")).content == b"ok"
            await it.closed.wait()
            it.closed.clear()
            for _ in range(10):  # turns of the loop in which the client's side reads the end of the connection
                await asyncio.sleep(0)
            assert len(it.seen) == calls


async def test_refused_is_never_sent() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refuses, and no one else can take the port
        async with sender(f"http://127.0.0.1:{closed.getsockname()[1]}") as out:
            with pytest.raises(NEVER_SENT) as raised:
                await pay(out)
    assert type(raised.value) is httpx.ConnectError


async def test_a_name_that_does_not_resolve_is_never_sent() -> None:
    async with sender("http://partner.invalid", connect_timeout_s=20.0) as out:
        with pytest.raises(NEVER_SENT):
            await pay(out, timeout_s=30.0)


async def test_a_connect_that_gets_no_answer_is_never_sent() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):  # fills the backlog: the next handshake stays unanswered
            async with sender(f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout_s=0.2) as out:
                with pytest.raises(NEVER_SENT) as raised:
                    await pay(out)
    assert type(raised.value) is httpx.ConnectTimeout


async def test_a_full_pool_is_never_sent() -> None:
    async with partner(hangs) as (it, url), sender(url, connect_timeout_s=0.2, pool_size=1) as out:
        first = asyncio.create_task(pay(out))
        while not it.seen:
            await asyncio.sleep(0)
        with pytest.raises(NEVER_SENT):
            await pay(out)
        assert len(it.seen) == 1
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_tls_that_cannot_be_trusted_is_never_sent() -> None:
    async with partner(says(OK)) as (it, url), sender(url.replace("http://", "https://")) as out:
        writer_side = asyncio.create_task(pay(out))
        with pytest.raises(httpx.TransportError):
            await writer_side
        assert it.seen == []


async def test_the_reply_comes_back_whole_and_connections_are_kept() -> None:
    async with partner(says(OK)) as (it, url), sender(url) as out:
        for _ in range(5):
            assert await pay(out) == (200, {"content-length": "2", "x-partner": "bni"}, b"ok")
        assert it.connections == 1


async def test_an_oversize_reply_does_not_reach_into_the_next_one() -> None:
    async def flood_then_answer(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(it.seen) == 1:
            body = b"x" * (4 * REPLY_LIMIT_BYTES)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        else:
            writer.write(OK)
        await writer.drain()

    async with partner(flood_then_answer) as (it, url), sender(url) as out:
        with pytest.raises(httpx.RemoteProtocolError):
            await pay(out)
        assert (await pay(out)).content == b"ok"
        assert it.connections == 2


async def test_redirects_are_handed_back_and_cookies_are_not_kept() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with partner(says(moved)) as (it, url), sender(url) as out:
        assert (await pay(out, "GET")).status == 302
        await pay(out, "GET")
        assert b"cookie" not in it.seen[1].lower()
        assert len(it.seen) == 2


async def test_the_bytes_on_the_wire_are_the_bytes_given() -> None:
    target, body = "/v1/a%7Eb%2Fc/?q=%41+b%20c&sig=A%3D%3D", b'{ "n" : "\\u00e9" }'
    async with partner(says(OK)) as (it, url), sender(url) as out:
        await out.send("POST", target, {"X-SIGNATURE": "s/+="}, body, 5.0)
    head, _, sent = it.seen[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"POST " + target.encode() + b" HTTP/1.1"
    assert b"X-SIGNATURE: s/+=" in head.split(b"\r\n")
    assert sent == body


@pytest.mark.parametrize("target", ["/a b", "/a/../b", "/é", "pay", "http://elsewhere/", "/a#b"])
async def test_a_target_that_would_be_rewritten_is_refused_unsent(target: str) -> None:
    async with partner(says(OK)) as (it, url), sender(url) as out:
        with pytest.raises(ValueError, match="canonical"):
            await out.send("GET", target, {}, b"", 5.0)
        assert it.connections == 0


async def test_a_header_with_a_line_break_is_refused_unsent() -> None:
    async with partner(says(OK)) as (it, url), sender(url) as out:
        with pytest.raises(ValueError, match="header"):
            await out.send("GET", "/", {"X-A": "b\r\nX-C: d"}, b"", 5.0)
        assert it.seen == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(min_size=1, max_size=200), tidy=st.booleans())
def test_noise_is_a_reply_or_an_unknown(noise: bytes, tidy: bool) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + noise if tidy else noise

    async def case() -> None:
        async def behave(it: Partner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(raw)
            await writer.drain()
            raise ConnectionAbortedError

        async with partner(behave) as (it, url), sender(url) as out:
            try:
                await pay(out)
            except httpx.TransportError as exc:
                assert not isinstance(exc, NEVER_SENT)
            assert len(it.seen) == 1

    asyncio.run(case())


async def test_no_url_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with partner(says(OK)) as (_, url), sender(url) as out:
        await out.send("GET", "/accounts?phone=62811", {}, b"", 5.0)
    assert "62811" not in caplog.text


async def test_headers_are_read_as_they_were_meant() -> None:
    """Repeated ones together, in lower case, and a value in Latin-1 is no reason to lose the rest."""
    raw = b"HTTP/1.1 200 OK\r\nX-Note: one\r\nx-note: two\r\nX-Name: Ren\xe9\r\nContent-Length: 2\r\n\r\n{}"
    async with partner(says(raw)) as (_, url), sender(url) as out:
        reply = await pay(out)
    assert reply.headers == {"x-note": "one, two", "x-name": "René", "content-length": "2"}


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * 40_000])
async def test_a_request_is_told_of_once_it_has_left_and_not_before(content: bytes) -> None:
    """By then all of it is with whoever listens, though nobody has read it or answered."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = Sender(f"http://127.0.0.1:{listening.getsockname()[1]}", connect_timeout_s=2.0, pool_size=1)

        def left() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.setblocking(False)
                seen.append(peer.recv(100_000, socket.MSG_PEEK))
                peer.recv(100_000)
                peer.sendall(OK)

        told = LEFT.set(left)
        try:
            await sender.send("POST" if content else "GET", "/", {}, content, 5.0)
        finally:
            LEFT.reset(told)
            await sender.aclose()
    (whole,) = seen
    assert whole.endswith(b"\r\n\r\n" + content)


async def test_a_request_that_never_left_is_not_told_of() -> None:
    told: list[int] = []
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        sender = Sender(f"http://127.0.0.1:{bound.getsockname()[1]}", connect_timeout_s=2.0, pool_size=1)
        was = LEFT.set(lambda: told.append(1))
        try:
            with pytest.raises(NEVER_SENT):
                await sender.send("GET", "/", {}, b"", 5.0)
        finally:
            LEFT.reset(was)
            await sender.aclose()
    await asyncio.sleep(0)
    assert not told


def test_httpx2_is_not_installed() -> None:
    """authlib takes httpx2 where it finds it; its clients then no longer fit httpx transports or respx."""
    assert importlib.util.find_spec("httpx2") is None
