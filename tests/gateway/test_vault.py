"""Sealed fields: unreadable as they lie, bound to their place and key, and equal only by their keyed index."""

from __future__ import annotations

import hmac
import random
from collections.abc import Callable

import pytest

from contracts.secret import Secret
from gateway.security.vault import KEY_ID_BYTES, SealBroken, Vault, keyed_hash

KEY, OTHER_KEY = b"k" * 32, b"K" * 32
NIK = "3173010101909901"


def test_a_sealed_value_cannot_be_read_and_opens_in_its_place() -> None:
    vault = Vault(KEY)
    sealed = vault.seal("participants.nik|P1", NIK)
    assert NIK.encode() not in sealed
    assert vault.open("participants.nik|P1", sealed) == NIK
    assert vault.seal("participants.nik|P1", NIK) != sealed, "two equal values do not look equal"


def test_values_that_are_sealed_together_share_nothing() -> None:
    """Under one key a nonce that is used twice gives both values away."""
    vault = Vault(KEY)
    places = [f"participants.nik|P{n}" for n in range(5)] * 2
    sealers = [vault.sealer(5), vault.sealer(5)]
    sealed = [sealers[n // 5](place, NIK) for n, place in enumerate(places)]
    assert [vault.open(place, one) for place, one in zip(places, sealed, strict=True)] == [NIK] * 10
    assert len({one[KEY_ID_BYTES : KEY_ID_BYTES + 12] for one in sealed}) == 10
    with pytest.raises(IndexError):
        sealers[0](places[0], NIK)


def test_a_keyed_hash_is_hmac_whatever_the_lengths_of_key_and_message() -> None:
    rng = random.Random(5)
    for length in (0, 1, 31, 32, 63, 64, 65, 200, *(rng.randrange(300) for _ in range(40))):
        key = rng.randbytes(length)
        hashed = keyed_hash(key)
        prefix = rng.randbytes(rng.choice((1, 4, 63, 64, 65, 200)))
        after = keyed_hash(key, prefix)
        for message in (b"", rng.randbytes(rng.randrange(300)), rng.randbytes(64)):
            assert hashed(message) == hmac.digest(key, message, "sha256"), length
            assert after(message) == hmac.digest(key, prefix + message, "sha256"), length


def test_it_opens_nowhere_else_and_not_once_it_was_touched() -> None:
    vault = Vault(KEY)
    sealed = vault.seal("participants.nik|P1", NIK)
    with pytest.raises(SealBroken):
        vault.open("participants.nik|P2", sealed)
    with pytest.raises(SealBroken):
        Vault(OTHER_KEY).open("participants.nik|P1", sealed)
    for at in range(len(sealed)):
        touched = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(SealBroken):
            vault.open("participants.nik|P1", touched)


def test_an_index_is_of_its_kind_and_key() -> None:
    vault = Vault(KEY)
    assert vault.index("account:bni", "0115476151") == Vault(KEY).index("account:bni", "0115476151")
    others = {
        vault.index("account:ovo", "0115476151"),
        vault.index("account:bni", "0115476152"),
        Vault(OTHER_KEY).index("account:bni", "0115476151"),
    }
    assert len(others) == 3 and vault.index("account:bni", "0115476151") not in others


def test_a_token_is_of_its_purpose_and_key() -> None:
    vault = Vault(KEY)
    assert vault.token("connect:L1:1") == Vault(KEY).token("connect:L1:1")
    assert len({vault.token("connect:L1:1"), vault.token("connect:L1:2"), Vault(OTHER_KEY).token("connect:L1:1")}) == 3


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{:>40}".format])
def test_a_secret_prints_nothing_of_itself(shown: Callable[[object], str]) -> None:
    assert NIK not in shown(Secret(NIK))
    assert NIK not in repr({"nik": Secret(NIK)})


def test_a_former_value_of_the_same_place_does_not_open_beside_a_newer_index() -> None:
    vault = Vault(KEY)
    place, former = "participants.nik|P1", vault.seal("participants.nik|P1", NIK)
    index = vault.index("nik", NIK)
    assert vault.open_indexed(place, former, "nik", index) == NIK
    for other in (vault.index("nik", NIK[:-1] + "7"), vault.index("name", NIK), b"", index[:-1]):
        with pytest.raises(SealBroken):
            vault.open_indexed(place, former, "nik", other)
