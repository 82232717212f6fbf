"""Lists with filters, a payout by any of its numbers, one name for a request, and a batch as one JSON object."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core import Core
from tests.gateway.api.kit import Api, as_ndjson, row
from tests.turns import in_turn

PAYOUT, REFERENCE, THEIRS = 17000000000000001, "0117000000000000001", "BNI/2026-77"


async def _stored(api: Api) -> list[str]:
    """Three incentives with a payout, a link and cases of the first two; the incentives' ids."""
    await api.submit(as_ndjson([row(n) for n in (1, 2, 3)]), kind="application/x-ndjson")
    incentives = (await api.call("GET", "/v1/incentives")).json()["incentives"]
    async with api.core.resources.database.connection() as connection:
        for n in (0, 1):
            person = await connection.fetchval(
                "SELECT participant FROM incentives WHERE id = $1", int(incentives[n]["incentive_id"])
            )
            await connection.execute(
                "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state,"
                " return_url, created_at, updated_at) SELECT $1, id, 'maker', partner, account_index, account_sealed,"
                " $2, '', now(), now() FROM participants WHERE id = $3",
                f"L1700000000000000{n}",
                ("active", "failed")[n],
                person,
            )
            await connection.execute(
                "INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state,"
                " partner_reference, created_at, updated_at)"
                " VALUES ($1, $2, $3, $4, $5, 'ovo', 600000, $6, $7, now(), now())",
                PAYOUT + n,
                f"{int(REFERENCE) + n:019d}",
                int(incentives[n]["incentive_id"]),
                person,
                f"L1700000000000000{n}",
                ("pending", "unknown")[n],
                f"{THEIRS}{'-b' * n}",
            )
            await connection.execute(
                "INSERT INTO cases (id, code, partner, payout, detail, opened_at, due_at, closed_at, closed_by)"
                " VALUES ($1, $2, 'ovo', $3, 'seen', now(), now(), $4, $5)",
                18000000000000001 + n,
                ("contradiction", "outcome_unknown")[n],
                PAYOUT + n,
                None if n == 0 else api.core.resources.clock.now(),
                None if n == 0 else "operator",
            )
    return [one["incentive_id"] for one in incentives]


async def _ids(api: Api, path: str, items: str, name: str, **asked: Any) -> list[str]:
    reply = await api.call("GET", path, role="reader", params=asked)
    assert reply.status_code == 200, reply.text
    return [one[name] for one in reply.json()[items]]


