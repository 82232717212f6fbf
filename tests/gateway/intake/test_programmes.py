"""One instalment, one spelling."""

from __future__ import annotations

import asyncio
from importlib import resources

import asyncpg
import pytest

from tests.gateway.api.kit import Api, as_csv, row
from tests.turns import in_turn

REGISTERED = {"programme": "prakerja-2026-2", "purposes": ["training", "survey"]}


async def test_one_instalment_in_other_spellings_is_paid_once(api: Api) -> None:
    spellings = [
        {"purpose": "Training"}, {"period": "01"}, {"programme": "Prakerja-2026-1"}, {"purpose": "traning"},
        {"period": "1.0"}, {"programme": "prakerja-2026-1 "}, {"period": "+1"}, {"purpose": "pelatihan"},
    ]  # fmt: skip
    batch = (await api.submit(as_csv([row(1), *(row(1) | other for other in spellings)]))).json()
    # A space around a cell is cleaned, so that row is the first one again.
    assert (batch["rows_accepted"], batch["rows_rejected"], batch["rows_repeated"]) == (1, 7, 1)
    found = (await api.call("GET", batch["results_url"], params={"outcome": "rejected"})).json()["rows"]
    assert [(r["code"], r["field"]) for r in found] == [
        ("purpose_unknown", "purpose"), ("field_invalid", "period"), ("programme_unknown", "programme"),
        ("purpose_unknown", "purpose"), ("field_invalid", "period"), ("field_invalid", "period"),
        ("purpose_unknown", "purpose"),
    ]  # fmt: skip
    remedies = [r["faults"][0]["remedy"]["en"] for r in found]
    assert "nearest: training" in remedies[0] and "nearest: training" in remedies[3]
    assert "nearest: prakerja-2026-1" in remedies[2]
    single = await api.call("POST", "/v1/incentives", key="s1", json=row(2, purpose="Training"))
    assert (single.status_code, single.json()["code"]) == (422, "purpose_unknown")


async def test_what_a_remedy_says_to_register_is_taken_then(api: Api) -> None:
    rows = as_csv([row(1, programme="prakerja-2026-2")])
    assert (await api.submit(rows)).json()["rows_accepted"] == 0
    made = await api.call("POST", "/v1/programmes", json=REGISTERED)
    assert (made.status_code, made.json()) == (200, REGISTERED | {"purposes": ["survey", "training"]})
    assert (await api.submit(rows, key="k2")).json()["rows_accepted"] == 1
    before = await api.state()
    assert (await api.call("POST", "/v1/programmes", json=REGISTERED)).status_code == 200
    assert await api.state() == before, "registering again changes nothing"
    listed = (await api.call("GET", "/v1/programmes", role="one")).json()["programmes"]
    assert REGISTERED | {"purposes": ["survey", "training"]} in listed
    more = await api.call("POST", "/v1/programmes", json=REGISTERED | {"purposes": ["bonus"]})
    assert more.json()["purposes"] == ["bonus", "survey", "training"]


@in_turn("slug", ["Training", "a b", "-a", "a--b", "a_b", "é", "1" * 16, "x-" + "1" * 16, "a" * 65])
async def test_only_slugs_are_registered(api: Api, slug: str) -> None:
    for body in ({"programme": slug, "purposes": ["training"]}, {"programme": "p", "purposes": [slug]}):
        reply = await api.call("POST", "/v1/programmes", json=body)
        assert reply.status_code == 422, slug
    assert (await api.call("POST", "/v1/programmes", role="reader", json=REGISTERED)).status_code == 403


ALIKE = {
    "prakerja-2026-1": ("prakerja-2026-01", "prakerja2026-1", "pra-kerja-2026-1", "prakerja-02026-1"),
    "prakerja-2026-11": ("prakerja-2026-011",),
    "a1": ("a-1", "a-01"),
}
APART = ("prakerja-20261", "prakerja-2026", "prakerja-2026-1-1", "prakerja-2026-2", "prakerja-2026-10", "prakerja-1a")


