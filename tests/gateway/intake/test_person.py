"""`PUT /v1/participants/{participant_id}`: what was handed over about a person is put right by whoever may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gateway.core import Core
from gateway.services.intake.corrections import SECOND_WORD_WITHIN
from tests.gateway.api.kit import Api, as_csv, nik, row

OTHER: dict[str, Any] = {
    "nik": nik(40), "full_name": "Dewi L.", "phone": "+6281200000040", "partner": "bni", "account": "0000000040",
}  # fmt: skip
PATH = "/v1/participants/P00000001"


async def _known(api: Api) -> dict[str, Any]:
    (person,) = await api.fetch("SELECT * FROM participants WHERE participant_id = 'P00000001'")
    vault = api.core.resources.vault
    opened = {
        field: vault.open(f"participants.{place}|P00000001", person[f"{place}_sealed"])
        for field, place in (("nik", "nik"), ("full_name", "name"), ("phone", "phone"), ("account", "account"))
    }
    return opened | {"partner": person["partner"]}


async def _approved(api: Api, *rows: dict[str, Any]) -> dict[str, Any]:
    batch: dict[str, Any] = (await api.submit(as_csv(list(rows)), key=f"{len(rows)}-{rows[0]['period']}")).json()
    assert batch["rows_accepted"] == len(rows), batch
    for role in ("one", "two"):
        await api.decide(batch, role)
    return batch


async def _told(api: Api, kind: str) -> list[dict[str, Any]]:
    events = (await api.call("GET", "/v1/events", params={"limit": 1000})).json()["events"]
    return [event["data"] for event in events if event["type"] == kind]


async def _do(api: Api, sql: str) -> None:
    async with api.core.resources.database.connection() as connection:
        await connection.execute(sql)


async def test_everything_about_a_person_is_put_right_at_once(api: Api) -> None:
    await _approved(api, row(1), row(1, period="2"))
    reply = await api.call("PUT", PATH, json=OTHER)
    assert reply.status_code == 200, reply.text
    assert await _known(api) == OTHER
    for value in (nik(40), nik(1), "+62812", "Dewi"):
        assert value not in reply.text
    incentives = (await api.call("GET", "/v1/incentives?participant_id=P00000001")).json()["incentives"]
    assert [(i["approved"], i["partner"]) for i in incentives] == [(False, "bni")] * 2
    assert await _told(api, "participant.changed") == [
        {"participant_id": "P00000001", "fields": ["full_name"]},
        {"participant_id": "P00000001", "fields": ["phone"]},
        {"participant_id": "P00000001", "fields": ["partner", "account"]},
        {"participant_id": "P00000001", "fields": ["nik"]},
    ]
    because = [event["because"] for event in await _told(api, "approval.lapsed")]
    assert because == ["account_changed"] * 2 + ["nik_changed"] * 2
    again = (await api.submit(as_csv([row(1) | OTHER, row(1, period="3") | OTHER]), key="again")).json()
    assert (again["rows_accepted"], again["rows_repeated"], again["rows_rejected"]) == (1, 1, 0)
    anew = (await api.call("POST", "/v1/batches/reapprovals", key="anew")).json()
    assert anew["rows_accepted"] == 2
    for role in ("one", "two"):
        await api.decide(anew, role)
    incentives = (await api.call("GET", "/v1/incentives?participant_id=P00000001")).json()["incentives"]
    assert [i["approved"] for i in incentives] == [True, True, False], "the third waits for its own batch"


async def test_what_is_left_out_stays_and_the_same_again_changes_nothing(api: Api) -> None:
    await _approved(api, row(1))
    given = {"full_name": " Dewi\u00a0Lestari Ayu ", "phone": "+6281300000001"}
    assert (await api.call("PUT", PATH, json=given)).status_code == 200
    expected = {name: row(1)[name] for name in OTHER} | {"full_name": "Dewi Lestari Ayu", "phone": "+6281300000001"}
    assert await _known(api) == expected
    (incentive,) = await api.fetch("SELECT approved FROM incentives")
    assert incentive["approved"], "neither name nor phone is what was approved"
    before = await api.state()
    assert (await api.call("PUT", PATH, json=expected)).status_code == 200
    after = await api.state()
    assert {table for table in after if after[table] != before[table]} <= {"access_tokens"}


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"nik": "1", "phone": "0812", "account": "x"}, ["nik", "phone", "account"]),
        ({"partner": "bni"}, ["account"]),
        ({"partner": "nobody", "account": "+6281200000001"}, ["partner"]),
        ({"full_name": "\u200b"}, ["full_name"]),
        ({"partner": "bni", "account": "+6281200000001"}, ["account"]),
    ],
)
async def test_all_that_is_wrong_is_told_at_once_and_changes_nothing(
    api: Api, given: dict[str, str], fields: list[str]
) -> None:
    await _approved(api, row(1))
    before = await api.state()
    reply = await api.call("PUT", PATH, json=given)
    assert reply.status_code == 422
    assert [fault["field"] for fault in reply.json()["faults"]] == fields
    assert await api.state() == before
    assert all(value not in reply.text for value in given.values() if len(value) > 4 and value != "nobody")


async def test_a_nik_of_somebody_who_was_paid_is_the_word_of_two_clients(api: Api, core: Core) -> None:
    await _approved(api, row(1), row(1, period="2"))
    await _do(api, "UPDATE incentives SET payout = 'succeeded', payouts = 1 WHERE period = '1'")
    first = await api.call("PUT", PATH, json={"nik": nik(40), "phone": "+6281300000001"})
    assert (first.status_code, first.json()["correction"]["asked_by"]) == (202, api.ids["maker"])
    assert (await _known(api))["nik"] == nik(1)
    assert (await _known(api))["phone"] == "+6281300000001"
    assert (await api.call("PUT", PATH, json={"nik": nik(40)})).status_code == 202, "the same client is no second one"
    other = await api.call("PUT", PATH, role="one", json={"nik": nik(41)})
    assert (other.status_code, other.json()["code"]) == (403, "scope_missing"), "another NIK is no confirmation"
    assert (
        await api.call("PUT", PATH, role="one", json={"nik": nik(40), "phone": "+6281300000002"})
    ).status_code == 403
    assert (await api.call("PUT", PATH, role="reader", json={"nik": nik(40)})).status_code == 403
    await _do(api, "UPDATE clients SET person = 'maker' WHERE id = 'two'")
    same = await api.call("PUT", PATH, role="two", json={"nik": nik(40)})
    assert same.status_code == 403, "two clients of one person are one pair of eyes"
    second = await api.call("PUT", PATH, role="one", json={"nik": nik(40)})
    assert (second.status_code, second.json()["correction"]) == (200, None)
    assert (await _known(api))["nik"] == nik(40)
    rows = await api.fetch("SELECT nik_index, approved FROM incentives ORDER BY period")
    assert rows[0]["nik_index"] == rows[1]["nik_index"], "what was paid was paid to who holds the NIK"
    assert [r["approved"] for r in rows] == [True, False]
    paid_again = (await api.submit(as_csv([row(2, nik=nik(40))]), key="k9")).json()
    assert paid_again["rows_rejected"] == 1, "one NIK is paid an instalment once, under whatever id"
    taken = await api.fetch("SELECT actor, data FROM audit_log WHERE action = 'participant.correct' ORDER BY seq")
    assert [(t["actor"], t["data"]["fields"], t["data"]["asked_for"]) for t in taken] == [
        (api.ids["maker"], ["phone"], ["nik"]), (api.ids["maker"], [], ["nik"]), (api.ids["one"], ["nik"], []),
    ]  # fmt: skip


async def test_a_first_word_does_not_outlive_the_client_that_said_it(api: Api) -> None:
    await _approved(api, row(1))
    await _do(api, "UPDATE incentives SET payout = 'succeeded', payouts = 1")
    assert (await api.call("PUT", PATH, json={"nik": nik(40)})).status_code == 202
    await _do(api, f"UPDATE clients SET disabled_at = now() WHERE id = '{api.ids['maker']}'")
    assert (await api.call("PUT", PATH, role="one", json={"nik": nik(40)})).status_code == 403
    assert await api.fetch("SELECT 1 FROM nik_corrections") != [], "it waits for somebody who may ask"


async def test_a_first_word_is_forgotten(api: Api, core: Core) -> None:
    await _approved(api, row(1))
    await _do(api, "UPDATE incentives SET payout = 'reversed', payouts = 1")
    assert (await api.call("PUT", PATH, json={"nik": nik(40)})).status_code == 202
    old = SECOND_WORD_WITHIN + timedelta(seconds=1)
    async with api.core.resources.database.connection() as connection:
        await connection.execute("UPDATE nik_corrections SET asked_at = asked_at - $1::interval", old)
    assert (await api.call("PUT", PATH, role="one", json={"nik": nik(40)})).status_code == 403
    assert await core.corrections.tick_forget() == 1
    assert (await api.call("GET", PATH)).json()["correction"] is None


async def test_nik_and_account_wait_for_an_open_payout_and_the_phone_does_not(api: Api) -> None:
    await _approved(api, row(1))
    await _do(api, "UPDATE incentives SET payout = 'open'")
    for given in ({"nik": nik(40)}, {"account": "+6281200000040"}):
        reply = await api.call("PUT", PATH, json=given)
        assert (reply.status_code, reply.json()["code"]) == (409, "payout_open")
    assert (await api.call("PUT", PATH, json={"phone": "+6281300000001"})).status_code == 200


async def test_a_nik_under_which_another_holds_the_instalment_is_refused_by_name(api: Api) -> None:
    await _approved(api, row(1), row(2))
    before = await api.state()
    reply = await api.call("PUT", PATH, json={"nik": nik(2), "phone": "+6281300000001"})
    assert (reply.status_code, reply.json()["code"]) == (409, "nik_duplicate")
    assert "participant P00000002" in reply.json()["remedy"]
    assert nik(2) not in reply.text
    assert await api.state() == before
    assert (await api.call("PUT", "/v1/participants/nobody", json={"nik": nik(2)})).status_code == 404
