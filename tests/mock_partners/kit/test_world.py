"""World files, ceilings, the deposit and the books."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.world import COLUMNS, Account, Cap, World, WorldError, load_worlds, normal_phone
from mock_partners.registry import PARTNERS

GOOD = "bni,7000000001,+6281100000001,BUDI SANTOSO,3174052209989901,full,active,123456,1946340000009901,5,7,pay:slow"
WALLET = "ovo,+6281100000002,+6281100000002,SITI,,basic,blocked,654321,,0,0,"
AT = datetime(2026, 1, 31, 23, 59, 59, tzinfo=JAKARTA)


def write(folder: Path, *rows: str, header: str = ",".join(COLUMNS)) -> Path:
    path = folder / "world.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def test_a_world_file_is_read_per_partner(tmp_path: Path) -> None:
    worlds = load_worlds(write(tmp_path, GOOD, WALLET), deposits={"ovo": 5}, at=AT)
    account = worlds["bni"].accounts["7000000001"]
    assert (account.balance_rupiah, account.monthly_in_rupiah, account.behaviour) == (5, 7, Behaviour.SLOW)
    assert account.active
    assert not worlds["ovo"].accounts["+6281100000002"].active
    assert {name: world.deposit_rupiah for name, world in worlds.items()} == dict.fromkeys(PARTNERS, 10**12) | {
        "ovo": 5
    }


@pytest.mark.parametrize(
    ("position", "value"),
    [
        ("partner", "nobody"),
        ("account", "70000000001"),
        ("phone", "081100000001"),
        ("holder_name", ""),
        ("nik_on_file", "31740522099899"),
        ("nik_on_file", "31740522099" + "89９01"),
        ("kyc", "gold"),
        ("status", "closed"),
        ("pin", "12345"),
        ("card_no", "1946"),
        ("balance_rupiah", "-1"),
        ("balance_rupiah", "1.5"),
        ("monthly_in_rupiah", ""),
        ("behaviour", "pay:twice"),
    ],
)
def test_a_malformed_row_is_refused_with_line_and_field_and_without_the_value(
    tmp_path: Path, position: str, value: str
) -> None:
    cells = GOOD.split(",")
    cells[COLUMNS.index(position)] = value
    with pytest.raises(WorldError) as refused:
        load_worlds(write(tmp_path, WALLET, ",".join(cells)))
    assert f"world.csv line 3: field {position} is malformed" == str(refused.value)


@pytest.mark.parametrize(
    ("rows", "header", "text"),
    [
        ([GOOD, GOOD], ",".join(COLUMNS), "line 3: field account stands twice"),
        ([GOOD + ",more"], ",".join(COLUMNS), "line 2: 12 fields are needed"),
        ([GOOD.rpartition(",")[0]], ",".join(COLUMNS), "line 2: 12 fields are needed"),
        ([GOOD], ",".join(COLUMNS[:-1]), "line 1: the columns must be"),
        (['bni,"7000'], ",".join(COLUMNS), "not readable as CSV"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, rows: list[str], header: str, text: str) -> None:
    with pytest.raises(WorldError, match=text):
        load_worlds(write(tmp_path, *rows, header=header))


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "world.csv"
    path.write_bytes((",".join(COLUMNS) + "\n" + GOOD).replace("BUDI", "B\xdcDI").encode("latin-1"))
    with pytest.raises(WorldError, match=r"world.csv line 2: not readable as UTF-8"):
        load_worlds(path)


@pytest.mark.parametrize(
    "spelling", ["+6281100000001", "6281100000001", "081100000001", "81100000001", "0811-0000-0001"]
)
def test_a_phone_has_one_normal_form(spelling: str) -> None:
    assert normal_phone(spelling) == "+6281100000001"


def wallet(kyc: str = "full", balance_rupiah: int = 0, monthly_in_rupiah: int = 0) -> Account:
    return Account(
        "ovo", "+628110000001", "+628110000001", "BUDI", "", kyc, "active",
        balance_rupiah=balance_rupiah, monthly_in_rupiah=monthly_in_rupiah,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kyc", "balance", "monthly", "amount", "hit"),
    [
        ("full", 19_400_000, 0, 600_000, None),
        ("full", 19_400_001, 0, 600_000, Cap.BALANCE),
        ("basic", 1_400_000, 0, 600_000, None),
        ("basic", 1_400_001, 0, 600_000, Cap.BALANCE),
        ("full", 0, 39_400_000, 600_000, None),
        ("full", 0, 39_400_001, 600_000, Cap.MONTHLY),
        ("basic", 0, 19_400_001, 600_000, Cap.MONTHLY),
        ("full", 20_000_000, 40_000_000, 1, Cap.BALANCE),
    ],
)
def test_ceilings(kyc: str, balance: int, monthly: int, amount: int, hit: Cap | None) -> None:
    account = wallet(kyc, balance_rupiah=balance, monthly_in_rupiah=monthly)
    assert World("ovo").cap_hit(account, amount, AT) is hit


def test_the_month_turns_on_the_first_in_jakarta_and_the_balance_does_not() -> None:
    world, account = World("ovo"), wallet(monthly_in_rupiah=40_000_000)
    assert world.cap_hit(account, 1, AT) is Cap.MONTHLY
    assert world.cap_hit(account, 1, datetime(2026, 2, 1, tzinfo=JAKARTA)) is None
    account.balance_rupiah = 20_000_000
    assert world.cap_hit(account, 1, datetime(2026, 3, 1, tzinfo=JAKARTA)) is Cap.BALANCE


def test_books_and_deposit_agree() -> None:
    world, account = World("ovo", deposit_rupiah=1_000), wallet()
    assert world.withdraw(600)
    assert not world.withdraw(401)
    credit = world.credit(account, 600, reference="R1", partner_reference="P1", at=AT)
    world.fee(credit, 10, AT)
    assert (account.balance_rupiah, account.monthly_in_rupiah, world.deposit_rupiah) == (600, 600, 390)
    world.reverse(account, credit, AT)
    assert (account.balance_rupiah, account.monthly_in_rupiah, world.deposit_rupiah) == (0, 600, 990)
    assert [booking.as_json() for booking in world.books] == [
        {
            "reference": "R1", "partner_reference": "P1", "account": "+628110000001", "amount_rupiah": amount,
            "kind": kind, "booked_at": "2026-01-31T23:59:59+07:00",
        }
        for amount, kind in ((600, "credit"), (10, "fee"), (600, "reversal"))
    ]  # fmt: skip
    assert world.booked_on(AT.date()) == world.books
    assert world.booked_on(datetime(2026, 2, 1, tzinfo=JAKARTA).date()) == []


def test_a_world_keeps_things_and_the_same_seed_gives_the_same_codes() -> None:
    world = World("ovo", seed=7)
    assert world.keep("x", list) is world.keep("x", list)
    codes = [World("ovo", seed=seed).sms.send("+628110000001", AT) for seed in (7, 7, 8)]
    assert codes[0] == codes[1] == world.sms.send("+628110000001", AT)
    assert codes[0] != codes[2]


def test_sandbox_phones_have_a_fixed_code() -> None:
    world = World("gopay")
    world.sms.fixed["+628215023424"] = "987654"
    assert world.sms.send("+628215023424", AT) == "987654"
    assert len(world.sms.newest_first("+628215023424")) == 1
    assert world.sms.newest_first("+620") == []


def test_reprs_hide_people() -> None:
    account = wallet()
    assert "8110000001" not in repr(account)
    assert "BUDI" not in repr(account)
