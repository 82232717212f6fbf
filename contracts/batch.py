"""A batch: incentives handed over at once, approved by two people, bound to its exact content."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from contracts.text import Text

COLUMNS = (
    "programme", "purpose", "period", "participant_id", "nik", "full_name", "phone", "partner", "account",
    "amount_rupiah", "due_on", "deadline_on",
)  # fmt: skip
"""The fields of one row, as CSV header or as the keys of one NDJSON object."""

PERSON = ("nik", "full_name", "phone", "partner", "account")
"""Those of a row's fields that are of the participant: `PUT /v1/participants/{participant_id}` corrects them."""

NOTES = ("faults", "what_to_do")
"""Two columns that a file of refused rows has besides; a file to be corrected and sent again may keep them."""

REQUIRED_APPROVALS = 2
"""By two clients, neither of them the one that submitted it."""


class BatchState(enum.Enum):
    """Where a batch stands."""

    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    """An approver said no; its incentives are cancelled."""
    EMPTY = "empty"
    """No row was accepted: there is nothing to approve, and its refused rows can be read."""
    EXPIRED = "expired"
    """Nobody approved it in time; its incentives are cancelled."""
    STOPPED = "stopped"
    """What had not left was cancelled after the approval."""


class PartnerTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch hands over for one partner."""

    partner: str
    rows: int
    amount_rupiah: int


class BatchDoubt(msgspec.Struct, frozen=True, kw_only=True):
    """Why a batch is in doubt: most of its people are refused at a partner, where others are not."""

    partner: str
    paying: bool
    """Refused when they were to be paid; else at linking or at the NIK check."""
    refused: int
    """People, as counted last."""
    answered: int
    """Of so many of whom the partner has said anything."""
    codes: dict[str, int]
    """People by blocker, the most frequent first."""


class WarningCode(enum.Enum):
    """What is odd about a batch as a whole; its approvers decide."""

    NIK_ENDINGS = "nik_endings"
    AMOUNTS_UNUSUAL = "amounts_unusual"
    DEADLINES_OVER = "deadlines_over"
    ACCOUNTS_SHARED = "accounts_shared"
    PEOPLE_STOPPED = "people_stopped"


class BatchWarning(msgspec.Struct, frozen=True, kw_only=True):
    """One oddity, how many rows show it, and what it may mean."""

    code: WarningCode
    rows: int
    text: Text


WARNINGS: dict[WarningCode, Text] = {
    WarningCode.NIK_ENDINGS: Text(
        "Semua NIK berakhir dengan 0: lembar kerja mungkin telah membulatkan angka ke-16. Cocokkan dengan sumbernya.",
        "Every NIK ends in 0: a spreadsheet may have rounded the sixteenth digit off. Compare with the source.",
    ),
    WarningCode.AMOUNTS_UNUSUAL: Text(
        "Jumlah ini belum pernah diserahkan untuk program dan tujuan tersebut. Periksa sebelum menyetujui.",
        "Such an amount was never handed over for the programme and purpose. Check before you approve.",
    ),
    WarningCode.DEADLINES_OVER: Text(
        "Batas waktu baris ini sudah lewat: tidak akan pernah dibayar. Periksa tahunnya sebelum menyetujui.",
        "The deadline of these rows is over: they will never be paid. Check the year before you approve.",
    ),
    WarningCode.ACCOUNTS_SHARED: Text(
        "Beberapa peserta diserahkan dengan akun yang sama: akun hanya milik satu orang. Cocokkan dengan sumbernya.",
        "Different participants were handed over with one account: it is one person's. Compare with the source.",
    ),
    WarningCode.PEOPLE_STOPPED: Text(
        "Pembayaran kepada peserta baris ini pernah dihentikan. Pastikan mereka memang akan dibayar lagi sebelum"
        " menyetujui.",
        "Payments to the participants of these rows were stopped. Make sure that they are to be paid again before you"
        " approve.",
    ),
}
assert set(WARNINGS) == set(WarningCode), "every warning says what it may mean"


class RowCode(enum.Enum):
    """Why a row was refused at intake; the rest of the batch goes on."""

    ROW_MALFORMED = "row_malformed"
    ENCODING_INVALID = "encoding_invalid"
    COLUMN_UNKNOWN = "column_unknown"
    KEY_REPEATED = "key_repeated"
    FIELD_MISSING = "field_missing"
    FIELD_INVALID = "field_invalid"
    PROGRAMME_UNKNOWN = "programme_unknown"
    PURPOSE_UNKNOWN = "purpose_unknown"
    NIK_INVALID = "nik_invalid"
    PARTNER_UNKNOWN = "partner_unknown"
    AMOUNT_INVALID = "amount_invalid"
    DATE_INVALID = "date_invalid"
    DIGITS_LOST = "digits_lost"
    PARTICIPANT_CONFLICT = "participant_conflict"
    PARTICIPANT_TAKEN = "participant_taken"
    NIK_DUPLICATE = "nik_duplicate"
    INCENTIVE_CONFLICT = "incentive_conflict"
    INSTALMENT_PAID = "instalment_paid"


CONFLICTS = frozenset(
    {
        RowCode.PARTICIPANT_CONFLICT,
        RowCode.PARTICIPANT_TAKEN,
        RowCode.NIK_DUPLICATE,
        RowCode.INCENTIVE_CONFLICT,
        RowCode.INSTALMENT_PAID,
    }
)
"""Rows that are well-formed and contradict what was handed over before, or another row of the same file."""


class Fault(NamedTuple):
    """One thing that is wrong with a row, never with a value of it."""

    field: str | None
    code: str
    hint: str | None = None
    """What `remedy_of` puts into its sentence: an example of the form, the sign that does not belong there, what the
    row meets."""
    fields: tuple[str, ...] = ()
    """Names of the fields that differ from what the row meets."""


class RowFault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a row, and what to do about it."""

    field: str | None
    code: RowCode
    remedy: Text
    fields: tuple[str, ...] = ()
    """Of a conflict: the fields that differ from what is known, never what they say."""


