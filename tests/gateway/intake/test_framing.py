"""How a file is cut into rows, and what is wrong with one: pure, without a store."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import random
from typing import Any

import pytest

from adapters.registry import PARTNERS
from contracts.batch import COLUMNS, NOTES, RowCode, remedy_of
from gateway.security.vault import KeysNotFollowed, Vault
from gateway.services.intake.cells import plain
from gateway.services.intake.framing import MAX_RECORD_CHARS, CsvCells, Decoder, FileRefused, JsonCells, Record
from gateway.services.intake.row_faults import faults_of
from gateway.services.intake.rows import PHONE, Checker, Reader, rules_of
from gateway.storage.intake.copying import Refused, Row
from tests.gateway.api.kit import as_csv, as_ndjson, nik, row

RULES = rules_of({slug: partner.manifest for slug, partner in PARTNERS.items()})
REGISTERED = {"prakerja-2026-1": frozenset({"training", "survey"})}
HEAD = ",".join(COLUMNS)


def framed(body: bytes, *, ndjson: bool = False, rng: random.Random | None = None) -> list[Record]:
    decoder, cells = Decoder(), JsonCells() if ndjson else CsvCells()
    found, at = [], 0
    while at < len(body):
        size = rng.randrange(1, 40_000) if rng else len(body)
        found += cells.feed(decoder.feed(body[at : at + size]))
        at += size
    return found + cells.feed(decoder.feed(b"", last=True), last=True)


def checked(body: bytes, *, ndjson: bool = False) -> tuple[list[Row], list[Refused]]:
    reader = Reader(JsonCells() if ndjson else CsvCells(), Checker(RULES, Vault(bytes(32)), REGISTERED, b"key"))
    parts = [*reader.feed(body), *reader.end()]
    return [one for part in parts for one in part[0]], [one for part in parts for one in part[1]]


def faults(body: bytes, **more: Any) -> dict[str | None, str]:
    (refused,) = checked(body, **more)[1]
    return {fault.field: fault.code.value for fault in faults_of(refused.faults)}


def test_any_file_in_any_pieces_is_what_a_csv_reader_makes_of_it() -> None:
    rng = random.Random(11)
    for _ in range(30):
        rows = [
            ["".join(rng.choices('ab,"\r\n é\u2028', k=rng.randrange(1, 9))) or "x" for _ in COLUMNS]
            for _ in range(rng.randrange(1, 900))
        ]
        quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
        if quoting == csv.QUOTE_MINIMAL:  # Python's writer leaves a carriage return unquoted
            rows = [[cell.replace("\r", " ") for cell in cells] for cells in rows]
        text = io.StringIO()
        ends = rng.choice(("\n", "\r\n"))
        csv.writer(text, lineterminator=ends, quoting=quoting).writerows([list(COLUMNS), *rows])
        found = framed(b"\xef\xbb\xbf" * rng.randrange(2) + text.getvalue().encode(), rng=rng)
        assert [list(record.cells) for record in found] == rows
        line = 2
        for record, cells in zip(found, rows, strict=True):
            assert record.line == line, "a row is where it begins in the file"
            line += 1 + sum(cell.count("\n") for cell in cells)


_EVIL = ",".join(str(v) for v in row(9).values())


@pytest.mark.parametrize(
    "name",
    [f'"Budi\n{_EVIL}\n"', f'"Budi ""\n{_EVIL}\n"', f'"\r\n{_EVIL}\r\n"'],
)
def test_text_in_a_quoted_cell_is_no_row(name: str) -> None:
    line = ",".join({**{k: str(v) for k, v in row(1).items()}, "full_name": name}.values())
    accepted, refused = checked(f"{HEAD}\n{line}\n".encode() + as_csv([row(2)]).split(b"\n", 1)[1])
    assert [one.participant_id for one in accepted] == ["P00000002"]
    assert [one.participant_id for one in refused] == ["P00000001"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (f' "Budi\n{_EVIL}\n"', "quotes_invalid"),  # a space before the quote: whose line end is whose?
        (f'Bu"di\n{_EVIL}\n"', "quotes_invalid"),
        (f'"Bu"di\n{_EVIL}\n"', "quotes_invalid"),
        (f'"Budi" \n{_EVIL}\n', "quotes_invalid"),
        (f'"Budi\n{_EVIL}\n', "row_unending"),
    ],
)
def test_where_quotes_leave_rows_uncertain_the_file_is_refused(name: str, code: str) -> None:
    line = ",".join({**{k: str(v) for k, v in row(1).items()}, "full_name": name}.values())
    with pytest.raises(FileRefused) as refused:
        checked(as_csv([row(2)]) + line.encode() + b"\n")
    assert refused.value.code == code
    assert "line 3" in refused.value.detail
    assert nik(9) not in refused.value.detail


def test_an_unending_row_is_given_up_early() -> None:
    reader = Reader(CsvCells(), Checker(RULES, Vault(bytes(32)), REGISTERED, b"key"))
    bound = MAX_RECORD_CHARS // 2
    assert not [*reader.feed(f'{HEAD}\n"'.encode()), *reader.feed(b"x\n" * (bound // 2))]
    with pytest.raises(FileRefused, match="line 2"):
        next(reader.feed(b"x\n" * bound))


def test_whoever_else_has_work_has_a_turn_after_a_few_rows() -> None:
    """A merge beside the reading needs dozens for each of its pieces, while nothing but the reading goes on."""
    reader = Reader(CsvCells(), Checker(RULES, Vault(bytes(32)), REGISTERED, b"key"))
    body = as_csv([row(n) | ({"nik": "1"} if n % 7 == 0 else {}) for n in range(500)])
    parts = [len(rows) + len(refused) for rows, refused in (*reader.feed(body), *reader.end())]
    assert sum(parts) == reader.rows == 500
    assert 0 < min(parts) and max(parts) <= 32


_BODY = as_csv([row(1), row(2)])
_TEXT = _BODY.decode()
FOREIGN = {
    "utf-16 with mark": (_TEXT.encode("utf-16"), "file_foreign"),
    "utf-16 without": (_TEXT.encode("utf-16-le"), "charset_unsupported"),
    "utf-16 big": (_TEXT.encode("utf-16-be"), "charset_unsupported"),
    "utf-32": (_TEXT.encode("utf-32"), "file_foreign"),
    "a workbook": (b"PK\x03\x04" + bytes(99), "file_foreign"),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + bytes(99), "file_foreign"),
    "gzip": (gzip.compress(_BODY), "file_foreign"),
    "semicolons": (_BODY.replace(b",", b";"), "separator_unsupported"),
    "semicolons, quoted": (b";".join(b'"%b"' % c.encode() for c in COLUMNS) + b"\n", "separator_unsupported"),
    "a quoted word about semicolons": (
        b'"sep=;"\n' + _BODY.replace(b",", b";"),
        "separator_unsupported",
    ),
    "a word about semicolons": (b"sep=;\n" + _BODY.replace(b",", b";"), "separator_unsupported"),
    "tabs": (_BODY.replace(b",", b"\t"), "separator_unsupported"),
    "carriage returns alone": (_BODY.replace(b"\n", b"\r"), "line_ends_unsupported"),
    "many of them": (_BODY.replace(b"\n", b"\r") * (MAX_RECORD_CHARS // len(_BODY) + 2), "line_ends_unsupported"),
    "json": (as_ndjson([row(1)]), "header_invalid"),
    "no header": (_BODY.split(b"\n", 1)[1], "header_invalid"),
    "a column twice": (_BODY.replace(HEAD.encode(), HEAD.encode() + b",nik"), "header_invalid"),
    "an empty column between": (_BODY.replace(HEAD.encode(), b"," + HEAD.encode()), "header_invalid"),
    "an empty zip": (b"PK\x05\x06" + bytes(18), "file_foreign"),
    "bzip2": (bz2.compress(_BODY), "file_foreign"),
    "xz": (lzma.compress(_BODY), "file_foreign"),
    "rar": (b"Rar!\x1a\x07\x01\0" + bytes(99), "file_foreign"),
    "what macOS keeps beside a file": (b"\0\x05\x16\x07\0\x02\0\0Mac OS X        ", "file_foreign"),
    "encrypted for a key": (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n", "file_foreign"),
    "encrypted with a word": (b"Salted__" + bytes(range(128, 192)), "file_foreign"),
    "a table of columns": (b"PAR1\x15\x04\x15" + bytes(99), "file_foreign"),
    "a database": (b"SQLite format 3\0" + bytes(99), "file_foreign"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(99), "file_foreign"),
    "a document": (b"{\\rtf1\\ansi " + _BODY + b"}", "file_foreign"),
    "a page": (b"<!DOCTYPE html>\n<title>Sign in</title>\n", "file_foreign"),
    "a form": (b'--x1\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + _BODY + b"\r\n--x1--\r\n", "file_foreign"),
    "lines within quotes": (b"".join(b'"%b"\n' % line.encode() for line in _TEXT.splitlines()), "header_invalid"),
    "xml": (b"<?xml version='1.0'?>\n<rows/>\n", "file_foreign"),
}
_LINES = _TEXT.splitlines()
HARMLESS = {
    "columns once used": "".join(line + ",,\n" for line in _LINES).encode(),
    "columns once used, not in the header": (
        _LINES[0] + "\n" + "".join(f"{line},, \n" for line in _LINES[1:])
    ).encode(),
    "columns once used, no last line end": ",,\n".join(_LINES).encode() + b",,",
    "rows of spaces": (_TEXT + " , ,\u00a0,\t, , , , , , , , \n,,,,,,,,,,,,,,\n").encode(),
    "files one behind the other": _BODY.replace(_LINES[2].encode(), f"{HEAD}\n{_LINES[2]}".encode()),
    "files one behind the other, each with its mark": b"".join(
        b"\xef\xbb\xbf" + f"{HEAD}\n{line}\n".encode() for line in _LINES[1:]
    ),
    "what cannot be seen in a column's name": _TEXT.replace(",nik,", ",\u200bnik\u00a0,", 1).encode(),
    "two marks": b"\xef\xbb\xbf" * 2 + _BODY,
    "an old end of file": _BODY.replace(b"\n", b"\r\n") + b"\x1a",
    "an old end of file in the last line": _BODY.rstrip(b"\n") + b"\x1a",
    "filled up": _BODY + bytes(99),
    "digits marked as text": _TEXT.replace(f",{nik(1)},", f",'{nik(1)},")
    .replace(f",{nik(2)},", f',"=""{nik(2)}""",')
    .encode(),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_programs_leave_in_a_file_costs_no_row(name: str) -> None:
    accepted, refused = checked(HARMLESS[name])
    assert [one.participant_id for one in accepted] == ["P00000001", "P00000002"]
    assert not refused
    as_it_should_be, _ = checked(_BODY)
    assert [one.content_hash for one in accepted] == [one.content_hash for one in as_it_should_be]


