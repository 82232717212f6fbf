"""An incentive's record, signed: whole, without a word of who the person is, and checked by others without us."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.errors import CallerError, InvalidRequest, NotFound
from gateway.security.vault import Vault
from gateway.services.ops.bundle import Bundles, check, public_key
from gateway.services.ops.exposure import Exposures
from gateway.storage.ops import audit
from tests.gateway.payouts.town import Town, open_town, phone_of
from tests.gateway.program import run


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    async with open_town(database) as opened:
        yield opened


async def paid(town: Town) -> int:
    """An incentive that was approved by two, consented to, checked and paid."""
    town.partner()
    person = await town.person()
    incentive = await town.incentive(person)
    worker = town.worker()
    for leased in await worker.claim("fake", 1):
        await worker.send(leased)
    await town.execute(
        "INSERT INTO consents (link_id, text_version, channel, at) SELECT id, 'v1', 'page', created_at FROM links"
    )
    return incentive


async def test_the_record_is_whole_and_holds_nobodys_data(town: Town, tmp_path: Path) -> None:
    incentive = await paid(town)
    made = await Bundles(town.database, town.clock, town.vault).make(incentive, "auditor")
    record = made.record
    assert [row["person"] for row in record["approved"]] == ["ann", "bob"]
    assert (record["incentive"]["stage"], record["handed_over"][0]["client_id"]) == ("paid", "c")
    assert record["consented"][0]["text_version"] == "v1"
    assert [row["kind"] for row in record["booked"]] == ["reserve", "settle"]
    assert record["came_back"][-1]["kind"] == "succeeded"
    text = msgspec.json.encode(made)
    for value in (town.account("fake", 1), phone_of(1), "Name 1", "token-1"):
        assert value.encode() not in text.replace(record["payouts"][0]["reference"].encode(), b"")
    file = tmp_path / "bundle.json"
    file.write_bytes(msgspec.json.format(text, indent=2))
    said = run("audit", "check", str(file), "--key", public_key(town.vault))
    assert f"incentive {incentive}, paid" in said and "approved     2" in said, "without store and settings"
    read = await town.fetch("SELECT actor FROM audit_log WHERE action = 'audit.bundle'")
    assert [row["actor"] for row in read] == ["auditor"]
    with pytest.raises(NotFound):
        await Bundles(town.database, town.clock, town.vault).make(incentive + 1, "auditor")


def _each(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a value of the record stands: every one that is no list and no object."""
    if isinstance(value, dict):
        return [one for name, inner in value.items() for one in _each(inner, (*path, name))]
    if isinstance(value, list):
        return [one for at, inner in enumerate(value) for one in _each(inner, (*path, at))]
    return [path]


def _changed(record: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    copy = json.loads(json.dumps(record))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = change(inner[path[-1]])
    return copy


async def test_whatever_is_changed_shows(town: Town) -> None:
    made = await Bundles(town.database, town.clock, town.vault).make(await paid(town), "auditor")
    key, record = public_key(town.vault), made.record

    def bundled(what: Any, signature: str = made.signature) -> bytes:
        return json.dumps({"record": what, "signature": signature}).encode()

    assert check(bundled(record), key) == record, "in any spelling of the same"
    places = _each(record)
    assert len(places) > 60
    for path in places:
        with pytest.raises(InvalidRequest):
            check(bundled(_changed(record, path, lambda value: f"{value}x")), key)
    for what in (record | {"approved": record["approved"][:1]}, record | {"more": 1}, {}):
        with pytest.raises(InvalidRequest):
            check(bundled(what), key)
    with pytest.raises(InvalidRequest):
        check(bundled(record), public_key(Vault(b"x" * 32)))
    for text, with_key in ((b"", key), (b"{}", key), (bundled(record), "no key"), (bundled(record, "AAAA"), key)):
        with pytest.raises(InvalidRequest):
            check(text, with_key)


async def test_others_check_it_as_the_document_says(town: Town) -> None:
    """docs/runbook.md, with nothing of ours but the text."""
    made = await Bundles(town.database, town.clock, town.vault).make(await paid(town), "auditor")
    given = json.loads(msgspec.json.encode(made))
    canonical = json.dumps(given["record"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key(town.vault)))
    key.verify(base64.b64decode(given["signature"]), b"prakerja-gateway audit bundle\n" + canonical)


async def test_whose_data_somebody_saw(town: Town, tmp_path: Path) -> None:
    exposures, now = Exposures(town.database), town.clock.now()
    before, later = now - timedelta(hours=1), now + timedelta(hours=1)
    await town.execute(
        "INSERT INTO clients (id, name, secret_hash, scopes, created_at, organisation) VALUES"
        " ('core', 'core', '', '{read}', now(), 'ours'), ('op-ani', 'ani', '', '{read}', now(), NULL)"
    )
    for _ in range(3):
        await town.person()
    people = await town.fetch("SELECT participant_id FROM participants ORDER BY id")
    names = [row["participant_id"] for row in people]
    await town.execute("UPDATE participants SET created_at = $1", now)
    looks = [("op-ani", names[0], now), ("op-ani", names[0], now + timedelta(minutes=5)), ("op-ani", names[1], later),
             ("op-budi", names[2], now)]  # fmt: skip
    async with town.database.connection() as connection:
        for actor, name, at in looks:
            await audit.record(connection, at, actor, "participant.read", name, {})
        await audit.record(connection, now, "op-ani", "batch.approve", names[2], {})
        await audit.record(connection, now, "op-ani", "participant.search", "ops", {"by": ["niks"], "found": 0})
    file = tmp_path / "told.txt"
    found = await exposures.of("op-ani", before, later, actor="dewi", now=now, into=file)
    assert [(one.participant_id, one.times) for one in found.seen] == [(names[0], 2)], "before the end of the time"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (found.reach.organisation, found.within_reach) == (None, 3) and file.read_text().split() == names
    ours = await exposures.of("core", before, later, actor="dewi", now=now, into=None)
    assert (ours.within_reach, ours.seen) == (0, []), "nobody is of its organisation"
    assert (await exposures.of("op-ani", before, now, actor="dewi", now=now, into=None)).within_reach == 0
    for wrong, into in (("op-ani", file), ("nobody", None)):
        with pytest.raises(CallerError):
            await exposures.of(wrong, before, later, actor="dewi", now=now, into=into)
    asked = await town.fetch(
        "SELECT subject FROM audit_log WHERE action = 'audit.seen' AND actor = 'dewi' ORDER BY seq"
    )
    assert [row["subject"] for row in asked] == ["op-ani", "core", "op-ani"]
