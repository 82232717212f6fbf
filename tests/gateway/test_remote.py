"""Commands that are clients of the API: its refusal or silence is one line that says what to do, whichever asks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import respx

from gateway.cli import common, main, plans
from gateway.client import http
from tests.gateway.plans.kit import plan

API = "http://gateway.invalid:8000"
ASKING = [("batch", "list"), ("plans", "list"), ("plans", "show", "x"), ("webhooks", "list"), ("events",)]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[respx.MockRouter]:
    """What a command reaches in place of the API."""
    environment = {"PRAKERJA_CLIENT_ID": "core", "PRAKERJA_CLIENT_SECRET": "s", "PRAKERJA_API_URL": API}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(http, "TRIES", 1)
    with respx.mock(using="httpx", base_url=API) as router:
        yield router


def ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *command: str) -> str:
    monkeypatch.setattr(sys, "argv", ["gateway", *command])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1, said
    return said


@pytest.mark.parametrize("command", ASKING)
def test_an_api_that_is_away_is_one_line(
    wire: respx.MockRouter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    wire.post("/oauth/token").mock(side_effect=httpx.ConnectError)
    said = ended(monkeypatch, capsys, *command)
    assert f"{API} gave no answer (ConnectError)" in said


@pytest.mark.parametrize("command", ASKING)
def test_a_refusal_is_one_line_with_the_remedy(
    wire: respx.MockRouter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    problem = {"code": "scope_missing", "detail": "It takes another scope.", "remedy": "Ask for it."}
    wire.post("/oauth/token").respond(200, json={"access_token": "t", "expires_in": 60})
    wire.get(path__startswith="/v1/").respond(403, json=problem)
    said = ended(monkeypatch, capsys, *command)
    assert "It takes another scope. Ask for it." in said


@pytest.mark.parametrize(
    "told", ["[/red]", "[link=https://evil.test]x[/link]", "[red", "\x1b]0;evil\x07", "\x9b31m", "a\u202eb"]
)
def test_what_an_api_says_is_shown_and_nothing_in_it_is_done(
    wire: respx.MockRouter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: str
) -> None:
    """Neither by the library that colours lines nor by the terminal; the same in a table's cells."""
    wire.post("/oauth/token").respond(200, json={"access_token": "t", "expires_in": 60})
    refused = wire.get(path__startswith="/v1/").respond(403, json={"code": "x", "detail": told, "remedy": "Ask."})
    said = ended(monkeypatch, capsys, "batch", "list")
    plain = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in told)
    assert said == f"error: {plain} Ask.\n" and refused.called
    assert str(common.table("t", "a", "b", rows=[(told, told)]).columns[1]._cells[0]) == plain


@pytest.mark.parametrize("command", ASKING)
def test_a_client_that_does_not_prove_itself_is_told_so(
    wire: respx.MockRouter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    """In the words of RFC 6749, by whichever client of ours."""
    told = {"error": "invalid_client", "error_description": "It is unknown.", "code": "c", "remedy": "Send its id."}
    wire.post("/oauth/token").respond(401, json=told)
    assert "It is unknown. Send its id." in ended(monkeypatch, capsys, *command)


def test_what_was_proposed_too_often_in_vain_is_not_shown_as_if_it_waited(
    wire: respx.MockRouter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As many times as keys are tried, all rejected within the week in which a key gives its first answer."""
    said = plan()
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(said))
    made: dict[str, object] = {"plan_id": "pl1", "state": "rejected", "content": json.dumps(said)} | dict.fromkeys(
        ("programme", "name", "submitted_by", "content_root", "received_at"), "2026-11-30T00:00:00Z"
    )
    made |= dict.fromkeys(("most_participants", "most_rupiah", "approvals_missing"), 1)
    made |= {"approvals": [], "decided_at": None}
    wire.post("/oauth/token").respond(200, json={"access_token": "t", "expires_in": 60})
    proposed = wire.post("/v1/plans").respond(201, json=made)
    wire.get("/v1/plans/pl1").respond(200, json=made)
    assert "another name" in ended(monkeypatch, capsys, "plans", "submit", str(file))
    assert proposed.call_count == plans._TIMES


def test_a_batch_without_a_file_says_so(
    wire: respx.MockRouter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One of reapprovals has no key that any client could be shown."""
    file = tmp_path / "rows.csv"
    file.write_text("a")
    wire.post("/oauth/token").respond(200, json={"access_token": "t", "expires_in": 60})
    batch = {"reapproval": True, "content_key": None, "results_url": "/v1/batches/b1/results"}
    wire.get("/v1/batches/b1").respond(200, json=batch)
    said = ended(monkeypatch, capsys, "batch", "root", str(file), "b1")
    assert "no file" in said and "/v1/batches/b1/results" in said and "It takes a client" not in said
