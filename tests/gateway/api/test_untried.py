"""What clients of other payment APIs stumble over, tried here: each kind once."""

from __future__ import annotations

import gzip
import json
import unicodedata
from typing import Any

import pytest

from tests.gateway.api.kit import Api, as_csv, row


async def test_head_is_get_without_the_body(api: Api) -> None:
    for path in ("/health/live", "/schema", "/v1/incentives", "/v1/batches"):
        full, head = [await api.call(method, path) for method in ("GET", "HEAD")]
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["content-length"] == full.headers["content-length"]
        assert head.headers["content-type"] == full.headers["content-type"]
    assert (await api.call("HEAD", "/v1/incentives/4711")).status_code == 404
    assert (await api.http.head("/v1/incentives")).status_code == 401
    assert (await api.call("HEAD", "/v1/completions")).status_code == 405


@pytest.mark.parametrize("path", ["/v1/incentives", "/v1/plans", "/v1/programmes", "/v1/webhook-endpoints"])
async def test_a_packed_body_is_refused_by_what_it_is(api: Api, path: str) -> None:
    body = gzip.compress(json.dumps(row(1)).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    reply = await api.call("POST", path, key="packed", content=body, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_media_type")
    assert "Content-Encoding" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "form"),
    [
        ("/v1/completions", {"plan_id": "pl1", "completions": [{"participant_id": "P", "finished_on": "20-11-2026"}]},
         "YYYY-MM-DD"),
        ("/v1/completions", {"plan_id": "pl1", "completions": [{"participant_id": "P",
                                                                "finished_on": "2026-11-20T00:00:00+07:00"}]},
         "YYYY-MM-DD"),
        ("/v1/partners/ovo/ask-again", {"stage": "payout", "since": "yesterday"}, "+07:00"),
    ],
)  # fmt: skip
async def test_a_day_or_time_that_cannot_be_read_is_told_in_its_form(
    api: Api, path: str, body: dict[str, Any], form: str
) -> None:
    role = "operator" if "partners" in path else "maker"
    reply = await api.call("POST", path, role=role, json=body)
    assert reply.status_code == 422 and form in reply.json()["remedy"], reply.text
    assert "yesterday" not in reply.text and "20-11" not in reply.text


async def test_a_list_of_a_partner_that_is_none_is_refused(api: Api) -> None:
    paths = (await api.http.get("/schema")).json()["paths"]
    lists = {
        path: operations["get"]["operationId"]
        for path, operations in paths.items()
        if any(
            one["name"] == "partner" and one["in"] == "query" for one in operations.get("get", {}).get("parameters", ())
        )
    }
    assert len(lists) >= 4
    for path in lists:
        for spelling in ("OVO", "nobody", ""):
            reply = await api.call("GET", path, role="reader", params={"partner": spelling})
            assert (reply.status_code, reply.json()["field"]) == (422, "partner"), path
            assert "ovo" in reply.json()["remedy"]
        assert (await api.call("GET", path, role="reader", params={"partner": "ovo"})).status_code == 200


async def test_one_name_in_two_forms_of_unicode_is_one_name(api: Api) -> None:
    composed, apart = (unicodedata.normalize(form, "José Álvaro") for form in ("NFC", "NFD"))
    assert composed != apart
    first = (await api.submit(as_csv([row(1, full_name=apart)]))).json()
    again = (await api.submit(as_csv([row(1, full_name=composed)]), key="again")).json()
    assert (first["rows_accepted"], again["rows_repeated"], again["rows_rejected"]) == (1, 1, 0)
    body = {"full_name": apart}
    await api.call("PUT", f"/v1/participants/{row(1)['participant_id']}", json=body)
    told = (await api.call("GET", "/v1/events", params={"limit": 1_000})).json()["events"]
    assert not [event for event in told if event["type"] == "participant.changed"], "nothing was corrected"


async def test_deadlines_that_are_over_are_shown_to_the_approvers(api: Api) -> None:
    late = {"due_on": "2020-01-05", "deadline_on": "2020-06-30"}
    batch = (await api.submit(as_csv([row(1), row(2, **late)]))).json()
    assert [(one["code"], one["rows"]) for one in batch["warnings"]] == [("deadlines_over", 1)]
    single = await api.call("POST", "/v1/incentives", key="one", json=row(4, **late))
    assert [one["code"] for one in single.json()["batch"]["warnings"]] == ["deadlines_over"]


async def test_an_empty_column_of_a_sheet_is_named_as_such(api: Api) -> None:
    lines = as_csv([row(1)]).decode().splitlines()
    reply = await api.submit("".join("," + line + "\n" for line in lines).encode())
    assert (reply.status_code, reply.json()["code"]) == (422, "header_invalid")
    assert "no name" in reply.json()["remedy"]


async def test_a_name_in_other_capitals_or_with_other_spaces_is_the_same_name(api: Api) -> None:
    spellings = [row(1, full_name=name) for name in ("Dewi Ayu", "DEWI AYU", "dewi  ayu")]
    first = (await api.submit(as_csv(spellings))).json()
    assert (first["rows_accepted"], first["rows_repeated"], first["rows_rejected"]) == (1, 2, 0)
    again = (await api.submit(as_csv(spellings[1:2]), key="again")).json()
    single = await api.call("POST", "/v1/incentives", key="one", json=spellings[2])
    assert (again["rows_repeated"], single.status_code) == (1, 201)
    later = (await api.submit(as_csv([row(1, period="2", full_name="DEWI AYU")]), key="later")).json()
    (told,) = (await api.call("GET", later["results_url"])).json()["rows"]
    assert (told["incentive_id"] is not None, told["not_taken"]) == (True, [])
    other = (await api.submit(as_csv([row(1, full_name="Dewi Ayu S")]), key="other")).json()
    assert other["rows_rejected"] == 1
    async with api.core.resources.database.connection() as connection:  # as an older version has stored it
        await connection.execute("UPDATE participants SET name_index = substr(name_index, 1, 32)")
    for name, count in (("Dewi Ayu", "rows_repeated"), ("Dewi Ayu S", "rows_rejected")):
        assert (await api.submit(as_csv([row(1, full_name=name)]), key=name[-1])).json()[count] == 1, name
