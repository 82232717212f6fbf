"""Accounts that a statement names: ours, another of our kind, one of another shape, or none that can be told."""

from __future__ import annotations

import pytest

from adapters import accounts, answers
from adapters.bni.identity import account_of
from contracts.errors import PartnerProtocolError
from contracts.nik import Nik
from contracts.secret import Secret


@pytest.mark.parametrize(
    ("theirs", "bank", "wallet"),
    [
        ("0000123456", "0000123456", "0000123456"),
        ("123456", "0000123456", "123456"),
        ("000000123456", "0000123456", "000000123456"),  # filled up
        ("+62 812-0000-0000", "6281200000000", "+6281200000000"),
        ("84081081234567", "84081081234567", "+6281081234567"),  # a wallet behind its prefix
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


SAME = {
    "0012345678": (
        "12345678", "000012345678", "00-1234-5678", "0012\u00a0345\u2011678", "001234****", "****5678", 12345678.0,
    ),
    "+6281234567890": (
        "081234567890", "81234567890", "6281234567890", "0062 812 3456 7890", "+62 (812) 3456-7890", "62081234567890",
        "62812xxxx890", 81234567890, 8.123456789e10, "84081234567890", "898081234567890", "8528-0812-3456-7890",
    ),
}  # fmt: skip
OTHERS = {
    "0012345678": ("12345679", "1012345678", "9000012345678", "001235****"),
    "+6281234567890": ("081234567891", "62812345678900", "65812345678", "62813xxxx890", "84081234567891"),
}


@pytest.mark.parametrize("ours", list(SAME))
def test_an_account_that_comes_back_written_otherwise_is_ours_and_no_other_is(ours: str) -> None:
    read = accounts.mobile if ours.startswith("+") else account_of
    for theirs in SAME[ours]:
        assert accounts.echoed(answers.written(theirs), Secret(ours), read) == Secret(ours), theirs
    for theirs in OTHERS[ours]:
        assert accounts.echoed(answers.written(theirs), Secret(ours), read) not in (None, Secret(ours)), theirs


@pytest.mark.parametrize(
    ("shown", "same"), [("11547XX51", True), ("115*****1", True), ("11547XX52", False), ("0115XXXX51", True)]
)
def test_a_masked_account_that_lost_its_zero_is_the_same_one(shown: str, same: bool) -> None:
    ours = Secret("0115476151")
    assert (accounts.echoed(shown, ours, lambda _: None) == ours) is same


@pytest.mark.parametrize(
    ("theirs", "proves"),
    [
        ("081234567890", True), ("6281234567890", True), ("62812xxxx890", False), ("0812****7890", True),
        ("08**********", False), ("0812********", False), ("********7890", True), ("*********890", False),
        ("+62 8*** ***7 890", True), ("************", False), ("", False), (None, False), (81234567890, True),
    ],
)  # fmt: skip
def test_a_mask_proves_an_account_where_it_leaves_what_tells_people_apart(theirs: object, proves: bool) -> None:
    ours = Secret("+6281234567890")
    assert accounts.proof(theirs, ours) == (ours if proves else None)


def test_another_account_is_another_one_masked_or_not() -> None:
    ours = Secret("+6281234567890")
    for theirs in ("081234567891", "********7891", "0813********", "7890"):
        assert accounts.proof(theirs, ours) not in (None, ours), theirs


@pytest.mark.parametrize("theirs", ["0000000000000000", "9999999999999999", "3174053113909901", "1234567890123456"])
def test_a_number_that_is_nobody_s_nik_is_no_mismatch(theirs: str) -> None:
    with pytest.raises(PartnerProtocolError, match="field KTP is missing or not 16 digits of a NIK"):
        accounts.same_nik(Nik("3174052209989901"), theirs, "field KTP")