async def test_lists_are_narrowed_by_each_filter_and_read_page_by_page(api: Api) -> None:
    first, second, _ = await _stored(api)
    one, two = str(PAYOUT), str(PAYOUT + 1)
    for asked, found in (
        ({}, [one, two]), ({"state": "unknown"}, [two]), ({"incentive_id": first}, [one]), ({"partner": "bni"}, []),
        ({"participant_id": "P00000002"}, [two]), ({"participant_id": "P00000003"}, []),
        ({"state": "pending", "incentive_id": second}, []),
    ):  # fmt: skip
        assert await _ids(api, "/v1/payouts", "payouts", "payout_id", **asked) == found, asked
    for asked, found in (
        ({}, ["L17000000000000001", "L17000000000000000"]), ({"state": "active"}, ["L17000000000000000"]),
        ({"participant_id": "P00000002"}, ["L17000000000000001"]), ({"partner": "bni"}, []),
    ):  # fmt: skip
        assert await _ids(api, "/v1/links", "links", "link_id", **asked) == found, asked
    for asked, found in (
        ({}, ["18000000000000001", "18000000000000002"]), ({"state": "open"}, ["18000000000000001"]),
        ({"state": "closed"}, ["18000000000000002"]), ({"payout_id": two}, ["18000000000000002"]),
        ({"code": "contradiction"}, ["18000000000000001"]), ({"partner": "bni"}, []), ({"incentive_id": first}, []),
    ):  # fmt: skip
        assert await _ids(api, "/v1/cases", "cases", "case_id", **asked) == found, asked
    for path, items, name in (
        ("/v1/payouts", "payouts", "payout_id"), ("/v1/links", "links", "link_id"), ("/v1/cases", "cases", "case_id"),
        ("/v1/incentives", "incentives", "incentive_id"),
    ):  # fmt: skip
        whole, seen, cursor = await _ids(api, path, items, name), [], None
        for _ in range(9):
            page = (await api.call("GET", path, params={"limit": 1} | ({"cursor": cursor} if cursor else {}))).json()
            seen += [one[name] for one in page[items]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert seen == whole, path
    (batch,) = (await api.call("GET", "/v1/batches")).json()["batches"]
    assert len(await _ids(api, "/v1/incentives", "incentives", "incentive_id", batch_id=batch["batch_id"])) == 3
    assert await _ids(api, "/v1/incentives", "incentives", "incentive_id", batch_id="b1") == []


async def test_lists_hold_the_own_organisations_rows_alone(api: Api) -> None:
    await _stored(api)
    await api.fetch("UPDATE clients SET organisation = 'elsewhere' WHERE id = 'reader' RETURNING id")
    api.core.clients.forget()
    for path, items in (("/v1/payouts", "payouts"), ("/v1/links", "links"), ("/v1/cases", "cases")):
        assert (await api.call("GET", path, role="reader")).json()[items] == []
        assert len((await api.call("GET", path, role="operator" if items == "cases" else "maker")).json()[items]) == 2
    assert (await api.call("GET", "/v1/payouts", role="reader", params={"number": REFERENCE})).json()["payouts"] == []
    assert (await api.call("PUT", "/v1/participants/P00000001", json={"phone": "+6281300000001"})).status_code == 200
    await api.fetch("UPDATE clients SET organisation = 'elsewhere' WHERE id = 'maker' RETURNING id")
    api.core.clients.forget()
    theirs = await api.call("PUT", "/v1/participants/P00000001", json={"phone": "+6281300000002"})
    assert (theirs.status_code, theirs.json()["code"]) == (404, "not_found")
    assert "organisation" in theirs.json()["remedy"], "the same whether it is another's or nobody's"


async def test_what_ended_on_a_day_of_jakarta_is_read_along_a_key(api: Api) -> None:
    await _stored(api)
    ends = "UPDATE payouts SET ended_at = $2::text::timestamptz WHERE id = $1"
    await api.fetch(ends, PAYOUT, "2026-01-30T17:00:00Z")  # midnight in Jakarta, the 31st begins
    await api.fetch(ends, PAYOUT + 1, "2026-01-31T16:59:59.999999Z")
    for day, found in (("30", []), ("31", [str(PAYOUT), str(PAYOUT + 1)])):
        asked = {"ended_on": f"2026-01-{day}"}
        assert await _ids(api, "/v1/payouts", "payouts", "payout_id", **asked) == found, day
    for other in ("31/01/2026", "46053", "2026-01-31T00:00:00Z", "2026-02-30", "today", ""):
        for name in ("ended_on", "ended_from", "ended_until"):
            reply = await api.call("GET", "/v1/payouts", role="reader", params={name: other})
            assert (reply.status_code, reply.json()["field"]) == (422, name), other
    await api.fetch(ends, PAYOUT + 1, "2026-01-31T17:00:00Z")  # the first of February
    one, two = str(PAYOUT), str(PAYOUT + 1)
    for first, last, found in (
        ("2026-01-31", "2026-01-31", [one]), ("2026-01-01", "2026-02-01", [one, two]), ("2026-02-01", None, [two]),
        (None, "2026-01-31", [one]), ("2026-01-01", "2026-01-30", []), ("2026-02-02", None, []),
    ):  # fmt: skip
        days = {"ended_from": first, "ended_until": last}
        asked = {name: day for name, day in days.items() if day}
        assert await _ids(api, "/v1/payouts", "payouts", "payout_id", **asked) == found, days
    turned = await api.call("GET", "/v1/payouts", params={"ended_from": "2026-02-01", "ended_until": "2026-01-31"})
    assert (turned.status_code, turned.json()["field"]) == (422, "ended_until")
    booked = (await api.call("GET", "/v1/payouts", params={"number": two})).json()["payouts"][0]
    about = {name: row(2)[name] for name in ("participant_id", "programme", "purpose", "period")}
    assert {name: booked[name] for name in about} == about
    assert (await api.call("GET", f"/v1/payouts/{two}")).json() == booked
    async with api.core.resources.database.transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        rows = await connection.fetch(
            "EXPLAIN SELECT * FROM payouts WHERE id > 1 AND (ended_at AT TIME ZONE 'Asia/Jakarta')::date = '2026-01-31'"
            " ORDER BY id LIMIT 5"
        )
    assert any("payouts_ended" in line[0] for line in rows) and not any("Sort" in line[0] for line in rows)


@pytest.mark.parametrize("number", [str(PAYOUT), REFERENCE, THEIRS])
async def test_a_payout_is_found_by_any_of_its_numbers(api: Api, number: str) -> None:
    await _stored(api)
    assert await _ids(api, "/v1/payouts", "payouts", "payout_id", number=number) == [str(PAYOUT)]
    assert await _ids(api, "/v1/payouts", "payouts", "payout_id", number=number + "0") == []


@in_turn("path", ["/v1/payouts?incentive_id=x", "/v1/cases?payout_id=%2D1", "/v1/links?cursor=MQ"])
async def test_a_filter_that_cannot_be_is_named(api: Api, path: str) -> None:
    reply = await api.call("GET", path)
    assert (reply.status_code, reply.json()["field"]) == (422, path.partition("?")[2].partition("=")[0])


@in_turn(
    ("sent", "kept"),
    [("trace-7f.1", True), ("a" * 64, True), ("", False), ("a" * 65, False), ("a b", False), ("ä", False),
     ("3174010101909901", False), ("id-+6281234567890", False)],
)  # fmt: skip
async def test_a_request_has_one_name_in_answer_problem_and_log(api: Api, sent: str, kept: bool) -> None:
    for path, status in (("/v1/incentives/1", 404), ("/v1/nothing", 404), ("/v1/incentives", 200)):
        with capture_logs() as logged:
            reply = await api.call("GET", path, headers={"X-Request-Id": sent.encode()})
        assert reply.status_code == status
        name = reply.headers["X-Request-Id"]
        assert (name == sent) is kept
        if status == 404:
            assert reply.json()["request_id"] == name
        (line,) = [line for line in logged if line["event"] == "request"]
        who = None if path == "/v1/nothing" else api.ids["maker"]
        assert (line["request_id"], line["status"], line["client_id"]) == (name, status, who)
    nobody = await api.http.get("/v1/incentives")
    assert nobody.json()["request_id"] == nobody.headers["X-Request-Id"]


async def test_a_batch_may_be_one_json_object(api: Api) -> None:
    pretty = "\ufeff" + json.dumps({"rows": [row(1), row(2, nik="1"), row(3)]}, indent=2)
    made = (await api.submit(pretty.encode(), kind="application/json; charset=utf-8")).json()
    assert (made["rows_accepted"], made["rows_rejected"]) == (2, 1)
    results = (await api.call("GET", made["results_url"])).json()["rows"]
    assert [(r["line"], r["code"]) for r in results] == [(1, None), (2, "nik_invalid"), (3, None)]
    again = (await api.submit(pretty.encode(), kind="application/json; charset=utf-8")).json()
    assert again == made


@in_turn(
    ("body", "status", "code"),
    [
        (b"[]", 422, "json_malformed"), (b"{}", 422, "json_malformed"), (b'{"rows": []}', 422, "batch_empty"),
        (b'{"rows": [], "rows": []}', 422, "json_malformed"), (b'{"rows": [], "more": 1}', 422, "json_malformed"),
        (b'{"rows": [' + b"{}," * 1000 + b"{}]}", 413, "too_large"), (b'{"rows": 1}', 422, "json_malformed"),
        (b"[" * 100_000, 422, "json_malformed"), (b'{"rows": [{"nik": "\xff"}]}', 422, "charset_unsupported"),
    ],
)  # fmt: skip
async def test_json_of_another_form_changes_nothing(api: Api, body: bytes, status: int, code: str) -> None:
    before = await api.state()
    reply = await api.submit(body, kind="application/json")
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert await api.state() == before


async def test_a_row_twice_named_in_json_is_refused_alone(api: Api) -> None:
    twice = json.dumps(row(1))[:-1] + ', "amount_rupiah": 6000000}'
    made = (await api.submit(f'{{"rows": [{twice}, {json.dumps(row(2))}]}}'.encode(), kind="application/json")).json()
    assert (made["rows_accepted"], made["rows_rejected"]) == (1, 1)


async def test_what_is_no_object_in_json_is_a_refused_row_wherever_it_stands(api: Api) -> None:
    """Also as the first one: the file was refused then, with what to do about another kind of file."""
    for n, odd in enumerate(("1", "null", '"x"', "[]", "[{}]")):
        for rows in ([odd, json.dumps(row(n + 1))], [json.dumps(row(n + 1)), odd], [odd]):
            body = f'{{"rows": [{", ".join(rows)}]}}'.encode()
            made = (await api.submit(body, kind="application/json", key=f"{n}{len(rows)}{rows[0][:1]}")).json()
            assert made["rows_rejected"] == 1, made
            told = (await api.call("GET", made["results_url"], params={"outcome": "rejected"})).json()["rows"]
            assert [(r["line"], r["code"]) for r in told] == [(rows.index(odd) + 1, "row_malformed")]


async def test_ids_are_text_wherever_they_stand(api: Api, core: Core) -> None:
    document = (await api.http.get("/schema")).json()
    numbers = [
        (name, field)
        for name, schema in document["components"]["schemas"].items()
        for field, said in schema.get("properties", {}).items()
        if (field == "id" or field.endswith("_id")) and "integer" in json.dumps(said)
    ]
    for path, operations in document["paths"].items():
        numbers += [
            (path, parameter["name"])
            for operation in operations.values()
            for parameter in operation.get("parameters", [])
            if parameter["name"].endswith("_id") and "integer" in json.dumps(parameter["schema"])
        ]
    assert numbers == []
    cursors = {
        parameter["name"]
        for operations in document["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
        if parameter["name"] in ("after", "before", "cursor", "page", "offset") and not parameter.get("deprecated")
    }
    assert cursors == {"cursor"}