async def test_another_spelling_of_what_is_registered_is_not_registered_beside_it(api: Api) -> None:
    """Whoever was paid under the one would be paid once more under the other, and no approver would see it."""
    for slug in (*ALIKE, *APART):
        made = await api.call("POST", "/v1/programmes", json={"programme": slug, "purposes": ["training", "survey-1"]})
        assert made.status_code == 200, made.text
    before = await api.state()
    for slug, spellings in ALIKE.items():
        for other in spellings:
            reply = await api.call("POST", "/v1/programmes", json={"programme": other, "purposes": ["training"]})
            assert (reply.status_code, reply.json()["code"]) == (409, "slug_alike"), other
            assert slug in reply.json()["remedy"]
        for purposes in (["survey-01"], ["survey1"], ["bonus-1", "bonus1"]):
            reply = await api.call("POST", "/v1/programmes", json={"programme": slug, "purposes": purposes})
            assert (reply.status_code, reply.json()["code"]) == (409, "slug_alike"), purposes
    assert await api.state() == before
    more = {"programme": "a1", "purposes": ["training", "survey-2"]}
    assert (await api.call("POST", "/v1/programmes", json=more)).status_code == 200


async def test_two_who_register_two_spellings_at_once_register_one(api: Api) -> None:
    bodies = [{"programme": slug, "purposes": ["training"]} for slug in ("once-1", "once-01", "once1", "on-ce-1")]
    replies = await asyncio.gather(*(api.call("POST", "/v1/programmes", json=body) for body in bodies))
    assert sorted(reply.status_code for reply in replies) == [200, 409, 409, 409]


async def test_one_that_was_registered_beside_its_like_before_has_further_purposes(api: Api) -> None:
    one = "registered_by, registered_at FROM programmes LIMIT 1"
    await api.fetch(f"INSERT INTO programmes SELECT 'prakerja-2026-01', {one}")
    for slug in ("prakerja-2026-01", "prakerja-2026-1"):
        made = await api.call("POST", "/v1/programmes", json={"programme": slug, "purposes": ["bonus"]})
        assert made.status_code == 200, made.text


async def test_spellings_from_before_become_one_or_are_named(api: Api) -> None:
    text = (resources.files("gateway.storage.base") / "schema" / "0023_programmes.sql").read_text()
    moves = text[text.index("CREATE OR REPLACE FUNCTION pg_temp") :]
    await api.submit(as_csv([row(1), row(2, period="2"), row(3, programme="a")]))
    async with api.core.resources.database.connection() as connection:
        await connection.execute("DELETE FROM purposes; DELETE FROM programmes")
        await connection.execute(
            "UPDATE incentives SET purpose = 'Training', period = '0' || period, content_hash = sha256(id::text::bytea)"
        )
        async with connection.transaction():
            await connection.execute(moves)
        rows = await connection.fetch("SELECT programme, purpose, period FROM incentives ORDER BY id")
        assert [tuple(r) for r in rows] == [
            ("prakerja-2026-1", "training", "1"), ("prakerja-2026-1", "training", "2"), ("a", "training", "1"),
        ]  # fmt: skip
        known = await connection.fetch("SELECT programme, purpose FROM purposes ORDER BY 1, 2")
        assert [tuple(r) for r in known] == [("a", "training"), ("prakerja-2026-1", "training")]
        # Two that both stand: which one goes is for people to say.
        await connection.execute("DELETE FROM purposes; DELETE FROM programmes")
        await connection.execute("UPDATE incentives SET participant_id = 'P00000001', period = '01' WHERE id = 2")
        with pytest.raises(asyncpg.RaiseError, match="incentives 1 and 2"):
            await connection.execute(moves)
        await connection.execute("UPDATE incentives SET cancelled = true WHERE id = 2")
        async with connection.transaction():
            await connection.execute(moves)
