"""GoPay's pages: green pill buttons on white, and a "kamu" for the customer."""

from mock_partners.kit.look import Look, Step, Words, css

LOOK = Look(
    brand="GoPay",
    words={
        Step.AGREE: Words(
            "Hubungkan GoPay ke {merchant}", "Setelah terhubung, {merchant} bisa:",
            "Aku setuju dengan Syarat & Ketentuan GoPay.", "Hubungkan",
        ),
        Step.PHONE: Words(
            "Masukkan nomor HP kamu", "Pakai nomor yang terdaftar di GoPay.", "Nomor HP", "Lanjut"
        ),
        Step.OTP: Words(
            "Masukkan kode OTP", "Kode 6 angka sudah dikirim lewat SMS ke {phone}.", "Kode OTP", "Lanjut"
        ),
        Step.PIN: Words("Masukkan PIN GoPay", "Jangan kasih tahu PIN ke siapa pun, ya.", "PIN GoPay", "Konfirmasi"),
    },
    grants=(
        "Mengirim insentif ke saldo GoPay kamu",
        "Melihat nama dan status verifikasi akunmu",
        "Mencocokkan NIK kamu dengan data GoPay",
    ),
    refuse="Nanti saja",
    gone=Words("Halaman ini sudah tidak berlaku", "Balik ke {merchant} dan mulai lagi dari sana, ya.", "", ""),
    css=css("mock_partners.gopay"),
)  # fmt: skip
