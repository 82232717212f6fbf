"""Each alert fires for what it is about and for nothing else; Prometheus' file, doctor and runbook say the same."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from gateway.core import Core, build_core
from gateway.services.linking.proof import AccountProofs
from gateway.services.ops import gauges
from gateway.services.ops.alerts import ALERTS, as_prometheus, firing
from tests.gateway.app import app_of
from tests.gateway.ops.test_terminal import run
from tests.gateway.payouts.town import open_town

ROOT = Path(__file__).parents[3]
_HOLD = (
    "INSERT INTO holds (partner, stage, kind, fault, words, since, opened_by)"
    " VALUES ('fake', 'payout', '{kind}', '5xx', 'w', $1::timestamptz - interval '2 hours', 'w1')"
)
_CASE = (
    "INSERT INTO cases (id, code, partner, detail, opened_at, due_at)"
    " VALUES (1, '{code}', 'fake', 'd', $1, $1::timestamptz + interval '1 {unit}')"
)
PLANTED = {
    "PartnerDown": _HOLD.format(kind="outage"),
    "PartnerRefusesUs": _HOLD.format(kind="ours"),
    "CrowdRefused": _HOLD.format(kind="brake"),
    "PartnerThrottles": _HOLD.format(kind="throttled").replace("2 hours", "5 hours"),
    "PartnerPaused": "INSERT INTO partner_switches VALUES ('fake', $1::timestamptz - interval '5 hours', 'ann', 'why')",
    "RecoveryWaits": (
        "INSERT INTO recoveries (partner, since, opened_at, settled_at, demanded) VALUES ('fake', $1, $1::timestamptz"
        " - interval '6 minutes', $1, 'a copy')"
    ),
    "UnknownForADay": "UPDATE payouts SET first_sent_at = $1::timestamptz - interval '25 hours'",
    "CaseOverdue": _CASE.format(code="partner_rejected", unit="day").replace("+", "-"),
    "NoWorker": "UPDATE backlog_samples SET at = $1::timestamptz - interval '2 minutes'",
    "WorkFails": (
        "WITH told AS (INSERT INTO work_fails VALUES ('w1', 'dispatch:fake', 'OutOfTime', $1, clock_timestamp()))"
        " INSERT INTO backlog_samples SELECT at - interval '90 seconds', partner, stage, due, blocked, ended"
        " FROM backlog_samples"
    ),
    "LoopFails": (
        "INSERT INTO work_fails VALUES ('w1', 'daily:fake', 'InsufficientPrivilegeError', $1::timestamptz"
        " - interval '11 minutes', clock_timestamp())"
    ),
    "Stalled": _CASE.format(code="stalled", unit="day"),
    "Contradiction": _CASE.format(code="contradiction", unit="day"),
    "NotificationsWait": (
        "INSERT INTO inbox (id, partner, kind, event_key, raw_sealed, received_at)"
        " VALUES (1, 'fake', 'k', 'e', '', $1::timestamptz - interval '11 minutes')"
    ),
    "ApprovalWaits": (
        "INSERT INTO batches (id, client_id, state, rows_accepted, rows_rejected, rows_repeated, amount_rupiah,"
        " content_root, received_at) VALUES ('w', 'c', 'awaiting_approval', 0, 0, 0, 0, '',"
        " $1::timestamptz - interval '25 hours')"
    ),
    "SecondPersonWaits": (
        "INSERT INTO settlements (payout, verdict, document, why, proposed_by, proposed_at) SELECT id, 'paid', 'd',"
        " 'w', 'ann', $1::timestamptz - interval '25 hours' FROM payouts"
    ),
    "OutOfTime": "INSERT INTO statements_out_of_time VALUES ('linking/listing.py find', $1::timestamptz::date, 1)",
    "DeadLetters": "INSERT INTO webhook_deliveries VALUES ('e', '7', 7, 'P1', 9, $1, $1, $1, 'answered 500')",
}


@pytest.fixture
async def core(database: str) -> AsyncIterator[Core]:
    """A town with one payout that is unknown since just now, and an endpoint that is called."""
    async with open_town(database, start=datetime.now(UTC)) as town:
        town.partner().script("transfer", "lost")
        await town.due()
        await town.worker().tick_send("fake")
        await town.execute(
            "INSERT INTO webhook_endpoints (id, client_id, url, secret_sealed, types, created_at)"
            " VALUES ('e', 'c', 'https://core.example', '', '{}', $1)",
            town.clock.now(),
        )
        made = build_core(town.resources)
        await made.plan.tick()
        yield made


async def fires(core: Core) -> list[str]:
    views = await core.partners.all()
    async with core.resources.database.connection() as connection:
        registry = await gauges.measured(connection, core.incentives.moment(), views)
    return sorted({alert.name for alert, _, _ in firing(registry)})


async def test_nothing_fires_where_nothing_is_wrong(core: Core) -> None:
    assert await fires(core) == []


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
async def test_it_fires_for_its_cause_alone(core: Core, alert: object) -> None:
    name = alert.name  # type: ignore[attr-defined]
    async with core.resources.database.connection() as connection:
        await connection.execute(PLANTED[name], core.resources.clock.now())
    assert await fires(core) == [name]


async def test_a_plan_that_waits_for_its_approvals_is_told_as_a_batch_is(core: Core) -> None:
    """Nobody under it is entitled to anything, and after thirty days it has expired."""
    async with core.resources.database.connection() as connection:
        await connection.execute("INSERT INTO programmes VALUES ('p', 't', now())")
        await connection.execute(
            "INSERT INTO plans (id, organisation, client_id, programme, name, state, content, content_root,"
            " received_at) SELECT 'pl1', 'o', id, 'p', 'four-months', 'awaiting_approval', '', '',"
            " $1::timestamptz - interval '25 hours' FROM clients LIMIT 1",
            core.resources.clock.now(),
        )
    assert await fires(core) == ["ApprovalWaits"]


async def test_an_approval_that_lapsed_waits_until_it_is_put_up(core: Core) -> None:
    """The account was changed, and nobody calls for the approvals anew; once it is put up its batch waits instead."""
    async with core.resources.database.connection() as connection:
        await connection.execute(
            "UPDATE incentives SET payout = NULL, approved = false, lapsed_at = $1::timestamptz - interval '25 hours'",
            core.resources.clock.now(),
        )
    assert await fires(core) == ["ApprovalWaits"]
    assert (await core.batches.reapprove("c", like="b")).batch.reapproval
    assert await fires(core) == []


async def test_a_client_that_is_no_more_need_not_be_told(core: Core) -> None:
    """Nothing is delivered to it again, so that no act would end the alert."""
    async with core.resources.database.connection() as connection:
        await connection.execute(PLANTED["DeadLetters"], core.resources.clock.now())
        assert await fires(core) == ["DeadLetters"]
        await connection.execute("UPDATE clients SET disabled_at = now() WHERE id = 'c'")
    assert await fires(core) == []


async def test_one_persons_word_on_an_account_waits_for_anothers(core: Core) -> None:
    """Until then nobody of the person's instalments is paid, and nothing else tells of the document."""
    now = core.resources.clock.now()
    async with core.resources.database.connection() as connection:
        await connection.execute("UPDATE participants SET verified = false, standing = 'account_unproved'")
        await connection.execute(
            "INSERT INTO account_proofs (participant, partner, account_index, nik_index, document, given_by, given_at)"
            " SELECT id, partner, account_index, nik_index, 'BA 17', 'ann', $1::timestamptz - interval '25 hours'"
            " FROM participants",
            now,
        )
    assert await fires(core) == ["SecondPersonWaits"]
    async with core.resources.database.connection() as connection:
        person = await connection.fetchval("SELECT participant_id FROM participants")
    assert (await AccountProofs(core.resources).give(person, "BA 17", "bob")).proved
    assert await fires(core) == []


