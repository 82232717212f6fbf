"""Every outcome has its event, told where its row is written, and described in docs/events.md."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from contracts.events import DATA, EventType
from contracts.incentive import BlockerCode
from gateway.core import Core
from gateway.storage.intake import incentive_timers, participants
from gateway.storage.ops import cases
from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.messages.described import documented

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 3, 1, tzinfo=UTC)


async def _told(api: Api, kind: str) -> list[dict[str, Any]]:
    page = (await api.call("GET", "/v1/events", role="operator", params={"limit": 1000})).json()
    described = (await api.http.get("/schema")).json()
    bodies: dict[str, Any] = {}
    for event in page["events"]:
        assert set(event["data"]) == documented()[event["type"]], event
        if (type_ := event["type"]) not in bodies:
            called = described["webhooks"][type_]["post"]["requestBody"]["content"]["application/json"]
            whole = called["schema"] | {"components": described["components"]}
            bodies[type_] = jsonschema_rs.validator_for(whole, validate_formats=True)
        wrong = list(bodies[type_].iter_errors(event | {"timestamp": event["at"]}))
        assert not wrong, f"{event}: {wrong}"
    return [event for event in page["events"] if event["type"] == kind]


def test_the_table_lists_what_the_code_tells_and_nothing_else() -> None:
    emitted = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        emitted |= {EventType[name].value for name in re.findall(r"EventType\.([A-Z_]+)", path.read_text("utf-8"))}
    for path in (ROOT / "gateway" / "storage").rglob("*.sql"):
        for body in re.findall(r"INSERT INTO events.*?;", path.read_text("utf-8"), re.DOTALL):
            emitted |= set(re.findall(r"'([a-z]+\.[a-z_]+)'", body))
    types = {kind.value for kind in EventType}
    assert set(documented()) == types
    assert documented() == {kind.value: {name.rstrip("?") for name in names} for kind, names in DATA.items()}
    assert emitted == types


async def test_an_incentive_is_told_from_its_receipt_to_its_end_by_whatever_changes_it(api: Api, core: Core) -> None:
    batch = (await api.submit(as_csv([row(1), row(2)]))).json()
    for role in ("one", "two"):
        await api.decide(batch, role)
    async with core.resources.database.transaction() as connection:
        (person,) = await connection.fetch(
            "SELECT * FROM participants WHERE participant_id = $1", row(1)["participant_id"]
        )
        await participants.link_began(connection, person["id"], "L1", AT)
        await participants.link_granted(connection, person["id"], "L1", AT)
        await participants.verified(connection, person["id"], "L1", AT + timedelta(days=1), AT)
        await participants.not_verified(connection, person["id"], "L1", BlockerCode.VERIFICATION_EXPIRED, AT)
        await incentive_timers.pass_deadlines(connection, AT, date(2200, 1, 1), 10)
    told = await _told(api, "incentive.changed")
    first, second = sorted({int(event["subject"]) for event in told})
    seen = {
        number: [(e["data"]["stage"], e["data"]["blocker"]) for e in told if e["subject"] == str(number)]
        for number in (first, second)
    }
    assert seen[second] == [("awaiting_link", "link_required"), ("returned", "deadline_passed")]
    assert seen[first] == [
        ("awaiting_link", "link_required"), ("awaiting_link", "link_pending"), ("awaiting_verification", None),
        ("scheduled", None), ("awaiting_verification", "verification_expired"),
        ("returned", "deadline_passed"),
    ]  # fmt: skip
    assert all(e["data"]["participant_id"] == row(1)["participant_id"] for e in told if e["subject"] == str(first))
    assert [e["subject"] for e in await _told(api, "verification.expired")] == [row(1)["participant_id"]]
    await api.call("POST", f"/v1/incentives/{second}/cancel")
    assert (await _told(api, "incentive.changed"))[-1]["data"]["stage"] == "cancelled"


async def test_a_large_batch_is_told_once_and_a_small_one_row_by_row(api: Api) -> None:
    for n, rows in (("small", range(1, 6)), ("large", range(10, 1_021))):
        batch = (await api.submit(as_csv([row(k) for k in rows]), key=n)).json()
        await api.decide(batch, "one", "reject")
        bulk = [e["data"]["incentives"] for e in await _told(api, "batch.incentives_changed")]
        assert bulk == ([1_011, 1_011] if n == "large" else [])
        stages = [e["data"]["stage"] for e in await _told(api, "incentive.changed")]
        assert stages == ["awaiting_link"] * 5 + ["cancelled"] * 5
    assert len(await _told(api, "batch.rejected")) == len(await _told(api, "batch.received")) == 2


async def test_a_change_of_account_is_told(api: Api) -> None:
    await api.submit(as_csv([row(1)]))
    path = f"/v1/participants/{row(1)['participant_id']}/account"
    body = {"partner": "linkaja", "account": row(2)["account"], "phone": row(2)["phone"]}
    for _ in range(2):  # the second time it is no change
        assert (await api.call("PUT", path, json=body)).status_code == 200
    told = await _told(api, "participant.account_changed")
    assert [e["data"] for e in told] == [{"participant_id": row(1)["participant_id"], "partner": "linkaja"}]
    assert (await _told(api, "incentive.changed"))[-1]["data"]["partner"] == "linkaja"


async def test_a_case_is_told_when_it_opens_and_when_it_is_answered(api: Api, core: Core) -> None:
    case = cases.NewCase(code=BlockerCode.CONTRADICTION, partner="ovo", detail="two words")
    async with core.resources.database.transaction() as connection:
        assert await cases.open_cases(connection, AT, [case, case]) == 1
    (opened,) = await _told(api, "case.opened")
    assert await _told(api, "case.closed") == []
    async with core.resources.database.transaction() as connection:
        for _ in range(2):
            await connection.execute("UPDATE cases SET closed_at = $1, closed_by = 'anna' WHERE closed_at IS NULL", AT)
    (closed,) = await _told(api, "case.closed")
    assert (closed["subject"], closed["data"]["closed_by"]) == (opened["subject"], "anna")


async def test_a_recovery_is_told(api: Api, core: Core) -> None:
    async with core.resources.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO recoveries (partner, since, opened_at, settled_at) VALUES ('ovo', $1, $1, $1)", AT
        )
        await connection.execute("UPDATE recoveries SET marked_at = $1", AT)
        await connection.execute("UPDATE recoveries SET released_at = $1", AT)
    assert len(await _told(api, "partner.recovery_began")) == len(await _told(api, "partner.recovery_ended")) == 1


async def test_the_schema_names_types_and_states(api: Api) -> None:
    schemas = (await api.http.get("/schema")).json()["components"]["schemas"]
    assert schemas["Event"]["properties"]["type"]["enum"] == [kind.value for kind in EventType]


@pytest.mark.parametrize("role", ["maker", "one", "operator"])
async def test_whoever_may_read_reads_all(api: Api, role: str) -> None:
    await api.submit(as_csv([row(1)]))
    assert (await api.call("GET", "/v1/events", role=role)).json()["events"]
