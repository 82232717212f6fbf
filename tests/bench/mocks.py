"""`python -m tests.bench.mocks`: signed requests a second that each mock answers on one core, loaded from another.

`requests_per_s` is by the wall clock; `requests_per_cpu_s` is by the processor time that the mock used, which is what
one core answers when nothing else wants it, and what is judged: a busy machine gives the same verdict as an idle one.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.server import bind
from mock_partners.kit.world import COLUMNS
from mock_partners.registry import port_of
from tests.bench.cpu import cpu_s
from tests.mock_partners.signing import compact, hmac_signature, rsa_signature

WANTED_PER_S = 1_000
CONNECTIONS = 16
READY_S, RUN_S = 30.0, 300.0
AMOUNT = {"value": "1.00", "currency": "IDR"}


@dataclass
class Mock:
    """One mock in a process of its own."""

    partner: str
    url: str
    pid: int
    credentials: dict[str, str]
    notify_base: str

    @property
    def host(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port


def snap_names(mock: Mock) -> dict[str, str]:
    """The names that a partner's SNAP credentials have, under one set of words."""
    given = mock.credentials
    words = {
        "bni": ("client_id", "api_key", "api_secret", "private_key_pem", "/snap/v1"),
        "gopay": ("snap_client_id", "snap_partner_id", "snap_client_secret", "snap_private_key_pem", "/v1.0"),
        "linkaja": ("client_id", "partner_id", "client_secret", "private_key_pem", "/bi/v1.0"),
        "ovo": ("client_id", "partner_id", "client_secret", "private_key_pem", "/OVOSNAP/v1.0"),
    }[mock.partner]
    return {
        "client_key": given[words[0]], "partner_id": given[words[1]], "secret": given[words[2]],
        "pem": given[words[3]], "token": f"{words[4]}/access-token/b2b",
    }  # fmt: skip


def now() -> str:
    return datetime.now(JAKARTA).isoformat(timespec="seconds")


def snap_token(mock: Mock, path: str = "", body: dict[str, str] | None = None) -> dict[str, Any]:
    """A token call's answer."""
    names, at = snap_names(mock), now()
    headers = {
        "Content-Type": "application/json", "X-TIMESTAMP": at, "X-CLIENT-KEY": names["client_key"],
        "X-SIGNATURE": rsa_signature(names["pem"], f"{names['client_key']}|{at}"),
    }  # fmt: skip
    sent = compact(body or {"grantType": "client_credentials"})
    reply = httpx.post(mock.url + (path or names["token"]), content=sent, headers=headers)
    told: dict[str, Any] = reply.raise_for_status().json()
    return told


class Signer:
    """Makes the bytes of SNAP requests, each with a number of its own."""

    def __init__(self, mock: Mock) -> None:
        self._names, self._token, self._number = snap_names(mock), snap_token(mock)["accessToken"], 0

    def __call__(self, path: str, body: dict[str, Any]) -> bytes:
        self._number += 1
        sent, at = compact(body), now()
        headers = {
            "Content-Type": "application/json", "Authorization": f"Bearer {self._token}", "X-TIMESTAMP": at,
            "X-PARTNER-ID": self._names["partner_id"], "X-EXTERNAL-ID": f"{self._number:018d}",
            "CHANNEL-ID": "95221", "X-DEVICE-ID": "bench",
            "X-SIGNATURE": hmac_signature(self._names["secret"], "POST", path, self._token, sent, at),
        }  # fmt: skip
        return raw("POST", path, headers, sent)


def raw(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: mock", f"Content-Length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*head, "", "")).encode() + body


def bni(mock: Mock, payouts: int) -> Iterator[bytes]:
    """Transfers, each looked up once."""
    sign = Signer(mock)
    for number in range(payouts):
        reference = f"{number:019d}"
        yield sign("/snap-service/v1/transfer-intrabank", {
            "partnerReferenceNo": reference, "amount": AMOUNT, "beneficiaryAccountNo": "0115476151", "currency": "IDR",
            "sourceAccountNo": mock.credentials["source_account"], "transactionDate": now(),
        })  # fmt: skip
        status = {"originalPartnerReferenceNo": reference, "serviceCode": "17"}
        yield sign("/snap-service/v1/transfer/status", status)


def ovo(mock: Mock, payouts: int) -> Iterator[bytes]:
    """Top-ups, each looked up once."""
    sign = Signer(mock)
    for number in range(payouts):
        topup = {"partnerReferenceNo": f"P{number}", "customerNumber": "081234567890", "amount": AMOUNT}
        yield sign("/OVOSNAP/v2.0/emoney/topup", topup)
        status = {"originalPartnerReferenceNo": f"P{number}", "serviceCode": "38"}
        yield sign("/OVOSNAP/v2.0/emoney/topup-status", status)