def test_what_stands_beyond_the_columns_is_not_passed_over() -> None:
    assert faults(f"{HEAD},,\n{_LINES[1]},,Dewi\n".encode()) == {None: "row_malformed"}


@pytest.mark.parametrize(
    ("name", "code", "sign"),
    [
        ("=HYPERLINK(1)", "field_invalid", "EQUALS SIGN"),
        ("'=HYPERLINK(1)", "field_invalid", "EQUALS SIGN"),  # as refused rows show it
        ("'", "field_invalid", "APOSTROPHE"),
        ("@Dewi", "field_invalid", "COMMERCIAL AT"),
        ("3174", "field_invalid", "DIGIT THREE"),
        ("Dewi\x07", "field_invalid", "U+0007"),
        ("Jos\ufffd", "encoding_invalid", "UTF-8"),
        ("José".encode().decode("cp1252"), "encoding_invalid", "UTF-8"),
    ],
)
def test_what_can_be_nobodys_name_is_refused_with_the_sign_or_the_cause(name: str, code: str, sign: str) -> None:
    (refused,) = checked(as_csv([row(1, full_name=name)]))[1]
    (fault,) = faults_of(refused.faults)
    assert (fault.field, fault.code.value) == ("full_name", code)
    assert sign in fault.remedy.en


