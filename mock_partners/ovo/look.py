"""OVO's pages: a white card over purple, two buttons side by side."""

from mock_partners.kit.look import Look, Step, Words, css

LOOK = Look(
    brand="OVO",
    words={
        Step.AGREE: Words(
            "Hubungkan akun OVO", "{merchant} meminta izin untuk:",
            "Saya menyetujui Syarat & Ketentuan serta Kebijakan Privasi OVO.", "Setuju",
        ),
        Step.OTP: Words(
            "Masukkan kode verifikasi", "Kode OTP 6 angka telah dikirim ke {phone}.", "Kode OTP", "Verifikasi"
        ),
        Step.PIN: Words(
            "Masukkan Security Code", "Masukkan PIN 6 angka Anda untuk menghubungkan akun.", "PIN OVO", "Hubungkan"
        ),
    },
    grants=("Menambahkan insentif ke OVO Cash Anda", "Melihat status akun OVO Anda", "Mencocokkan NIK Anda"),
    refuse="Batal",
    gone=Words("Halaman tidak berlaku lagi", "Silakan kembali ke {merchant} dan ulangi dari awal.", "", ""),
    css=css("mock_partners.ovo"),
)  # fmt: skip
