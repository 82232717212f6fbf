"""Whether two spellings are one name: what must agree, and what must not."""

from __future__ import annotations

import random

import pytest

from contracts.names import agree, plain

SAME = [
    ("SITI AMINAH", "Siti Aminah"),
    ("SITI AMINAH", "Aminah Siti"),
    ("Dr. H. Budi Santoso, S.Kom., M.M.", "BUDI SANTOSO"),
    ("Hj. NUR'AINI", "Nuraini"),
    ("M. Hidayat", "MUHAMMAD HIDAYAT"),
    ("M.Hidayat", "Muhammad Hidayat"),
    ("R. Kartini", "RADEN KARTINI"),
    ("R Hidayat", "Rahmat Hidayat"),
    ("Budi S", "Budi Santoso"),
    ("A. B. Wijaya", "Bagus Adi Wijaya"),
    ("M M Hidayat", "Muhammad Malik Hidayat"),
    ("JOSÉ WIDODO", "Jose Widodo"),
    ("Sri Sri Rahayu", "SRI RAHAYU"),
    ("SUHARTO", "Suharto"),
    ("MUHAMMAD RIZKI", "Moh. Rizki"),
    ("MOCHAMAD ARIFIN", "Muhamad Arifin"),
    ("ACH. FAUZI", "ACHMAD FAUZI"),
    ("Akhmad Fauzi", "AHMAD FAUZI"),
    ("ABD. RAHMAN", "Abdul Rahman"),
    ("NUR HIDAYAH", "Nurhidayah"),
    ("AHMAD AL FATIH", "Ahmad Alfatih"),
    ("DE VIRA", "Devira"),
    ("ABDUR RAHMAN", "Abdurrahman"),
    ("ABDUL RAHMAN", "Abdurrahman"),
    ("MUHAMMAD NUR HIDAYAH", "Moh. Nurhidayah"),
    ("MUHAMMADYUSUF", "Mochamad Yusuf"),
    ("GOPAY SITI AMINAH", "Siti Aminah"),
    ("DNID BUDI SANTOSO", "BUDI SANTOSO"),
]
DIFFERENT = [
    ("SITI AMINAH", "SITI"),
    ("SITI AMINAH", "SITI MARYAM"),
    ("SITI AMINAH", "BUDI SANTOSO"),
    ("Budi Santoso", "Budi Santoso Wijaya"),
    ("B. S.", "Budi Santoso"),
    ("Muhammad Hidayat", "Malik Hidayat"),
    ("M. Hidayat", "Ahmad Hidayat"),
    ("A. Wijaya", "Wijaya"),
    ("", ""),
    ("H.", "H."),
    ("Dr. Ir.", "Dr. Ir."),
    ("***", "***"),
    ("B*** S*****", "BUDI SANTOSO"),
    ("SITI AMINAH", "SITI AMINA"),
    ("M. ALI", "MALI"),
    ("MUHAMMAD", "M."),
    ("MUHAMMAD FAUZI", "AHMAD FAUZI"),
    ("BUDI SANTOSO", "Santosobudi"),
    ("A WIJAYA", "Awijaya"),
    ("NUR HIDAYAH", "Nurhidayat"),
    ("Mohan Rizki", "Muhammad Rizki"),
    ("ABDULLAH", "Abdul"),
    ("Abdur Rahman", "Abdurrahim"),
    ("GOPAY", "Gopay"),
    ("GOPAY SITI", "GOPAY BUDI"),
    ("Axx Sxxxxx", "ADI SUTOMO"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_name_in_two_spellings(one: str, other: str) -> None:
    assert agree(one, other) and agree(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_names(one: str, other: str) -> None:
    assert not agree(one, other) and not agree(other, one)


def test_a_name_agrees_with_its_words_in_any_order_and_with_initials_and_with_no_other_of_the_list() -> None:
    rng, words = random.Random(7), ["siti", "budi", "aminah", "wijaya", "lestari", "kusuma", "utami", "pratama"]
    for _ in range(2_000):
        name = rng.sample(words, rng.randint(1, 4))
        shuffled = rng.sample(name, len(name))
        keep = rng.randrange(len(name))
        written = [
            word if at == keep or rng.random() < 0.5 else f"{word[0].upper()}." for at, word in enumerate(shuffled)
        ]
        assert agree(" ".join(name), " ".join(written).title()), (name, written)
        other = rng.sample(words, rng.randint(1, 4))
        assert agree(" ".join(name), " ".join(other)) == (set(name) == set(other)), (name, other)


SPELT = [
    ("muhammad", "mohammad", "muhamad", "mochamad", "mokhamad", "muhammed", "muh", "moh", "moch", "mohd", "mhd"),
    ("ahmad", "achmad", "akhmad", "ahmed", "ach"),
    ("abdul", "abdur", "abd"),
]


def test_a_name_agrees_with_itself_however_it_is_spelt_and_parted_and_with_no_name_of_a_letter_more() -> None:
    rng, words = random.Random(8), ["siti", "budi", "nur", "aminah", "wijaya", "lestari", "hidayah", "utami"]
    for _ in range(2_000):
        name = rng.sample(words, rng.randint(1, 3))
        alike = list(name)
        if rng.random() < 0.5:
            one, other = rng.sample(rng.choice(SPELT), 2)
            name.insert(0, one)
            alike.insert(0, other)
        assert agree(" ".join(name), " ".join(alike)), (name, alike)
        parted = "".join(word + (rng.choice(["", " "]) if len(word) > 4 else " ") for word in alike)
        assert agree(" ".join(name), parted), (name, parted)
        assert not agree(" ".join(name), parted + rng.choice("bdkmnst")), (name, parted)


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Siti Nur Aïsyah", "Siti Nur Aisyah"),
        ("Nu’man  Al-Fatih", "Numan Al Fatih"),
        ("H. Ahmad, S.Pd.", "H Ahmad S Pd"),
        ("BUDI SANTOSO", "BUDI SANTOSO"),
        ("李", "李"),
    ],
)
def test_a_name_in_letters_alone(name: str, letters: str) -> None:
    """Iris takes letters, digits and spaces, and refuses a payout for an apostrophe."""
    assert plain(name) == letters