@pytest.mark.parametrize(
    "name", ["'Aisyah", "Étienne", "I. Made", "(Alm.) Budi", "Ñ", "João d'Ávila", "李", "Müller-Ã"]
)
def test_a_name_that_looks_odd_is_a_name(name: str) -> None:
    assert len(checked(as_csv([row(1, full_name=name)]))[0]) == 1


@pytest.mark.parametrize("name", FOREIGN)
def test_another_kind_of_file_is_named(name: str) -> None:
    body, code = FOREIGN[name]
    with pytest.raises(FileRefused) as refused:
        checked(body)
    assert refused.value.code == code
    said = refused.value.detail + refused.value.remedy
    assert not any(secret in said for secret in (nik(1), "Lestari", "+62812", "P0000"))


def test_a_column_too_many_is_named_and_the_notes_of_refused_rows_are_not() -> None:
    with pytest.raises(FileRefused, match="catatan"):
        checked(f"{HEAD},catatan\n".encode())
    body = f"{','.join(NOTES)},{HEAD}\n".encode() + b'"nik: nik_invalid","Check\nit",' + _BODY.split(b"\n")[1] + b"\n"
    assert len(checked(body)[0]) == 1
    assert len(checked(_BODY.replace(HEAD.encode(), b" " + HEAD.upper().encode()))[0]) == 2, "in any case"


