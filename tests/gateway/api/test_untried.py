"""What clients of other payment APIs stumble over, tried here: each kind once."""

from __future__ import annotations

import base64
import gzip
import json
import re
import unicodedata
from typing import Any

import httpx
import pytest

from gateway.security.clients import register
from gateway.security.personal import names_somebody
from tests.gateway.api.kit import Api, as_csv, nik, row


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
    assert "Content-Encoding" in reply.json()["detail"] and "Content-Encoding" in reply.json()["remedy"]
    unpacked = await api.call("POST", path, key="as it is", content=b"{", headers={**headers, "Content-Encoding": ""})
    assert unpacked.json()["code"] == "json_malformed", "an empty header packs nothing"


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


async def test_an_account_of_two_people_in_one_file_is_shown_to_the_approvers(api: Api) -> None:
    mine = {key: row(301)[key] for key in ("partner", "account")}
    instalments = [row(301), row(301, period="2"), row(303, partner="gopay", account=row(301)["account"])]
    alone = (await api.submit(as_csv(instalments))).json()
    assert (alone["rows_accepted"], alone["warnings"]) == (3, []), "one person's, and one number at two partners"
    batch = (await api.submit(as_csv([row(304), row(305, **mine), row(306, **mine), row(307)]), key="two")).json()
    assert [(one["code"], one["rows"]) for one in batch["warnings"]] == [("accounts_shared", 2)]
    repeated = (await api.submit(as_csv([row(308), row(308)]), key="three")).json()
    assert (repeated["rows_repeated"], repeated["warnings"]) == (1, [])


async def test_a_number_in_a_query_has_one_spelling(api: Api) -> None:
    """Every whole number of every operation: elsewhere 1e2 may be read as 1, as 12 or not at all."""
    tried = 0
    for path, operations in (await api.http.get("/schema")).json()["paths"].items():
        for method, operation in operations.items():
            for each in operation.get("parameters", ()):
                kinds = [one.get("type") for one in (each["schema"], *each["schema"].get("oneOf", ()))]
                if each["in"] != "query" or "integer" not in kinds:
                    continue
                tried += 1
                role = "maker" if (method, path) == ("post", "/v1/batches") else "operator"
                at = path.format(**dict.fromkeys(("batch_id", "webhook_endpoint_id", "reconciliation_id"), "1"))
                for text in ("1e2", "1E2", "+5", "5.0", "05", " 5", "5 ", "1_0", "-0", "٥", "", "9" * 19):
                    reply = await api.call(method, at, role=role, key="n", params={each["name"]: text})
                    answer = reply.json()
                    assert (reply.status_code, answer.get("field")) == (422, each["name"]), f"{path} {text!r}"
                    assert "digits" in answer["remedy"], path
    assert tried >= 15
    texts = {"/v1/cases": ("payout_id", "007"), "/v1/payouts": ("incentive_id", "01"),
             "/v1/batches": ("partner_rupiah", "ovo:0600000")}  # fmt: skip
    for path, (name, text) in texts.items():
        method = "POST" if name == "partner_rupiah" else "GET"
        kind = {"Content-Type": "text/csv"}
        reply = await api.call(method, path, key="t", params={name: text}, headers=kind, content=as_csv([row(301)]))
        assert (reply.status_code, reply.json()["field"]) == (422, name), "a number that is written as a text"
    assert (await api.call("GET", "/v1/incentives", params={"limit": 100})).status_code == 200
    assert "1" in (await api.call("GET", "/v1/incentives", params={"limit": -1})).json()["detail"], "its own bound"


