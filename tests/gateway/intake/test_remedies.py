"""A remedy never leads to another refusal: each is followed as it stands, and the row is taken."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from contracts.batch import COLUMNS, PERSON, RowCode
from tests.gateway.api.kit import Api, as_csv, nik, row

OTHER: dict[str, Any] = {
    "nik": nik(40), "full_name": "Dewi L.", "phone": "+6281200000040", "partner": "bni", "account": "0000000040",
}  # fmt: skip
_CALL = re.compile(r"(PUT|POST) (/v1/[a-z_/{}-]+)")

PLAIN: dict[str, tuple[RowCode, dict[str, Any]]] = {
    "phone with a leading zero": (RowCode.FIELD_INVALID, {"phone": "081234567890"}),
    "another partner's account": (RowCode.FIELD_INVALID, {"partner": "bni", "account": "+6281234567890"}),
    "a period with a leading zero": (RowCode.FIELD_INVALID, {"period": "01"}),
    "an unknown partner": (RowCode.PARTNER_UNKNOWN, {"partner": "danna"}),
    "an amount with a point": (RowCode.AMOUNT_INVALID, {"amount_rupiah": "600.000"}),
    "an amount of nothing": (RowCode.AMOUNT_INVALID, {"amount_rupiah": "0"}),
    "a date of another order": (RowCode.DATE_INVALID, {"due_on": "05/01/2026"}),
    "a deadline before the due date": (RowCode.DATE_INVALID, {"deadline_on": "2025-01-01"}),
    "a purpose in capitals": (RowCode.PURPOSE_UNKNOWN, {"purpose": "Training"}),
    "a programme that is misspelt": (RowCode.PROGRAMME_UNKNOWN, {"programme": "Prakerja-2026-1"}),
    "a programme that is new": (RowCode.PROGRAMME_UNKNOWN, {"programme": "entirely-new"}),
    "an empty cell": (RowCode.FIELD_MISSING, {"full_name": ""}),
    "a NIK that is too short": (RowCode.NIK_INVALID, {"nik": "31740101"}),
    "a NIK that a spreadsheet rounded": (RowCode.DIGITS_LOST, {"nik": "3.17401E+15"}),
    "an id with a blank": (RowCode.FIELD_INVALID, {"participant_id": "P 1"}),
}
"""By what is wrong: a field that is refused for what it says."""


async def _rejected(api: Api, line: dict[str, Any], key: str) -> dict[str, Any] | None:
    """The only line's result, or None once it is taken."""
    batch = (await api.submit(as_csv([line]), key=key)).json()
    rows = (await api.call("GET", batch["results_url"] + "?outcome=rejected")).json()["rows"]
    return rows[0] if rows else None


def _form(fault: dict[str, Any], good: dict[str, Any]) -> Any:
    """What the remedy says to write, taken from its words where it gives an example."""
    said, field = fault["remedy"]["en"], fault["field"]
    match RowCode(fault["code"]):
        case RowCode.PARTNER_UNKNOWN:
            return re.findall(r"[a-z]+", said.partition(":")[2])[-1]
        case RowCode.PURPOSE_UNKNOWN | RowCode.PROGRAMME_UNKNOWN:
            return re.search(r"nearest: ([a-z0-9-]+)\.", said)[1]  # type: ignore[index]
        case RowCode.AMOUNT_INVALID:
            low, high = re.findall(r"[0-9]+", said)
            return min(int(high), max(int(low), 600_000))
        case RowCode.DATE_INVALID if field == "due_on":
            return re.search(r"\d{4}-\d{2}-\d{2}", said)[0]  # type: ignore[index]
        case RowCode.FIELD_INVALID if field in ("phone", "account"):
            return re.search(r"(\+?[0-9]{9,})\.$", said)[1]  # type: ignore[index]
        case RowCode.FIELD_INVALID if field == "period":
            return re.search(r"zeros: ([0-9]+),", said)[1]  # type: ignore[index]
    return good[field]


