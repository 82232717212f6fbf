"""The cassettes that are shipped: nothing private in them, still true of adapter and mock; and what a difference is."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

import msgspec
import pytest

from contracts.partner import Partner
from contracts.plan import Response
from gateway.workbench import cassette as kept_form
from gateway.workbench.cassette import Cassette, Kept, encode, keep, replay, replies
from gateway.workbench.compare import Difference, differences
from gateway.workbench.hiding import Hider, is_hidden
from gateway.workbench.operations import OPERATIONS, declared
from tests.contract.cassettes import FOLDER, cassette_now, cassette_of, signed_again
from tests.contract.stage import NIK, PIN, Stage
from tests.partners import each

MOST_BYTES = 40_000
SIXTEEN = re.compile(r"(?<![0-9])[0-9]{16}(?![0-9])")
PHONE = re.compile(r"(?<![0-9])(?:\+?62|0)8[0-9]{7,12}(?![0-9])")
OPAQUE = re.compile(r"[A-Za-z0-9+/=_.-]{40,}")


def private(slug: str) -> set[str]:
    """Everything that the mock's holders, its sandbox and its client call their own."""
    known = importlib.import_module(f"mock_partners.{slug}").CREDENTIALS
    accounts = [value for listed in known["test_accounts"] for name, value in listed.items() if name not in PUBLIC]
    phones = [value.removeprefix("+62") for value in accounts if value.startswith("+62")]
    wanted = Stage(importlib.import_module(f"adapters.{slug}").PARTNER).manifest.credentials
    keys = [
        value for name, value in known["credentials"].items() if wanted[name].secret or wanted[name].default is None
    ]
    return {value for value in (*accounts, *phones, *keys) if len(value) > 5}


PUBLIC = ("kyc", "status", "shows")


def leaks(text: str, slug: str) -> list[str]:
    """What of it a cassette holds, and what looks like a NIK, card, phone, token or signature and is no stand-in."""
    found = [value for value in private(slug) if value in text]
    found += [digits for digits in SIXTEEN.findall(text) if not digits.startswith(("317401010190", "0000000000"))]
    found += [phone for phone in PHONE.findall(text) if "8990000" not in phone]
    paths = r'"(target|signed)": "[^"]*"'
    return found + [text for text in OPAQUE.findall(re.sub(paths, "", text)) if any(map(str.isdigit, text))]


def test_no_cassette_holds_anything_private(slug: str) -> None:
    cassette_of(slug)
    text = (FOLDER / f"{slug}.json").read_text()
    assert leaks(text, slug) == []
    assert len(text) <= MOST_BYTES
    assert all(f'"{name}' not in text for name in ("-----BEGIN", "127.0.0.1"))


@pytest.mark.parametrize("kind", ["account", "phone", "nik_on_file", "holder_name", "credential", "pin", "token"])
def test_a_leak_would_be_found(slug: str, kind: str) -> None:
    known = importlib.import_module(f"mock_partners.{slug}").CREDENTIALS
    listed = known["test_accounts"][0]
    secrets = [value for name, value in known["credentials"].items() if name.endswith(("secret", "key"))]
    if kind == "credential" and not secrets:
        pytest.skip("it signs with RSA alone, and a private key never leaves")
    told = {"credential": "".join(secrets[:1]), "token": "ab12" * 12, "pin": listed.get("pin", "246813")}
    value = told.get(kind) or listed.get(kind) or listed["account"]
    if kind == "pin" and "pin" not in listed:
        value = listed["card_no"]
    assert leaks(f'{{"x": "{value}"}}', slug)


def test_a_cassette_has_every_operation_that_the_partner_declares(slug: str, partner: Partner) -> None:
    recorded = {take.operation for take in cassette_of(slug).takes}
    for name in declared(partner.manifest.capabilities):
        if name == "token" and not partner.manifest.tokens:
            continue
        assert recorded & set(OPERATIONS[name].plans), name


def test_the_adapter_asks_and_understands_as_it_did_then(slug: str, partner: Partner) -> None:
    """Played again, every plan sends what it sent, and makes of the replies what it made of them."""
    cassette = cassette_of(slug)
    again = keep(
        replay(cassette, partner, pem_of(partner), signed_again(partner)),
        partner.manifest,
        replayed(cassette, partner),
        against="x",
    )
    assert differences(cassette, again) == []


def pem_of(partner: Partner) -> dict[str, Any]:
    credentials = Stage(partner).credentials
    return {name: credentials[name] for name, wish in partner.manifest.credentials.items() if wish.pem}