@pytest.mark.parametrize(
    "half",
    [
        "INSERT INTO nik_corrections SELECT p.id, 'x', c.id, $1::timestamptz - interval '25 hours'"
        " FROM participants p, clients c LIMIT 1",
        "INSERT INTO erasures SELECT p.id, c.id, $1::timestamptz - interval '25 hours' FROM participants p, clients c"
        " LIMIT 1",
    ],
    ids=["nik", "erasure"],
)
async def test_half_of_an_act_of_two_people_is_told_until_it_is_forgotten(core: Core, half: str) -> None:
    async with core.resources.database.connection() as connection:
        await connection.execute(half, core.resources.clock.now())
    assert await fires(core) == ["SecondPersonWaits"]
    async with core.resources.database.connection() as connection:
        await connection.execute("DELETE FROM nik_corrections")
        await connection.execute("UPDATE erasures SET asked_at = asked_at - interval '6 days'")
    assert await fires(core) == []


async def test_a_document_that_the_partner_has_overtaken_waits_for_nobody(core: Core, database: str) -> None:
    """Confirming it is refused by then, as nothing is in doubt."""
    async with core.resources.database.connection() as connection:
        await connection.execute(PLANTED["SecondPersonWaits"], core.resources.clock.now())
    assert "ann" in await asyncio.to_thread(run, database, "settlements", "list", columns=160)
    async with core.resources.database.connection() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE payouts SET state = 'succeeded', ended_at = now()")
        await connection.execute("RESET session_replication_role")
    assert "ann" not in await asyncio.to_thread(run, database, "settlements", "list", columns=160)
    assert await fires(core) == []


