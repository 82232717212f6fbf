"""What a call is about: its fields, references, amount and account, found wherever the partner's format has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import msgspec

from mock_partners.kit.http import Call, Reply
from mock_partners.kit.world import Account, World, normal_phone

MAX_HANDLES = 200_000
MAX_FIELDS = 5_000
_REFERENCE = re.compile(
    r"(^reference|reference_?no|referencenumber|merchanttrxid|idempotency-key|originalpartnerreferenceno)$",
    re.IGNORECASE,
)
_HANDLE = re.compile(r"(reference|token|trx|journey|session|code|linkref|page_id|redirect|location)", re.IGNORECASE)
_NO_HANDLE = re.compile(r"(responsecode|servicecode|reasoncode|tokentype|expires|statuscode)", re.IGNORECASE)
_MONEY = re.compile(r"([0-9]{1,16})(?:\.00)?")
_NIK = re.compile("[0-9]{16}")
_PHONE = re.compile(r"\+?[0-9]{8,15}")
SHORTEST_HANDLE = 6


def fields_of(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a JSON value with its dotted path; list elements by their number."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from fields_of(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from fields_of(part, f"{path}.{place}" if path else str(place))
    else:
        yield path, value


def body_fields(content_type: str, body: bytes) -> dict[str, Any]:
    """The leaves of a JSON or form body; none of a body that is neither."""
    if content_type.startswith("application/x-www-form-urlencoded"):
        return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    try:
        leaves = fields_of(msgspec.json.decode(body)) if body else iter(())
        return dict(leaf for leaf, _ in zip(leaves, range(MAX_FIELDS), strict=False))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


@dataclass
class Handles:
    """Which account a reference, token or session belongs to, learnt from the calls that name both."""

    owners: dict[str, str | None] = field(default_factory=dict)

    def learn(self, account: str, values: Iterator[str]) -> None:
        for value in values:
            known = self.owners.setdefault(value, account)
            if known != account:
                self.owners[value] = None  # shared by several accounts: it tells nothing
        while len(self.owners) > MAX_HANDLES:
            del self.owners[next(iter(self.owners))]


class Facts:
    """One call as the conditions of a scenario look at it; everything is found when it is first asked for."""

    def __init__(self, call: Call, world: World, handles: Handles) -> None:
        self.call, self._world, self._handles = call, world, handles

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """Query, path parameters and body by dotted name."""
        call = self.call
        query = {name: values[0] for name, values in parse_qs(call.query, keep_blank_values=True).items()}
        return {**query, **call.params, **body_fields(call.header("content-type"), call.body)}

    @cached_property
    def references(self) -> tuple[str, ...]:
        """The programme's and the partner's references in the call."""
        found = [str(value) for name, value in self.fields.items() if value and _REFERENCE.search(_last(name))]
        key = self.call.header("x-idempotency-key") or self.call.header("idempotency-key")
        return (*found, key) if key else tuple(found)

    @cached_property
    def amount_rupiah(self) -> int | None:
        """The first amount of the call: `amount`, `amount.value`, `payouts.0.amount` or `valueAmount`."""
        for name, value in self.fields.items():
            parts = name.split(".")
            if parts[-1] == "valueAmount" or "amount" in (parts[-1], ".".join(parts[-2:]).removesuffix(".value")):
                return _rupiah(value)
        return None

    @cached_property
    def nik(self) -> str:
        """The NIK in the call, or an empty text."""
        return next((value for value in self.fields.values() if isinstance(value, str) and _NIK.fullmatch(value)), "")

    @cached_property
    def account(self) -> Account | None:
        """The account that the call names, or that its reference, token or page belongs to."""
        values = list(self._values())
        for value in values:
            found = self._world.accounts.get(value)
            if found is None and _PHONE.fullmatch(value):
                found = self._world.accounts.get(normal_phone(value))
            if found is not None:
                return found
        for value in values:
            owner = self._handles.owners.get(value)
            if owner is not None:
                return self._world.accounts.get(owner)
        return None

    def learn(self, reply: Reply | None) -> None:
        """Remembers to which account the call's and the answer's handles belong."""
        if self.account is not None:
            self._handles.learn(self.account.account, self._own_handles(reply))

    def _values(self) -> Iterator[str]:
        for value in self.fields.values():
            if isinstance(value, str):
                yield from (value, *_inside_signed(value))
        yield self.call.header("authorization-customer").removeprefix("Bearer ").strip()
        yield self.call.header("authorization").removeprefix("Bearer ").strip()

    def _own_handles(self, reply: Reply | None) -> Iterator[str]:
        told: dict[str, Any] = dict(self.fields)
        if reply is not None:
            told |= {f"reply.{name}": value for name, value in body_fields("", reply.body).items()}
            told["reply.location"] = reply.headers.get("Location", "")
        for name, value in told.items():
            last = _last(name)
            if not isinstance(value, str) or (len(value) < SHORTEST_HANDLE and not _REFERENCE.search(last)):
                continue
            if value and _HANDLE.search(last) and not _NO_HANDLE.search(last):
                yield from _parts_of_url(value) if "/" in value else (value,)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _rupiah(value: Any) -> int | None:
    """`600000`, `"600000.00"`, or LinkAja's twelve digits with two decimals (wallets.md 4.7)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _MONEY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    return int(value) // 100 if len(value) == 12 and value.isdecimal() else int(found[1])


def _inside_signed(value: str) -> tuple[str, ...]:
    """The values of a query that was signed and sent as one value (GoPay's seamlessData, wallets.md 2.3)."""
    text = unquote(value) if "%" in value else value
    return tuple(part for _, part in parse_qsl(text)) if "=" in text and len(text) < 2_000 else ()


def _parts_of_url(url: str) -> tuple[str, ...]:
    """The last part of the path (a page's id) and the values of the query (an auth code)."""
    parts = urlsplit(url)
    found = (parts.path.rpartition("/")[2], *(value for name, value in parse_qsl(parts.query) if _HANDLE.search(name)))
    return tuple(value for value in found if len(value) >= SHORTEST_HANDLE)