def replayed(cassette: Cassette, partner: Partner) -> dict[str, Any]:
    return dict(replay(cassette, partner, pem_of(partner), signed_again(partner))[0].context.credentials)


async def test_the_mock_still_answers_as_recorded(slug: str, partner: Partner) -> None:
    """Otherwise: `gateway workbench compare`, and record it again if the mock is right."""
    now = await cassette_now(partner)
    assert differences(cassette_of(slug), now) == []
    assert leaks(encode(now).decode(), slug) == []
    assert not [value for value in (NIK, PIN, "SITI AMINAH") if value in encode(now).decode()]


STORIES = each("story")


async def test_a_changed_mock_is_named_exactly(slug: str, partner: Partner) -> None:
    """One field's type and one code: each is one line of the report, beside what the plan then made of it."""
    call, field, code, value = STORIES[slug].CHANGED

    def other(path: str, found: Any) -> Any:
        return value if path == code else True if path == field else found

    def change(target: str, body: Any) -> Any:
        return _changed(body, "", other) if call in target else body

    recorded = cassette_of(slug)
    found = differences(recorded, await cassette_now(partner, change))
    named = {(d.field, d.kind, d.mock) for d in found if d.field.startswith("reply.")}
    assert named == {(f"reply.body.{field}", "type", "flag"), (f"reply.body.{code}", "value", json.dumps(value))}
    assert {(d.request, d.kind) for d in found if d.field == "request"} == getattr(
        STORIES[slug], "NOT_ASKED_THEN", set()
    )
    asked = {d.request for d in found if d.request and d.field != "request"}
    assert len({d.operation for d in found}) == 1 == len(asked)


def _changed(value: Any, path: str, other: Any) -> Any:
    if isinstance(value, dict):
        return {name: _changed(part, f"{path}.{name}".lstrip("."), other) for name, part in value.items()}
    return other(path, value)


def test_each_kind_of_difference(slug: str) -> None:
    recorded = cassette_of(slug)
    first = next(number for number, take in enumerate(recorded.takes) if take.exchanges)
    take = recorded.takes[first]
    reply = take.exchanges[0].reply
    assert reply is not None
    name = next(field for field, word in reply.body.items() if isinstance(word, str) and not is_hidden(field))

    def told(body: Any) -> list[tuple[str, str]]:
        other = msgspec.structs.replace(reply, body=body)
        exchange = msgspec.structs.replace(take.exchanges[0], reply=other)
        takes = [*recorded.takes]
        takes[first] = msgspec.structs.replace(take, exchanges=[exchange, *take.exchanges[1:]])
        found: list[Difference] = differences(recorded, msgspec.structs.replace(recorded, takes=takes))
        return [(difference.field, difference.kind) for difference in found]

    where = f"reply.body.{name}"
    assert told(reply.body) == []
    assert told({**reply.body, "more": 1}) == [("reply.body.more", "added")]
    assert told({key: part for key, part in reply.body.items() if key != name}) == [(where, "missing")]
    assert told({**reply.body, name: True}) == [(where, "type")]
    assert told({**reply.body, name: "2026-01-01T00:00:00Z"}) == [(where, "value class")]
    assert told({**reply.body, name: "other"}) == [(where, "value")]


def test_a_plan_that_only_one_side_has_is_named(slug: str) -> None:
    recorded = cassette_of(slug)
    shorter = msgspec.structs.replace(recorded, takes=recorded.takes[:-1])
    last = recorded.takes[-1].operation
    assert [(d.operation, d.kind) for d in differences(recorded, shorter)] == [(last, "missing")]
    assert [(d.operation, d.kind) for d in differences(shorter, recorded)] == [(last, "added")]


def test_a_table_is_kept_by_its_columns_and_is_one_again() -> None:
    """Cells that belong to a person are hidden by the name of their column; quotes and the ends of lines come back."""
    table = b'amount,phone,note\r\n"5,000.00",6281234567890,a\r\n1.00,6281234567890,"b, c"\r\n'
    answered = Response(status=200, headers={"content-type": "text/csv; charset=utf-8"}, content=table)
    take = next(take for take in cassette_of("bni").takes if take.exchanges)

    def kept(content: bytes) -> Kept:
        reply = kept_form._reply(msgspec.structs.replace(answered, content=content), Hider())
        return msgspec.structs.replace(take, exchanges=[msgspec.structs.replace(take.exchanges[0], reply=reply)])

    assert replies(kept(table))[0].content == table.replace(b"81234567890", b"89900000001")
    odd = kept(table + b"1.00\r\n").exchanges[0].reply
    assert odd is not None and odd.body == f"<{len(table) + 6} bytes that cannot be read>", "a row of another width"
