"""The nginx that the documents put in front, started as docs/nginx.conf has it: what reaches the gateway through it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from gateway.cli.serve import server_config
from tests.gateway.partners.test_tls import Authority

CONF = Path(__file__).parents[2] / "docs" / "nginx.conf"
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
if NGINX is None:
    pytest.skip("nginx is not installed: nothing shows that docs/nginx.conf works", allow_module_level=True)
HOST = b"Host: pay.example\r\nConnection: close\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: pay.example\r\n\r\n"


class App:
    """Stands behind the gateway's own server: tells what reached it; `/wait` is answered once `go` is set."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.waiting = 0
        self.changed = asyncio.Condition()
        self.go = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.seen.append(scope["raw_path"].decode())
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        if scope["path"] == "/wait":
            async with self.changed:
                self.waiting += 1
                self.changed.notify_all()
            await self.go.wait()
        said = {
            "client": scope["client"][0], "scheme": scope["scheme"], "path": scope["raw_path"].decode(), "size": size,
            "query": scope["query_string"].decode(), "headers": {k.decode(): v.decode() for k, v in scope["headers"]},
        }  # fmt: skip
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(said).encode()})

    async def until(self, waiting: int) -> None:
        """Wait until so many wait."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.waiting >= waiting)


class Front:
    """nginx in front of one port."""

    def __init__(self, home: Path, node: int) -> None:
        self.home, self.node = home, node
        self.trust = ssl.create_default_context()
        self.port = self.plain = 0

    @contextlib.contextmanager
    def running(self, **changes: str) -> Any:
        """As the file has it, but for ports, folders and `changes` of its text, each of which must be in it."""
        authority = Authority("ours")
        shown = self.home / "tls.pem"
        shown.write_text(authority.issue("pay.example"))
        self.trust.load_verify_locations(cadata=authority.pem)
        self.trust.check_hostname = False  # it is for the address; the name is sent all the same
        with socket.create_server(("127.0.0.1", 0)) as tls, socket.create_server(("127.0.0.1", 0)) as plain:
            self.port, self.plain = tls.getsockname()[1], plain.getsockname()[1]
            tls.setblocking(False)
            plain.setblocking(False)
            folders = "".join(
                f"{kind}_temp_path {self.home}/{kind}; " for kind in ("proxy", "fastcgi", "uwsgi", "scgi")
            )
            text = CONF.read_text()
            usual = {
                "listen 443": f"listen 127.0.0.1:{self.port}", "listen 80": f"listen 127.0.0.1:{self.plain}",
                "server 127.0.0.1:8000": f"server 127.0.0.1:{self.node}", "/run/nginx.pid": f"{self.home}/pid",
                "/etc/nginx/tls/pay.example.pem": str(shown), "/etc/nginx/tls/pay.example.key": str(shown),
                "http {": f"http {{ client_body_temp_path {self.home}/body; {folders}",
                "/dev/stdout": f"{self.home}/access", "error_log stderr crit": f"error_log {self.home}/errors crit",
            }  # fmt: skip
            for old, new in (usual | changes).items():
                assert old in text, old
                text = text.replace(old, new)
            (self.home / "nginx.conf").write_text(text)
            environment = {"PATH": os.environ["PATH"], "NGINX": f"{tls.fileno()};{plain.fileno()};"}  # no port is lost
            process = subprocess.Popen(
                [str(NGINX), "-c", str(self.home / "nginx.conf"), "-e", str(self.home / "errors"), "-g", "daemon off;"],
                env=environment, pass_fds=(tls.fileno(), plain.fileno()), stderr=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            yield self
        finally:
            process.terminate()
            process.wait(60)

    async def ask(self, head: bytes, body: bytes = b"", source: str = "127.0.0.1", name: str = "pay.example") -> bytes:
        """All that comes back on one connection."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.trust, server_hostname=name, local_addr=(source, 0)
        )
        try:
            with contextlib.suppress(ConnectionError):  # refused before all of it was read
                writer.write(head + b"\r\n" + body)
                await writer.drain()
            answer = b""
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while piece := await reader.read(65_536):
                    answer += piece
            return answer
        finally:
            writer.transport.abort()

    async def told(self, head: bytes, body: bytes = b"", source: str = "127.0.0.1") -> dict[str, Any]:
        """What the application was asked."""
        answer = await self.ask(head, body, source)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        text = answer[answer.index(b"{") : answer.rindex(b"}") + 1]
        found: dict[str, Any] = json.loads(text)
        return found


