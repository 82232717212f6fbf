"""Whom the gateway trusts at a partner's address, and what it shows of itself there."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Mapping

import httpx

from contracts.secret import Secret
from gateway.settings import SettingsError, Tls


def contexts(settings: Mapping[str, Tls]) -> dict[str, ssl.SSLContext]:
    """By partner, for those that have any such setting; the others trust the usual authorities. Raises
    `SettingsError`, which holds nothing of a key.
    """
    return {slug: _context(slug, tls) for slug, tls in settings.items() if tls.ca_pem or tls.client_pem}


def _context(slug: str, tls: Tls) -> ssl.SSLContext:
    if tls.ca_pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(cadata=tls.ca_pem)
        except (ssl.SSLError, ValueError):
            raise SettingsError(f"{slug.upper()}_CA_PEM holds no certificate") from None
    else:
        context = httpx.create_ssl_context()
    if tls.client_pem:
        _show(context, slug, tls.client_pem)
    return context


def _show(context: ssl.SSLContext, slug: str, pem: Secret) -> None:
    """Python reads a key from a file alone; this one is ours to read, and gone at once."""
    try:
        ours = tempfile.NamedTemporaryFile(suffix=".pem")  # noqa: SIM115 - closed below
    except OSError:
        raise SettingsError(f"{slug.upper()}_CLIENT_PEM: no folder can be written to, so name one in TMPDIR") from None
    with ours as file:
        file.write(pem.reveal().encode())
        file.flush()
        try:
            context.load_cert_chain(file.name, password=_no_password)
        except (ssl.SSLError, ValueError):
            raise SettingsError(f"{slug.upper()}_CLIENT_PEM holds no certificate with its key, both as PEM") from None


def _no_password() -> str:
    raise ValueError("a key under a password is asked for at no terminal")