async def test_prometheus_and_doctor_judge_what_the_api_tells(core: Core, database: str) -> None:
    """Every expression names a metric that /metrics has, and doctor fails where one fires."""
    quiet = await asyncio.to_thread(run, database, "doctor", "--live", columns=160)
    assert f"none of {len(ALERTS)} fires" in quiet
    async with core.resources.database.connection() as connection:
        await connection.execute(PLANTED["Stalled"], core.resources.clock.now() - timedelta(minutes=1))
        await connection.execute("UPDATE incentives SET own = 'account_not_found', own_next_at = now() + '1 day'")
    loud = await asyncio.to_thread(run, database, "doctor", "--live", columns=160, status=1)
    assert "Stalled" in loud
    assert "partner=fake code=stalled: 1" in loud
    transport = httpx.ASGITransport(app_of(core))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        text = (await client.get("/metrics")).text
    assert 'gateway_refusals_provisional{code="account_not_found",partner="fake"} 1.0' in text
    known = {family.name for family in text_string_to_metric_families(text)}
    rules = yaml.safe_load((ROOT / "monitoring/alerts.yml").read_text())["groups"][0]["rules"]
    shown = json.loads((ROOT / "monitoring/dashboard.json").read_text())
    asked = [rule["expr"] for rule in rules] + [t["expr"] for panel in shown["panels"] for t in panel["targets"]]
    assert {name for text in asked for name in re.findall(r"gateway_\w+", text)} <= known


def test_the_file_is_the_table_and_each_alert_has_its_entry() -> None:
    assert (ROOT / "monitoring/alerts.yml").read_text() == as_prometheus(), "write it anew: as_prometheus()"
    assert set(PLANTED) == {alert.name for alert in ALERTS}
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs/runbook.md").read_text(), re.M)
    names = [rule["alert"] for rule in yaml.safe_load(as_prometheus())["groups"][0]["rules"]]
    assert headings == names


def _rule_tests() -> dict[str, object]:
    """For promtool: each rule with a series above its number fires after a minute, one at it never does."""
    cases: list[dict[str, object]] = []
    for rule in yaml.safe_load((ROOT / "monitoring/alerts.yml").read_text())["groups"][0]["rules"]:
        series, sign, number = re.fullmatch(r"(\S+) (>|==) ([0-9.]+)", rule["expr"]).groups()  # type: ignore[union-attr]
        fires, rests = (float(number) + 1, float(number)) if sign == ">" else (float(number), 1)
        labels = dict(re.findall(r'(\w+)="([^"]*)"', series)) | rule["labels"]
        told = {"exp_labels": labels, "exp_annotations": rule["annotations"]}
        for value, expected in ((fires, [told]), (rests, [])):
            at = [{"eval_time": "2m", "alertname": rule["alert"], "exp_alerts": expected}]
            soon = [{"eval_time": "30s", "alertname": rule["alert"], "exp_alerts": []}]
            cases.append(
                {
                    "interval": "30s",
                    "input_series": [{"series": series, "values": f"{value}x10"}],
                    "alert_rule_test": soon + at,
                }
            )
    return {"rule_files": [str(ROOT / "monitoring/alerts.yml")], "evaluation_interval": "30s", "tests": cases}


@pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed: Prometheus did NOT judge the rules"
)
def test_prometheus_itself_fires_each_rule(tmp_path: Path) -> None:
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(_rule_tests()))
    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "tests.yml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