@pytest.fixture
def app() -> App:
    return App()


Start = Callable[..., Awaitable[Front]]


@pytest.fixture
async def start(app: App, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts nginx in front of the gateway's own server."""
    config = server_config(app)  # type: ignore[arg-type]
    config.lifespan, config.loop = "off", "none"
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve(None))
    while not server.started:
        await asyncio.sleep(0.01)
    tmp_path.chmod(0o755)
    front = Front(tmp_path, server.servers[0].sockets[0].getsockname()[1])
    with contextlib.ExitStack() as stack:

        async def begin(**changes: str) -> Front:
            return stack.enter_context(front.running(**changes))

        yield begin
    app.go.set()
    server.should_exit = True
    await asyncio.wait_for(task, 60)


ODD = {
    "both lengths": b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "another encoding": b"Transfer-Encoding: xchunked\r\n",
    "space before the colon": b"Transfer-Encoding : chunked\r\n",
    "a tab": b"Transfer-Encoding:\tchunked, identity\r\n",
    "a length twice": b"Content-Length: 0\r\nContent-Length: %d\r\n",
    "a signed length": b"Content-Length: +5\r\n",
}


async def test_one_request_is_read_as_one(start: Start, app: App) -> None:
    front = await start()
    for name, lines in ODD.items():
        lines = lines % len(SMUGGLED) if b"%" in lines else lines
        chunks = b"0\r\n\r\n" if b"hunked" in lines else b""
        await front.ask(b"POST /odd HTTP/1.1\r\n" + HOST + lines, chunks + SMUGGLED)
        assert "/smuggled" not in app.seen, name
    for head in (
        b"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        b"GET /a HTTP/1.1\r\nX-A: " + b"a" * 20_000 + b"\r\n" + HOST,
    ):
        assert (await front.ask(head)).startswith(b"HTTP/1.1 400")
    assert "/a" not in app.seen


async def test_who_asks_is_what_nginx_sees_and_nothing_of_what_is_said(start: Start) -> None:
    front = await start()
    spoofed = (
        b"X-Forwarded-For: 203.0.113.9\r\nx-forwarded-for: 127.0.0.1\r\nForwarded: for=203.0.113.9\r\n"
        b"X-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\nX-Real-IP: 203.0.113.9\r\nUpgrade: h2c\r\n"
    )
    for source in ("127.0.0.2", "127.0.0.3"):
        found = await front.told(b"GET /v1/funnel HTTP/1.1\r\n" + spoofed + HOST, source=source)
        assert (found["client"], found["scheme"]) == (source, "https")
        assert not {"forwarded", "x-forwarded-host", "upgrade"} & found["headers"].keys()
        assert found["headers"]["host"] == "pay.example"


RAW = b"/callbacks/gopay/v1.0/a%2Fb//c%3a/./%7e?x=%20y&y=a+b%2f"


@pytest.mark.parametrize("prefix", [b"", b"/gateway"])
async def test_what_was_signed_arrives_as_it_was_signed(start: Start, prefix: bytes) -> None:
    front = await start(**({'# "~^/gateway': '"~^/gateway'} if prefix else {}))
    found = await front.told(b"POST " + prefix + RAW + b" HTTP/1.1\r\nContent-Length: 2\r\n" + HOST, b"ab")
    assert f"{found['path']}?{found['query']}".encode() == RAW
    assert found["size"] == 2
    whole = await front.told(b"GET http://pay.example" + prefix + b"/v1/funnel HTTP/1.1\r\n" + HOST)
    assert whole["path"] == "/v1/funnel"


async def test_bodies_are_bounded_and_never_written_to_a_disk(start: Start, app: App) -> None:
    front = await start()
    head = b"POST %s HTTP/1.1\r\nContent-Length: %d\r\n" + HOST
    large = 1_048_577
    assert b" 413 " in await front.ask(head % (b"/v1/links", large), b"a" * large)
    assert app.seen == []
    assert (await front.told(head % (b"/v1/batches", large), b"a" * large))["size"] == large
    chunked = b"POST /v1/batches HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST
    assert (await front.told(chunked, b"3\r\nabc\r\n0\r\n\r\n"))["size"] == 3
    assert [each for each in (front.home / "body").rglob("*") if each.is_file()] == []


