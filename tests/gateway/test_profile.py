"""An unsafe production does not start, and everything that makes it unsafe is named at once, with no value."""

from __future__ import annotations

import base64
import importlib
import resource
from typing import Any

import asyncpg
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from adapters.registry import PARTNERS
from contracts.secret import Secret
from gateway.security import profile
from gateway.settings import Settings, SettingsError, from_environment, parse_waits

MANIFESTS = {slug: partner.manifest for slug, partner in PARTNERS.items()}
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def good(**changes: object) -> Settings:
    """A production with nothing to say against it."""
    settings = Settings(
        database_url=Secret("postgresql://gateway@db/gateway"),
        redis_url=Secret("redis://cache"),
        master_key=Secret(base64.b64encode(bytes(range(32))).decode()),
        metrics_token=Secret("9f2c61d07be84a35c1e8f4a2"),
        public_url="https://pay.example.go.id",
        partners={
            slug: {
                name: Secret((PEM if credential.secret else PUBLIC) if credential.pem else "Zk9-vYq3LmB7Qw2x")
                for name, credential in m.credentials.items()
            }
            for slug, m in MANIFESTS.items()
        },
        hosts={slug: dict.fromkeys(m.hosts, f"https://api.{slug}.co.id") for slug, m in MANIFESTS.items()},
    )
    return msgspec.structs.replace(settings, **changes)


def _with(kind: str, slug: str, name: str, value: object) -> dict[str, object]:
    given = getattr(good(), kind)
    return {kind: {**given, slug: {**given[slug], name: value}}}


def test_a_safe_one_is_refused_nothing() -> None:
    assert profile.unsafe(good(), MANIFESTS) == []
    profile.refuse(good(), MANIFESTS)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"master_key": Secret(base64.b64encode(bytes(32)).decode())}, "GATEWAY_MASTER_KEY"),
        ({"master_key": Secret(base64.b64encode(b"passwordpasswordpasswordpassword").decode())}, "GATEWAY_MASTER_KEY"),
        ({"metrics_token": Secret("")}, "GATEWAY_METRICS_TOKEN"),
        ({"metrics_token": Secret("9f2c61d07be84a35c1e8f4a")}, "GATEWAY_METRICS_TOKEN"),
        ({"public_url": "http://pay.example.go.id"}, "GATEWAY_PUBLIC_URL"),
        ({"public_url": "http://10.0.0.7:8000"}, "GATEWAY_PUBLIC_URL"),
        ({"public_url": "http://localhost.evil.id"}, "GATEWAY_PUBLIC_URL"),
        ({"waits": parse_waits("link_life_s=45")}, "GATEWAY_WAITS"),
        ({"resend_on_assumed_absence": True}, "GATEWAY_RESEND_ON_ASSUMED_ABSENCE"),
        ({"console_url": "http://127.0.0.1:9100"}, "GATEWAY_CONSOLE_URL"),
        ({"forwarded_allow_ips": "*"}, "FORWARDED_ALLOW_IPS"),
        ({"forwarded_allow_ips": "10.0.0.1, 0.0.0.0/0"}, "FORWARDED_ALLOW_IPS"),
        ({"forwarded_allow_ips": "10.0.0.1,::/0"}, "FORWARDED_ALLOW_IPS"),
        (_with("hosts", "ovo", "snap", MANIFESTS["ovo"].hosts["snap"].sandbox_url), "OVO_SNAP_URL"),
        (_with("hosts", "bni", "autopay", "http://api.bni.co.id"), "BNI_AUTOPAY_URL"),
        (_with("partners", "bni", "private_key_pem", Secret("no key")), "BNI_PRIVATE_KEY_PEM"),
        (_with("partners", "ovo", "client_secret", Secret("Zk9-vYq")), "OVO_CLIENT_SECRET"),
        (_with("partners", "ovo", "client_secret", Secret('"Zk9-vYq3LmB7Qw2x"')), "OVO_CLIENT_SECRET has quotes"),
        (_with("partners", "ovo", "client_id", Secret("'Zk9-vYq3LmB7Qw2x'")), "OVO_CLIENT_ID has quotes"),
        (
            _with("partners", "gopay", "iris_creator_key", Secret("SB-Iris-creator-Zk9vYq3LmB7Qw2x")),
            "GOPAY_IRIS_CREATOR_KEY",
        ),
        (_with("partners", "linkaja", "hmac_secret", Secret("changeme-please")), "LINKAJA_HMAC_SECRET"),
    ],
)
def test_each_unsafe_thing_is_named_without_its_value(changes: dict[str, object], named: str) -> None:
    (found,) = profile.unsafe(good(**changes), MANIFESTS)
    assert found.startswith(named)
    for secrets in good(**changes).partners.values():
        assert not any(len(s.reveal()) > 3 and s.reveal() in found for s in secrets.values())