def gopay(mock: Mock, payouts: int) -> Iterator[bytes]:
    """SNAP top-ups, each notified, and looked up once."""
    sign = Signer(mock)
    info = {"additionalInfo": {"beneficiaryProvider": "gopay"}}
    for number in range(payouts):
        who = {"customerNumber": "08215023424", "customerName": "BUDI SANTOSO", "notes": f"P{number}"}
        yield sign("/v1.0/emoney/topup", {"partnerReferenceNo": f"P{number}", **who, "amount": AMOUNT, **info})
        yield sign("/v1.0/transfer/status", {"originalPartnerReferenceNo": f"P{number}", "serviceCode": "38"})


def linkaja(mock: Mock, payouts: int) -> Iterator[bytes]:
    """Cash-ins under hmac-auth: inquiries, and checks of unknown references."""
    customer = linkaja_customer(mock)
    tokens = json.loads(
        httpx.request("GET", f"{mock.url}/v1/oauth/create", headers=kong(mock, "GET", "/v1/oauth/create", b"")).content
    )
    access = tokens["data"]["accessToken"]
    for number in range(payouts):
        inquiry = {
            "token": customer, "amount": "000000000100", "merchantTrxID": f"P{number}",
            "trxDate": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        for path, body in (("inquiry", compact(inquiry)), ("check", compact({"merchantTrxID": f"P{number}"}))):
            headers = kong(mock, "POST", f"/v1/cashin/{path}", body) | {"Access-Token": access}
            yield raw("POST", f"/v1/cashin/{path}", headers, body)


def dana(mock: Mock, payouts: int) -> Iterator[bytes]:
    """Top-ups, each looked up once; DANA's calls are signed by RSA and carry no token of the programme's."""
    number, given = itertools.count(1), mock.credentials

    def sign(name: str, body: dict[str, Any]) -> bytes:
        path, sent, at = f"/rest/v1.0/emoney/{name}", compact(body), now()
        text = f"POST:{path}:{hashlib.sha256(sent).hexdigest()}:{at}"
        headers = {
            "Content-Type": "application/json", "X-TIMESTAMP": at, "X-PARTNER-ID": given["client_id"],
            "X-EXTERNAL-ID": f"{next(number):018d}", "CHANNEL-ID": given["channel_id"],
            "X-SIGNATURE": rsa_signature(given["private_key_pem"], text),
        }  # fmt: skip
        return raw("POST", path, headers, sent)

    for one in range(payouts):
        yield sign("topup", {
            "partnerReferenceNo": f"P{one}", "customerNumber": "6281234567890", "amount": AMOUNT,
            "feeAmount": {"value": "0.00", "currency": "IDR"}, "transactionDate": now(),
            "additionalInfo": {"fundType": "AGENT_TOPUP_FOR_USER_SETTLE"},
        })  # fmt: skip
        yield sign("topup-status", {"originalPartnerReferenceNo": f"P{one}", "serviceCode": "38"})


def kong(mock: Mock, method: str, path: str, body: bytes) -> dict[str, str]:
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
    digest = "SHA-256=" + base64.b64encode(hashlib.sha256(body).digest()).decode()
    text = f"date: {date}\n{method} {path} HTTP/1.1\ndigest: {digest}"
    made = base64.b64encode(hmac.digest(mock.credentials["hmac_secret"].encode(), text.encode(), "sha256")).decode()
    user = mock.credentials["hmac_username"]
    order = 'algorithm="hmac-sha256", headers="date request-line digest"'
    authorization = f'hmac username="{user}", {order}, signature="{made}"'
    return {"Date": date, "Digest": digest, "Authorization": authorization, "Content-Type": "application/json"}


def linkaja_customer(mock: Mock) -> str:
    """Links the sandbox customer, as a person would, and returns the customer's token."""
    sign = Signer(mock)
    asked = {
        "partnerRedirectUrl": f"{mock.notify_base}/callbacks/linkaja/link?st=s1",
        "state": "s1",
        "scope": "DIRECT_DEBIT_TRANSACTION",
    }
    body = {"merchantId": mock.credentials["merchant_id"], "msisdn": "6281234567890", "additionalInfo": asked}
    head, _, sent = sign("/bi/v1.0/registration-account-binding", body).partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    bound = httpx.post(f"{mock.url}/bi/v1.0/registration-account-binding", content=sent, headers=headers).json()
    page = mock.url + urlsplit(bound["redirectUrl"]).path
    httpx.post(page, data={"agree": "yes", "action": "continue"})
    back = httpx.post(page, data={"pin": "112233", "action": "continue"}).headers["location"]
    code = parse_qs(urlsplit(back).query)["authCode"][0]
    told = snap_token(mock, "/bi/v1.0/access-token/b2b2c", {"grantType": "AUTHORIZATION_CODE", "authCode": code})
    return str(told["accessToken"])


LOADS: dict[str, Callable[[Mock, int], Iterator[bytes]]] = {
    "bni": bni, "gopay": gopay, "linkaja": linkaja, "ovo": ovo, "dana": dana,
}  # fmt: skip


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the mock's notifications, whatever they say."""
    with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError):  # both are the end of the run
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    writer.close()