@pytest.mark.parametrize("sign", ["sep=,", '"sep=,"'])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_by_which_a_spreadsheet_names_its_commas_is_no_header(end: str, sign: str) -> None:
    body = as_csv([row(1)]).decode().replace("\r\n", "\n").replace("\n", end)
    (one,) = checked(f"{sign}{end}{body}".encode())[0]
    assert one.line == 3


def test_a_file_that_may_have_been_cut_is_refused() -> None:
    columns = (*(name for name in COLUMNS if name != "amount_rupiah"), "amount_rupiah")
    for cut in range(1, 6):
        with pytest.raises(FileRefused) as refused:
            checked(as_csv([row(1), row(2)], columns)[:-cut])
        assert refused.value.code == "file_cut"
    assert len(checked(_BODY.rstrip(b"\n"))[0]) == 2, "a date shows that it is whole"
    assert faults(_BODY[:-3]) == {"deadline_on": "date_invalid"}


def test_json_that_could_mean_two_things_is_refused() -> None:
    one = json.dumps(row(1))
    cases = {
        one[:-1] + ', "amount_rupiah": 6000000}': (None, "key_repeated"),
        one[:-1] + ', "catatan": 1}': (None, "column_unknown"),
        one.replace("600000", "NaN"): (None, "row_malformed"),
        one.replace("600000", "Infinity"): (None, "row_malformed"),
        one.replace("600000", "6e5"): ("amount_rupiah", "amount_invalid"),
        one.replace("600000", "true"): ("amount_rupiah", "amount_invalid"),
        one.replace("600000", "9" * 5_000): (None, "row_malformed"),
        one + one: (None, "row_malformed"),
    }
    for text, (field, code) in cases.items():
        want = {"amount_rupiah" if code == "key_repeated" else field: code}
        assert faults(text.encode(), ndjson=True) == want, text
    assert len(checked(b"\xef\xbb\xbf" + as_ndjson([row(1), row(2)]), ndjson=True)[0]) == 2, "the first row is not lost"
    with pytest.raises(FileRefused, match="no JSON object"):
        checked(f"[{one}]".encode(), ndjson=True)
    with pytest.raises(FileRefused, match="several lines"):
        checked(json.dumps(row(1), indent=2).encode(), ndjson=True)
    assert len(checked(b"\xef\xbb\xbf" * 2 + one.encode() + b"\r\n\x1a", ndjson=True)[0]) == 1
    (refused,) = checked(f"{one},\n".encode(), ndjson=True)[1]
    assert "comma behind" in faults_of(refused.faults)[0].remedy.en


