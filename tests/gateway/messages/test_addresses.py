"""No webhook leads into our own network, however its address is written and whatever a name resolves to."""

from __future__ import annotations

import ipaddress
import re
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import InvalidRequest
from gateway.services.messages.post import Post, check_url, may_reach
from gateway.settings import SettingsError, from_environment
from tests.gateway.messages.receiver import Receiver, receiving
from tests.gateway.partners.test_tls import partner
from tests.gateway.test_settings import COMPLETE, MANIFESTS

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
AT = datetime(2026, 5, 1, tzinfo=UTC)

REFUSED = [
    "127.0.0.1", "127.255.255.254", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "0.0.0.0",  # noqa: S104 - refused
    "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.2.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "fe80::1", "fe80::1%eth0",
    "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fec0::1", "not an address",
    "192.0.0.8", "192.0.0.192", "168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a83f:8110", "64:ff9b:1::7f00:1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_public_is_not_reached(address: str) -> None:
    assert not may_reach(address)
    assert not may_reach(address, [ipaddress.ip_network("192.168.77.0/24")])


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is(address: str) -> None:
    assert may_reach(address)


def test_an_allowed_network_is_reached_in_each_spelling_and_no_other() -> None:
    allowed = [ipaddress.ip_network("10.1.0.0/16")]
    assert may_reach("10.1.2.3", allowed) and may_reach("::ffff:10.1.2.3", allowed)
    assert not may_reach("10.2.0.1", allowed) and not may_reach("127.0.0.1", allowed)


HOSTS = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "0", "[::1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "127.0.0.1.", "１２７.０.０.１",
    "0.0.0.0",  # noqa: S104 - refused
]  # fmt: skip


@pytest.mark.parametrize(
    "host", ["a%00.b.test", "xn--", "a" * 64 + ".test", ".".join(["a" * 60] * 5), "-a.test", "a!b"]
)
def test_what_no_host_can_be_called_is_refused(host: str) -> None:
    with pytest.raises(InvalidRequest):
        check_url(f"https://{host}/x", ())
    check_url("https://a_b.xn--80ak6aa92e.test./x", ())


SAID = (
    "the address is not a public one",
    "The url leads to a private address.",
    "it cannot be reached",
    "its name cannot be resolved",
    *(
        f"The url is no address that can be called: {schemes}, a host, at most 2000 characters, no user and no fragment"
        " in it."
        for schemes in ("https or http", "https")
    ),
)


@pytest.mark.parametrize("host", HOSTS)
async def test_no_spelling_of_loopback_is_called(host: str) -> None:
    """A receiver listens there, and is not called."""
    async with receiving() as receiver:
        port = receiver.url.rsplit(":", 1)[1]
        post = Post(timeout_s=5)
        answer = await post.send(f"https://{host}:{port}", [SECRET], "msg_1", AT, b"{}")
        assert answer.error in SAID and answer.status is None
        await post.close()
        # The same check, where another private network is allowed and http with it.
        post = Post([ipaddress.ip_network("10.0.0.0/8")], timeout_s=5)
        answer = await post.send(f"http://{host}:{port}", [SECRET], "msg_1", AT, b"{}")
        assert answer.error in SAID
        await post.close()
        assert receiver.calls == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_same_spelling_gets_through_where_loopback_is_allowed(host: str) -> None:
    async with receiving() as receiver:
        post = Post(LOOPBACK, timeout_s=5)
        answer = await _send(receiver, post, host)
        await post.close()
        assert answer.error is None and receiver.calls == 1


async def _send(receiver: Receiver, post: Post, host: str) -> Any:
    url = receiver.url.replace("127.0.0.1", host).replace("http:", "https:" if not post._allowed else "http:")
    return await post.send(url, [SECRET], "msg_1", AT, b"{}")


async def test_a_name_is_checked_by_what_it_resolves_to_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """It resolves to an allowed address first, and to loopback a moment later."""
    answers = ["127.0.0.1", "127.0.0.2", "169.254.169.254", "127.0.0.1"]

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        assert host == "core.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with receiving() as receiver:
        post = Post([ipaddress.ip_network("127.0.0.1/32")], timeout_s=5)
        told = []
        for _ in range(4):
            post_answer = await _send(receiver, post, "core.example")
            told.append(post_answer.error)
            await post.close()  # no connection is kept open between them
        assert told == [None, "the address is not a public one", "the address is not a public one", None]
        assert receiver.calls == 2


async def test_whoever_runs_a_receiver_is_told_why_there_is_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate without its intermediate one, http at the port of https, a name that is gone: three errands."""
    post = Post(LOOPBACK, timeout_s=5)

    async def why(url: str) -> str | None:
        return (await post.send(url, [SECRET], "msg_1", AT, b"{}")).error

    async with partner(tmp_path) as (url, seen), receiving() as receiver:
        told = await why(url)
        assert told is not None and re.fullmatch(r"its certificate is not accepted \(.*certificate.*\)", told)
        assert await why(receiver.url.replace("http:", "https:")) == "it does not speak TLS as we do"
        assert (seen, receiver.calls) == ([], 0)
    assert await why(url) == "it cannot be reached"

    def gone(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "nobody of that name")

    monkeypatch.setattr(socket, "getaddrinfo", gone)
    assert await why("https://gone.example/") == "its name cannot be resolved"
    await post.close()


async def test_a_redirect_is_not_followed() -> None:
    async def elsewhere(receiver: Receiver) -> int:
        return 302

    async with receiving(elsewhere) as receiver:
        post = Post(LOOPBACK, timeout_s=5)
        answer = await _send(receiver, post, "127.0.0.1")
        await post.close()
        assert (answer.status, answer.error, receiver.calls) == (302, "HTTP 302", 1)


@pytest.mark.parametrize(
    "url",
    [
        "http://core.example/hook", "ftp://core.example/hook", "https:///hook", "https://user:word@core.example/",
        "https://core.example:port/", "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data", "https://core.example/a b", "https://core.example\\@127.0.0.1/",
        "https://2130706433/", "https://0x7f000001/", "https://127.1/", "https://127.0.0.1./", "https://0/",
        "core.example", "https://core.example/" + "x" * 2_000, "https://[::1/", "javascript:alert(1)",
        "https://a..b/", "https://core.example:0/", "https://.core.example/", "https://192.0.0.192/opc/v1/", "https://168.63.129.16/",
    ],
)  # fmt: skip
def test_an_address_that_could_not_be_called_is_refused_when_it_is_named(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_url(url, [])
    assert refused.value.remedy


def test_a_network_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="GATEWAY_WEBHOOK_NETWORKS"):
        from_environment(COMPLETE | {"GATEWAY_WEBHOOK_NETWORKS": "10.0.0.1/8"}, MANIFESTS)
