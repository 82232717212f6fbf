"""One incentive: handed over, explained, found, cancelled, hastened."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from adapters.registry import PARTNERS
from contracts.incentive import BLOCKERS, BlockerCode
from tests.gateway.api.kit import Api, as_csv, nik, row


async def _submit(api: Api, number: int = 1, key: str = "k1", **changes: Any) -> Any:
    return await api.call("POST", "/v1/incentives", key=key, json=row(number, **changes))


async def test_one_incentive_is_a_batch_of_one_that_needs_both_approvals(api: Api) -> None:
    reply = await _submit(api)
    assert reply.status_code == 201, reply.text
    made = reply.json()
    assert made["batch"]["rows_accepted"] == 1
    assert reply.headers["location"] == f"/v1/incentives/{made['incentive']['incentive_id']}"
    assert (await _submit(api)).json() == made, "the same key and body: the same answer"
    assert nik(1) not in reply.text
    for role in ("one", "two"):
        last = await api.decide(made["batch"], role)
    assert last.json()["state"] == "approved"
    read = (await api.call("GET", f"/v1/incentives/{made['incentive']['incentive_id']}")).json()
    assert (read["approved"], read["stage"]) == (True, "awaiting_link")


async def test_handed_over_again_it_is_found_again(api: Api) -> None:
    first = (await _submit(api)).json()
    again = (await _submit(api, key="k2")).json()
    assert again["incentive"]["incentive_id"] == first["incentive"]["incentive_id"]
    assert (await api.fetch("SELECT count(*) FROM batches"))[0][0] == 1


async def test_what_contradicts_the_store_is_refused_and_stores_nothing(api: Api) -> None:
    await _submit(api)
    before = await api.state()
    for number, changes, code in (
        (1, {"amount_rupiah": 1}, "incentive_conflict"),
        (1, {"period": "2", "nik": nik(2)}, "participant_conflict"),
        (2, {"nik": nik(1)}, "nik_duplicate"),
    ):
        reply = await _submit(api, number, key=code, **changes)
        assert (reply.status_code, reply.json()["code"]) == (409, code), reply.text
        assert reply.json()["remedy"]
    assert await api.state() == before


async def test_the_key_is_bound_to_the_body(api: Api) -> None:
    await _submit(api)
    before = await api.state()
    other = await _submit(api, 2)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert await api.state() == before


async def test_a_race_of_equal_incentives_stores_one(api: Api) -> None:
    replies = await asyncio.gather(*(_submit(api, key=f"k{n % 2}") for n in range(6)))
    assert {r.status_code for r in replies} == {201}
    assert len({r.json()["incentive"]["incentive_id"] for r in replies}) == 1
    assert (await api.fetch("SELECT count(*) FROM batches"))[0][0] == 1


@pytest.mark.parametrize("key_kept", [True, False])
async def test_a_refused_request_frees_its_key(api: Api, key_kept: bool) -> None:
    assert (await _submit(api, nik="1")).status_code == 422
    assert (await _submit(api, key="k1" if key_kept else "k2")).status_code == 201


async def test_a_blocker_says_who_must_act_in_two_languages(api: Api) -> None:
    incentive = (await _submit(api)).json()["incentive"]
    blocker = incentive["blocker"]
    text = BLOCKERS[BlockerCode.LINK_REQUIRED]
    assert (blocker["code"], blocker["owner"]) == ("link_required", "participant")
    assert blocker["text"] == {"id": text.indonesian, "en": text.english}
    assert blocker["act_by"] == "2099-12-31"
    assert blocker["next_attempt_at"] is None


async def test_found_by_every_filter_and_page(api: Api) -> None:
    await api.submit(as_csv([row(n, programme="a" if n % 2 else "b") for n in range(1, 12)]))
    await api.submit(as_csv([row(1, programme="a", period="2")]), key="k2")

    async def ids(**params: Any) -> list[str]:
        found: list[str] = []
        while True:
            page = (await api.call("GET", "/v1/incentives", params=params | {"limit": 3})).json()
            found += [i["incentive_id"] for i in page["incentives"]]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    everything = await ids()
    assert len(everything) == len(set(everything)) == 12
    assert len(await ids(programme="a")) == 7
    assert len(await ids(participant_id="P00000001")) == 2
    assert len(await ids(stage="awaiting_link", blocker="link_required", partner="ovo")) == 12
    assert await ids(stage="paid") == await ids(partner="bni") == await ids(participant_id="P9") == []


async def test_cancelled_once_and_only_while_nothing_has_left(api: Api) -> None:
    made = (await _submit(api)).json()["incentive"]
    url = f"/v1/incentives/{made['incentive_id']}"
    await _payout(api, int(made["incentive_id"]), "unknown")
    before = await api.state()
    refused = await api.call("POST", f"{url}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "payout_open")
    assert await api.state() == before
    async with api.core.resources.database.connection() as connection:
        await connection.execute("UPDATE payouts SET state = 'reserved', leased_by = 'w', lease_until = created_at")
    cancelled = (await api.call("POST", f"{url}/cancel")).json()
    assert cancelled["stage"] == "cancelled", "though the worker has yet to withdraw what is set aside"
    assert [tuple(r) for r in await api.fetch("SELECT leased_by, lease_until FROM payouts")] == [(None, None)]
    async with api.core.resources.database.connection() as connection:
        await connection.execute("UPDATE payouts SET state = 'cancelled'")
        await connection.execute("UPDATE incentives SET payout = NULL")
    audited = await api.fetch("SELECT actor, subject FROM audit_log WHERE action = 'incentive.cancel'")
    assert [tuple(one) for one in audited] == [(api.ids["maker"], str(made["incentive_id"]))]
    before = await api.state()
    again = (await api.call("POST", f"{url}/cancel")).json()
    assert again["stage"] == "cancelled"
    assert await api.state() == before
    assert (await _submit(api, key="k2", amount_rupiah=7)).status_code == 201, (
        "the instalment may come again, corrected"
    )


async def test_a_nik_that_is_stored_brings_in_nobody_under_another_id(api: Api) -> None:
    await _submit(api)
    batch = (await api.submit(as_csv([row(2, nik=nik(1))]), key="k2")).json()
    assert (batch["state"], batch["rows_rejected"]) == ("empty", 1)
    assert len(await api.fetch("SELECT FROM participants")) == 1


async def test_an_instalment_paid_though_cancelled_is_not_taken_again(api: Api) -> None:
    made = (await _submit(api)).json()["incentive"]
    await api.call("POST", f"/v1/incentives/{made['incentive_id']}/cancel")
    async with api.core.resources.database.connection() as connection:
        await connection.execute("UPDATE incentives SET payout = 'succeeded'")
    before = await api.state()
    for key, changes in (("k2", {}), ("k3", {"amount_rupiah": 7})):
        reply = await _submit(api, key=key, **changes)
        assert (reply.status_code, reply.json()["code"]) == (409, "instalment_paid"), reply.text
    assert await api.state() == before
    batch = (await api.submit(as_csv([row(2, nik=nik(1))]), key="another")).json()
    assert (batch["state"], batch["rows_rejected"]) == ("empty", 1), "nor under an id that nobody has"
    assert (await _submit(api, key="k4", period="2")).status_code == 201


async def _payout(api: Api, incentive_id: int, state: str) -> None:
    now = api.core.resources.clock.now()
    async with api.core.resources.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
            " created_at, updated_at) SELECT 'l1', id, $1, partner, account_index, account_sealed, 'active', '', $2, $2"
            " FROM participants",
            api.ids["maker"],
            now,
        )
        await connection.execute(
            "INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state,"
            " created_at, updated_at, next_at) SELECT 10000000000000001, '1010000000000000001', i.id, i.participant,"
            " 'l1', i.partner, i.amount_rupiah, $2, $3, $3, $3 FROM incentives i WHERE i.id = $1",
            incentive_id,
            state,
            now,
        )
        await connection.execute("UPDATE incentives SET payout = 'open', payouts = 1 WHERE id = $1", incentive_id)


async def test_past_its_horizon_or_given_up_an_unknown_outcome_is_the_operators_in_the_funnel_too(api: Api) -> None:
    made = (await _submit(api)).json()["incentive"]
    await _payout(api, int(made["incentive_id"]), "unknown")
    await _submit(api, 2, key="k2")
    now = api.core.resources.clock.now()
    cases = ((now, now, "gateway"), (now - timedelta(days=30), now, "operator"), (now, None, "operator"))
    for sent_at, next_at, owner in cases:
        async with api.core.resources.database.connection() as connection:
            await connection.execute("UPDATE payouts SET first_sent_at = $1, next_at = $2", sent_at, next_at)
            await connection.execute("UPDATE incentives SET own = 'outcome_unknown' WHERE payout = 'open'")
        shown = (await api.call("GET", f"/v1/incentives/{made['incentive_id']}")).json()
        assert shown["blocker"]["owner"] == owner
        funnel = (await api.call("GET", "/v1/funnel")).json()
        found = [(r["blocker"], r["owner"], r["incentives"], r["amount_rupiah"]) for r in funnel["rows"]]
        assert sorted(found) == [
            ("link_required", "participant", 1, 600_000), ("outcome_unknown", owner, 1, 600_000),
        ]  # fmt: skip
        assert funnel["incentives"] == 2


async def test_what_is_due_at_a_paused_or_held_partner_says_so(api: Api) -> None:
    shown = []
    for number, due_on in ((1, "2026-01-05"), (2, "2099-01-01")):
        made = (await _submit(api, number, key=f"k{number}", due_on=due_on, deadline_on="2099-12-31")).json()
        for role in ("one", "two"):
            await api.decide(made["batch"], role)
        shown.append(f"/v1/incentives/{made['incentive']['incentive_id']}")

    async def blockers() -> list[tuple[str, str] | None]:
        found = [(await api.call("GET", path)).json()["blocker"] for path in shown]
        return [None if blocker is None else (blocker["code"], blocker["owner"]) for blocker in found]

    async def store(query: str) -> None:
        async with api.core.resources.database.connection() as connection:
            await connection.execute(query)

    await store("UPDATE participants SET link_active = true, verified = true, verified_until = '2099-12-31'")
    assert await blockers() == [None, None]
    await store("INSERT INTO partner_switches (partner, paused_at) SELECT partner, now() FROM participants LIMIT 1")
    assert await blockers() == [("partner_paused", "operator"), None]
    await store("UPDATE partner_switches SET paused_at = NULL")
    assert await blockers() == [None, None]
    await store(
        "INSERT INTO recoveries (partner, since, opened_at, settled_at)"
        " SELECT partner, now(), now(), now() FROM participants LIMIT 1"
    )
    assert await blockers() == [("partner_paused", "operator"), None]


async def test_a_payout_is_read_and_hastened(api: Api) -> None:
    made = (await _submit(api)).json()["incentive"]
    await _payout(api, int(made["incentive_id"]), "unknown")
    hastened = await api.call("POST", "/v1/payouts", json={"incentive_id": made["incentive_id"]})
    assert hastened.status_code == 202, hastened.text
    assert hastened.json()["payout_id"] == "10000000000000001"
    payout = (await api.call("GET", "/v1/payouts/10000000000000001")).json()
    assert (payout["state"], payout["amount_rupiah"], payout["incentive_id"]) == (
        "unknown", 600_000, made["incentive_id"],
    )  # fmt: skip
    activity = (await api.call("GET", "/v1/activity")).json()
    assert activity["moving"]["payouts_unknown"] == 1
    assert activity["statement_age_s"] == dict.fromkeys(PARTNERS)


async def test_the_funnel_adds_up_and_activity_knows_what_waits_for_people(api: Api) -> None:
    await api.submit(as_csv([row(n) for n in range(1, 6)] + [row(9, due_on="2099-01-01"), row(8, nik="1")]))
    funnel = (await api.call("GET", "/v1/funnel")).json()
    assert funnel["incentives"] == 6 == sum(r["incentives"] for r in funnel["rows"]) == sum(funnel["stages"].values())
    assert funnel["amount_rupiah"] == 3_600_000
    assert {(r["blocker"], r["owner"]) for r in funnel["rows"]} == {("link_required", "participant")}
    assert [(r["code"], r["rows"]) for r in funnel["rows_refused"]] == [("nik_invalid", 1)]
    assert (await api.call("GET", "/v1/funnel", params={"programme": "none"})).json()["incentives"] == 0
    wrong = [row(8, nik="1", programme="a"), row(9, nik="1"), row(10, phone="1"), row(1, amount_rupiah=1_000)]
    await api.submit(as_csv(wrong) + b"half a row\n", key="more")
    counted = await api.fetch("SELECT programme, code, count(*) AS rows FROM batch_errors GROUP BY 1, 2"
                              " ORDER BY 1 NULLS FIRST, 2")  # fmt: skip
    assert [one["programme"] for one in counted][:2] == [None, "a"] and len(counted) == 5
    for role, params, wanted in (
        ("maker", {}, counted),
        ("operator", {"programme": "a"}, counted[1:2]),
    ):
        told = (await api.call("GET", "/v1/funnel", role=role, params=params)).json()["rows_refused"]
        assert [(r["programme"], r["code"], r["rows"]) for r in told] == [tuple(r) for r in wanted]
    moving = (await api.call("GET", "/v1/activity")).json()["moving"]
    assert not any(moving.values()), "a link that is required moves nothing by itself"
    now = api.core.resources.clock.now()
    async with api.core.resources.database.connection() as connection:
        await connection.execute("UPDATE incentives SET link_active = true, verified = true, approved = true")
        assert (await api.call("GET", "/v1/activity")).json()["moving"]["incentives"] == 5, "what is due moves"
        await connection.execute("UPDATE incentives SET own = 'partner_unavailable', own_next_at = $1", now)
        assert (await api.call("GET", "/v1/activity")).json()["moving"]["incentives"] == 5, "tried again at once"
        await connection.execute("UPDATE incentives SET own_next_at = $1", now + timedelta(hours=1))
        assert (await api.call("GET", "/v1/activity")).json()["moving"]["incentives"] == 0, "tried again much later"
        await connection.execute("UPDATE incentives SET own = 'balance_limit', own_next_at = $1", now)
        assert (await api.call("GET", "/v1/activity")).json()["moving"]["incentives"] == 0, "the participant's"