async def test_a_csv_under_the_name_that_browsers_give_it_is_a_csv(api: Api) -> None:
    kind = "application/vnd.ms-excel"
    taken = await api.submit(as_csv([row(1), row(2)]), kind=f"{kind}; charset=utf-8")
    assert (taken.status_code, taken.json()["rows_accepted"]) == (201, 2)
    again = await api.submit(as_csv([row(1), row(2)]))
    assert again.json() == taken.json(), "the same request under the same key"
    for head in (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04\x14\x00\x06\x00"):
        workbook = await api.submit(head + bytes(600), kind=kind, key="workbook")
        assert (workbook.status_code, workbook.json()["code"]) == (422, "file_foreign")


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


LISTS = ("incentives", "batches", "payouts", "links", "cases", "plans", "entitlements", "events")


async def test_a_cursor_of_another_list_is_refused_and_one_of_the_list_is_not(api: Api) -> None:
    for n in (1, 2):
        await api.submit(as_csv([row(n)]), key=f"b{n}")
    pages = {
        name: (await api.call("GET", f"/v1/{name}", params={"limit": 1})).json()["next_cursor"]
        for name in ("incentives", "batches", "events")
    }
    pages["results"] = (await api.call("GET", "/v1/batches")).json()["batches"][0]["results_url"]
    for name, cursor in pages.items():
        for other in LISTS:
            reply = await api.call("GET", f"/v1/{other}", role="operator", params={"cursor": cursor})
            assert reply.status_code == (200 if other == name else 422), (name, other)
    two = (await api.submit(as_csv([row(3), row(4)]), key="b3")).json()["results_url"]
    cursor = (await api.call("GET", two, params={"limit": 1})).json()["next_cursor"]
    assert (await api.call("GET", two, params={"cursor": cursor})).json()["rows"][0]["line"] == 3
    assert (await api.call("GET", pages["results"], params={"cursor": cursor})).status_code == 422, "another batch's"


async def test_a_cursor_of_events_that_nothing_has_reached_is_told_and_not_waited_for(api: Api) -> None:
    """A store that was put back to an earlier time: the reader is ahead of it, and would hear nothing for ever."""
    ahead = base64.urlsafe_b64encode(b"900000000000000000.1").decode().rstrip("=")
    reply = await api.call("GET", "/v1/events", params={"cursor": ahead})
    assert (reply.status_code, reply.json()["code"]) == (410, "cursor_ahead")
    last = (await api.call("GET", "/v1/events", params={"limit": 1_000})).json()["next_cursor"]
    assert (await api.call("GET", "/v1/events", params={"cursor": last})).json() == {"events": [], "next_cursor": last}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json, text/csv;q=0.1", "application/json"),
        ("application/json;q=0.5, Text/CSV;q=0.9", "text/csv"),
        ("text/csv;q=0.2, application/x-ndjson", "application/x-ndjson"),
        ("*/*", "application/json"),
        ("text/*", "text/csv"),
        ("application/xml", "application/json"),
        ("", "application/json"),
    ],
)
async def test_the_results_come_in_the_form_that_is_preferred(api: Api, accept: str, kind: str) -> None:
    batch = (await api.submit(as_csv([row(1)]))).json()
    reply = await api.call("GET", batch["results_url"], headers={"Accept": accept})
    assert reply.headers["content-type"].partition(";")[0] == kind


async def test_a_value_of_another_form_or_list_is_told_with_what_there_is(api: Api) -> None:
    batch = (await api.submit(as_csv([row(1)]))).json()
    path = f"/v1/batches/{batch['batch_id']}/approvals"
    decided = {"decision": "approve", "content_root": batch["content_root"].upper()}
    assert (await api.call("POST", path, role="one", json=decided)).status_code == 200, "hexadecimal in any case"
    odd = await api.call("POST", path, role="one", json=decided | {"content_root": "0x00"})
    assert "[0-9a-fA-F]{64}" in odd.json()["remedy"]
    hook = await api.call("POST", "/v1/webhook-endpoints", json={"url": "https://a.example/", "types": ["payout.*"]})
    assert (hook.json()["field"], "payout.changed" in hook.json()["remedy"]) == ("types[0]", True)
    for name in ("payouts", "batches", "links", "cases", "plans", "entitlements"):
        reply = await api.call("GET", f"/v1/{name}", role="operator", params={"state": "NONE"})
        assert (reply.status_code, reply.json()["field"]) == (422, "state"), name
        assert reply.json()["remedy"].startswith("Give one of: "), name


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/links", '{"participant_id": "P1", "participant_id": "P2", "return_url": "https://a"}', "participant_id"),
        ("/v1/completions", '{"plan_id": "p", "completions": [{"participant_id": "P1", "participant_id": "P2",'
         ' "finished_on": "2026-01-05"}]}', "participant_id"),
    ],
)  # fmt: skip
async def test_an_object_that_says_two_things_under_one_key_is_refused(
    api: Api, path: str, body: str, field: str
) -> None:
    headers = {"Content-Type": "application/json"}
    reply = await api.call("POST", path, key="k", content=body.encode(), headers=headers)
    assert (reply.status_code, reply.json()["code"], reply.json()["field"]) == (422, "key_repeated", field)