def _private(key: Any, form: PrivateFormat = PrivateFormat.PKCS8, locked: bytes = b"") -> str:
    hidden = BestAvailableEncryption(locked) if locked else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, hidden).decode()


def _cannot(name: str) -> dict[str, str]:
    """Keys that cannot be the one wanted, by what is said of them."""
    lines = PEM.strip().splitlines()
    ec_key = ec.generate_private_key(ec.SECP256R1())
    short = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)  # noqa: S505 - it is refused
    private = {
        "no PEM": "".join(lines[1:-1]), "quotes": f'"{PEM}"', "not a private key": PUBLIC,
        "pass phrase": _private(KEY, locked=b"phrase"), "cannot be read": "\n".join((*lines[:5], lines[-1])),
        "2048 bits": _private(short), "RSA key:": _private(ec_key),
        "openssl": _private(KEY, PrivateFormat.TraditionalOpenSSL, b"x"),
    }  # fmt: skip
    public = {
        "not a public key": PEM, "certificate": PUBLIC.replace("PUBLIC KEY", "CERTIFICATE"), "no PEM": PUBLIC[27:60],
        "2048 bits": short.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        "cannot be read": PUBLIC.replace(PUBLIC[60:90], ""),
    }  # fmt: skip
    return public if "public" in name else private


@pytest.mark.parametrize(("slug", "name"), [("bni", "private_key_pem"), ("dana", "dana_public_key_pem")])
def test_a_key_that_cannot_work_is_told_before_it_signs(slug: str, name: str) -> None:
    for why, pem in _cannot(name).items():
        (found,) = profile.unsafe(good(**_with("partners", slug, name, Secret(pem))), MANIFESTS)
        assert found.startswith(f"{slug}_{name} ".upper()) and why in found, (why, found)
        assert not any(line in found for line in pem.splitlines() if len(line) > 30)


def test_a_key_of_either_form_and_two_public_ones_are_good() -> None:
    for pem in (_private(KEY, PrivateFormat.TraditionalOpenSSL), f"\n{PEM}\n\n"):
        assert profile.unsafe(good(**_with("partners", "bni", "private_key_pem", Secret(pem))), MANIFESTS) == []
    two = Secret(PUBLIC + PUBLIC)
    assert profile.unsafe(good(**_with("partners", "dana", "dana_public_key_pem", two)), MANIFESTS) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost"])
def test_http_on_loopback_is_no_clear_text(url: str) -> None:
    assert profile.unsafe(good(public_url=url), MANIFESTS) == []


@pytest.mark.parametrize("slug", sorted(PARTNERS))
def test_every_secret_of_a_mock_is_known_for_one(slug: str) -> None:
    known = importlib.import_module(f"mock_partners.{slug}.credentials").CREDENTIALS["credentials"]
    secrets = [name for name, credential in MANIFESTS[slug].credentials.items() if credential.secret]
    secrets = [name for name in secrets if not known[name].isdigit()]  # an account is nobody's secret
    assert secrets
    for name in secrets:
        found = profile.unsafe(good(**_with("partners", slug, name, Secret(known[name]))), MANIFESTS)
        assert found, name


