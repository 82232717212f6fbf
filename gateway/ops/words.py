"""What people say for the codes that the API and the store use; the code stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from contracts.batch import BatchState
from contracts.hold import HoldKind, HoldStage
from contracts.identity import Verdict
from contracts.incentive import BLOCKERS, Stage
from contracts.linking import LinkState
from contracts.partner import Mark
from contracts.payment_plan import PlanState
from contracts.payout import PayoutState

STAGES = {
    Stage.AWAITING_LINK: ("Menunggu sambungan akun", "Awaiting link"),
    Stage.AWAITING_VERIFICATION: ("Menunggu pencocokan NIK", "Awaiting verification"),
    Stage.SCHEDULED: ("Siap dibayar", "Scheduled"),
    Stage.PAYING: ("Sedang dibayar", "Paying"),
    Stage.PAID: ("Dibayar", "Paid"),
    Stage.RETURNED: ("Dikembalikan", "Returned"),
    Stage.CANCELLED: ("Dibatalkan", "Cancelled"),
}
_PAYOUTS = {
    PayoutState.RESERVED: ("Disisihkan, belum dikirim", "Set aside, not sent yet"),
    PayoutState.PREPARING: ("Perintah sedang dibuat di mitra", "Instruction is being made at the partner"),
    PayoutState.PREPARED: ("Perintah menunggu persetujuan kami", "Instruction waits for our approval"),
    PayoutState.SUBMITTING: ("Sedang dikirim", "Being sent"),
    PayoutState.UNKNOWN: ("Belum diketahui hasilnya", "Outcome not known"),
    PayoutState.PENDING: ("Diproses mitra", "Under way at the partner"),
    PayoutState.SUCCEEDED: ("Berhasil", "Paid"),
    PayoutState.REJECTED: ("Ditolak mitra", "Refused by the partner"),
    PayoutState.REVERSED: ("Dikembalikan mitra", "Given back by the partner"),
    PayoutState.CANCELLED: ("Dibatalkan sebelum dikirim", "Cancelled before it was sent"),
}
_BATCHES = {
    BatchState.AWAITING_APPROVAL: ("Menunggu persetujuan", "Awaiting approval"),
    BatchState.APPROVED: ("Disetujui", "Approved"),
    BatchState.REJECTED: ("Ditolak", "Rejected"),
    BatchState.EXPIRED: ("Kedaluwarsa", "Expired"),
    BatchState.EMPTY: ("Tidak ada baris yang diterima", "No row was accepted"),
    BatchState.STOPPED: ("Dihentikan", "Stopped"),
}
_LINKS = {
    LinkState.CHALLENGED: ("Alamat diberikan, belum dibuka", "Address given, not opened"),
    LinkState.OPENED: ("Peserta sedang di halaman mitra", "The participant is at the partner's page"),
    LinkState.EXCHANGING: ("Persetujuan sedang ditukar", "Consent is being exchanged"),
    LinkState.WAITING: ("Akun masih tersambung pada orang lain", "The account is still linked to somebody else"),
    LinkState.ACTIVE: ("Tersambung", "Linked"),
    LinkState.UNLINKING: ("Sedang dilepas", "Being given back"),
    LinkState.FAILED: ("Gagal", "Failed"),
    LinkState.REVOKED: ("Dicabut", "Withdrawn"),
    LinkState.UNLINKED: ("Dilepas", "Given back"),
}
_VERDICTS = {
    Verdict.MATCH: ("NIK cocok", "NIK matches"),
    Verdict.MISMATCH: ("NIK tidak cocok", "NIK differs"),
    Verdict.KYC_INCOMPLETE: ("Akun belum di-upgrade", "Account has no verified identity"),
    Verdict.ACCOUNT_NOT_FOUND: ("Akun tidak ada", "No such account"),
    Verdict.ACCOUNT_BLOCKED: ("Akun diblokir", "Account is blocked"),
    Verdict.ACCOUNT_UNPROVED: ("Akun belum terbukti miliknya", "Account not proved to be theirs"),
    Verdict.UNSUPPORTED: ("Tidak didukung mitra", "Not supported by the partner"),
    Verdict.PENDING: ("Masih diperiksa mitra", "Still being checked by the partner"),
}
_HOLDS = {
    HoldKind.OUTAGE: ("gangguan di mitra", "outage"),
    HoldKind.THROTTLED: ("mitra minta diperlambat", "throttled"),
    HoldKind.BRAKE: ("rem, banyak orang ditolak serupa", "brake, many were refused alike"),
    HoldKind.OURS: ("mitra menolak kami, bukan orangnya", "it refuses us, not the people"),
    HoldKind.OPERATOR: ("ditahan petugas", "held by an operator"),
}
_HOLD_STAGES = {
    HoldStage.LINK: ("penyambungan", "link"),
    HoldStage.PROOF: ("bukti sambungan", "proof"),
    HoldStage.VERIFY: ("pencocokan NIK", "verify"),
    HoldStage.PAYOUT: ("pembayaran", "payout"),
}
_MARKS = {
    Mark.SEEN: ("tertulis", "seen"),
    Mark.RECALLED: ("menurut ingatan", "recalled"),
    Mark.ASSUMED: ("diandaikan", "assumed"),
}
_DECISIONS = {
    "approve": ("disetujui", "approved"),
    "reject": ("ditolak", "rejected"),
    "withdraw": ("persetujuan ditarik", "approval withdrawn"),
}
_RECONCILIATIONS = {
    "running": ("berjalan", "running"),
    "done": ("dibandingkan", "compared"),
    "failed": ("gagal", "failed"),
}
_HALVES = {
    "settlement": ("Dokumen mitra tentang pembayaran", "The partner's document about a payout"),
    "nik": ("NIK lain untuk orang yang sudah dibayar", "Another NIK of somebody who was paid"),
    "erasure": ("Penghapusan data seseorang", "The erasure of a person"),
    "proof": ("Dokumen mitra tentang pemilik akun", "The partner's document about whose an account is"),
}
TROUBLE = {
    "no answer": ("tanpa jawaban", "no answer"),
    "401": ("401", "401"),
    "403": ("403", "403"),
    "429": ("429", "429"),
    "5xx": ("5xx", "5xx"),
}
TURNS = {
    "no answer": (
        "Mitra tidak menjawab. Yang mungkin sudah sampai ditanyakan sendiri oleh gateway; tidak dikirim dua kali.",
        "The partner did not answer. What may have arrived is looked up by the gateway itself; nothing is sent twice.",
    ),
    "401": (
        "Mitra tidak menerima kunci, token, atau alamat kami. Token diperbarui sendiri; bila berlanjut, mitra ditahan:"
        " operator memeriksanya dengan gateway doctor.",
        "The partner does not take our key, token or address. Tokens are renewed by themselves; if it goes on the"
        " partner is held: an operator looks with gateway doctor.",
    ),
    "403": (
        "Mitra menolak orang atau jumlahnya: akun diblokir atau melewati batas. Giliran peserta; tiap insentif menyebut"
        " penyebabnya. Bila deposit atau batas kami sendiri, mitra ditahan dan itu tertulis di atas.",
        "The partner refuses the person or the amount: an account that is blocked, a limit. The participant's turn;"
        " each incentive names its blocker. Where it is our own deposit or limit, it is held, as said above.",
    ),
    "429": (
        "Terlalu cepat bagi mitra. Gateway melambat sendiri.",
        "Too fast for the partner. The gateway slows down by itself.",
    ),
    "5xx": (
        "Gangguan di mitra. Gateway mencoba lagi sendiri; bila berlanjut, mitra ditahan dan dicoba satu per satu.",
        "The partner's own failure. The gateway tries again by itself; if it goes on the partner is held and tried with"
        " one call at a time.",
    ),
}
"""Whose turn it is, by kind of trouble."""
ACTS = {
    "link": (
        "Membuat alamat baru untuk diberikan kepada peserta sendiri; berlaku sepuluh menit, sekali pakai.",
        "Makes a new address to be given to the participant themself; good for ten minutes, once.",
    ),
    "account": (
        "Insentif yang belum dikirim dibayar ke akun lain ini, setelah peserta menyambungkannya dan NIK-nya cocok.",
        "What has not left is paid to this other account, once the participant has linked it and its NIK matches.",
    ),
    "correct": (
        "Mengganti satu data yang salah. Bila NIK diganti, NIK dicocokkan lagi sebelum ada yang dibayar.",
        "Replaces what is wrong. After another NIK the account is checked again before anything is paid.",
    ),
    "check": (
        "Menanyakan NIK sekali lagi kepada mitra. Tidak ada uang yang bergerak.",
        "Asks the partner about the NIK once more. No money moves.",
    ),
    "move": (
        "Memajukan langkah berikut, tanpa menunggu waktunya. Tidak dapat membayar dua kali.",
        "Takes the next step now, without waiting for its time. It cannot pay twice.",
    ),
    "cancel": (
        "Insentif ini tidak dibayar; bila tetap perlu, serahkan lagi. Yang sudah dikirim tidak dapat dibatalkan.",
        "This incentive is not paid; to pay it after all, hand it over again. What has left cannot be cancelled.",
    ),
    "settle": (
        "Untuk pembayaran yang hasilnya hanya diketahui mitra: ajukan dokumennya. Baru berlaku setelah dibenarkan orang"
        " kedua.",
        "For a payment of which only the partner knows the outcome: bring its document. It counts once a second person"
        " has confirmed it.",
    ),
    "release": (
        "Mitra dipakai lagi seketika; yang menunggu menjadi giliran. Bila gagal lagi, mitra ditahan lagi.",
        "The partner is used again at once, and what waited is due. If it fails again it is held again.",
    ),
    "resume": ("Pembayaran di mitra ini berjalan lagi.", "Payments at this partner go on."),
    "compare": (
        "Membaca laporan mitra untuk satu hari dan membandingkannya dengan catatan kami. Tidak ada yang dibayar.",
        "Reads the partner's statement of one day and compares it with our books. Nothing is paid.",
    ),
    "prove": (
        "Mencatat dokumen mitra yang menyatakan bahwa akun ini milik peserta. Baru berlaku setelah orang kedua.",
        "Records the partner's document that says whose the account is. It counts once a second person has given it.",
    ),
    "approve": (
        "Insentif yang persetujuannya gugur diajukan lagi; dua orang menyetujuinya di halaman berkas.",
        "Incentives whose approval has lapsed are put up again; two people approve them at the batch's page.",
    ),
    "confirm": (
        "Membenarkan dokumen yang diajukan orang lain: pembayaran ini lalu selesai seperti kata dokumen itu.",
        "Confirms the document that somebody else brought: the payment then ends as it says.",
    ),
    "close": (
        "Untuk yang sudah dibereskan dengan mitra atau peserta di luar gateway. Tidak ada yang dibayar karenanya.",
        "For what was settled with the partner or the participant outside of the gateway. Nothing is paid by it.",
    ),
    "pause": (
        "Tidak ada lagi pembayaran yang dikirim ke mitra ini sampai dijalankan lagi. Yang sudah dikirim tetap diikuti."
        " Bila sudah dihentikan, alasan ini ditambahkan.",
        "No payment is sent to this partner any more until it is resumed. What has left is followed to its end. Paused"
        " already, this reason is added.",
    ),
    "ask-again": (
        "Bila mitra ternyata keliru menolak orang-orang: mereka yang ditolak sejak saat itu ditanyakan lagi. Tidak ada"
        " yang dibayar dua kali.",
        "Where the partner turns out to have refused people wrongly: those whom it refused since then are asked about"
        " again. Nobody is paid twice.",
    ),
    "stop-batch": (
        "Semua dari berkas ini yang belum dikirim dibatalkan; yang sudah dikirim tetap diikuti.",
        "All of this batch that has not left is cancelled; what has left is followed to its end.",
    ),
    "stop-plan": (
        "Tidak ada lagi yang berhak menurut rencana ini, dan semua darinya yang belum dikirim dibatalkan;"
        " yang sudah dikirim tetap diikuti.",
        "Nobody is entitled under this plan any more, and all of it that has not left is cancelled; what has left is"
        " followed to its end.",
    ),
    "stop-person": (
        "Semua pembayaran orang ini yang belum dikirim dibatalkan; yang sudah dikirim tetap diikuti.",
        "All of this person's payments that have not left are cancelled; what has left is followed to its end.",
    ),
    "revive": (
        "Pemberitahuan yang sudah menyerah dikirim lagi, menurut urutannya.",
        "Notifications that were given up are delivered again, in their order.",
    ),
    "enable": (
        "Alamat ini dipanggil lagi, dari tempat berhentinya.",
        "This address is called again, from where it stopped.",
    ),
    "try": ("Mengirim satu pemberitahuan percobaan sekarang.", "Sends one notification to try it, now."),
}
"""What an act does, and what it cannot do."""
assert TURNS.keys() == TROUBLE.keys()
_KINDS: tuple[tuple[str, type[Enum], Mapping[Any, tuple[str, str]]], ...] = (
    ("stage", Stage, STAGES), ("payout", PayoutState, _PAYOUTS), ("batch", BatchState, _BATCHES),
    ("link", LinkState, _LINKS), ("verdict", Verdict, _VERDICTS), ("hold", HoldKind, _HOLDS),
    ("hold stage", HoldStage, _HOLD_STAGES), ("mark", Mark, _MARKS),
)  # fmt: skip
assert {one.value for one in PlanState} <= {one.value for one in BatchState}, "a plan's state has a batch's words"
assert all(set(said) == set(kind) for _, kind, said in _KINDS), "each has its words"

OF: dict[str, dict[str, tuple[str, str]]] = {
    **{name: {one.value: words for one, words in said.items()} for name, _, said in _KINDS},
    "blocker": {code.value: (text.indonesian, text.english) for code, text in BLOCKERS.items()},
    "decision": _DECISIONS,
    "reconciliation": _RECONCILIATIONS,
    "half": _HALVES,
    "trouble": TROUBLE,
    "turn": TURNS,
    "act": ACTS,
}
"""By kind and code, in Indonesian and English."""


def kind(status: int | None) -> str:
    """Of `TROUBLE`, what an HTTP status is; None: no answer."""
    if status is None:
        return "no answer"
    return "5xx" if status >= 500 else str(status)
