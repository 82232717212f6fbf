"""The pytest plug-in as another team would use it, in process and as a server; answers that fail on a real wire."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mock_partners.kit.scenario import ScenarioError
from mock_partners.kit.world import COLUMNS, WorldError
from mock_partners.pytest import Expected, PartnerInProcess, PartnerServer
from mock_partners.registry import PARTNERS
from tests.mock_partners.kit.staged import toml

MakePartner = Callable[..., PartnerInProcess]
MakeServer = Callable[..., PartnerServer]
ACCOUNT = {"account": "7000000001"}


@pytest.fixture
def server(mock_server: MakeServer) -> PartnerServer:
    return mock_server("bni", [ACCOUNT])


@pytest.fixture
def client(server: PartnerServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


async def test_in_process(mock_partner: MakePartner, tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text(toml("status = 503"))
    bni = mock_partner("bni", [ACCOUNT, {"account": "7000000002", "kyc": "basic"}], scenario=file, deposit_rupiah=7)
    assert (await bni.http.post("/snap/v1/access-token/b2b")).status_code == 400  # the checks come first
    assert (bni.world.deposit_rupiah, bni.world.accounts["7000000002"].kyc) == (7, "basic")
    bni.verify(Expected("token", code="4007302"), nothing_else=True)
    with pytest.raises(AssertionError, match="the mock saw something else:\n- expected 2 of: token"):
        bni.verify(Expected("token", count=2))
    assert bni.requests()[0]["operation"] == "POST /snap/v1/access-token/b2b"
    assert bni.credentials["client_id"]
    await bni.reset([{"account": "7000000003"}])
    assert bni.requests() == []
    assert "7000000003" in bni.world.accounts


NOWHERE = toml("status = 503", 'operation = "payuot"')


async def test_a_word_that_means_no_operation_is_found_out(
    mock_partner: MakePartner, server: PartnerServer, tmp_path: Path
) -> None:
    """A rule that never fires and an expectation that can't be missed would pass for a good test."""
    told = f"when.operation 'payuot' is no operation of {', '.join(PARTNERS)}; did you mean payout. allowed: token, "
    with pytest.raises(ScenarioError, match=told):
        mock_partner("bni", scenario=NOWHERE)
    with pytest.raises(ValueError, match=told):
        server.set_scenario(NOWHERE)
    server.set_scenario(toml("status = 503", 'operation = "payout-create"'))  # GoPay's: one file may serve all mocks
    for expected in (Expected("payuot", count=0), Expected("payout-create", count=0), Expected("v2/payuot")):
        with pytest.raises(AssertionError, match=f"- '{expected.operation}' is no operation here; .*allowed: token, "):
            server.verify(expected)
    bni = mock_partner("bni")
    with pytest.raises(AssertionError, match="- 'payuot' is no operation here"):
        bni.verify(Expected("payuot", count=0))
    assert (await bni.http.get("/v2/payuot")).status_code == 404
    bni.verify(Expected("v2/payuot"), Expected("payout", count=0), nothing_else=True)


def test_wrong_worlds_scenarios_and_names_are_refused(mock_partner: MakePartner) -> None:
    with pytest.raises(WorldError, match="world line 2: field kyc is malformed"):
        mock_partner("bni", [{**ACCOUNT, "kyc": "gold"}])
    with pytest.raises(ValueError, match="dict contains fields not in fieldnames: 'kyk'"):
        mock_partner("bni", [{**ACCOUNT, "kyk": "full"}])
    with pytest.raises(ScenarioError, match="scenario line 1: x is not known"):
        mock_partner("bni", scenario="x = 1")
    with pytest.raises(ValueError, match="unknown partner 'nobody'; choose out of: bni"):
        mock_partner("nobody")
    assert mock_partner("bni", ",".join(COLUMNS) + "\n").world.accounts.keys() >= {"0115476151"}