async def test_what_is_for_inside_is_not_there(start: Start, app: App) -> None:
    front = await start()
    plain = (b"/metrics", b"/%6Detrics", b"/x/../metrics", b"//metrics", b"/metrics/", b"/health/ready")
    for path in (*plain, b"/metrics/%2F", b"/metrics%2f%2f", b"/health/%2Fready", b"/health//ready/%2F/"):
        assert b" 404 " in await front.ask(b"GET " + path + b" HTTP/1.1\r\n" + HOST), path
    assert app.seen == []
    with pytest.raises(ssl.SSLError):
        await front.ask(b"GET / HTTP/1.1\r\n" + HOST, name="evil.test")
    reader, writer = await asyncio.open_connection("127.0.0.1", front.plain)
    writer.write(b"GET /connect/x HTTP/1.1\r\nHost: pay.example\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert b" 308 " in answer and b"Location: https://pay.example/connect/x\r\n" in answer


async def test_of_tls_only_what_keeps_a_recorded_connection_shut_is_taken(start: Start) -> None:
    """Each suite of TLS 1.2 that this machine has, offered alone."""
    front = await start()
    taken, all_of_them = set(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    all_of_them.set_ciphers("ALL:!PSK:!SRP:@SECLEVEL=0")
    for suite in all_of_them.get_ciphers():
        front.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        front.trust.check_hostname, front.trust.verify_mode = False, ssl.CERT_NONE
        front.trust.maximum_version = ssl.TLSVersion.TLSv1_2
        with contextlib.suppress(OSError):
            front.trust.set_ciphers(f"{suite['name']}:@SECLEVEL=0")
            if (await front.ask(b"GET / HTTP/1.1\r\n" + HOST)).startswith(b"HTTP/1.1 200"):
                taken.add(suite["name"])
    assert "ECDHE-ECDSA-AES128-GCM-SHA256" in taken
    assert all(name.startswith("ECDHE-") and ("-GCM-" in name or "CHACHA20" in name) for name in taken), taken


async def test_one_address_takes_nothing_from_another(start: Start, app: App) -> None:
    front = await start(**{"limit_conn address 256": "limit_conn address 3"})
    waits = b"GET /wait HTTP/1.1\r\n" + HOST
    crowd = [asyncio.create_task(front.told(waits, source="127.0.0.2")) for _ in range(3)]
    try:
        await app.until(3)
        assert b" 429 " in await front.ask(b"GET / HTTP/1.1\r\n" + HOST, source="127.0.0.2")
        assert (await front.told(b"GET / HTTP/1.1\r\n" + HOST, source="127.0.0.3"))["path"] == "/"
    finally:
        app.go.set()
        await asyncio.gather(*crowd)


async def test_a_head_that_does_not_end_is_ended(start: Start, app: App) -> None:
    front = await start(**{"client_header_timeout 10s": "client_header_timeout 1s"})
    assert not (await front.ask(b"GET / HTTP/1.1\r\nX-A: b"[:-1])).startswith(b"HTTP/1.1 200")
    assert app.seen == []


async def test_nothing_is_sent_a_second_time(start: Start, tmp_path: Path) -> None:
    """A way back with a code is good once: which of two tries was taken nobody would know."""
    asked: list[bytes] = []

    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.abort()

    async with await asyncio.start_server(gone, "127.0.0.1", 0) as node:
        port = node.sockets[0].getsockname()[1]
        front = Front(tmp_path, port)
        with front.running(**{f"server 127.0.0.1:{port};": f"server 127.0.0.1:{port}; server localhost:{port};"}):
            assert b" 502 " in await front.ask(b"GET /callbacks/ovo/link?code=x HTTP/1.1\r\n" + HOST)
    assert len(asked) == 1
    written = (tmp_path / "access").read_text() + (tmp_path / "errors").read_text()
    assert " GET 502 " in written and "code" not in written and "callbacks" not in written


@pytest.mark.skipif(
    shutil.which("curl") is None, reason="curl is not installed: nothing speaks HTTP/2 to docs/nginx.conf"
)
async def test_http_2_is_spoken(start: Start) -> None:
    front = await start()
    url = f"https://pay.example:{front.port}/v1/batches?a=%2F"
    asked = await asyncio.create_subprocess_exec(
        "curl", "-sk", "--http2", "--resolve", f"pay.example:{front.port}:127.0.0.1", "--data-binary", "@-", "-w",
        "\n%{http_version}", url, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    said, _ = await asked.communicate(b"a" * 100_000)
    text, version = said.rsplit(b"\n", 1)
    found = json.loads(text)
    assert (version, found["path"], found["query"], found["size"]) == (b"2", "/v1/batches", "a=%2F", 100_000)
    assert found["client"] == "127.0.0.1"