_REMEDIES: dict[tuple[RowCode, str | None], tuple[str, str]] = {  # by code, and field or hint where these tell more
    (RowCode.ROW_MALFORMED, None): (
        "Tulis setiap baris dengan kolom yang sama seperti baris judul ({hint}); apit sel yang memuat koma atau baris"
        " baru dengan tanda kutip ganda.",
        "Give each row exactly the columns of the header ({hint}); put a cell with a comma or a line break in double"
        " quotes.",
    ),
    (RowCode.ROW_MALFORMED, "JSON"): (
        "Tulis setiap baris sebagai satu objek JSON yang utuh, tanpa koma di belakangnya.",
        "Give each line one whole JSON object, without a comma behind it.",
    ),
    (RowCode.ENCODING_INVALID, None): (
        "Baris ini bukan UTF-8, mungkin Windows-1252: simpan berkas sebagai 'CSV UTF-8' lalu kirim lagi.",
        "The row is not UTF-8, perhaps Windows-1252: save the file as 'CSV UTF-8' and send it again.",
    ),
    (RowCode.COLUMN_UNKNOWN, None): (
        "Hapus isian ini ({hint}); yang dikenal hanya: " + ", ".join(COLUMNS) + ".",
        "Take this field out ({hint}); there are only: " + ", ".join(COLUMNS) + ".",
    ),
    (RowCode.KEY_REPEATED, None): (
        "Tulis isian ini satu kali saja dalam satu objek.",
        "Give this field once in an object.",
    ),
    (RowCode.FIELD_MISSING, None): ("Isi kolom ini.", "Fill this field."),
    (RowCode.FIELD_INVALID, None): (
        "Tulis 1 sampai 64 huruf, angka, titik, garis bawah, titik dua atau tanda hubung, tanpa 16 angka"
        " berturut-turut, bukan nomor telepon, dan tanpa tanda lain ({hint}).",
        "Write 1 to 64 letters, digits, dots, underscores, colons or hyphens, not 16 digits in a row, no phone number"
        " and no other sign ({hint}).",
    ),
    (RowCode.FIELD_INVALID, "full_name"): (
        "Tulis nama seperti di KTP, dalam paling banyak 120 huruf; hapus atau perbaiki tanda ini ({hint}).",
        "Write the name as on the KTP, in at most 120 characters; take out or mend this sign ({hint}).",
    ),
    (RowCode.FIELD_INVALID, "phone"): (
        "Tulis nomor telepon sebagai +62 dan 8 sampai 13 angka, tanpa 0 di depan: +6281234567890.",
        "Write the phone as +62 and 8 to 13 digits, without the leading 0: +6281234567890.",
    ),
    (RowCode.FIELD_INVALID, "account"): (
        "Tulis nomor akun dalam bentuk yang dipakai mitra ini, seperti {hint}.",
        "Write the account in this partner's form, like {hint}.",
    ),
    (RowCode.PROGRAMME_UNKNOWN, None): (
        "Pakai program yang terdaftar; yang terdekat: {hint}. Program baru didaftarkan dengan POST /v1/programmes atau"
        " `gateway programmes register`.",
        "Use a registered programme; the nearest: {hint}. A new one is registered with POST /v1/programmes or `gateway"
        " programmes register`.",
    ),
    (RowCode.PURPOSE_UNKNOWN, None): (
        "Pakai tujuan yang terdaftar untuk program ini; yang terdekat: {hint}. Tujuan baru didaftarkan dengan POST"
        " /v1/programmes atau `gateway programmes register`.",
        "Use a purpose that is registered for this programme; the nearest: {hint}. A new one is registered with POST"
        " /v1/programmes or `gateway programmes register`.",
    ),
    (RowCode.FIELD_INVALID, "period"): (
        "Tulis periode sebagai bilangan bulat dari 0 sampai 9999 tanpa nol di depan: 1, 2, 3.",
        "Write the period as a whole number from 0 to 9999 without leading zeros: 1, 2, 3.",
    ),
    (RowCode.NIK_INVALID, None): (
        "Cocokkan NIK dengan KTP peserta: 16 angka dengan tanggal lahir yang benar; di lembar kerja, simpan sebagai"
        " teks.",
        "Check the NIK against the participant's KTP: 16 digits with a real date of birth; in a spreadsheet keep it as"
        " text.",
    ),
    (RowCode.PARTNER_UNKNOWN, None): ("Pilih salah satu mitra: {hint}.", "Use one of the partners: {hint}."),
    (RowCode.AMOUNT_INVALID, None): (
        "Tulis rupiah bulat tanpa titik, koma atau desimal, dalam batas mitra ({hint}).",
        "Give whole rupiah without separators or decimals, within the partner's limits ({hint}).",
    ),
    (RowCode.DATE_INVALID, None): (
        "Tulis tanggal sebagai TTTT-BB-HH, misalnya 2020-06-30.",
        "Give the date as YYYY-MM-DD, 2020-06-30 for example.",
    ),
    (RowCode.DATE_INVALID, "deadline_on"): (
        "Tulis batas waktu sebagai TTTT-BB-HH, tidak sebelum tanggal jatuh tempo.",
        "Give the deadline as YYYY-MM-DD, not before the due date.",
    ),
    (RowCode.DIGITS_LOST, None): (
        "Isian ini datang sebagai angka, bukan teks: nol di depan atau angka terakhirnya mungkin hilang. Ambil lagi"
        " dari sumbernya sebagai teks: di JSON dengan tanda kutip ganda, di lembar kerja dengan format kolom Text.",
        "This came as a number and not as text: zeros in front or its last digits may be lost. Take it from the source"
        " again as text: in JSON in double quotes, in a spreadsheet with the column's format set to Text.",
    ),
    (RowCode.PARTICIPANT_CONFLICT, None): (
        "Peserta ini terdaftar dengan data lain ({hint}). Bila baris ini yang benar, {how} lalu kirim baris ini lagi;"
        " bila tidak, perbaiki barisnya.",
        "The participant is known with other data ({hint}). If this row is right, {how}, and send the row again; if"
        " not, correct the row.",
    ),
    (RowCode.PARTICIPANT_TAKEN, None): (
        "Id peserta ini milik organisasi lain: pakai id lain, misalnya dengan awalan nama organisasi Anda. Bila"
        " organisasi lain itu mengirimnya karena keliru: minta berkasnya ditolak atau insentifnya dibatalkan di sana,"
        " lalu kirim lagi.",
        "The participant_id is another organisation's: use another one, begun with your organisation's name for"
        " example. Where it was handed over there by mistake: have that batch rejected or the incentive cancelled"
        " there, and hand it over again.",
    ),
    (RowCode.NIK_DUPLICATE, None): (
        "Peserta lain memegang cicilan ini dengan NIK yang sama ({hint}). Bila NIK peserta itu yang salah, perbaiki"
        " dengan PUT /v1/participants/{{participant_id}} miliknya lalu kirim baris ini lagi; bila NIK baris ini yang"
        " salah, perbaiki barisnya; bila orangnya sama, keluarkan baris ini.",
        "Another participant holds this instalment under the same NIK ({hint}). If that participant's NIK is wrong,"
        " correct it with PUT /v1/participants/{{participant_id}} of that one, and send the row again; if this row's"
        " NIK is wrong, correct the row; if both are one person, take the row out.",
    ),
    (RowCode.INCENTIVE_CONFLICT, None): (
        "Cicilan ini sudah diserahkan dengan isi lain ({hint}). Bila baris ini yang benar, {how} lalu kirim baris ini"
        " lagi; bila tidak, keluarkan baris ini.",
        "The instalment was handed over with other content ({hint}). If this row is right, {how}, and send the row"
        " again; if not, take the row out.",
    ),
    (RowCode.INSTALMENT_PAID, None): (
        "Cicilan ini sudah atau sedang dibayarkan ({hint}): keluarkan baris ini; serahkan lagi hanya bila itu akhirnya"
        " dibatalkan. Bila uangnya kembali: beri pesertanya akun lain dengan PUT /v1/participants/{{participant_id}},"
        " sambungkan, lalu POST /v1/payouts membayarnya ke sana.",
        "The instalment is paid or on its way ({hint}): take the row out; hand it over again only if that ends as"
        " cancelled. If the money came back: give the participant another account with PUT"
        " /v1/participants/{{participant_id}}, have it linked, and POST /v1/payouts pays it there.",
    ),
}
assert {code for code, field in _REMEDIES if field is None} == set(RowCode), "every row error says what to do"


