"""Accounts that a statement names: ours, another of our kind, one of another shape, or none that can be told."""

from __future__ import annotations

import pytest

from adapters import accounts
from adapters.bni.identity import account_of
from contracts.secret import Secret


@pytest.mark.parametrize(
    ("theirs", "bank", "wallet"),
    [
        ("0000123456", "0000123456", "0000123456"),
        ("123456", "0000123456", "123456"),
        ("+62 812-0000-0000", "6281200000000", "+6281200000000"),
        ("123456789012", "123456789012", "123456789012"),  # an account at another bank is another account
        ("******3456", None, None),
        ("", None, None),
        (1234567890, None, None),
        (None, None, None),
    ],
)
def test_an_account_of_another_shape_is_another_account(theirs: object, bank: str | None, wallet: str | None) -> None:
    for told, read in ((bank, account_of), (wallet, accounts.mobile)):
        assert accounts.listed(theirs, read) == (None if told is None else Secret(told))
