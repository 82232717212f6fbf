"""DANA's pages: white on blue, rounded, formal."""

from mock_partners.kit.look import Look, Step, Words, css

LOOK = Look(
    brand="DANA",
    words={
        Step.PHONE: Words("Masuk ke DANA", "Masukkan nomor HP yang terdaftar di DANA.", "Nomor HP", "Lanjutkan"),
        Step.AGREE: Words(
            "Hubungkan akun DANA Anda", "{merchant} meminta izin untuk:",
            "Saya menyetujui Syarat & Ketentuan dan Kebijakan Privasi DANA.", "Lanjut",
        ),
        Step.OTP: Words("Verifikasi OTP", "Kode OTP telah dikirim ke nomor {phone}.", "Kode OTP", "Verifikasi"),
        Step.PIN: Words("Masukkan PIN DANA", "PIN 6 angka untuk menghubungkan akun Anda.", "PIN DANA", "Hubungkan"),
    },
    grants=("Mengirim dana insentif ke saldo DANA", "Melihat profil dasar Anda", "Membaca NIK yang terdaftar di DANA"),
    refuse="Batal",
    gone=Words("Sesi sudah berakhir", "Silakan kembali ke {merchant} dan ulangi.", "", ""),
    css=css("mock_partners.dana"),
)  # fmt: skip