@pytest.mark.parametrize(("charset", "declared"), [("latin1", True), ("latin1", False), ("utf-16", False)])
async def test_json_in_another_charset_is_told_so(api: Api, charset: str, declared: bool) -> None:
    single = json.dumps(row(1, full_name="José"), ensure_ascii=False)
    kind = f"application/json; charset={charset}" if declared else "application/json"
    for path, text in (
        ("/v1/incentives", single), ("/v1/batches", f'{{"rows": [{single}]}}'),
        ("/v1/links", '{"participant_id": "é", "return_url": "https://core.test/back"}'),
    ):  # fmt: skip
        reply = await api.call("POST", path, key="k", content=text.encode(charset), headers={"Content-Type": kind})
        told = (reply.status_code, reply.json()["code"])
        assert told == ((415, "unsupported_media_type") if declared else (422, "charset_unsupported")), path
        assert "UTF-8" in reply.json()["detail"]


async def test_options_and_a_wrong_method_tell_all_methods_that_there_are(api: Api) -> None:
    reads = {"GET", "HEAD", "OPTIONS"}
    for path, methods in (("/v1/incentives", reads | {"POST"}), ("/health/live", reads)):
        for method, status in (("OPTIONS", 204), ("PATCH", 405)):
            reply = await api.call(method, path)
            assert (reply.status_code, set(reply.headers["allow"].split(", "))) == (status, methods), (method, path)
        assert (await api.call("OPTIONS", path)).content == b""
    none = await api.call("OPTIONS", "/v1/nothing")
    assert (none.status_code, none.json()["code"]) == (404, "not_found"), "a body as long as its head says"


@pytest.mark.parametrize("host", ["http://gateway.test", "https://pay.example:8443", "HTTP://[::1]:8000"])
async def test_a_target_that_names_a_host_is_its_path(api: Api, host: str) -> None:
    """As a client of a proxy sends it; what stands behind the host is looked at as ever."""
    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    token = f"Bearer {api.tokens['reader']}".encode()
    for path, status in (("/v1/funnel", 200), ("/v1//funnel", 404), ("/http://x/v1/funnel", 404), ("/v1/nobody", 404)):
        whole = host + path
        scope = {
            "type": "http", "method": "GET", "path": whole, "raw_path": whole.encode(), "query_string": b"",
            "root_path": "", "headers": [(b"authorization", token)], "client": ("127.0.0.1", 1), "scheme": "http",
            "server": ("gateway.test", 80), "http_version": "1.1", "asgi": {"version": "3.0"},
        }  # fmt: skip
        await api.http._transport.app(scope, receive, send)  # type: ignore[attr-defined]
        assert answers[-2]["status"] == status, path


async def test_a_file_in_a_form_is_told_to_come_alone(api: Api) -> None:
    reply = await api.call("POST", "/v1/batches", key="k", files={"file": ("may.csv", as_csv([row(1)]), "text/csv")})
    assert reply.status_code == 415 and "form" in reply.json()["detail"]
    reply = await api.call("POST", "/v1/batches", key="k", data={"file": "x"})
    assert reply.status_code == 415 and "text/csv" in reply.json()["detail"]


async def test_a_key_of_the_present_moment_is_a_key(api: Api) -> None:
    """In microseconds it may read as a NIK: of 16 digits, with a date among them."""
    now_us = int(api.core.resources.clock.now().timestamp() * 1e6)
    near = (str(now_us + n * 76_543_217) for n in range(-1_000, 1_000))  # up to 21 hours away
    keys = [key for key in near if names_somebody(key)][:40]
    assert keys, "else this shows nothing"
    for key in keys:
        reply = await api.call("POST", "/v1/incentives", key=key, json={})
        assert reply.json()["code"] != "personal_data"
    assert (await api.call("POST", "/v1/incentives", key=nik(1), json={})).json()["code"] == "personal_data"


