"""Batches: intake, errors by row, conflicts, repeats, approvals."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import hmac
import io
import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from contracts.batch import COLUMNS
from gateway.routes.intake import batches as batch_routes
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
        row(5, partner="nobody"),
        row(6, due_on="2026-02-30"),
        row(8, deadline_on="2026-01-04"),
        row(9, account="0812"),
        row(10, phone="+620812000000"),
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
    assert all(f["remedy"]["id"] and f["remedy"]["en"] for r in found.values() for f in r["faults"])
    text = reply.text + (await api.call("GET", batch["results_url"])).text
    assert not any(nik(n) in text for n in range(1, 30))
    funnel = (await api.call("GET", "/v1/funnel")).json()
    assert funnel["incentives"] == 2
    assert sum(r["rows"] for r in funnel["rows_refused"]) == 15


async def test_ndjson_is_read_strictly(api: Api) -> None:
    rows = [row(1), row(2, amount_rupiah="600000"), row(3, amount_rupiah=1.5), row(4, period=1), row(5, extra=1)]
    missing = row(6)
    del missing["purpose"]
    deep = b'{"nik":' + b"[" * 2_000 + b"}\n"
    body = as_ndjson([*rows, missing]) + b"[1]\n{\n" + as_ndjson([row(7, nik=None)]) + deep
    batch = (await api.submit(body, kind="application/x-ndjson")).json()
    assert batch["rows_accepted"] == 3, "an amount may be text, a period a number"
    codes = {line: (r["code"], r["field"]) for line, r in (await _results(api, batch)).items() if r["code"]}
    assert codes == {
        3: ("amount_invalid", "amount_rupiah"),
        5: ("column_unknown", None),
        6: ("field_missing", "purpose"),
        7: ("row_malformed", None),
        8: ("row_malformed", None),
        9: ("field_missing", "nik"),
        10: ("row_malformed", None),
    }


async def test_a_rejected_batch_frees_its_keys_in_another_format(api: Api) -> None:
    rows = [row(1), row(2)]
    first = (await api.submit(as_csv(rows))).json()
    await api.decide(first, "one", "reject")
    second = (await api.submit(as_ndjson(rows), key="k2", kind="application/x-ndjson")).json()
    assert second["rows_accepted"] == 2


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
    told = await _results(api, batch)
    assert (told[3]["outcome"], told[3]["incentive_id"]) == ("repeated", told[2]["incentive_id"])
    assert {line: r["code"] for line, r in told.items()} == {
        2: None,
        3: None,
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
        2: None,
        3: "incentive_conflict",
        4: "participant_conflict",
        5: "participant_conflict",
        6: "nik_duplicate",
        7: None,
    }
    said = {line: r["faults"][0]["remedy"]["en"] for line, r in (await _results(api, batch)).items() if r["faults"]}
    assert "amount_rupiah; incentive 2" in said[3]
    assert "with other data (nik)." in said[4]
    assert "with other data (partner, account)." in said[5], "an account is one at a partner"
    assert "participant P00000001, incentive 1" in said[6]
    assert [r["field"] for r in (await _results(api, batch)).values() if r["code"]] == [
        "amount_rupiah", "nik", "partner", "nik",
    ]  # fmt: skip


async def test_conflicts_in_one_file_name_the_line_and_the_fields(api: Api) -> None:
    rows = [row(1), row(1, amount_rupiah=1, full_name="Dewi L."), row(1, period="2", account="+6281299999999")]
    batch = (await api.submit(as_csv([*rows, row(2, nik=nik(1)), row(1, amount_rupiah=1, full_name="Dewi L.")]))).json()
    said = {line: r["faults"][0]["remedy"]["en"] for line, r in (await _results(api, batch)).items() if r["faults"]}
    assert "full_name, amount_rupiah; line 2" in said[3]
    assert said[6] == said[3], "a repeat of a refused line"
    assert "account; line 2" in said[4]
    assert "line 2" in said[5]


async def test_refused_rows_alone(api: Api) -> None:
    bad: dict[int, dict[str, str]] = {
        n: {"nik": "1"} | ({"phone": "08"} if n % 6 == 0 else {}) for n in range(3, 30, 3)
    }
    rows = [row(n, **bad.get(n, {})) for n in range(1, 30)]
    batch = (await api.submit(as_csv(rows))).json()
    url = batch["results_url"]
    refused = (await api.call("GET", url, params={"outcome": "rejected"})).json()["rows"]
    assert [r["line"] for r in refused] == [n + 1 for n in range(1, 30) if n % 3 == 0]
    assert [len(r["faults"]) for r in refused] == [2 if n % 6 == 0 else 1 for n in range(3, 30, 3)]
    accepted = (await api.call("GET", url, params={"outcome": "accepted"})).json()["rows"]
    assert len(accepted) == 20 and not any(r["code"] for r in accepted)
    text = (await api.call("GET", url, params={"outcome": "rejected"}, headers={"Accept": "text/csv"})).text
    table = list(csv.DictReader(io.StringIO(text)))
    assert len(table) == 9
    assert table[1]["faults"] == "nik: nik_invalid; phone: field_invalid"
    assert "+62" in table[1]["what_to_do"]
    other = await api.call("GET", url, params={"outcome": "some"})
    assert (other.status_code, other.json()["field"]) == (422, "outcome")


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/v1/incentives?batch=b1", "batch"),
        ("/v1/funnel?programm=x", "programm"),
        ("/v1/events?q=1", "q"),
    ],
)
async def test_a_query_parameter_that_is_none_is_refused_by_name(api: Api, path: str, known: str) -> None:
    reply = await api.call("GET", path)
    assert (reply.status_code, reply.json()["code"], reply.json()["field"]) == (422, "parameter_unknown", known)
    strange = await api.call("GET", f"/v1/incentives?{nik(1)}=1")
    assert strange.status_code == 422 and nik(1) not in strange.text


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"Content-Encoding": "gzip"}, "Content-Encoding"),
        ({"Content-Type": "text/csv; charset=windows-1252"}, "UTF-8"),
        ({"Content-Type": "application/vnd.oasis.opendocument.spreadsheet"}, "text/csv"),
    ],
)
async def test_another_kind_of_body_is_refused_with_the_cause(api: Api, headers: dict[str, str], word: str) -> None:
    reply = await api.call(
        "POST", "/v1/batches", key="k1", content=as_csv([row(1)]), headers={"Content-Type": "text/csv"} | headers
    )
    assert reply.status_code == 415 and word in reply.json()["detail"]


async def test_a_batch_all_of_conflicts_ends_as_one_row_at_a_time_would(api: Api) -> None:
    """Against an independent model that walks through the lines, on rows made to collide."""
    rng = random.Random(7)
    rows = [
        row(
            rng.randrange(6),
            period=str(rng.randrange(3)),
            nik=nik(rng.randrange(4)),
            account=f"+62812{rng.randrange(3):08d}",
            amount_rupiah=rng.choice((1000, 2000)),
        )
        for _ in range(600)
    ]
    first, second = rows[:300], rows[300:]
    stored = _Model()
    incentives: dict[Any, str] = {}
    for key, part in (("k1", first), ("k2", second)):
        expected = stored.take(part)
        batch = (await api.submit(as_csv(part), key=key)).json()
        told = await _results(api, batch)
        outcomes = {line: "repeat" if r["outcome"] == "repeated" else r["code"] for line, r in told.items()}
        assert outcomes == expected
        for line, r in told.items():
            if r["code"] is None:
                key = (part[line - 2]["period"], part[line - 2]["participant_id"])
                assert incentives.setdefault(key, r["incentive_id"]) == r["incentive_id"], "its instalment's"
        assert batch["rows_repeated"] == sum(code == "repeat" for code in expected.values())
        only = await api.call("GET", batch["results_url"] + "?limit=1000&outcome=repeated")
        assert [r["line"] for r in only.json()["rows"]] == [n for n, code in expected.items() if code == "repeat"]


class _Model:
    """One line after another; a line that stands twice shares the fate of its first one."""

    def __init__(self) -> None:
        self.taken: dict[Any, Any] = {}
        self.people: dict[Any, Any] = {}
        self.holders: dict[Any, Any] = {}

    def take(self, rows: list[dict[str, Any]]) -> dict[int, str | None]:
        before = (dict(self.taken), dict(self.people), dict(self.holders))
        fates: dict[int, str | None] = {}
        seen: dict[Any, int] = {}
        for line, one in enumerate(rows, 2):
            content = tuple(one.values())
            if content in seen:
                first = fates[seen[content]]
                fates[line] = "repeat" if first is None else first
                continue
            seen[content] = line
            # What is stored speaks first, then what stands above in the same file.
            fates[line] = self._against(before, one) or self._against((self.taken, self.people, self.holders), one)
            if fates[line] is None:
                key, person, nik_key = self._keys(one)
                self.taken[key] = content
                self.people[one["participant_id"]] = person
                self.holders[nik_key] = one["participant_id"]
        return fates

    @staticmethod
    def _keys(one: dict[str, Any]) -> tuple[Any, Any, Any]:
        return (
            (one["period"], one["participant_id"]),
            (one["nik"], one["partner"], one["account"]),
            (one["period"], one["nik"]),
        )

    def _against(self, state: tuple[Any, Any, Any], one: dict[str, Any]) -> str | None:
        taken, people, holders = state
        key, person, nik_key = self._keys(one)
        if key in taken:
            return "repeat" if taken[key] == tuple(one.values()) else "incentive_conflict"
        if people.get(one["participant_id"], person) != person:
            return "participant_conflict"
        if holders.get(nik_key, one["participant_id"]) != one["participant_id"]:
            return "nik_duplicate"
        return None


async def test_the_same_key_and_body_give_the_first_answer_and_another_body_is_refused(api: Api) -> None:
    body = as_csv([row(1)])
    first = await api.submit(body)
    before = await api.state()
    again = await api.submit(body)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"] == f"/v1/batches/{first.json()['batch_id']}"
    other = await api.submit(as_csv([row(2)]))
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert await api.state() == before


async def test_a_race_of_equal_batches_stores_one(api: Api) -> None:
    body = as_csv([row(n) for n in range(1, 40)])
    replies = await asyncio.gather(*(api.submit(body, key="race") for _ in range(4)))
    assert {r.status_code for r in replies} == {201}
    assert len({r.text for r in replies}) == 1, "one key, one answer"
    assert (await api.fetch("SELECT count(*) FROM incentives"))[0][0] == 39
    replies = await asyncio.gather(*(api.submit(body, key=f"other-{n}") for n in range(4)))
    assert {(r.json()["rows_accepted"], r.json()["rows_repeated"]) for r in replies} == {(0, 39)}


async def test_a_race_of_overlapping_batches_accepts_each_row_once(api: Api) -> None:
    bodies = [as_csv([row(n) for n in range(start, start + 30)]) for start in (1, 11, 21)]
    replies = await asyncio.gather(*(api.submit(body, key=f"k{n}") for n, body in enumerate(bodies)))
    assert sum(r.json()["rows_accepted"] for r in replies) == 50
    assert sum(r.json()["rows_repeated"] for r in replies) == 40


async def test_an_upload_that_breaks_off_leaves_nothing(api: Api) -> None:
    body = as_csv([row(n) for n in range(1, 9_000)])
    before = await api.state()

    async def broken() -> AsyncIterator[bytes]:
        for start in range(0, len(body) // 2, 65_536):
            yield body[start : start + 65_536]
        raise ConnectionResetError

    assert (await api.submit(broken())).status_code >= 500
    assert await api.state() == before
    whole = await api.submit(body)
    assert (whole.status_code, whole.json()["rows_accepted"]) == (201, 8_999)


async def test_two_others_approve_exactly_this_content(api: Api) -> None:
    batch = (await api.submit(as_csv([row(1), row(2)]))).json()
    own = await api.call(
        "POST", f"/v1/batches/{batch['batch_id']}/approvals",
        json={"decision": "approve", "content_root": batch["content_root"]},
    )  # fmt: skip
    assert own.status_code == 403
    other_root = await api.decide(batch, "one", content_root="0" * 64)
    assert (other_root.status_code, other_root.json()["code"]) == (409, "content_root_differs")
    first = (await api.decide(batch, "one")).json()
    assert (first["state"], first["approvals_missing"]) == ("awaiting_approval", 1)
    before = await api.state()
    again = (await api.decide(batch, "one")).json()
    assert (again["state"], again["approvals_missing"]) == ("awaiting_approval", 1), "one client counts once"
    assert await api.state() == before
    assert not (await api.fetch("SELECT bool_or(approved) FROM incentives"))[0][0]
    second = (await api.decide(batch, "two")).json()
    assert (second["state"], second["approvals_missing"]) == ("approved", 0)
    assert (await api.fetch("SELECT bool_and(approved) FROM incentives"))[0][0]
    late = await api.decide(batch, "three", "reject")
    assert (late.status_code, late.json()["code"]) == (409, "batch_decided")
    types = [e["type"] for e in (await api.call("GET", "/v1/events")).json()["events"]]
    assert [kind for kind in types if kind.startswith("batch.")] == ["batch.received", "batch.approved"]
    audited = await api.fetch("SELECT actor, action FROM audit_log WHERE subject = $1 ORDER BY seq", batch["batch_id"])
    assert [tuple(r) for r in audited] == [("one", "batch.approve"), ("two", "batch.approve")]


async def test_a_maker_with_the_approvers_scope_still_may_not(api: Api) -> None:
    async with api.core.resources.database.connection() as connection:
        await connection.execute(
            "UPDATE access_tokens SET scopes = scopes || 'batches:approve'::text WHERE client_id = $1", api.ids["maker"]
        )
    api.core.clients.forget()
    batch = (await api.submit(as_csv([row(1)]))).json()
    reply = await api.decide(batch, "maker")
    assert (reply.status_code, reply.json()["code"]) == (403, "own_batch")


async def test_approvals_race_to_exactly_one_decision(api: Api) -> None:
    batch = (await api.submit(as_csv([row(1)]))).json()
    replies = await asyncio.gather(
        api.decide(batch, "one"), api.decide(batch, "two"), api.decide(batch, "three", "reject")
    )
    state = (await api.call("GET", f"/v1/batches/{batch['batch_id']}")).json()["state"]
    assert state in ("approved", "rejected")
    types = [e["type"] for e in (await api.call("GET", "/v1/events")).json()["events"]]
    assert len([kind for kind in types if kind.startswith("batch.")]) == 2
    assert {r.status_code for r in replies} <= {200, 409}


async def test_a_rejected_batch_is_cancelled_and_may_come_again(api: Api) -> None:
    batch = (await api.submit(as_csv([row(1)]))).json()
    rejected = (await api.decide(batch, "one", "reject")).json()
    assert rejected["state"] == "rejected"
    assert [r["stage"] for r in await api.fetch("SELECT stage FROM incentives")] == ["cancelled"]
    again = (await api.submit(as_csv([row(1, amount_rupiah=700_000)]), key="k2")).json()
    assert (again["rows_accepted"], again["rows_rejected"]) == (1, 0)


async def test_anybody_with_the_file_computes_the_root_of_rfc_9162(api: Api) -> None:
    rows = [row(n, **({"full_name": " Dewi\u00a0Ayu"} if n == 3 else {})) for n in range(1, 8)]
    batch = (await api.submit(as_csv([*rows, row(9, nik="1")]))).json()
    key = bytes.fromhex(batch["content_key"])
    rows[2]["full_name"] = "Dewi Ayu"
    leaves = [hmac.digest(key, "\x1f".join(str(r[name]) for name in COLUMNS).encode(), "sha256") for r in rows]

    def root(part: list[bytes]) -> bytes:
        if len(part) == 1:
            return hashlib.sha256(b"\0" + part[0]).digest()
        split = 1 << (len(part) - 1).bit_length() - 1
        return hashlib.sha256(b"\1" + root(part[:split]) + root(part[split:])).digest()

    assert batch["content_root"] == root(leaves).hex()
    path = f"/v1/batches/{batch['batch_id']}"
    keys = {role: (await api.call("GET", path, role=role)).json()["content_key"] for role in ("one", "reader")}
    assert keys == {"one": batch["content_key"], "reader": None}, "for those that have the file"
    stored = await api.fetch("SELECT b::text AS line FROM batches b")
    assert batch["content_key"] not in stored[0]["line"], "the key is sealed"
    other = (await api.submit(as_csv([row(n) for n in range(7, 0, -1) if n != 3]), key="k2")).json()
    assert (other["rows_repeated"], other["state"]) == (6, "empty")
    assert other["content_root"] == hashlib.sha256().hexdigest()


async def test_new_incentives_have_the_participants_facts(api: Api) -> None:
    await api.submit(as_csv([row(1)]))
    now = api.core.resources.clock.now()
    async with api.core.resources.database.connection() as connection:
        await connection.execute(
            "UPDATE participants SET link_active = true, verified = true, verified_until = $1, facts_at = $2",
            now + timedelta(days=90),
            now,
        )
    await api.submit(as_csv([row(1, period="2")]), key="k2")
    assert [r["stage"] for r in await api.fetch("SELECT stage FROM incentives ORDER BY id")] == ["scheduled"] * 2


async def test_results_as_streams_and_pages(api: Api) -> None:
    rows = [row(n) for n in range(1, 30)] + [row(40, nik="1")]
    batch = (await api.submit(as_csv(rows))).json()
    url = batch["results_url"]
    ndjson = await api.call("GET", url, headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line)["line"] for line in ndjson.text.splitlines()] == list(range(2, 32))
    table = list(csv.DictReader(io.StringIO((await api.call("GET", url, headers={"Accept": "text/csv"})).text)))
    assert table[-1]["code"] == "nik_invalid"
    assert table[0]["stage"] == "awaiting_link"
    lines, cursor = [], None
    while True:
        page = (await api.call("GET", url, params={"limit": 7} | ({"cursor": cursor} if cursor else {}))).json()
        lines += [r["line"] for r in page["rows"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert lines == list(range(2, 32))


@pytest.mark.parametrize("number", ["=1+1|x", "@SUM(A1)", "-2+3+cmd", "20261129000417"])
async def test_no_number_of_a_partner_is_computed_by_who_opens_the_results_as_a_sheet(api: Api, number: str) -> None:
    """A partner gives its payments the numbers that it likes; a program reads them as they are."""
    batch = (await api.submit(as_csv([row(1)]))).json()
    await api.fetch(
        "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
        " created_at, updated_at) SELECT 'L1', id, 'maker', partner, '', '', 'active', '', now(), now()"
        " FROM participants"
    )
    await api.fetch(
        "INSERT INTO payouts (id, reference, partner_reference, incentive, participant, link_id, partner,"
        " amount_rupiah, state, created_at, updated_at, ended_at) SELECT 1, '1', $1, id, participant, 'L1', partner,"
        " amount_rupiah, 'succeeded', now(), now(), now() FROM incentives",
        number,
    )
    await api.fetch("UPDATE incentives SET payout = 'succeeded'")
    sheet = await api.call("GET", batch["results_url"], headers={"Accept": "text/csv"})
    (line,) = csv.DictReader(io.StringIO(sheet.text))
    assert line["partner_reference"] == (number if number.isdigit() else f"'{number}")
    assert (line["participant_id"], line["amount_rupiah"], line["field"]) == ("P00000001", "600000", "")
    for kind in ("application/x-ndjson", "application/json"):
        assert json.dumps(number) in (await api.call("GET", batch["results_url"], headers={"Accept": kind})).text


async def test_an_upload_that_falls_silent_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_routes, "_SILENCE_S", 0.05)
    before = await api.state()

    async def silent() -> AsyncIterator[bytes]:
        yield as_csv([row(1)])
        await asyncio.Event().wait()

    reply = await api.submit(silent())
    assert (reply.status_code, reply.json()["code"]) == (408, "upload_stalled")
    assert await api.state() == before