def test_windows_1252_is_named_and_its_neighbours_go_on() -> None:
    body = as_csv([row(1, full_name="José", phone="08"), row(2)]).decode().encode("cp1252")
    accepted, refused = checked(body)
    assert [one.participant_id for one in accepted] == ["P00000002"]
    found = faults_of(refused[0].faults)
    assert [(fault.field, fault.code.value) for fault in found] == [
        ("full_name", "encoding_invalid"), ("phone", "field_invalid"),
    ]  # fmt: skip
    assert "UTF-8" in found[0].remedy.en


@pytest.mark.parametrize(
    "sign",
    [
        "\u00a0",
        "\u202f",
        "\u3000",
        "\u00ad",
        "\u200b",
        "\u200d",
        "\u2060",
        "\ufeff",
        "\u3164",
        "\ufe0f",
        "\u034f",
        "\u2800",
    ],
)
def test_what_cannot_be_seen_is_cleaned(sign: str) -> None:
    vault = Vault(bytes(32))
    (accepted,) = checked(as_csv([row(1, full_name=f"{sign}Dewi{sign}Ayu", phone=f"+6281200000001{sign}")]))[0]
    name = vault.open("participants.name|P00000001", accepted.name_sealed)
    assert name in ("Dewi Ayu", "DewiAyu") and name.isprintable()
    assert vault.open("participants.phone|P00000001", accepted.phone_sealed) == "+6281200000001"


@pytest.mark.parametrize("name", ["\u3164", "\u115f\u1160", "\u2800", "\ufe0f", "\u200b"])
def test_a_name_of_nothing_that_can_be_seen_is_missing(name: str) -> None:
    (refused,) = checked(as_csv([row(1, full_name=name)]))[1]
    assert [(one.field, one.code.value) for one in faults_of(refused.faults)] == [("full_name", "field_missing")]


def test_a_sign_that_stays_is_named() -> None:
    (refused,) = checked(as_csv([row(1, full_name="Dewi\u0085Ayu", participant_id="P 1")]))[1]
    said = {fault.field: fault.remedy.en for fault in faults_of(refused.faults)}
    assert "U+0085" in said["full_name"]
    assert "SPACE" in said["participant_id"]


def test_rows_that_lost_their_line_breaks_are_told_so() -> None:
    """As `curl -d @FILE` sends them, whatever column is the last."""
    for columns in (COLUMNS, COLUMNS[::-1], (*COLUMNS[5:], *COLUMNS[:5])):
        for lost in (b"\n", b"\r\n"):
            body = as_csv([row(1), row(2)], columns).replace(b"\n", lost)
            with pytest.raises(FileRefused, match="line breaks are missing"):
                checked(body.replace(lost, b""))


@pytest.mark.parametrize("name", ["participant_id", "nik", "phone", "account", "full_name", "programme"])
def test_a_number_where_a_text_belongs_is_told_as_that(name: str) -> None:
    for number in ("115476151", "-0", "0.5", "3.1740101019e15"):
        text = json.dumps(row(1) | {name: "?"}).replace('"?"', number)
        assert faults(text.encode(), ndjson=True) == {name: "digits_lost"}, number
    assert faults(json.dumps(row(1) | {name: True}).encode(), ndjson=True)[name] != "digits_lost"
    assert "double quotes" in remedy_of(RowCode.DIGITS_LOST, name).en


@pytest.mark.parametrize("value", ["3.17401E+15", "6.28E+12", "8E+09", "3,17401E+15", "1.15476e+9"])
def test_a_number_that_a_spreadsheet_rounded_is_told_as_that(value: str) -> None:
    for name in ("participant_id", "nik", "phone", "account"):
        assert faults(as_csv([row(1) | {name: value}]))[name] == "digits_lost", name
    assert not checked(as_csv([row(1, participant_id="3e5")]))[1], "an id may have letters"


@pytest.mark.parametrize("name", ["nan", "NaN", "NULL", "(null)", "None", "N/A", "undefined", "<NA>", "\\N", "NaT"])
def test_what_programs_write_for_nothing_is_nobodys_name(name: str) -> None:
    assert faults(as_csv([row(1, full_name=name)])) == {"full_name": "field_missing"}
    for people in ("Nan", "NAN", "Nur", "Nila Nan", "Nonee"):
        assert len(checked(as_csv([row(1, full_name=people)]))[0]) == 1, people


