"""A single incentive is read as a line of a batch is: everything that is wrong with it at once, in the same words."""

from __future__ import annotations

import json
import random
from typing import Any

from contracts.incentive import Stage
from tests.gateway.api.kit import Api, as_csv, row
from tests.turns import in_turn

WRONG: dict[str, list[Any]] = {
    "period": ["01", "x", 1.0, True],
    "nik": ["1", 3174010101909901, None],
    "phone": ["081234567890", 6281234567890],
    "partner": ["Ovo", 5],
    "amount_rupiah": [0, -1, 1.5, "600.000", 10**12, True, [600_000]],
    "due_on": ["2026-02-30", "30/06/2026", 20260630],
    "deadline_on": ["31-12-2099", {}],
    "full_name": ["", "a\x07b", 7],
}


@in_turn("seed", range(12))
async def test_one_row_is_refused_with_what_a_batch_says_of_it(api: Api, seed: int) -> None:
    rng = random.Random(seed)
    bad = {name: rng.choice(WRONG[name]) for name in rng.sample(sorted(WRONG), rng.randint(1, len(WRONG)))}
    alone = await api.call("POST", "/v1/incentives", json=row(1, **bad), key=f"one-{seed}")
    assert alone.status_code == 422
    line = json.dumps(row(1, **bad)).encode()
    batch = (await api.submit(line, kind="application/x-ndjson", key=f"many-{seed}")).json()
    told = (await api.call("GET", f"/v1/batches/{batch['batch_id']}/results?outcome=rejected")).json()["rows"][0]
    assert alone.json()["faults"] == told["faults"]
    assert {fault["field"] for fault in told["faults"]} >= set(bad) - {"account"}


async def test_whole_numbers_may_be_numbers_or_text_and_are_one_content(api: Api) -> None:
    made = [
        await api.call("POST", "/v1/incentives", json=row(1, period=period, amount_rupiah=amount), key=f"k{n}")
        for n, (period, amount) in enumerate([(1, 600_000), ("1", "600000"), (1, "600000")])
    ]
    assert [reply.status_code for reply in made] == [201] * 3, made[0].text
    assert len({reply.json()["incentive"]["incentive_id"] for reply in made}) == 1


async def test_a_mark_at_the_start_of_a_body_is_no_fault(api: Api) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(row(1)).encode()
    headers = {"Content-Type": "application/json"}
    assert (await api.call("POST", "/v1/incentives", content=body, headers=headers, key="k1")).status_code == 201
    twice = b'{"nik": "1", ' + json.dumps(row(2)).encode()[1:]
    refused = await api.call("POST", "/v1/incentives", content=twice, headers=headers, key="k2")
    assert (refused.status_code, refused.json()["code"]) == (422, "key_repeated")


async def test_a_field_too_many_is_answered_with_those_that_there_are(api: Api) -> None:
    refused = await api.call("POST", "/v1/incentives", json=row(1, name="x"))
    assert "full_name" in refused.json()["remedy"]
    refused = await api.call("POST", "/v1/payouts", json={"incentive": 1}, key="k2")
    assert "incentive_id" in refused.json()["remedy"]


async def test_what_a_closed_list_takes_is_said(api: Api) -> None:
    refused = await api.call("GET", "/v1/incentives?stage=payed")
    assert (refused.status_code, refused.json()["field"]) == (422, "stage")
    assert all(stage.value in refused.json()["remedy"] for stage in Stage)
    batch = (await api.submit(as_csv([row(1)]))).json()
    refused = await api.decide(batch, "one", "agree")
    assert "approve" in refused.json()["remedy"] and "withdraw" in refused.json()["remedy"]
