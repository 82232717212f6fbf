"""The commands as they are typed: real processes, ready lines, clean stops, refusals that teach."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from mock_partners.cli import main
from mock_partners.kit.server import bind
from mock_partners.kit.world import COLUMNS
from tests.mock_partners.ports import free_base

ROW = "bni,7000000001,+6281100000001,BUDI SANTOSO,3174052209989901,full,active,123456,1946340000009901,0,0,"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    path = tmp_path / "world.csv"
    path.write_text(",".join(COLUMNS) + "\n" + ROW + "\n")
    return path


@pytest.fixture
def port_base() -> int:
    return free_base()


@contextmanager
def served(world: Path, port_base: int, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "mock_partners", "serve", "--world", str(world), "--port-base", str(port_base)]
    with subprocess.Popen(
        [*command, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_when_it_is_ready_and_stops_cleanly(world: Path, port_base: int, number: signal.Signals) -> None:
    url = f"http://127.0.0.1:{port_base + 1}"
    with served(
        world, port_base, "--only", "bni", "--deposit", "bni=5", "--waits", "settlement_s=1,absence_s=2", "--no-console"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"bni ready on {url}\n"
        with httpx.Client(base_url=url, trust_env=False) as http:
            assert http.get("/__mock__/health").json()["partner"] == "bni"
            assert http.get("/nowhere").status_code == 404
            process.send_signal(number)
            output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, "", "")


def test_the_console_is_on_the_port_base_unless_the_gateway_is(world: Path, port_base: int, tmp_path: Path) -> None:
    scenario = tmp_path / "s.toml"
    scenario.write_text('title = "Staged"\n[[rule]]\nname = "it"\ndo = { outage = "bad_gateway" }\n')
    url = f"http://127.0.0.1:{port_base}"
    with served(world, port_base, "--only", "bni", "--scenario", str(scenario), "--host", "127.0.0.1") as process:
        assert process.stdout is not None
        ready = {process.stdout.readline(), process.stdout.readline()}
        assert ready == {f"bni ready on http://127.0.0.1:{port_base + 1}\n", f"console ready on {url}\n"}
        with httpx.Client(trust_env=False) as http:
            assert "Staged" in http.get(url).text
            assert http.post(f"http://127.0.0.1:{port_base + 1}/snap/v1/access-token/b2b").status_code == 502
    with served(world, port_base, "--only", "bni", "--notify-base", url) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("bni ready")
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)


def test_scenario_commands(world: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('title = "T"\n[[rule]]\nname = "it"\nwhen = { operation = "payuot" }\ndo = { fail = true }\n')
    run = CliRunner(env={"COLUMNS": "300"})
    refused = run.invoke(main, ["scenario", "check", str(path)])
    assert refused.exit_code == 1
    assert "s.toml line 2: when.operation 'payuot' is no operation of bni" in refused.output
    path.write_text(path.read_text().replace("payuot", "payout"))
    assert run.invoke(main, ["scenario", "check", str(path)]).output.startswith("s.toml: 1 rules, good\n")
    assert run.invoke(main, ["scenario", "list", str(path)]).output == "   2  it: every partner, payout\n"
    assert "When the operation is payout:" in run.invoke(main, ["scenario", "explain", str(path)]).output
    assert "drop_after_booking" in run.invoke(main, ["scenario", "list"]).output
    path.write_bytes(b"\xff")
    assert "s.toml: not UTF-8" in run.invoke(main, ["scenario", "explain", str(path)]).output
    assert "s.toml: not UTF-8" in run.invoke(main, ["serve", "--world", str(world), "--scenario", str(path)]).output


def test_a_taken_port_is_named(world: Path) -> None:
    with bind(0) as sock:
        sock.listen()
        port = sock.getsockname()[1]
        with served(world, port - 1, "--only", "bni", "--no-console") as process:
            output, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert output == ""
    assert f"port {port} for bni cannot be used" in errors
    assert "choose another --port-base" in errors


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--waits", "settle_s=1"], "unknown wait 'settle_s'"),
        (["--deposit", "bni=-1"], "write PARTNER=RUPIAH"),
        (["--deposit", "nobody=1"], "write PARTNER=RUPIAH"),
        (["--only", "nobody"], "unknown partner 'nobody'"),
    ],
)
def test_wrong_options_are_refused(world: Path, options: list[str], text: str) -> None:
    result = CliRunner(env={"COLUMNS": "300"}).invoke(main, ["serve", "--world", str(world), *options])
    assert result.exit_code == 2
    assert text in result.output


def test_a_malformed_world_is_refused_without_telling_its_people(tmp_path: Path) -> None:
    path = tmp_path / "world.csv"
    path.write_text(",".join(COLUMNS) + "\n" + ROW.replace("full", "gold") + "\n")
    result = CliRunner(env={"COLUMNS": "300"}).invoke(main, ["serve", "--world", str(path)])
    assert result.exit_code == 2
    assert "world.csv line 2: field kyc is malformed" in result.output
    assert "3174052209989901" not in result.output


def test_credentials_are_complete_and_the_same_every_run() -> None:
    first, second = (
        CliRunner().invoke(main, ["credentials", "--json", "--only", "bni", "--port-base", "9200"]) for _ in range(2)
    )
    assert first.output == second.output
    told = json.loads(first.output)["bni"]
    assert told["base_url"] == "http://127.0.0.1:9201"
    assert set(told["credentials"]) == {
        "client_id", "api_key", "api_secret", "private_key_pem", "source_account", "channel_id",
        "autopay_merchant_id", "autopay_client_id", "autopay_client_secret", "autopay_private_key_pem",
    }  # fmt: skip
    assert all(account["account"] for account in told["test_accounts"])
    plain = CliRunner().invoke(main, ["credentials", "--only", "bni"])
    assert "  base_url: http://127.0.0.1:9101\n" in plain.output
    assert "    api_secret: bni-snap-api-secret-test\n" in plain.output
    assert "    private_key_pem\n      -----BEGIN PRIVATE KEY-----\n      MII" in plain.output