@pytest.mark.parametrize("name", ["#N/A", "#REF!", "#NAME?", "#DIV/0!", "#VALUE!", "#SPILL!"])
def test_what_a_spreadsheet_could_not_compute_is_nobodys_name(name: str) -> None:
    assert faults(as_csv([row(1, full_name=name)])) == {"full_name": "field_invalid"}


def test_all_faults_of_a_row_are_told_at_once() -> None:
    bad = dict.fromkeys(COLUMNS, "") | {"phone": "0812", "partner": "ovo", "account": "12", "due_on": "5/1/2026"}
    wanted = {name: "field_missing" for name in COLUMNS if not bad[name]}
    wanted |= {"phone": "field_invalid", "account": "field_invalid", "due_on": "date_invalid"}
    assert faults(as_csv([row(1) | bad])) == wanted


def test_rows_made_bad_at_random_are_refused_for_exactly_that() -> None:
    rng = random.Random(3)
    bad = {
        "programme": "prakerja-2026-2", "purpose": "é", "period": "-", "participant_id": nik(1), "nik": "123",
        "phone": "081",
        "full_name": "x" * 121, "partner": "paypal", "amount_rupiah": "1.5", "due_on": "2026-02-30",
        "deadline_on": "soon",
    }  # fmt: skip
    for _ in range(300):
        chosen = rng.sample(sorted(bad), rng.randrange(1, 6))
        assert set(faults(as_csv([row(1) | {name: bad[name] for name in chosen}]))) == set(chosen)


def test_what_a_remedy_shows_as_right_is_right() -> None:
    for code in RowCode:
        for field in (None, *COLUMNS):
            said = remedy_of(code, field, "HINT")
            assert said.id and said.en and said.id != said.en
            assert "{hint}" not in said.id + said.en
            assert (said.id + said.en + remedy_of(code, field).en).isascii(), "a spreadsheet garbles the rest"
    example = remedy_of(RowCode.FIELD_INVALID, "phone").en.split()[-1].rstrip(".")
    assert PHONE.fullmatch(example)
    for partner, rule in RULES.items():
        (refused,) = checked(as_csv([row(1, partner=partner, account="?", amount_rupiah=2_000_000_000)]))[1]
        said = {fault.field: fault.remedy.en for fault in faults_of(refused.faults)}
        account = said["account"].split()[-1].rstrip(".")
        low, high = said["amount_rupiah"].split("(")[1].split(")")[0].split(" - ")
        for amount in (low, high):
            accepted, _ = checked(as_csv([row(1, partner=partner, account=account, amount_rupiah=amount)]))
            assert len(accepted) == 1, (partner, rule.account.pattern, amount)


COMPUTED = ("=1+1", "=cmd|' /C calc'!A0", "@SUM(A1)", "+cmd|x", "-2+3+cmd", "\t=1", "\r=1")


@pytest.mark.parametrize("cell", COMPUTED)
def test_what_we_write_is_computed_by_no_spreadsheet_and_stays_no_name(cell: str) -> None:
    """A file of refused rows comes back corrected, or not."""
    assert plain(cell) == f"'{cell}"
    for name in (cell, plain(cell), plain(plain(cell))):
        (refused,) = checked(as_ndjson([row(1, full_name=name)]), ndjson=True)[1]
        assert refused.field == "full_name", name


@pytest.mark.parametrize("cell", ["+6281234567890", "-5", "600000", "", "'Aisyah", "Dewi - Lestari", "-", "2026-01-05"])
def test_what_is_no_formula_is_written_as_it_is(cell: str) -> None:
    assert (plain(cell), plain(None), plain(7)) == (cell, "", "7")


def test_what_is_wrong_with_a_row_is_told_where_nothing_may_be_sealed() -> None:
    vault = Vault(bytes(32))
    vault.fence(0.0)
    checker = Checker(RULES, vault, REGISTERED, b"key")
    (good,) = framed(as_csv([row(1)]))
    (bad,) = framed(as_csv([row(1, nik="1")]))
    assert isinstance(checker.check(bad), Refused)
    with pytest.raises(KeysNotFollowed):
        checker.check(good)