_HELD_ELSEWHERE = Text(
    "Peserta organisasi lain memegang cicilan ini dengan NIK yang sama. Bila NIK di sini yang salah, perbaiki; bila"
    " orangnya sama, keluarkan baris ini; bila NIK di sana yang salah, minta organisasi itu memperbaikinya, lalu kirim"
    " lagi.",
    "A participant of another organisation holds this instalment under the same NIK. If the NIK here is wrong, correct"
    " it; if both are one person, take the row out; if theirs is wrong, have that organisation correct it, and send"
    " this again.",
)
"""Of a NIK that another organisation's participant has: who that is is not told, so that nobody here can correct it."""
_CORRECT = (
    "perbaiki peserta dengan PUT /v1/participants/{participant_id} (NIK orang yang sudah dibayar: dua orang mengirim"
    " isi yang sama)",
    "correct the participant with PUT /v1/participants/{participant_id} (the NIK of somebody who was paid: two people"
    " send the same)",
)
_CANCEL = (
    "batalkan insentif itu dengan POST /v1/incentives/{incentive_id}/cancel",
    "cancel that incentive with POST /v1/incentives/{incentive_id}/cancel",
)


def remedy_of(code: RowCode, field: str | None = None, hint: str | None = None, fields: Sequence[str] = ()) -> Text:
    """What to do about a fault, in both languages; `fields` as of `Fault`."""
    if code is RowCode.NIK_DUPLICATE and fields and hint is None:
        return _HELD_ELSEWHERE
    indonesian, english = _REMEDIES.get((code, field or hint)) or _REMEDIES[code, None]
    said = "; ".join(part for part in (", ".join(fields), hint) if part) or "-"
    steps = [_CORRECT] if not fields or set(fields) & set(PERSON) else []
    steps += [_CANCEL] if set(fields) - set(PERSON) else []
    how_id, how_en = (joint.join(step[at] for step in steps) for at, joint in enumerate((" dan ", " and ")))
    return Text(indonesian.format(hint=said, how=how_id), english.format(hint=said, how=how_en))


