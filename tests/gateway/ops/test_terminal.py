"""The operators' questions and deeds in the terminal."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from typer.main import get_command

from contracts.incentive import BlockerCode
from gateway.cli import COMMANDS, app
from gateway.cli.common import LAST_MIN, table
from gateway.storage.ops import cases, switches
from gateway.storage.ops.cases import NewCase
from tests.conftest import MASTER_KEY
from tests.gateway import program
from tests.gateway.api.kit import as_csv, row
from tests.gateway.ops.desk import Desk, code, send

HEAVY = ("litestar", "aiohttp", "httpx", "redis", "uvicorn", "jinja2", "structlog", "rich", "plotext")
CIPHERS = ("cryptography",)
"""Needed where a key is compared with the store's, and only then."""
QUICK = ("funnel", "plan", "why", "cases", "payouts", "incentives", "partners_")


def run(database: str, *arguments: str, typed: str = "", status: int = 0, columns: int = 80) -> str:
    key = base64.b64encode(MASTER_KEY).decode()
    environment = {"DATABASE_URL": database, "GATEWAY_MASTER_KEY": key, "COLUMNS": str(columns)}
    if typed:
        return program.run_apart(*arguments, status=status, typed=typed, **environment)
    return program.run(*arguments, status=status, **environment)


def typed(desk: Desk, role: str) -> str:
    """What somebody types who is asked for password and code; the code of the next half minute, as one is good once."""
    person = desk.people[role]
    return f"{person.password}\n{code(person, desk.now_s() + 30)}\n"


def test_a_command_for_every_minute_loads_no_framework() -> None:
    """Start-up time is what is imported; a clock would measure the machine's other work."""
    modules = ", ".join(f"gateway.cli.{module}" for module in QUICK)
    script = f"import sys, {modules}; print(*[n for n in {HEAVY + CIPHERS!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("encoding", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "latin-1"}])
def test_every_sign_is_printed_in_any_locale(encoding: dict[str, str]) -> None:
    command = [sys.executable, "-m", "gateway", "partners", "settings"]
    done = subprocess.run(command, capture_output=True, env=os.environ | encoding, timeout=60, check=True)
    assert "–" in done.stdout.decode()


def loaded(database: str, *arguments: str) -> str:
    """What is heavy of all that a command has loaded once it has answered."""
    script = (
        f"import sys, gateway.cli\nsys.argv = {['gateway', *arguments]!r}\ntry: gateway.cli.main()\n"
        "except SystemExit as end: assert not end.code\n"
        f"print(*[n for n in {HEAVY!r} if n in sys.modules], file=sys.stderr)"
    )
    environment = {"DATABASE_URL": database, "GATEWAY_MASTER_KEY": base64.b64encode(MASTER_KEY).decode()}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stderr.strip()