@pytest.mark.parametrize("wrong", PLAIN)
async def test_a_field_written_as_its_remedy_says_is_taken(api: Api, wrong: str) -> None:
    code, changes = PLAIN[wrong]
    line = row(1) | changes
    for tries in range(3):
        refused = await _rejected(api, line, f"k{tries}")
        if refused is None:
            break
        assert tries or code.value in {fault["code"] for fault in refused["faults"]}
        for fault in refused["faults"]:
            told = fault["remedy"]["en"]
            if wrong == "a programme that is new" and (call := _CALL.search(told)):
                body = {"programme": line["programme"], "purposes": [line["purpose"]]}
                assert (await api.call(call[1], call[2], role="operator", json=body)).status_code == 200
            else:
                line[fault["field"]] = _form(fault, row(1))
    assert refused is None, refused


async def _as_known(api: Api) -> None:
    await api.submit(as_csv([row(1)]), key="known")


async def _paid(api: Api) -> None:
    await _as_known(api)
    await _set(api, "payout = 'succeeded', payouts = 1, approved = true")


async def _held_by_another(api: Api) -> None:
    await api.submit(as_csv([row(2, nik=nik(1))]), key="known")


async def _held_by_another_who_was_paid(api: Api) -> None:
    await _held_by_another(api)
    await _set(api, "payout = 'succeeded', payouts = 1, approved = true")


async def _set(api: Api, facts: str) -> None:
    async with api.core.resources.database.connection() as connection:
        await connection.execute(f"UPDATE incentives SET {facts}")


Before = Callable[[Api], Awaitable[None]]


async def _of_another_organisation(api: Api) -> None:
    await _as_known(api)
    async with api.core.resources.database.connection() as connection:
        await connection.execute("ALTER TABLE participants DISABLE TRIGGER participants_stay_theirs")
        await connection.execute("UPDATE participants SET organisation = 'elsewhere'")


CONFLICTS: dict[str, tuple[RowCode, Before, dict[str, Any], list[str]]] = {
    "another person under the id": (
        RowCode.PARTICIPANT_CONFLICT, _as_known, {"period": "2"} | OTHER, ["nik", "partner", "account"],
    ),
    "another NIK of somebody who was paid": (
        RowCode.PARTICIPANT_CONFLICT, _paid, {"period": "2", "nik": nik(40)}, ["nik"],
    ),
    "another account of somebody who was paid": (
        RowCode.PARTICIPANT_CONFLICT, _paid, {"period": "2", "account": "+6281200000040"}, ["account"],
    ),
    "the instalment with another person": (RowCode.INCENTIVE_CONFLICT, _as_known, OTHER, list(PERSON)),
    "the instalment with another name": (RowCode.INCENTIVE_CONFLICT, _as_known, {"full_name": "Dewi"}, ["full_name"]),
    "the instalment with another amount": (
        RowCode.INCENTIVE_CONFLICT, _as_known, {"amount_rupiah": 500_000, "due_on": "2026-01-06"},
        ["amount_rupiah", "due_on"],
    ),
    "the instalment with another amount and person": (
        RowCode.INCENTIVE_CONFLICT, _as_known, {"amount_rupiah": 500_000} | OTHER, [*PERSON, "amount_rupiah"],
    ),
    "the NIK of another": (RowCode.NIK_DUPLICATE, _held_by_another, {}, ["nik"]),
    "the NIK of another who was paid": (RowCode.NIK_DUPLICATE, _held_by_another_who_was_paid, {}, ["nik"]),
    "an id of another organisation": (
        RowCode.PARTICIPANT_TAKEN, _of_another_organisation, {"nik": nik(40)}, ["participant_id"],
    ),
    "the instalment that is paid": (RowCode.INSTALMENT_PAID, _paid, {"amount_rupiah": 1}, ["amount_rupiah"]),
}  # fmt: skip


async def _follow(api: Api, fault: dict[str, Any], line: dict[str, Any]) -> None:
    """Every call that the remedy names, in its order."""
    told = fault["remedy"]["en"]
    for method, path in _CALL.findall(told):
        if method == "PUT":
            held = re.search(r"participant (\w+), incentive", told)
            body = {"nik": nik(41)} if held else {name: line[name] for name in fault["fields"] if name in PERSON}
            if "partner" in body:
                body["account"] = line["account"]
            whose = path.format(participant_id=held[1] if held else line["participant_id"])
            reply = await api.call("PUT", whose, json=body)
            if reply.status_code == 202:
                assert "two people" in told or held
                reply = await api.call("PUT", whose, role="one", json={"nik": body["nik"]})
            assert reply.status_code == 200, reply.text
        else:
            incentive = re.search(r"incentive ([0-9]+)", told)
            assert incentive is not None, told
            assert (await api.call(method, path.format(incentive_id=incentive[1]))).status_code == 200


