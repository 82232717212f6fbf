"""Nothing unapproved binds: what was handed over wrongly is put right by a corrected row."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.gateway.api.kit import Api, as_csv, nik, row

OTHER: dict[str, Any] = {
    "nik": nik(40), "full_name": "Dewi L.", "phone": "+6281200000040", "partner": "bni", "account": "0000000040",
}  # fmt: skip


async def _person(api: Api) -> dict[str, Any]:
    (person,) = await api.fetch("SELECT * FROM participants")
    vault = api.core.resources.vault
    opened = {
        "nik": vault.open("participants.nik|P00000001", person["nik_sealed"]),
        "full_name": vault.open("participants.name|P00000001", person["name_sealed"]),
        "phone": vault.open("participants.phone|P00000001", person["phone_sealed"]),
        "account": vault.open("participants.account|P00000001", person["account_sealed"]),
    }
    return opened | {"partner": person["partner"]}


@pytest.mark.parametrize("ended", ["rejected", "expired", "cancelled"])
async def test_a_hand_over_that_came_to_nothing_binds_nobody(api: Api, ended: str) -> None:
    batch = (await api.submit(as_csv([row(1)]))).json()
    first = (await api.submit(as_csv([row(1, period="2") | OTHER]), key="k2")).json()
    assert first["rows_rejected"] == 1, "while it stands, the participant is who was handed over"
    if ended == "rejected":
        await api.decide(batch, "one", "reject")
    elif ended == "expired":
        async with api.core.resources.database.connection() as connection:
            await connection.execute("UPDATE batches SET received_at = received_at - interval '31 days'")
        await api.core.batches.tick_expiry()
    else:
        (incentive,) = await api.fetch("SELECT id FROM incentives WHERE NOT cancelled")
        assert (await api.call("POST", f"/v1/incentives/{incentive['id']}/cancel")).status_code == 200
    again = (await api.submit(as_csv([row(1) | OTHER]), key="k3")).json()
    assert (again["rows_accepted"], again["rows_rejected"]) == (1, 0)
    assert await _person(api) == OTHER


async def test_niks_that_were_exchanged_are_put_right_as_the_refusal_says(api: Api) -> None:
    """One column of the file was sorted alone; its people were approved by each other's NIK."""
    right = [row(1), row(2)]
    batch = (await api.submit(as_csv([row(1, nik=nik(2)), row(2, nik=nik(1))]))).json()
    for role in ("one", "two"):
        await api.decide(batch, role)
    for line in right:
        path = f"/v1/participants/{line['participant_id']}"
        refused = await api.call("PUT", path, json={"nik": line["nik"]})
        if refused.status_code == 200:
            continue
        told = refused.json()["faults"][0]["remedy"]["en"]
        found = re.search(r"incentive ([0-9]+)\).*each other's NIK: cancel that incentive", told)
        assert refused.status_code == 409 and found is not None, told
        assert (await api.call("POST", f"/v1/incentives/{found[1]}/cancel")).status_code == 200
        assert (await api.call("PUT", path, json={"nik": line["nik"]})).status_code == 200
    again = (await api.submit(as_csv(right), key="again")).json()
    assert (again["rows_accepted"], again["rows_repeated"], again["rows_rejected"]) == (1, 1, 0)


async def test_who_was_paid_or_tried_or_linked_stays_who_it_was(api: Api) -> None:
    made = (await api.submit(as_csv([row(1)]))).json()
    await api.decide(made, "one", "reject")
    for n, fact in enumerate(("payout = 'succeeded', payouts = 1", "payout = NULL, payouts = 1")):
        async with api.core.resources.database.connection() as connection:
            await connection.execute(f"UPDATE incentives SET {fact}")
        batch = (await api.submit(as_csv([row(1, period="2") | OTHER]), key=f"p{n}")).json()
        (refused,) = (await api.call("GET", batch["results_url"])).json()["rows"]
        assert refused["code"] == "participant_conflict"
        assert "nik, partner, account" in refused["faults"][0]["remedy"]["en"]
    async with api.core.resources.database.connection() as connection:
        await connection.execute("UPDATE incentives SET payouts = 0")
        await connection.execute(
            "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
            " created_at, updated_at) SELECT 'l1', id, $1, partner, account_index, account_sealed, 'active', '',"
            " now(), now() FROM participants",
            api.ids["maker"],
        )
    linked = (await api.submit(as_csv([row(1, period="2") | OTHER]), key="l")).json()
    assert linked["rows_rejected"] == 1
    async with api.core.resources.database.connection() as connection:
        await connection.execute("UPDATE links SET state = 'unlinked'")
    assert (await api.submit(as_csv([row(1, period="2") | OTHER]), key="u")).json()["rows_accepted"] == 1


async def test_a_newer_phone_or_name_is_named_as_not_taken(api: Api) -> None:
    await api.submit(as_csv([row(1)]))
    newer = {"phone": "+6281300000001", "full_name": "Dewi Lestari Ayu"}
    later = [row(1, period="2") | newer, row(1, period="3"), row(1, period="4", phone="+6281300000001")]
    batch = (await api.submit(as_csv(later), key="k2")).json()
    assert batch["rows_accepted"] == 3
    rows = (await api.call("GET", batch["results_url"])).json()["rows"]
    assert [r["not_taken"] for r in rows] == [["full_name", "phone"], [], ["phone"]]
    assert (await _person(api))["phone"] == row(1)["phone"]