NIKS_EXCHANGED = Text(
    " Bila NIK kedua peserta tertukar: batalkan insentif itu dengan POST /v1/incentives/{incentive_id}/cancel, perbaiki"
    " NIK keduanya, lalu serahkan cicilan itu lagi.",
    " If the two have each other's NIK: cancel that incentive with POST /v1/incentives/{incentive_id}/cancel, correct"
    " both, and hand the instalment over again.",
)
"""What a correction that meets another participant with the same NIK says besides."""
ENTITLED_UNDER_THE_NIK = Text(
    " Peserta lain itu berhak menurut rencana pembayaran dalam program yang sama: batalkan salah satunya dengan POST"
    " /v1/entitlements/{entitlement_id}/cancel, lalu perbaiki NIK.",
    " That other one is entitled under a payment plan of the same programme: cancel one of the two entitlements with"
    " POST /v1/entitlements/{entitlement_id}/cancel, then correct the NIK.",
)
"""The same where both are entitled in one programme."""


def notes_of(faults: Sequence[RowFault]) -> tuple[str, str]:
    """The two cells that `NOTES` names, for a spreadsheet: what is wrong, and what to do in both languages."""
    wrong = "; ".join(f"{fault.field or 'row'}: {fault.code.value}" for fault in faults)
    todo = [f"{fault.field or 'row'}: {fault.remedy.id} | {fault.remedy.en}" for fault in faults]
    return wrong, "\n".join(todo)


def row_fault(fault: Fault) -> RowFault:
    """A fault with its remedy."""
    code = RowCode(fault.code)
    return RowFault(
        field=fault.field, code=code, remedy=remedy_of(code, fault.field, fault.hint, fault.fields), fields=fault.fields
    )