async def test_what_no_filter_finds_is_told_and_no_empty_list(api: Api) -> None:
    """Every parameter that is a text, of every list; two values with a comma are what programs send for a list."""
    tried = 0
    for path, operations in (await api.http.get("/schema")).json()["paths"].items():
        for each in operations.get("get", {}).get("parameters", ()):
            if each["in"] != "query" or "{" in path:
                continue
            tried += 1
            for text in ("", "%ff", "%ED%A0%80", "a,b", "x" * 5_000):
                reply = await api.call("GET", f"{path}?{each['name']}={text}", role="operator")
                if text == "" and each["name"] in ("cursor", "after"):
                    assert reply.status_code == 200, "as programs ask for the first page"
                    continue
                assert reply.status_code == 422, f"{path} {each['name']}={text}"
    assert tried > 20


async def test_what_nobody_would_look_at_is_not_sent_in_vain(api: Api) -> None:
    """Every operation that takes no body: a reason, or for what alone it is to be, would be dropped without a word."""
    bare: list[tuple[str, str, str]] = []
    for path, operations in (await api.http.get("/schema")).json()["paths"].items():
        for method, operation in operations.items():
            if method != "get" and "requestBody" not in operation and path.startswith("/v1/"):
                at = re.sub(r"\{[a-z_]+\}", lambda name: "ovo" if name[0] == "{partner}" else "1", path)
                scopes = {one["client"][0] for one in operation["security"]}
                bare.append((method.upper(), at, "operator" if scopes == {"ops"} else "maker"))
    assert len(bare) > 8
    before = await api.state()
    for body, refused in (({"reason": "x"}, True), ([1], True), ({}, False), (None, False)):
        for method, at, role in bare:
            reply = await api.call(method, at, role=role, key="k", json=body)
            code = reply.json().get("code") if reply.content else None
            told = (code == "field_unknown") == refused or code == "not_found"  # whose row it is comes first
            assert told, f"{method} {at} {body} {reply.text}"
        if refused:
            assert await api.state() == before, body
    made = (await api.call("POST", "/v1/incentives", key="one", json=row(1))).json()["incentive"]
    own = f"/v1/incentives/{made['incentive_id']}/cancel"
    assert (await api.call("POST", own, json={"reason": "x"})).json()["code"] == "field_unknown"
    assert (await api.call("GET", "/v1/incentives")).json()["incentives"][0]["stage"] == "awaiting_link"
    assert (await api.call("POST", own, json={})).json()["stage"] == "cancelled"


async def test_where_json_breaks_off_is_told_and_which_header_stands_twice(api: Api) -> None:
    kind = {"Content-Type": "application/json"}
    for text, byte in ((b'{"participant_id": "a",}', 23), (b"{'a': 1}", 1), (b"{", None)):
        told = (await api.call("POST", "/v1/links", content=text, headers=kind)).json()
        assert (told["code"], f"byte {byte}," in told["detail"]) == ("json_malformed", byte is not None), text
    twice = httpx.Headers([("Authorization", f"Bearer {api.tokens['maker']}"), *[("Idempotency-Key", "k")] * 2])
    reply = await api.http.post("/v1/incentives", headers=twice, json=row(1))
    assert (reply.status_code, reply.json()["code"]) == (400, "head_ambiguous")
    assert "idempotency-key" in reply.json()["detail"]


async def test_a_secret_out_of_a_file_is_the_secret(api: Api) -> None:
    store, clock = api.core.resources.database, api.core.resources.clock
    made = await register(store, clock.now(), name="from a file", scopes=("read",))
    form = {"grant_type": "client_credentials", "client_id": made.client_id, "client_secret": f"{made.secret}\n"}
    assert (await api.http.post("/oauth/token", data=form)).status_code == 200
    assert (await api.http.post("/oauth/token", data=form | {"client_secret": "\n"})).status_code == 401
