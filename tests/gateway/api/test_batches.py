"""Batches: intake, errors by row, conflicts, repeats, approvals."""

from __future__ import annotations

from typing import Any

from tests.gateway.api.kit import Api, as_csv, as_ndjson, nik, row


async def _results(api: Api, batch: dict[str, Any]) -> dict[int, dict[str, Any]]:
    reply = await api.call("GET", batch["results_url"], params={"limit": 1000})
    assert reply.status_code == 200, reply.text
    return {line["line"]: line for line in reply.json()["rows"]}


async def test_a_batch_is_stored_and_waits_for_approval(api: Api) -> None:
    reply = await api.submit(as_csv([row(1), row(2), row(2, period="2"), row(7)]))
    assert reply.status_code == 201, reply.text
    batch = reply.json()
    assert batch["state"] == "awaiting_approval"
    assert (batch["rows_accepted"], batch["rows_rejected"], batch["rows_repeated"]) == (4, 0, 0)
    assert batch["amount_rupiah"] == 2_400_000
    stored = await api.fetch("SELECT * FROM incentives ORDER BY line")
    assert [r["stage"] for r in stored] == ["awaiting_link"] * 4
    assert [r["blocker"] for r in stored] == ["link_required"] * 4
    people = await api.fetch("SELECT * FROM participants ORDER BY id")
    assert [p["participant_id"] for p in people] == ["P00000001", "P00000002", "P00000007"]
    vault = api.core.resources.vault
    assert vault.open("participants.nik|P00000007", people[2]["nik_sealed"]) == nik(7)
    assert vault.open("participants.name|P00000007", people[2]["name_sealed"]) == 'Sari, Dewi "Ayu"'


async def test_each_bad_row_is_named_and_the_rest_goes_on(api: Api) -> None:
    bad = [
        row(1, nik=nik(1)[:15]),
        row(2, nik="3174013102909900"),
        row(3, amount_rupiah=0),
        row(4, amount_rupiah="1.5"),
        row(5, partner="dana"),
        row(6, due_on="2026-02-30"),
        row(8, deadline_on="2026-01-04"),
        row(9, account="0812"),
        row(10, phone="0812"),
        row(11, participant_id=nik(11)),
        row(12, full_name=""),
        row(13, amount_rupiah="2000000001"),
    ]
    body = as_csv([row(20), *bad, row(21)]) + b"short,row\n" + b"\xff\xfe\n" + b"x" * 5000 + b"\n"
    reply = await api.submit(body)
    assert reply.status_code == 201, reply.text
    batch = reply.json()
    assert (batch["rows_accepted"], batch["rows_rejected"]) == (2, 15)
    found = await _results(api, batch)
    assert {line: (r["code"], r["field"]) for line, r in found.items() if r["code"]} == {
        3: ("nik_invalid", "nik"),
        4: ("nik_invalid", "nik"),
        5: ("amount_invalid", "amount_rupiah"),
        6: ("amount_invalid", "amount_rupiah"),
        7: ("partner_unknown", "partner"),
        8: ("date_invalid", "due_on"),
        9: ("date_invalid", "deadline_on"),
        10: ("field_invalid", "account"),
        11: ("field_invalid", "phone"),
        12: ("field_invalid", "participant_id"),
        13: ("field_missing", "full_name"),
        14: ("amount_invalid", "amount_rupiah"),
        16: ("row_malformed", None),
        17: ("row_malformed", None),
        18: ("row_malformed", None),
    }
    assert all(r["remedy"] for r in found.values() if r["code"])
    text = reply.text + (await api.call("GET", batch["results_url"])).text
    assert not any(nik(n) in text for n in range(1, 30))
    funnel = (await api.call("GET", "/v1/funnel")).json()
    assert funnel["incentives"] == 2
    assert sum(r["rows"] for r in funnel["rows_refused"]) == 15


async def test_ndjson_is_read_strictly(api: Api) -> None:
    rows = [row(1), row(2, amount_rupiah="600000"), row(3, amount_rupiah=1.5), row(4, period=1), row(5, extra=1)]
    missing = row(6)
    del missing["purpose"]
    body = as_ndjson([*rows, missing]) + b"[1]\n{\n" + as_ndjson([row(7, nik=None)])
    batch = (await api.submit(body, kind="application/x-ndjson")).json()
    assert batch["rows_accepted"] == 1
    codes = {line: (r["code"], r["field"]) for line, r in (await _results(api, batch)).items() if r["code"]}
    assert codes == {
        2: ("amount_invalid", "amount_rupiah"),
        3: ("amount_invalid", "amount_rupiah"),
        4: ("field_invalid", "period"),
        5: ("row_malformed", None),
        6: ("field_missing", "purpose"),
        7: ("row_malformed", None),
        8: ("row_malformed", None),
        9: ("field_missing", "nik"),
    }


async def test_csv_and_ndjson_of_the_same_rows_have_one_root(api: Api) -> None:
    rows = [row(1), row(2)]
    first = (await api.submit(as_csv(rows))).json()
    await api.decide(first, "one", "reject")
    second = (await api.submit(as_ndjson(rows), key="k2", kind="application/x-ndjson")).json()
    assert first["content_root"] == second["content_root"]
    assert second["rows_accepted"] == 2, "a rejected batch frees its keys"


async def test_conflicts_inside_one_batch(api: Api) -> None:
    rows = [
        row(1),  # 2
        row(1),  # 3 exact repeat
        row(1, amount_rupiah=500_000),  # 4 same instalment, other content
        row(1, period="2", account="+6281299999999", phone="+6281299999999"),  # 5 other account
        row(1, period="3", nik=nik(99)),  # 6 other NIK
        row(2, nik=nik(1)),  # 7 same NIK, same instalment
        row(3, period="9", nik=nik(1)),  # 8 same NIK, another instalment: fine
        row(2, nik=nik(2)),  # 9 the first of this person that is accepted
        row(2, nik=nik(1)),  # 10 repeat of a refused line
    ]
    batch = (await api.submit(as_csv(rows))).json()
    assert (batch["rows_accepted"], batch["rows_rejected"], batch["rows_repeated"]) == (3, 5, 1)
    assert {line: r["code"] for line, r in (await _results(api, batch)).items()} == {
        2: None,
        4: "incentive_conflict",
        5: "participant_conflict",
        6: "participant_conflict",
        7: "nik_duplicate",
        8: None,
        9: None,
        10: "nik_duplicate",
    }


async def test_conflicts_with_what_is_stored(api: Api) -> None:
    await api.submit(as_csv([row(1), row(2)]))
    rows = [
        row(1),
        row(2, amount_rupiah=1),
        row(1, period="2", nik=nik(5)),
        row(1, period="2", partner="gopay"),
        row(3, nik=nik(1)),
        row(1, period="3", full_name="Dewi L."),
    ]
    batch = (await api.submit(as_csv(rows), key="k2")).json()
    assert (batch["rows_accepted"], batch["rows_rejected"], batch["rows_repeated"]) == (1, 4, 1)
    assert {line: r["code"] for line, r in (await _results(api, batch)).items()} == {
        3: "incentive_conflict",
        4: "participant_conflict",
        5: "participant_conflict",
        6: "nik_duplicate",
        7: None,
    }
