"""LinkAja's pages: a red bar, sections on grey, the button in a bar at the bottom."""

from mock_partners.kit.look import Look, Step, Words, css

LOOK = Look(
    brand="LinkAja",
    words={
        Step.AGREE: Words(
            "Hubungkan Akun LinkAja", "{merchant} ingin terhubung dengan akun LinkAja Anda untuk:",
            "Saya telah membaca dan menyetujui Syarat dan Ketentuan LinkAja.", "Lanjutkan",
        ),
        Step.PIN: Words(
            "Masukkan PIN LinkAja", "PIN 6 angka yang Anda pakai di aplikasi LinkAja.", "PIN LinkAja", "Hubungkan Akun"
        ),
    },
    grants=("Menerima dana insentif", "Memeriksa status akun", "Mencocokkan NIK Anda dengan data LinkAja"),
    refuse="Batalkan",
    gone=Words("Sesi telah berakhir", "Silakan mulai lagi dari {merchant}.", "", ""),
    css=css("mock_partners.linkaja"),
)  # fmt: skip