def test_help_loads_no_command() -> None:
    """It is the first thing that anybody types: nothing is imported for it that it does not print."""
    script = (
        "import sys, gateway.cli\ntry: gateway.cli.app(['--help'])\nexcept SystemExit: pass\n"
        f"print('loaded', *[n for n in sys.modules if n in {HEAVY!r} or n.startswith(('gateway.cli.', 'rich.'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1].strip() == "loaded"
    assert all(re.search(rf"^  {name} ", done.stdout, re.M) for name in COMMANDS)


TELLING = {"list", "show", "state", "holds", "status"}


def test_what_tells_something_tells_it_to_programs_too() -> None:
    """Groups' commands by their names, and every command that stands alone but those that go on or write files."""
    group = get_command(app)
    for name in COMMANDS.keys() - {"serve", "worker", "migrate", "events", "cohort", "new-partner"}:
        found = group.get_command(None, name)  # type: ignore[attr-defined]
        for what, one in getattr(found, "commands", {"list": found}).items():
            named = {option for parameter in one.params for option in parameter.opts}
            assert what not in TELLING or "--json" in named, f"{name} {what}"


async def test_where_everybody_stands(desk: Desk, database: str) -> None:
    await desk.api.submit(as_csv([row(n) for n in range(1, 4)] + [row(9, nik="1")]))
    text = run(database, "funnel")
    assert re.search(r"^awaiting_link +3 +Rp 1\.800\.000", text, re.M)
    assert re.search(r"^approval_missing +core +ovo|^link_required +participant +ovo", text, re.M)
    assert "nik_invalid" in text
    told = json.loads(run(database, "funnel", "--json"))
    seen = (await desk.api.call("GET", "/v1/funnel", role="reader")).json()
    told.pop("as_of"), seen.pop("as_of")
    assert told == seen
    assert loaded(database, "funnel", "--json") == "", "nor does it on its way to an answer"


async def test_nobody_is_told_of_a_missing_approval_where_everything_is_over(desk: Desk, database: str) -> None:
    """What was stopped has no approval any more, whatever became of it."""
    await desk.api.submit(as_csv([row(1)]))
    (made,) = await desk.api.fetch("SELECT id FROM incentives")
    for facts, told in (
        ("payout = 'open'", "a payout is under way"),
        ("payout = 'succeeded'", "it is paid"),
        ("payout = NULL, cancelled = true", "it was cancelled"),
    ):
        await desk.api.fetch(f"UPDATE incentives SET {facts}")
        said = run(database, "why", str(made["id"]))
        assert told in said and "approved" not in said and "nothing" not in said, facts


HALVES = {
    "nik": "INSERT INTO nik_corrections SELECT id, 'x', 'maker', now() FROM participants",
    "erasure": "INSERT INTO erasures SELECT id, 'maker', now() FROM participants",
    "proof": "WITH stands AS (UPDATE participants SET standing = 'account_unproved' RETURNING *) INSERT INTO"
    " account_proofs (participant, partner, account_index, nik_index, document, given_by, given_at)"
    " SELECT id, partner, account_index, nik_index, 'BA 17', 'maker', now() FROM stands",
}


@pytest.mark.parametrize("code", HALVES)
async def test_whoever_looks_for_work_finds_what_waits_for_a_second_person(
    desk: Desk, database: str, code: str
) -> None:
    """About whom, and by whom: neither a case nor a list of decisions names it."""
    await desk.api.submit(as_csv([row(1)]))
    assert "second person" not in run(database, "cases", "list")
    async with desk.signed_in("auditor") as browser:
        assert "Menunggu orang kedua" not in (await browser.get("/ops/cases")).text
        await desk.api.fetch(HALVES[code])
        shown = (await browser.get("/ops/cases")).text
    assert "Menunggu orang kedua" in shown
    assert f'<a href="/ops/participants/{row(1)["participant_id"]}">' in shown and "<td>maker</td>" in shown
    said = run(database, "cases", "list").partition("waits for a second person")[2]
    assert re.search(rf"^{code} +{row(1)['participant_id']} +maker", said, re.M), said


async def test_the_plan_says_when_and_draws_it(desk: Desk, database: str) -> None:
    batch = (await desk.api.submit(as_csv([row(n) for n in range(1, 41)]))).json()
    for role in ("one", "two"):
        await desk.api.decide(batch, role)
    await desk.api.fetch("UPDATE incentives SET link_active = true, verified = true, standing = NULL")
    await desk.api.core.plan.tick()
    await desk.api.fetch(
        "INSERT INTO backlog_samples (at, partner, stage, due, blocked, ended)"
        " VALUES (now() - interval '100 seconds', 'ovo', 'payout', 140, 0, -100) ON CONFLICT DO NOTHING"
    )
    text = run(database, "plan")
    line = next(line for line in text.splitlines() if line.startswith("ovo      payout"))
    assert re.search(r"payout +40 +0 +\d", line), line
    assert "observed" in line
    assert "WIB" in line
    assert "ovo, payout: due" in text
    forecasts = json.loads(run(database, "plan", "--json"))["forecasts"]
    (mine,) = [one for one in forecasts if one["stage"] == "payout"]
    left_s = (datetime.fromisoformat(mine["done_at"]) - datetime.now(UTC)).total_seconds()
    assert 20 < left_s < 90, "1 a second, 40 left"


async def test_cases_name_what_lifts_them(desk: Desk, database: str) -> None:
    new = [
        NewCase(code=BlockerCode.CONTRADICTION, partner="bni", detail="two credits [of one] 20261128000000000017"),
        NewCase(code=BlockerCode.NOTIFICATION_DROPPED, partner="gopay", detail="none can be read"),
    ]
    async with desk.api.core.resources.database.transaction() as connection:
        await cases.open_cases(connection, desk.api.core.resources.clock.now(), new)
    both = run(database, "cases", "list")
    assert both.count("WIB") == 4
    assert "two credits [of one]" in both
    only = json.loads(run(database, "cases", "list", "--partner", "bni", "--json"))
    assert [one["code"] for one in only] == ["contradiction"]
    shown = run(database, "cases", "show", str(only[0]["id"]))
    assert "what lifts it: POST /v1/reconciliations" in shown
    assert "There is no such case" in run(database, "cases", "show", "1", status=2)


async def test_a_case_is_closed_by_a_person_with_the_role_wherever_they_sit(desk: Desk, database: str) -> None:
    words = ("the first statement", "the second", "the third")
    new = [NewCase(code=BlockerCode.CONTRADICTION, partner="bni", detail=text) for text in words]
    async with desk.api.core.resources.database.transaction() as connection:
        await cases.open_cases(connection, desk.api.core.resources.clock.now(), new)
    first, second, third = [row["id"] for row in await desk.api.fetch("SELECT id FROM cases ORDER BY id")]
    assert f"gateway cases close {first}" in run(database, "cases", "show", str(first))
    close = ("cases", "close", str(first), "given back, letter 17")
    assert "--as NAME" in run(database, *close, status=2)
    other = run(database, *close, "--as", "auditor-one", typed=typed(desk, "auditor"), status=2)
    assert "needs the role operator" in other
    assert "3 to 300" in run(database, *close[:3], "ok", status=2)
    assert f"case {first} is closed" in run(database, *close, "--as", "operator-one", typed=typed(desk, "operator"))
    path, body = f"/v1/cases/{second}/close", {"reason": "given back, letter 18"}
    assert (await desk.api.call("POST", path, role="reader", json=body)).status_code == 403
    assert (await desk.api.call("POST", path, role="operator", json={"reason": "ok"})).status_code == 422
    told = await desk.api.call("POST", path, role="operator", json=body)
    assert (told.status_code, told.json()["state"], told.json()["closed_by"]) == (200, "closed", "operator")
    async with desk.signed_in("approver") as browser:
        assert (await send(browser, "/ops/acts/close", case=str(third), reason="letter 19")).status_code == 403
    left = json.loads(run(database, "cases", "list", "--json"))
    assert [one["id"] for one in left] == [third]
    records = await desk.api.fetch("SELECT actor, subject FROM audit_log WHERE action = 'case.close' ORDER BY seq")
    assert [tuple(row) for row in records] == [("op-operator-one", str(first)), ("operator", str(second))]


async def test_a_partner_is_paused_by_a_person_with_the_role(desk: Desk, database: str) -> None:
    pause = ("partners", "pause", "ovo", "deposit runs dry")
    assert "--as NAME" in run(database, *pause, status=2), "people are enrolled here, so one of them acts"
    wrong = run(database, *pause, "--as", "operator-one", typed="wrong\n000000\n", status=2)
    assert "is wrong" in wrong
    other = run(database, *pause, "--as", "auditor-one", typed=typed(desk, "auditor"), status=2)
    assert "needs the role operator" in other
    assert await desk.api.fetch("SELECT 1 FROM partner_switches WHERE paused_at IS NOT NULL") == []
    done = run(database, *pause, "--as", "operator-one", typed=typed(desk, "operator"))
    assert "ovo: paused" in done
    (told,) = await desk.api.fetch("SELECT actor, data FROM audit_log WHERE action = 'partner.pause'")
    assert (told["actor"], told["data"]) == ("op-operator-one", {"reason": "deposit runs dry"})
    assert re.search(r"^ovo +paused .*?deposit runs dry", run(database, "partners", "state"), re.M | re.S)
    sessions = await desk.api.fetch("SELECT 1 FROM operator_sessions")
    assert sessions == [], "a command leaves nobody signed in"


async def test_which_partner_is_slow_and_how(desk: Desk, database: str) -> None:
    """The last five minutes, by partner: what was before, and another partner's, is none of it."""
    calls = [("ovo", 200, 4_000, 1), ("ovo", 502, 2_000, 2), ("ovo", None, 6_000, 4), ("ovo", 429, 9_000, 6)]
    for partner, status, took_ms, minutes in [*calls, ("gopay", 200, 30, 1)]:
        await desk.api.fetch(
            "INSERT INTO exchanges (at, partner, operation, effect, subject, status, left_us, took_ms)"
            " VALUES (now() - $4::interval, $1, 'payout.transfer', 'WRITE', '1', $2, true, $3)",
            partner, status, took_ms, timedelta(minutes=minutes),
        )  # fmt: skip
    text = run(database, "partners", "state").partition("how they answered in the last five minutes")[2]
    assert re.search(r"^ovo +3 +4000 +5800 +no answer 1, 5xx 1 *$", text, re.M), text
    assert re.search(r"^gopay +1 +30 +30 +– *$", text, re.M) and "bni" not in text
    told = {one["partner"]: one["lately"] for one in json.loads(run(database, "partners", "state", "--json"))}
    seen = (await desk.api.call("GET", "/v1/partners", role="reader")).json()["partners"]
    assert told == {one["partner"]: one["lately"] for one in seen} and told["bni"] is None
    async with desk.signed_in("auditor") as browser:
        page = (await browser.get("/ops/live")).text
    assert re.search(
        r">OVO</a></td>\s*<td>.*</td>\s*.*>3</td>.*>4.000</td>.*>5.800</td><td>tanpa jawaban 1, 5xx 1<", page
    )


async def test_where_nobody_is_enrolled_the_command_line_itself_acts(database: str) -> None:
    assert "gopay: paused" in run(database, "partners", "pause", "gopay", "before the first operator")
    assert "gopay: running" in run(database, "partners", "resume", "gopay")
    assert json.loads(run(database, "partners", "holds", "--json")) == []
    run(database, "partners", "pause", "gopay", "for the night")
    connection = await asyncpg.connect(database)
    await switches.pause(connection, datetime.now(UTC), "gopay", by="gateway", reason="credited twice")
    await connection.close()
    refused = run(database, "partners", "resume", "gopay", status=2)
    assert "credited twice" in refused, "told why"
    (read,) = re.findall(r"--read ([0-9a-f]{16})", refused)
    assert "gopay: running" in run(database, "partners", "resume", "gopay", "--read", read), "and how to go on"
    asked = ("partners", "ask-again", "gopay", "--stage", "verify", "--since")
    assert "0 refusals" in run(database, *asked, "2026-01-05T09:00")
    assert "is no time" in run(database, *asked, "yesterday", status=2)
    assert "no such hold" in run(database, "partners", "release", "7", "mended", status=2)
    assert "in a person's name" in run(
        database, "settlements", "propose", "1", "paid", "--document", "BA-7", "--why", "their letter", status=2
    )


def test_numbers_are_never_broken_and_the_last_column_folds() -> None:
    """At any width each cell but the last stands whole on one line, and nothing of the last is lost."""
    from rich.console import Console

    number, words = "20261128000000000017", "a long story " * 9
    at = datetime(2026, 11, 28, 13, 30, tzinfo=UTC)
    for width in (40, 60, 80, 120, 200):
        narrow = Console(width=width, soft_wrap=True)
        made = table("t", "id", "at", "words", rows=[(number, at, words), (None, at + timedelta(days=1), "[b]")])
        with narrow.capture() as caught:
            narrow.print(made)
        text = caught.get()
        assert number in text
        assert "2026-11-28 20:30:00 WIB" in text
        assert "│" not in text
        assert "[b]" in text
        assert text.count("story") == 9, LAST_MIN
        with narrow.capture() as caught:
            narrow.print(table("t", "id", "at", rows=[]))
        assert [line.split() for line in caught.get().splitlines()] == [["t"], ["id", "at"], ["none"]]