def test_as_a_server(server: PartnerServer, client: httpx.Client) -> None:
    assert client.get("/__mock__/health").json()["partner"] == "bni"
    server.set_scenario(toml('outage = "bad_gateway"', "nth = 1"))
    assert [client.post("/snap/v1/access-token/b2b").status_code for _ in range(2)] == [502, 400]
    server.verify(Expected("token", count=1, status=502), Expected("token", count=1, status=400), in_order=True)
    with pytest.raises(AssertionError, match="unexpected: call 1"):
        server.verify(nothing_else=True)
    with pytest.raises(AssertionError, match="Expected `int`"):
        server.verify(since="x")  # type: ignore[arg-type]
    assert server.move_clock(set="2026-01-15T12:00:00+07:00", freeze=True)["frozen"] is True
    assert server.books() == []
    server.set_scenario(None)
    with pytest.raises(ValueError, match="scenario line 1: x is not known"):
        server.set_scenario("x = 1")
    server.reset([{"account": "7000000008"}])
    assert server.requests() == []
    assert client.get("/__mock__/customers", params={"account": "7000000008"}).json()["customers"]
    with pytest.raises(ValueError, match="say what to do"):
        server.move_clock()


def raw(url: str, seconds: float = 10.0) -> tuple[bytes, str]:
    """Posts to the token path over a bare socket: what came, and how the connection ended."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as sock:
        sock.sendall(
            b"POST /snap/v1/access-token/b2b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
        )
        got = b""
        try:
            while piece := sock.recv(65_536):
                got += piece
        except ConnectionResetError:
            return got, "reset"
    return got, "closed"


@pytest.mark.parametrize("size", [1, 7, 1_000], ids=["byte by byte", "in small pieces", "at once"])
def test_a_client_that_offers_http2_keeps_its_body(server: PartnerServer, size: int) -> None:
    """Java's HttpClient asks for `Upgrade: h2c` with a call over plain HTTP, and sends the body all the same."""
    parts = urlsplit(server.url)
    lines = (
        "POST /api/oauth/token HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", "Content-Length: 29", "Host: x",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA", "upgrade: h2c", "User-Agent: Java-http-client/17",
        "Authorization: Basic " + base64.b64encode(b"bni-snap-client-0001:bni-oauth-secret-test").decode(),
    )  # fmt: skip
    sent = "\r\n".join((*lines, "", "grant_type=client_credentials")).encode()
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as sock:
        for _ in range(2):
            for at in range(0, len(sent), size):
                sock.sendall(sent[at : at + size])
            got = b""
            while not got.endswith(b"}"):
                got += sock.recv(65_536) or b"}"
            assert got.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(506),
        b"POST /api/oauth/token HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 2\n\n{}",
        b"\r\nPOST /api/oauth/token HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["TLS", "bare line feeds", "an empty line first"],
)
def test_whatever_comes_is_answered_and_nobody_waits_for_the_end_of_a_head(server: PartnerServer, sent: bytes) -> None:
    """A client told `https://` for the mock's plain port is refused in its handshake, not left to its time-out."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as sock:
        sock.sendall(sent)
        assert sock.recv(65_536).startswith(b"HTTP/1.1 40")


@pytest.mark.parametrize("atom", ["drop_before_booking", "drop_after_booking"])
def test_a_drop_is_a_reset_on_the_wire(server: PartnerServer, atom: str) -> None:
    server.set_scenario(toml(f"{atom} = true"))
    assert raw(server.url) == (b"", "reset")
    server.verify(Expected("token", outcome="reset"))


def test_a_close_without_an_answer_is_an_orderly_one(server: PartnerServer) -> None:
    server.set_scenario(toml("close_without_answer = true"))
    assert raw(server.url) == (b"", "closed")
    server.verify(Expected("token", outcome="closed"))


def test_a_cut_answer_is_shorter_than_its_length(server: PartnerServer, client: httpx.Client) -> None:
    whole = client.post("/snap/v1/access-token/b2b", content=b"{}").content
    server.set_scenario(toml("cut_answer = true"))
    got, end = raw(server.url)
    head, _, body = got.partition(b"\r\n\r\n")
    assert (body, end) == (whole[: len(whole) // 2], "closed")
    assert f"content-length: {len(whole)}".encode() in head.lower()


def test_a_trickled_answer_comes_in_pieces(server: PartnerServer) -> None:
    server.set_scenario(toml("trickle_s = 0.5"))
    began = time.monotonic()
    got, end = raw(server.url)
    assert (got.endswith(b"}"), end) == (True, "closed")
    assert 0.5 <= time.monotonic() - began < 5
