"""The command line: what it prints, and how it fails."""

from __future__ import annotations

import asyncio
import base64
import http.server
import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
import pytest
import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError

from adapters.registry import PARTNERS
from gateway.api.app import create_app
from gateway.cli import COMMANDS, demo
from gateway.cli import batch as batch_cli
from gateway.cli.serve import server_config
from gateway.clock import SystemClock
from gateway.demo.cluster import bare_environment
from gateway.security.clients import register
from gateway.settings import Settings
from gateway.storage.base.database import Database
from tests.gateway.api.conftest import settings_on
from tests.gateway.api.kit import PROGRAMMES, PURPOSES, as_csv, as_ndjson, nik, row
from tests.gateway.plans.kit import plan
from tests.gateway.program import run, run_apart


@pytest.mark.parametrize(
    "address",
    ["postgresql:///x?host=/nowhere", "postgresql://nohost.invalid/x", "postgresql://127.0.0.1:1/x", "nonsense"],
)
def test_a_database_that_cannot_be_reached_is_one_line(address: str) -> None:
    said = run("programmes", "list", status=2, DATABASE_URL=address)
    assert said.startswith("error: ") and "gateway doctor" in said and said.count("\n") == 1


def test_help_names_every_command() -> None:
    text = run_apart("--help")
    for name in COMMANDS:
        assert name in text, name


def test_without_settings_it_says_which_one_is_missing() -> None:
    assert "DATABASE_URL is not set" in run("migrate", status=2)
    assert "is not set" in run("serve", status=2)
    nowhere = {"DATABASE_URL": "postgresql://127.0.0.1:9/none"}
    assert "GATEWAY_MASTER_KEY is not set" in run("migrate", status=2, **nowhere)
    assert "32 bytes" in run("migrate", status=2, **nowhere, GATEWAY_MASTER_KEY="c2hvcnQ=")
    key = base64.b64encode(bytes(range(32))).decode()
    assert "gateway doctor" in run("migrate", status=2, **nowhere, GATEWAY_MASTER_KEY=key)


def test_migrate_and_clients(empty_database: str) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    store = {"DATABASE_URL": empty_database, "GATEWAY_MASTER_KEY": key}
    assert "applied" in run("migrate", **store)
    assert "up to date" in run("migrate", **store)
    client = json.loads(run("clients", "create", "First One", "--scope", "read", "--json", **store))
    assert client["client_id"] == "first-one"
    listed = run("clients", "list", **store)
    assert "first-one" in listed
    assert client["client_secret"] not in listed
    alone = run("clients", "create", "core two", "--scope", "batches", **store)
    assert "organisation of its own, core-two" in alone, "what it hands over by mistake is lost to the others"
    for more in (("--organisation", "prakerja"), ("--scope", "read", "--json")):
        assert "of its own" not in run("clients", "create", f"core {more[1]} x", "--scope", "batches", *more, **store)
    assert "Scopes are" in run("clients", "create", "x", "--scope", "all", status=2, **store)
    assert "Choose another name" in run("clients", "create", "first one", "--scope", "read", status=2, **store)
    assert "disabled" in run("clients", "disable", "first-one", **store)
    assert "no enabled client" in run("clients", "disable", "first-one", status=2, **store)


def test_partners_need_nothing() -> None:
    text = run("partners")
    assert all(name in text for name in PARTNERS)
    assert "assumed" in run("partners", "show", "bni")
    assert "OVO_" in run("partners", "settings", "ovo")
    assert "They are: bni" in run("partners", "show", "nobody", status=2)


def _settings(database: str, redis_url: str) -> Settings:
    return msgspec.structs.replace(settings_on(database, redis_url), webhook_networks="127.0.0.1/32")


@pytest.fixture
def served(database: str, redis_url: str) -> Iterator[dict[str, Any]]:
    """The API with a maker and two approvers, as environments of the command line."""

    async def prepare() -> dict[str, Any]:
        store = await Database.open(database, size=1)
        now = SystemClock().now()
        try:
            made = {
                "maker": await register(store, now, name="maker", scopes=["batches", "read"]),
                "one": await register(store, now, name="one", scopes=["batches:approve"]),
                "two": await register(store, now, name="two", scopes=["batches:approve"]),
            }
        finally:
            await store.close()
        return {r: {"PRAKERJA_CLIENT_ID": c.client_id, "PRAKERJA_CLIENT_SECRET": c.secret} for r, c in made.items()}

    roles = asyncio.run(prepare())
    run("programmes", "register", PROGRAMMES[0], *PURPOSES, DATABASE_URL=database)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(server_config(create_app(_settings(database, redis_url))))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    yield {role: environment | {"PRAKERJA_API_URL": url} for role, environment in roles.items()}
    server.should_exit = True
    thread.join(30)