def test_all_are_named_at_once_and_only_in_production() -> None:
    bad = good(
        public_url="http://pay.id", waits=parse_waits("absence_s=1"), resend_on_assumed_absence=True,
        master_key=Secret(base64.b64encode(bytes(32)).decode()),
    )  # fmt: skip
    with pytest.raises(SettingsError) as refused:
        profile.refuse(bad, MANIFESTS)
    for name in ("PUBLIC_URL", "WAITS", "RESEND_ON_ASSUMED_ABSENCE", "MASTER_KEY"):
        assert f"GATEWAY_{name}" in str(refused.value)
    assert "GATEWAY_PROFILE=demo" in str(refused.value)
    profile.refuse(msgspec.structs.replace(bad, profile="demo"), MANIFESTS)


def test_it_is_production_unless_said_otherwise() -> None:
    environment = {
        "DATABASE_URL": "postgresql://x", "REDIS_URL": "redis://x", "GATEWAY_PUBLIC_URL": "https://pay.test",
        "GATEWAY_MASTER_KEY": base64.b64encode(bytes(32)).decode(),
    }  # fmt: skip
    assert from_environment(environment, {}).profile == "production"
    assert from_environment(environment | {"GATEWAY_PROFILE": "demo"}, {}).profile == "demo"
    with pytest.raises(SettingsError, match="GATEWAY_PROFILE"):
        from_environment(environment | {"GATEWAY_PROFILE": "prod"}, {})


async def test_a_superuser_and_a_client_of_two_duties_are_named(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, created_at)"
            " VALUES ('both', 'both', '', '{batches,batches:approve}', now()), ('one', 'one', '', '{batches}', now())"
        )
        found = await profile.unsafe_database(connection)
        assert [what.split()[0] for what in found] == ["DATABASE_URL", "the"]
        assert "both" in found[1]
        with pytest.raises(SettingsError, match="superuser"):
            await profile.refuse_database(connection, good())
        await profile.refuse_database(connection, good(profile="demo"))
        await connection.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, return_urls, created_at, disabled_at) VALUES"
            " ('clear', '', '', '{links}', '{https://a.id/x,http://a.id/x}', now(), NULL),"
            " ('here', '', '', '{links}', '{http://127.0.0.1:9/x}', now(), NULL),"
            " ('gone', '', '', '{links}', '{http://a.id/x}', now(), now())"
        )
        assert [what.split()[2] for what in (await profile.unsafe_database(connection))[1:]] == ["both", "clear"]
        await connection.execute("UPDATE clients SET return_urls = '{}'")
        await connection.execute("CREATE ROLE plain; GRANT SELECT ON clients TO plain; SET ROLE plain")
        assert len(await profile.unsafe_database(connection)) == 1
        await connection.execute("RESET ROLE; ALTER TABLE audit_log OWNER TO plain; SET ROLE plain")
        owner, _ = await profile.unsafe_database(connection)
        assert "the owner of the tables" in owner, "no superuser, and still nothing keeps it from the record"
    finally:
        await connection.execute(
            "RESET ROLE; REASSIGN OWNED BY plain TO postgres; DROP OWNED BY plain; DROP ROLE plain"
        )
        await connection.close()


@pytest.mark.parametrize(("most", "soft"), [(resource.RLIM_INFINITY, 1), (4_096, 1), (0, 0)])
def test_a_process_that_holds_keys_leaves_no_image_of_itself(
    monkeypatch: pytest.MonkeyPatch, most: int, soft: int
) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (most, most))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: limits.append(both))
    with pytest.raises(SettingsError):
        importlib.import_module("gateway.cli.starting").safe_settings()
    assert limits == [(soft, most)]
