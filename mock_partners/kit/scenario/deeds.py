"""What a rule changes for good when it fires: accounts, deposit, tokens, memories."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mock_partners.kit.pages import Page
from mock_partners.kit.payouts import Payouts
from mock_partners.kit.scenario.facts import Facts
from mock_partners.kit.scenario.vocabulary import DO, Part
from mock_partners.kit.snap.tokens import ExternalIds, Tokens
from mock_partners.kit.world import Account, World

ACCOUNT_ATOMS = frozenset(name for name, word in DO.items() if word.part is Part.ACCOUNT)
DEAD_S = 0.0
"""A moment at which no token was good."""
CUSTOMER_STORE = "b2b2c"


def do_deeds(do: Mapping[str, Any], facts: Facts, world: World) -> None:
    """Everything that outlives the call."""
    if ACCOUNT_ATOMS & do.keys() and facts.account is not None:
        _change_account(do, facts.account, world)
    if "set_deposit_rupiah" in do:
        world.deposit_rupiah = do["set_deposit_rupiah"]
    for name, kept in world.kept().items():
        if isinstance(kept, Tokens):
            _change_tokens(do, kept, "customer_tokens" if name.endswith(CUSTOMER_STORE) else "tokens")
        if isinstance(kept, ExternalIds) and do.get("forget_external_ids"):
            forget(kept)
        if isinstance(kept, Payouts) and do.get("forget_references"):
            known = [one for one in facts.references if kept.get(one) is not None]
            kept.forget(known or None)
        if do.get("expire_pages") and isinstance(kept, dict):
            for key in [key for key, page in kept.items() if isinstance(page, Page)]:
                del kept[key]
        if name in do.get("forget", ()):
            forget(kept)


def forget(kept: Any) -> None:
    """Empties every collection of something that is kept."""
    parts = [kept] if isinstance(kept, dict | set | list | deque) else list(vars(kept).values())
    for part in parts:
        if isinstance(part, dict | set | list | deque):
            part.clear()


def _change_account(do: Mapping[str, Any], account: Account, world: World) -> None:
    if do.get("block_account"):
        account.status = "blocked"
    if do.get("unblock_account"):
        account.status = "active"
    if do.get("remove_account"):
        world.accounts.pop(account.account, None)
    account.kyc = do.get("set_kyc", account.kyc)
    account.holder_name = do.get("set_name", account.holder_name)
    account.balance_rupiah = do.get("set_balance_rupiah", account.balance_rupiah)
    account.monthly_in_rupiah = do.get("set_monthly_in_rupiah", account.monthly_in_rupiah)


def _change_tokens(do: Mapping[str, Any], tokens: Tokens, which: str) -> None:
    if do.get(f"expire_{which}"):
        tokens.change_all(lambda token: replace(token, expires_s=DEAD_S))
    if do.get(f"revoke_{which}"):
        tokens.change_all(lambda token: None)


@contextmanager
def nik_on_file(do: Mapping[str, Any], facts: Facts) -> Iterator[None]:
    """Gives the account another NIK for the length of one call, so that the check comes out as a rule says."""
    account, wanted = facts.account, do.get("nik_check")
    if account is None or wanted not in ("match", "mismatch", "not_on_file"):
        yield
        return
    before = account.nik_on_file, account.kyc
    if wanted == "not_on_file":
        account.nik_on_file = ""
    else:
        account.kyc = "full"
        account.nik_on_file = _other_nik(account.account) if wanted == "mismatch" else facts.nik or account.nik_on_file
    try:
        yield
    finally:
        account.nik_on_file, account.kyc = before


def _other_nik(account: str) -> str:
    """A synthetic NIK (serial 99..) that belongs to nobody, the same for an account every time."""
    digest = hashlib.sha256(account.encode()).digest()
    return f"317405{1 + digest[0] % 28:02d}{1 + digest[1] % 12:02d}{60 + digest[2] % 39:02d}99{digest[3] % 100:02d}"
