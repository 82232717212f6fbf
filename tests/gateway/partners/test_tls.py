"""A partner's address is trusted by the authorities named for it alone, and is shown our certificate where it asks."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.secret import Secret
from gateway.partners.tls import contexts
from gateway.partners.transport import NEVER_SENT, Sender
from gateway.settings import SettingsError, Tls

_NOW = datetime.now(UTC)


class Authority:
    """One that signs certificates."""

    def __init__(self, name: str, *, days: int = 1) -> None:
        """`days`: how long what it signs is good."""
        self._until = _NOW + timedelta(days=days)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.pem = self._signed(self._name, self._key, authority=True)

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> str:
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW - timedelta(days=1))
            .not_valid_after(self._until)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        return built.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, name: str) -> str:
        """A certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        shown = self._signed(subject, key, authority=False)
        return (
            shown
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode()
        )


OURS, OTHER = Authority("ours"), Authority("other")


@contextlib.asynccontextmanager
async def partner(tmp_path: Path, *, asks: bool = False) -> AsyncIterator[tuple[str, list[str]]]:
    """A partner under `OURS`: its address, and who has shown a certificate to it."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            shown = writer.get_extra_info("peercert")
            seen.append(shown["subject"][0][0][1] if shown else "")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            await writer.drain()
        writer.close()

    (tmp_path / "own.pem").write_text(OURS.issue("partner"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=OURS.pem)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


async def get(url: str, tls: Tls) -> bytes:
    out = Sender(url, connect_timeout_s=10.0, pool_size=1, tls=contexts({"bni": tls})["bni"])
    try:
        return (await out.send("GET", "/", {}, b"", 10.0)).content
    finally:
        await out.aclose()


async def test_only_the_named_authorities_are_trusted(tmp_path: Path) -> None:
    async with partner(tmp_path) as (url, seen):
        assert await get(url, Tls(ca_pem=OURS.pem)) == b"ok"
        with pytest.raises(NEVER_SENT):
            await get(url, Tls(ca_pem=OTHER.pem))
        with pytest.raises(NEVER_SENT):
            await get(url, Tls(client_pem=Secret(OURS.issue("gateway"))))
        assert await get(url, Tls(ca_pem=OTHER.pem + OURS.pem)) == b"ok", "two, while one takes the other's place"
        assert seen == ["", ""]


async def test_a_partner_that_asks_is_shown_our_certificate(tmp_path: Path) -> None:
    async with partner(tmp_path, asks=True) as (url, seen):
        assert await get(url, Tls(ca_pem=OURS.pem, client_pem=Secret(OURS.issue("gateway")))) == b"ok"
        with pytest.raises(httpx.TransportError):
            await get(url, Tls(ca_pem=OURS.pem))
        with pytest.raises(httpx.TransportError):
            await get(url, Tls(ca_pem=OURS.pem, client_pem=Secret(OTHER.issue("gateway"))))
        assert seen == ["gateway"]


@pytest.mark.parametrize(
    ("tls", "named"),
    [
        (Tls(ca_pem="no certificate"), "BNI_CA_PEM"),
        (Tls(ca_pem="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "BNI_CA_PEM"),
        (Tls(client_pem=Secret("no key")), "BNI_CLIENT_PEM"),
        (Tls(client_pem=Secret(OURS.pem)), "BNI_CLIENT_PEM"),
        (Tls(client_pem=Secret(OURS.pem + OTHER.issue("x").partition("-----END CERTIFICATE-----\n")[2])), "BNI_CLIENT"),
    ],
)
def test_what_cannot_be_used_is_named_and_not_shown(tls: Tls, named: str) -> None:
    with pytest.raises(SettingsError, match=named) as raised:
        contexts({"bni": tls})
    assert "BEGIN" not in str(raised.value)


def test_a_machine_without_a_folder_to_write_to_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A container whose file system is read-only, and has no /tmp."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=r"BNI_CLIENT_PEM.* TMPDIR"):
        contexts({"bni": Tls(client_pem=Secret(OURS.issue("gateway")))})


def test_without_settings_the_usual_authorities_are_trusted() -> None:
    assert contexts({"bni": Tls(), "ovo": Tls()}) == {}
