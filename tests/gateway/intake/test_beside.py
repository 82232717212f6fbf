"""Nobody blocks intake: slow uploads hold no place, and single incentives and merges go on beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.storage.intake import staging
from tests.gateway.api.kit import Api, as_csv, nik, row


async def test_twenty_slow_uploads_keep_nobody_waiting(api: Api) -> None:
    begun, go = [], asyncio.Event()

    async def slow(n: int) -> AsyncIterator[bytes]:
        lines = as_csv([row(100 + n), row(200 + n)]).splitlines(keepends=True)
        yield b"".join(lines[:2])
        begun.append(n)
        await go.wait()
        yield lines[2]

    uploads = [asyncio.create_task(api.submit(slow(n), key=f"slow{n}")) for n in range(20)]
    async with asyncio.timeout(60):
        while len(begun) < 20:
            await asyncio.sleep(0.01)
        single = await api.call("POST", "/v1/incentives", key="single", json=row(1))
        whole = await api.submit(as_csv([row(2)]), key="whole")
    assert not any(upload.done() for upload in uploads)
    assert (single.status_code, whole.status_code) == (201, 201)
    go.set()
    replies = await asyncio.gather(*uploads)
    assert {r.json()["rows_accepted"] for r in replies} == {2}
    assert (await api.fetch("SELECT count(*) FROM incentives"))[0][0] == 42


async def test_rows_that_are_handed_over_while_a_batch_is_merged_are_decided_about_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = staging.settle
    meanwhile: list[Any] = []

    async def overtaken(connection: Any, **options: Any) -> staging.Decided:
        settled = await settle(connection, **options)
        if not meanwhile:
            meanwhile.append(None)  # the batch holds whatever it holds while it merges, and yet:
            for number, changes in (
                (1, {}),
                (2, {"amount_rupiah": 1_000}),
                (3, {"nik": nik(33)}),
                (44, {"nik": nik(4)}),
            ):
                reply = await api.call("POST", "/v1/incentives", key=f"s{number}", json=row(number, **changes))
                assert reply.status_code == 201, reply.text
                meanwhile.append(reply.json())
        return settled

    monkeypatch.setattr(staging, "settle", overtaken)
    reply = await api.submit(as_csv([*(row(n) for n in range(1, 7)), row(1)]))
    assert reply.status_code == 201, reply.text
    batch = reply.json()
    assert (batch["rows_accepted"], batch["rows_rejected"], batch["rows_repeated"]) == (2, 3, 2)
    found = (await api.call("GET", batch["results_url"])).json()["rows"]
    assert [r["line"] for r in found if r["outcome"] == "repeated"] == [2, 8]
    assert {r["line"]: r["code"] for r in found if r["outcome"] != "repeated"} == {
        3: "incentive_conflict", 4: "incentive_conflict", 5: "nik_duplicate", 6: None, 7: None,
    }  # fmt: skip
    assert batch["amount_rupiah"] == 1_200_000 == sum(one["amount_rupiah"] for one in batch["partners"])
    assert (await api.fetch("SELECT count(*) FROM incentives"))[0][0] == 6
    assert (await api.fetch("SELECT sum(incentives) FROM funnel_counts"))[0][0] == 6


async def test_somebody_who_becomes_another_person_while_a_batch_is_merged_is_not_left_out_of_it_unsaid(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row of the batch stands in the way of the insertion: the participant is simply not who the row says."""
    settle = staging.settle
    meanwhile: list[Any] = []

    async def overtaken(connection: Any, **options: Any) -> staging.Decided:
        settled = await settle(connection, **options)
        if not meanwhile:
            meanwhile.append(None)
            reply = await api.call("POST", "/v1/incentives", key="s", json=row(3, nik=nik(33), period="2"))
            assert reply.status_code == 201, reply.text
        return settled

    monkeypatch.setattr(staging, "settle", overtaken)
    batch = (await api.submit(as_csv([row(2), row(3)]))).json()
    assert (batch["rows_accepted"], batch["rows_rejected"]) == (1, 1)
    assert [r["code"] for r in (await api.call("GET", batch["results_url"])).json()["rows"] if r["code"]] == [
        "participant_conflict"
    ]


async def test_singles_and_batches_of_the_same_rows_take_each_row_once(api: Api) -> None:
    rows = [row(n) for n in range(1, 61)]
    singles = [api.call("POST", "/v1/incentives", key=f"s{n}", json=one) for n, one in enumerate(rows)]
    batches = [api.submit(as_csv(rows[at:] + rows[:at]), key=f"b{at}") for at in (0, 20, 40)]
    replies = await asyncio.gather(*batches, *singles)
    assert {r.status_code for r in replies} == {201}
    stored = await api.fetch("SELECT participant_id, batch_id FROM incentives")
    assert len(stored) == len({r["participant_id"] for r in stored}) == 60
    by_batch = [r.json() for r in replies[:3]]
    assert all(b["rows_accepted"] + b["rows_repeated"] == 60 and not b["rows_rejected"] for b in by_batch)
    made = await api.fetch("SELECT count(*) FROM batches b WHERE rows_accepted <> (SELECT count(*) FROM incentives i"
                           " WHERE i.batch_id = b.id)")  # fmt: skip
    assert made[0][0] == 0, "each batch counts what it has"


async def test_one_row_ends_alike_by_itself_and_in_a_batch(api: Api) -> None:
    """The same rows one by one and as batches of one: the same fate, whatever stands already."""
    changes: list[dict[str, Any]] = [
        {}, {"amount_rupiah": 1_000}, {"nik": nik(5)}, {"period": "2", "account": "+6281299999999"}, {"period": "02"},
        {"nik": "1"}, {"purpose": "Training"}, {"full_name": "Dewi\u00a0L"}, {"deadline_on": "2020-01-01"},
    ]  # fmt: skip
    for person, way in ((1, "single"), (2, "batch")):
        await api.submit(as_csv([row(person)]), key=f"first{person}")
        fates = []
        for n, change in enumerate(changes):
            one, key = row(person) | change, f"{way}{n}"
            if way == "single":
                reply = await api.call("POST", "/v1/incentives", key=key, json=one)
                fates.append(None if reply.status_code == 201 else reply.json()["code"])
            else:
                batch = (await api.submit(as_csv([one]), key=key)).json()
                codes = [r["code"] for r in (await api.call("GET", batch["results_url"])).json()["rows"]]
                fates.append(codes[0] if codes else None)
        assert fates == [
            None, "incentive_conflict", "incentive_conflict", "participant_conflict", "field_invalid", "nik_invalid",
            "purpose_unknown", "incentive_conflict", "date_invalid",
        ], way  # fmt: skip