async def load(mock: Mock, requests: list[bytes], notified: socket.socket) -> dict[str, float]:
    """Sends all requests over a few kept connections, a payout's two in a row; every answer must be HTTP 200."""
    todo: Iterator[tuple[bytes, bytes]] = zip(requests[::2], requests[1::2], strict=True)
    waits_s: list[float] = []

    async def work() -> None:
        reader, writer = await asyncio.open_connection(*mock.host)
        for request in itertools.chain.from_iterable(todo):
            start = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            waits_s.append(time.perf_counter() - start)
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{mock.partner} answered {head.split(b' ')[1].decode()}: {body.decode()}")
        writer.close()

    before_s, start = cpu_s(mock.pid), time.perf_counter()
    receiver = await asyncio.start_server(accept, sock=notified)
    async with receiver, asyncio.timeout(RUN_S), asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(work())
    spent_s, used_s = time.perf_counter() - start, cpu_s(mock.pid) - before_s
    return {
        "requests": len(requests), "requests_per_s": round(len(requests) / spent_s, 1),
        "requests_per_cpu_s": round(len(requests) / used_s, 1),
        "p50_ms": round(statistics.median(waits_s) * 1000, 2),
        "p99_ms": round(statistics.quantiles(waits_s, n=100)[98] * 1000, 2),
    }  # fmt: skip


@contextlib.contextmanager
def running(partner: str, folder: Path, core: int, notify_base: str) -> Iterator[Mock]:
    """A mock that may use one core only."""
    world = folder / "world.csv"
    world.write_text(",".join(COLUMNS) + "\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        base = free.getsockname()[1] - port_of(partner, 0)
    command = [sys.executable, "-m", "mock_partners", "serve", "--world", str(world), "--port-base", str(base)]
    command += ["--only", partner, "--notify-base", notify_base]
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, {core})
    )  # fmt: skip
    url = f"http://127.0.0.1:{port_of(partner, base)}"
    try:
        until = time.monotonic() + READY_S
        while True:
            try:
                httpx.get(f"{url}/__mock__/health").raise_for_status()
                break
            except httpx.TransportError:
                if time.monotonic() > until or child.poll() is not None:
                    raise SystemExit(f"the {partner} mock does not answer") from None
                time.sleep(0.05)
        credentials = import_module(f"mock_partners.{partner}").CREDENTIALS["credentials"]
        yield Mock(partner, url, child.pid, credentials, notify_base)
    finally:
        child.terminate()
        child.wait(READY_S)


def main() -> int:
    """Measures every mock; the exit status is 1 if one answers fewer than --at-least requests a second."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.mocks", description=__doc__)
    parser.add_argument("--payouts", type=int, default=2_000, help="two signed requests each")
    parser.add_argument("--rounds", type=int, default=3, help="the median round counts")
    parser.add_argument("--only", choices=LOADS, action="append", help="this mock (may be repeated)")
    parser.add_argument("--at-least", type=float, default=WANTED_PER_S)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args()
    mock_core, load_core = (sorted(os.sched_getaffinity(0)) * 2)[:2]
    os.sched_setaffinity(0, {load_core})
    told: dict[str, Any] = {"mock_core": mock_core, "load_core": load_core, "connections": CONNECTIONS, "mocks": {}}
    for partner in arguments.only or LOADS:
        rounds = []
        for _ in range(arguments.rounds):
            notified = bind(0)
            base = f"http://127.0.0.1:{notified.getsockname()[1]}"
            with tempfile.TemporaryDirectory() as folder, running(partner, Path(folder), mock_core, base) as mock:
                requests = list(LOADS[partner](mock, arguments.payouts))
                rounds.append(asyncio.run(load(mock, requests, notified)))
        rounds.sort(key=lambda one: one["requests_per_cpu_s"])
        told["mocks"][partner] = {**rounds[len(rounds) // 2], "rounds": [one["requests_per_cpu_s"] for one in rounds]}
    told["met"] = all(one["requests_per_cpu_s"] >= arguments.at_least for one in told["mocks"].values())
    text = json.dumps(told, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 0 if told["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
