"""What the control API shows of a world: its customers and their links, without what opens a door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import msgspec

from mock_partners.kit.mask import masked
from mock_partners.kit.world import PATTERNS, Account, World

MAX_DEPTH = 3
CHANGEABLE = ("holder_name", "kyc", "status", "balance_rupiah", "monthly_in_rupiah", "behaviour", "nik_on_file")
NUMBERS = ("balance_rupiah", "monthly_in_rupiah")


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /__mock__/customers`: an account and its new columns, written as in world.csv."""

    account: str
    set: dict[str, str | int]


def customer(account: Account) -> dict[str, Any]:
    """One account as QA may see it: whether there is a NIK or a PIN, not which."""
    return {
        "account": account.account,
        "phone": account.phone,
        "holder_name": account.holder_name,
        "kyc": account.kyc,
        "status": account.status,
        "balance_rupiah": account.balance_rupiah,
        "monthly_in_rupiah": account.monthly_in_rupiah,
        "behaviour": account.behaviour.value,
        "has_nik": bool(account.nik_on_file),
        "has_pin": bool(account.pin),
    }


def change_problem(columns: Mapping[str, str | int]) -> str:
    """What is wrong with new columns; empty if nothing is. The value is never told."""
    for name, value in columns.items():
        if name not in CHANGEABLE:
            return f"{name} cannot be set; allowed: {', '.join(CHANGEABLE)}"
        if not PATTERNS[name].fullmatch(str(value)) or (isinstance(value, int) and name not in NUMBERS):
            return f"{name} is malformed"
    return "" if columns else f"set is empty; allowed: {', '.join(CHANGEABLE)}"


def change(account: Account, columns: Mapping[str, str | int]) -> None:
    """Sets columns that `change_problem` has passed."""
    for name, value in columns.items():
        old = getattr(account, name)
        setattr(account, name, int(value) if name in NUMBERS else type(old)(value))


def links(world: World) -> list[dict[str, Any]]:
    """Every link of an account, as the partner keeps it, tokens masked."""
    rows = []
    for store, kept in world.kept().items():
        if "link" in store:
            seen: dict[int, Any] = {id(found): found for found in _links_in(kept)}
            rows += [_link(store, found) for found in seen.values()]
    return rows


def _links_in(value: Any, depth: int = 0) -> Iterator[Any]:
    """Objects with an account of their own inside whatever a partner keeps under a name with "link"."""
    if isinstance(getattr(value, "account", None), Account):
        yield value
    elif depth < MAX_DEPTH:
        if isinstance(value, dict):
            parts = list(value.values())
        elif isinstance(value, list | tuple | set):
            parts = list(value)
        else:
            parts = list(vars(value).values()) if hasattr(value, "__dict__") and not isinstance(value, Account) else []
        for part in parts:
            if isinstance(part, dict | list | tuple | set) or is_dataclass(part):
                yield from _links_in(part, depth + 1)


def _link(store: str, found: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for each in fields(found) if is_dataclass(found) else ():
        value = getattr(found, each.name)
        if isinstance(value, bool | int | str):
            told[each.name] = masked(value, each.name)
        elif isinstance(value, datetime):
            told[each.name] = value.isoformat()
    return {"store": store, "kind": type(found).__name__, "account": found.account.account, "state": told}
