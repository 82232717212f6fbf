"""Throw-away RSA keys, committed in clear: they protect nothing and must never be used outside tests and demos."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from importlib import resources

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


class Key(StrEnum):
    """T0: snap-bni.md 5.2 (BNI's client). WALLETS: wallets.md section 11 (the wallets' client).
    MIDTRANS, BNI: made for these mocks, sign Midtrans' own link notifications and BNI's of RTGS and SKN.
    CLIENT_NEXT, MIDTRANS_NEXT: valid beside the programme's and Midtrans' first (decisions X13)."""

    T0 = "snap_client_t0.pem"
    WALLETS = "wallets_client.pem"
    MIDTRANS = "midtrans_webhook.pem"
    BNI = "bni_notify.pem"
    CLIENT_NEXT = "wallets_client_next.pem"
    MIDTRANS_NEXT = "midtrans_webhook_next.pem"


def private_pem(key: Key) -> str:
    """The private key as PKCS#8 PEM, without the note that the file begins with."""
    text = (resources.files("mock_partners.kit") / "keys" / key.value).read_text("ascii")
    return text[text.index("-----BEGIN") :]


@cache
def private_key(key: Key) -> RSAPrivateKey:
    """A throw-away private key, loaded."""
    return _loaded(private_pem(key))


@cache
def partner_key(partner: str) -> RSAPrivateKey:
    """The throw-away private key in a partner's own folder, `key.pem`."""
    text = resources.files("mock_partners").joinpath(partner, "key.pem").read_text("ascii")
    return _loaded(text[text.index("-----BEGIN") :])


def _loaded(pem: str) -> RSAPrivateKey:
    loaded = serialization.load_pem_private_key(pem.encode("ascii"), password=None)
    assert isinstance(loaded, RSAPrivateKey)
    return loaded


def public_pem(key: Key | RSAPrivateKey) -> str:
    """The public half of a throw-away key, as PEM."""
    private = private_key(key) if isinstance(key, Key) else key
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(encoding, form).decode("ascii")