def test_a_batch_from_file_to_approval_and_why(served: dict[str, Any], database: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(as_csv([row(1), row(2, nik="123")]))
    text = run("batch", "submit", str(file), "--json", str(tmp_path / "out.json"), **served["maker"])
    assert "nik_invalid" in text
    assert nik(1) not in text
    refused = tmp_path / "refused.csv"
    run("batch", "submit", str(file), "--refused", str(refused), **served["maker"])
    again = run("batch", "submit", str(file), **served["maker"])
    assert "handed over before" in again and "not looked at again" in again and "not looked at again" not in text
    mended = refused.read_text().replace(",123,", f",{nik(2)},")
    refused.write_text(mended)
    assert "1 incentives" in run("batch", "submit", str(refused), **served["maker"]), "corrected, it is taken as it is"
    for name, body in (("rows.JSONL", as_ndjson([row(3)])), ("mark.ndjson", b"\xef\xbb\xbf" + as_ndjson([row(4)]))):
        (tmp_path / name).write_bytes(body)
        assert "1 incentives" in run("batch", "submit", str(tmp_path / name), **served["maker"])
    (tmp_path / "bad.csv").write_bytes(as_csv([row(5, nik="1")]))
    assert "approve" not in run("batch", "submit", str(tmp_path / "bad.csv"), status=1, **served["maker"])
    nowhere = run("batch", "submit", str(file), "--json", str(tmp_path / "no" / "x"), status=2, **served["maker"])
    assert "Traceback" not in nowhere
    batch = json.loads((tmp_path / "out.json").read_text())
    assert batch["batch_id"] in run("batch", "submit", str(file), **served["maker"]), "the same file is the same batch"
    assert "awaiting_approval" in run("batch", "show", batch["batch_id"], **served["maker"])
    assert "the same" in run("batch", "root", str(file), batch["batch_id"], **served["one"])
    other = tmp_path / "other.csv"
    other.write_bytes(file.read_bytes().replace(b"600000", b"600001"))
    assert "DIFFER" in run("batch", "root", str(other), batch["batch_id"], status=1, **served["one"])
    assert batch["batch_id"] in run("batch", "list", "--state", "awaiting_approval", **served["maker"])
    short = run("batch", "submit", str(file), "--rows", "3", "--key", "short", status=2, **served["maker"])
    assert "rows 3 declared, 2 in the file" in short
    again, answer = tmp_path / "again.csv", tmp_path / "again.json"
    again.write_bytes(as_csv([row(8)]))
    run("batch", "submit", str(again), "--json", str(answer), **served["maker"])
    made = json.loads(answer.read_text())
    run("batch", "approve", made["batch_id"], "--reject", "--root", made["content_root"], **served["two"])
    text = run("batch", "submit", str(again), **served["maker"])
    assert made["batch_id"] not in text, "what was rejected is handed over anew"
    approve = ("batch", "approve", batch["batch_id"], "--root", batch["content_root"])
    assert "scope batches:approve" in run(*approve, status=2, **served["maker"])
    run(*approve, **served["one"])
    assert "approved" in run(*approve, **served["two"])
    store = {"DATABASE_URL": database}
    assert "link_required (participant)" in run("incentives", "list", "--participant", "P00000001", **store)
    why = run("why", "1", **store)
    assert "who must act: participant, by 2099-12-31" in why
    assert "no such payout" in run("payouts", "show", "1", status=2, **store)


def test_a_token_ends_while_a_file_is_sent_or_somebody_thinks(
    served: dict[str, Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives a quarter of an hour, a file of half a gigabyte or a question at the terminal may take longer. And a
    pipe is read once, where a file is hashed before it is sent: an empty batch would go.
    """
    asked: list[str] = []
    send = httpx.Client._send_single_request

    def ended_after(client: httpx.Client, request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path != "/oauth/token" and len(asked) % 2:  # every second request finds its token at its end
            clock[0] += 1_000.0
        return send(client, request)

    clock = [time.monotonic()]
    monkeypatch.setattr(batch_cli, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(httpx.Client, "_send_single_request", ended_after)
    file = tmp_path / "rows.csv"
    file.write_bytes(as_csv([row(1), row(2, nik="123")]))
    text = run("batch", "submit", str(file), "--refused", str(tmp_path / "refused.csv"), **served["maker"])
    assert "nik_invalid" in text and "123" in (tmp_path / "refused.csv").read_text()
    assert asked.count("/oauth/token") > 1
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    assert "no file but a pipe" in run("batch", "submit", str(pipe), status=2, **served["maker"])


def test_a_client_that_offers_http_2_is_read_whole(served: dict[str, Any]) -> None:
    """As Java's client does at each POST over plain HTTP."""
    environment = served["maker"]
    address = urlsplit(environment["PRAKERJA_API_URL"])
    form = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": environment["PRAKERJA_CLIENT_ID"],
            "client_secret": environment["PRAKERJA_CLIENT_SECRET"],
        }
    ).encode()
    head = (
        f"POST /oauth/token HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as connection:
        connection.sendall(head.encode() + form)
        status = connection.makefile("rb").readline()
    assert b" 200 " in status, status


def test_the_demonstrations_settings_win_over_those_that_lie_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/production")
    cluster: Any = SimpleNamespace(
        environment=bare_environment() | {"DATABASE_URL": "postgresql://here/demo", "BNI_API_KEY": "a 'b'"},
        api_url="http://127.0.0.1:1",
    )
    said = demo._settings(cluster)
    script = said + 'printf "%s|%s|%s" "$DATABASE_URL" "$BNI_API_KEY" "$API"'
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "postgresql://here/demo|a 'b'|http://127.0.0.1:1"
    assert "PATH=" not in said


class Forwarded(http.server.BaseHTTPRequestHandler):
    """A developer's receiver, which breaks at the third event."""

    taken: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        self.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(500 if len(self.taken) == 3 else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_events_are_printed_in_order_and_forwarded_from_where_it_broke(served: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(as_csv([row(1), row(2), row(3)]))
    run("batch", "submit", str(file), **served["maker"])
    printed = [json.loads(line) for line in run("events", **served["maker"]).splitlines()]
    assert [e["type"] for e in printed] == ["incentive.changed"] * 3 + ["batch.received"]
    after = run("events", "--after", printed[1]["cursor"], **served["maker"]).splitlines()
    assert [json.loads(line) for line in after] == printed[2:]

    with http.server.HTTPServer(("127.0.0.1", 0), Forwarded) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{receiver.server_port}/"
        broken = run("events", "--forward", address, status=2, **served["maker"])
        assert "answered 500" in broken and printed[1]["cursor"] in broken
        run("events", "--forward", address, "--after", printed[1]["cursor"], **served["maker"])
        receiver.shutdown()
        thread.join()
    assert Forwarded.taken == [*printed[:3], *printed[2:]]
    assert "scope" in run("events", status=2, **served["one"])


def test_a_plan_that_was_rejected_is_proposed_anew_and_one_that_stands_is_not(
    served: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan()))

    def submitted() -> str:
        (found,) = re.findall("plan (pl[0-9]+)", run("plans", "submit", str(file), **served["maker"]))
        return str(found)

    first = submitted()
    assert submitted() == first
    root = run("plans", "root", str(file)).strip()
    marked = tmp_path / "marked.json"
    marked.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())  # as some editors save a file
    assert run("plans", "root", str(marked)).strip() == root
    run("plans", "approve", first, "--root", root, "--reject", **served["one"])
    second = submitted()
    assert second != first and submitted() == second
    for role in ("one", "two"):
        said = run("plans", "approve", second, "--root", root, **served[role])
    assert "approved" in said
    assert "two others approve it" not in run("plans", "submit", str(file), **served["maker"])


class Taken(http.server.BaseHTTPRequestHandler):
    """A receiver that knows the secret of its endpoint, or not yet."""

    secret: ClassVar[str] = "whsec_" + "B" * 43 + "="
    bodies: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self.bodies.append(Webhook(self.secret).verify(body, {n.lower(): v for n, v in self.headers.items()}))
            self.send_response(200)
        except WebhookVerificationError:
            self.send_response(401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _secret_of(said: str) -> str:
    return next(word for word in said.split() if word.startswith("whsec_"))


def test_webhooks_are_made_tried_and_kept_from_the_command_line(served: dict[str, Any]) -> None:
    me = served["maker"]
    assert "a private address" in run("webhooks", "add", "http://192.0.2.1/", status=2, **me)
    with http.server.HTTPServer(("127.0.0.1", 0), Taken) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, daemon=True)
        thread.start()
        made = run("webhooks", "add", f"http://127.0.0.1:{receiver.server_port}/", "--type", "batch.received", **me)
        endpoint = next(word for word in made.split() if re.fullmatch(r"we[0-9]+", word))
        assert "401" in run("webhooks", "test", endpoint, status=1, **me), "it does not know the secret yet"
        Taken.secret = _secret_of(made)
        assert "taken: HTTP 200" in run("webhooks", "test", endpoint, **me)
        Taken.secret = _secret_of(run("webhooks", "rotate", endpoint, **me))
        assert "taken: HTTP 200" in run("webhooks", "test", endpoint, **me)
        receiver.shutdown()
        thread.join()
    assert [body["type"] for body in Taken.bodies] == ["webhook.test"] * 2
    listed = run("webhooks", "list", **me)
    assert endpoint in listed and "batch.received" in listed and "whsec_" not in listed
    changed = run("webhooks", "change", endpoint, "--type", "case.opened", **me)
    assert "case.opened" in changed and "127.0.0.1" in changed
    assert "all" in run("webhooks", "change", endpoint, "--all-types", **me)
    both = run("webhooks", "change", endpoint, "--all-types", "--type", "case.opened", status=2, **me)
    assert "--type or --all-types" in both
    assert endpoint in run("webhooks", "replay", endpoint, **me)
    assert "a range again" in run("webhooks", "list", **me)
    assert endpoint in run("webhooks", "end-replay", endpoint, **me)
    assert "a range again" not in run("webhooks", "list", **me)
    assert "error:" in run("webhooks", "replay", endpoint, "--after", "%%%", status=2, **me)
    assert run("webhooks", "dead", endpoint, **me) == ""
    run("webhooks", "remove", endpoint, **me)
    assert "error:" in run("webhooks", "dead", endpoint, status=2, **me)