@pytest.mark.parametrize("met", CONFLICTS)
@pytest.mark.parametrize("single", [False, True])
async def test_a_conflict_answered_as_its_remedy_says_is_one_no_more(api: Api, met: str, single: bool) -> None:
    code, before, changes, fields = CONFLICTS[met]
    await before(api)
    line = row(1) | changes
    if single:
        reply = await api.call("POST", "/v1/incentives", key="k0", json=line)
        assert reply.status_code == 409
        refused, told = reply.json(), reply.text
    else:
        refused = await _rejected(api, line, "k0") or {}
        told = str(refused)
    (fault,) = refused["faults"]
    assert (refused["code"], fault["code"], fault["fields"]) == (code.value, code.value, fields)
    assert not any(str(line[name]) in told for name in ("nik", "full_name", "phone", "account"))
    if code is RowCode.INSTALMENT_PAID:
        assert "take the row out" in fault["remedy"]["en"]
        return
    if code is RowCode.PARTICIPANT_TAKEN:
        assert "use another one" in fault["remedy"]["en"]
        line["participant_id"] = f"ours-{line['participant_id']}"
    await _follow(api, fault, line)
    if single:
        assert (await api.call("POST", "/v1/incentives", key="k1", json=line)).status_code == 201
    else:
        assert await _rejected(api, line, "k1") is None


async def test_two_lines_of_one_file_that_contradict_each_other_say_in_what(api: Api) -> None:
    lines = [row(1), row(1, period="2") | OTHER, row(1, amount_rupiah=5), row(3, nik=nik(1))]
    batch = (await api.submit(as_csv(lines), key="k")).json()
    found = (await api.call("GET", batch["results_url"] + "?outcome=rejected")).json()["rows"]
    assert [(r["line"], r["code"], r["faults"][0]["fields"]) for r in found] == [
        (3, "participant_conflict", list(PERSON)),
        (4, "incentive_conflict", ["amount_rupiah"]),
        (5, "nik_duplicate", ["nik"]),
    ]
    assert all("line 2" in r["faults"][0]["remedy"]["en"] for r in found)


def test_every_code_of_a_row_is_walked() -> None:
    of_the_text = {
        RowCode.ROW_MALFORMED, RowCode.ENCODING_INVALID, RowCode.COLUMN_UNKNOWN, RowCode.KEY_REPEATED,
    }  # fmt: skip
    walked = {code for code, *_ in (*PLAIN.values(), *CONFLICTS.values())}
    assert walked | of_the_text == set(RowCode)


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("{head}\n{line},x\n", "text/csv", RowCode.ROW_MALFORMED),
        ("{head}\n{latin}\n", "text/csv", RowCode.ENCODING_INVALID),
        ('{{"note":1,{json}\n', "application/x-ndjson", RowCode.COLUMN_UNKNOWN),
        ('{{"nik":"1",{json}\n', "application/x-ndjson", RowCode.KEY_REPEATED),
    ],
)
async def test_a_line_that_cannot_be_read_says_which_text_would_be(
    api: Api, text: str, kind: str, code: RowCode
) -> None:
    good = row(1, full_name="José")
    line = ",".join(str(good[name]) for name in COLUMNS)
    body = text.format(head=",".join(COLUMNS), line=line, latin=line, json=json.dumps(good)[1:])
    encoded = body.encode("cp1252" if code is RowCode.ENCODING_INVALID else "utf-8")
    batch = (await api.submit(encoded, key="k", kind=kind)).json()
    (refused,) = (await api.call("GET", batch["results_url"] + "?outcome=rejected")).json()["rows"]
    (fault,) = refused["faults"]
    assert fault["code"] == code.value
    told = fault["remedy"]["en"]
    if code is RowCode.ENCODING_INVALID:
        mended = body.encode("utf-8") if "UTF-8" in told else b""
    elif code is RowCode.ROW_MALFORMED:
        mended = f"{','.join(COLUMNS)}\n{line}\n".encode() if "exactly the columns" in told else b""
    else:
        assert "note" in told or fault["field"] == "nik"
        mended = (json.dumps(good) + "\n").encode()
    assert (await api.submit(mended, key="k2", kind=kind)).json()["rows_accepted"] == 1
