"""Settings from the environment, as one Struct. The gateway refuses to start on gaps and on names it does not know."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Final, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from contracts.brake import HARD_LOOK, LOOKS_S
from contracts.partner import Manifest
from contracts.secret import Secret
from gateway.clock import SKEW_S

PREFIX = "GATEWAY_"
UNPREFIXED = ("database_url", "redis_url", "forwarded_allow_ips")
"""Settings under the names that hosting platforms and the server give them."""
PRODUCTION: Final = "production"
MOST_CALLS_PER_S = 1_000_000.0
MOST_KEYS = 8


MOST_PORT = 65_535
_SCHEMES = {"DATABASE_URL": ("postgresql", "postgres"), "REDIS_URL": ("redis", "rediss", "unix")}
_NAME = re.compile(r"(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}", re.ASCII)


class SettingsError(Exception):
    """A setting is missing, malformed or unknown; the message names it and never its value."""


class Waits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the gateway waits between steps, where it is not the partner's manifest that says so (None: the
    manifest).

    One option (`--waits`, GATEWAY_WAITS) shortens them for demonstrations, the same text for gateway and mock partners;
    the table is in docs/demo.md. Time-outs, token lives, tolerances, verdict life, the wait for Iris' reason, days and
    counts are never scaled.
    """

    link_life_s: float = 900.0
    lookup_first_s: float | None = None
    absence_s: float | None = None
    clocks_s: float = SKEW_S
    """How far a partner's clock may be from ours when what it forgets at midnight is sent again or called absent."""
    confirm_rejection_s: float | None = None
    verification_retry_s: float | None = None
    statement_sweep_s: float = 900.0
    second_look_s: float = LOOKS_S[0]
    """From a refusal to the first time that the partner is asked again about it."""
    hard_look_s: float = LOOKS_S[HARD_LOOK]
    """From then to the next time, and how old a refusal must be before anything hard to undo may follow from it."""
    settlement_s: float | None = None
    """The mocks' own; named here because both sides read the same text."""
    reversal_s: float | None = None
    """The mocks' own."""


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Of one partner's addresses."""

    ca_pem: str = ""
    """`{SLUG}_CA_PEM`: the authorities that alone are trusted there; empty: the usual ones."""
    client_pem: Secret = Secret("")
    """`{SLUG}_CLIENT_PEM`: our certificate and its key, where the partner asks for one."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What one installation is told; see docs/production.md."""

    database_url: Secret
    redis_url: Secret
    master_key: Secret
    """32 bytes, base64: all sealing and indexing keys come from it. During a change of keys several, with commas
    between.
    """
    metrics_token: Secret = Secret("")
    """What /metrics asks for; empty: nothing, which the production profile refuses."""
    profile: Literal["production", "demo"] = PRODUCTION
    """`production` refuses what is unsafe with real money (gateway/security/profile.py); `demo` is for mocks, sandboxes
    and tests.
    """
    public_url: str
    """Where browsers and partners reach the gateway: redirects and notifications come back here."""
    instance: str = "10"
    """Two digits that begin every partner reference of this installation."""
    resend_on_assumed_absence: bool = False
    """Whether absence that is only assumed to be provable (manifests mark it) allows a resend; off: an operator
    decides.
    """
    verdict_life_s: Annotated[float, msgspec.Meta(gt=0, le=3650 * 86_400)] = 90 * 86_400.0
    waits: Waits = Waits()
    forwarded_allow_ips: str = "127.0.0.1"
    """The proxies that are believed who asks; the HTTP server reads it itself."""
    max_in_flight: Annotated[int, msgspec.Meta(ge=1, le=4_096)] = 64
    """Payouts in flight per worker and partner."""
    quotas: Mapping[str, float] = {}
    """Calls a second by partner, where a contract allows another figure than the manifest's."""
    console_url: str = ""
    """The mock partners' console, for the front page to lead to; empty where there are no mocks."""
    webhook_networks: str = ""
    """Networks that webhooks may reach although they are not public, as in `10.1.0.0/16,127.0.0.1/32`; with any, http
    beside https.
    """
    partners: Mapping[str, Mapping[str, Secret]] = {}
    """Credentials by partner, complete according to the manifests."""
    hosts: Mapping[str, Mapping[str, str]] = {}
    """Base address of each of a partner's hosts."""
    pages: Mapping[str, tuple[str, ...]] = {}
    """By partner, names beside those of its manifest at which its pages may be."""
    tls: Mapping[str, Tls] = {}
    """By partner."""

    def master_keys(self) -> tuple[bytes, ...]:
        """The master keys, 32 bytes each."""
        return read_keys(self.master_key)

    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The networks of `webhook_networks`; raises `SettingsError`."""
        try:
            return tuple(
                ipaddress.ip_network(part.strip()) for part in self.webhook_networks.split(",") if part.strip()
            )
        except ValueError:
            raise SettingsError("GATEWAY_WEBHOOK_NETWORKS is networks with commas between: 10.1.0.0/16") from None


def read_keys(text: Secret) -> tuple[bytes, ...]:
    """Master keys of 32 bytes out of their base64, with commas between; raises `SettingsError`."""
    try:
        keys = tuple(base64.b64decode(part.strip(), validate=True) for part in text.reveal().split(","))
    except (binascii.Error, ValueError):
        keys = ()
    if not 1 <= len(keys) <= MOST_KEYS or {len(key) for key in keys} != {32}:
        raise SettingsError(
            f"GATEWAY_MASTER_KEY must be 32 bytes in base64, or up to {MOST_KEYS} such with commas between"
        )
    return keys


def read_address(variable: str, text: str) -> Secret:
    """The address of a server with a password in it; raises `SettingsError` where drivers would stumble over it: their
    texts quote what they stumble over, which is a part of the password where that holds signs of an address.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
        parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        user, _, servers = parts.netloc.rpartition("@")
        ports = [one.rpartition("]")[2].partition(":")[2] for one in servers.split(",")]
        good = parts.scheme in _SCHEMES[variable]
        good &= all(port == "" or (port.isascii() and port.isdigit() and int(port) <= MOST_PORT) for port in ports)
        good &= "@" not in user and (not parts.netloc or "@" not in parts.path + parts.fragment)
    except ValueError:
        good = False
    if not good:
        raise SettingsError(
            f"{variable} cannot be read as {_SCHEMES[variable][0]}://USER:PASSWORD@HOST:PORT/NAME: within user and"
            " password write each sign but letters and digits as % and its two digits (/ is %2F, # is %23, ? is %3F, @"
            " is %40). `gateway doctor` looks."
        )
    return Secret(text)


def from_environment(environment: Mapping[str, str], manifests: Mapping[str, Manifest]) -> Settings:
    """Read `GATEWAY_*` and each partner's `{SLUG}_*`; raises `SettingsError`.

    A partner's `{SLUG}_BASE_URL` stands for all of its hosts (mocks serve all on one port); `{SLUG}_{HOST}_URL` is one.
    """
    environment = {name: value.strip() for name, value in environment.items()}  # line ends of the file it was kept in
    given = {name[len(PREFIX) :].lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
    given.update({name: environment[name.upper()] for name in UNPREFIXED if name.upper() in environment})
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(Settings):
        if field.name in ("partners", "hosts", "pages", "tls"):
            continue
        text = given.pop(field.name, None)
        if text is None:
            if field.required:
                raise SettingsError(f"{_variable(field.name)} is not set")
            continue
        values[field.name] = _convert(field.name, text, field.type, manifests)
    if given:
        raise SettingsError(f"{_variable(min(given))} is not a setting of this version")
    credentials, hosts = {}, {}
    for slug, manifest in manifests.items():
        credentials[slug] = partner_credentials(environment, manifest)
        hosts[slug] = partner_hosts(environment, manifest)
    pages = {slug: partner_pages(environment, slug) for slug in manifests}
    tls = {slug: partner_tls(environment, slug) for slug in manifests}
    settings = Settings(**values, partners=credentials, hosts=hosts, pages=pages, tls=tls)  # type: ignore[arg-type]
    _check(settings)
    return settings


def agreed_quotas(environment: Mapping[str, str], partners: Collection[str]) -> dict[str, float]:
    """`GATEWAY_QUOTAS` alone, for commands that need no other setting; raises `SettingsError`."""
    return _quotas(environment.get(_variable("quotas"), ""), partners)


def parse_waits(text: str) -> Waits:
    """`link_life_s=45,lookup_first_s=0.3` as `Waits`; raises `SettingsError` naming what is allowed."""
    pairs: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, number = part.partition("=")
        try:
            pairs[name.strip()] = float(number)
        except ValueError:
            raise SettingsError(f"waits: {name.strip()} is not a number of seconds") from None
    allowed = [field.name for field in msgspec.structs.fields(Waits)]
    for name, seconds in pairs.items():
        if name not in allowed:
            raise SettingsError(f"waits: {name} is unknown; allowed are {', '.join(allowed)}")
        if not 0 < seconds < 10_000_000:
            raise SettingsError(f"waits: {name} is not a positive number of seconds")
    return Waits(**pairs)


def _convert(name: str, text: str, kind: object, partners: Collection[str]) -> object:
    if name == "waits":
        return parse_waits(text)
    if name in ("database_url", "redis_url"):
        return read_address(_variable(name), text)
    if name in ("master_key", "metrics_token"):
        return Secret(text)
    if name == "quotas":
        return _quotas(text, partners)
    if name == "public_url":
        return text.rstrip("/")
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        raise SettingsError(f"{_variable(name)} is not a valid value") from None


def _quotas(text: str, partners: Collection[str]) -> dict[str, float]:
    """`gopay=50,ovo=20` as calls a second by partner."""
    quotas: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        partner, _, number = part.partition("=")
        try:
            per_s = float(number)
        except ValueError:
            per_s = 0.0
        if partner not in partners or not 0 < per_s <= MOST_CALLS_PER_S:
            raise SettingsError("GATEWAY_QUOTAS is calls a second by partner, each above 0: PARTNER=50,PARTNER=20")
        quotas[partner] = per_s
    return quotas


def _variable(name: str) -> str:
    return name.upper() if name in UNPREFIXED else f"{PREFIX}{name.upper()}"


def partner_credentials(environment: Mapping[str, str], manifest: Manifest) -> dict[str, Secret]:
    """One partner's `{SLUG}_{CREDENTIAL}`, complete according to its manifest; raises `SettingsError`."""
    found: dict[str, Secret] = {}
    for name, credential in manifest.credentials.items():
        variable = f"{manifest.slug}_{name}".upper()
        value = environment.get(variable, "").strip() or credential.default
        if not value:
            raise SettingsError(f"{variable} is not set, or empty: {credential.help}")
        found[name] = Secret(value.replace("\\n", "\n") if credential.pem else _plain(variable, value))
    return found


def _plain(variable: str, value: str) -> str:
    """A credential that goes into a header or a signature: white space around it is the file's that it was kept in."""
    text = value.strip()
    if not text.isprintable():
        raise SettingsError(f"{variable} has a line break, or another sign that cannot be seen, within it")
    return text


def partner_tls(environment: Mapping[str, str], slug: str) -> Tls:
    """One partner's `{SLUG}_CA_PEM` and `{SLUG}_CLIENT_PEM`, with `\\n` for line ends where they are so written."""
    ca, client = (
        environment.get(f"{slug}_{name}".upper(), "").replace("\\n", "\n") for name in ("ca_pem", "client_pem")
    )
    return Tls(ca_pem=ca, client_pem=Secret(client))


def partner_hosts(environment: Mapping[str, str], manifest: Manifest) -> dict[str, str]:
    """The base address of each of one partner's hosts: `{SLUG}_{HOST}_URL`, `{SLUG}_BASE_URL`, or its sandbox's; raises
    `SettingsError`.
    """
    slug = manifest.slug
    hosts: dict[str, str] = {}
    for name, host in manifest.hosts.items():
        variables = f"{slug}_{name}_url".upper(), f"{slug}_base_url".upper()
        told = {one: text for one in variables if (text := environment.get(one, "").strip())}
        variable, url = next(iter(told.items()), ("", host.sandbox_url))
        if not re.match(r"https?://[^/?#\s]+(/[^?#\s]*)?$", url):
            raise SettingsError(f"{variable} must be an http(s) address, without query or fragment")
        hosts[name] = url.rstrip("/")
    return hosts


def partner_pages(environment: Mapping[str, str], slug: str) -> tuple[str, ...]:
    """One partner's `{SLUG}_PAGE_HOSTS`, in small letters; raises `SettingsError` for what is no name in a domain."""
    variable = f"{slug}_page_hosts".upper()
    names = tuple(part.strip().lower() for part in environment.get(variable, "").split(",") if part.strip())
    if not all(map(_NAME.fullmatch, names)):
        raise SettingsError(f"{variable} is names of hosts with commas between, without https://: page.{slug}.example")
    return names


def _check(settings: Settings) -> None:
    settings.networks()
    settings.master_keys()
    if not (len(settings.instance) == 2 and settings.instance.isascii() and settings.instance.isdigit()):
        raise SettingsError("GATEWAY_INSTANCE must be two digits")
    if settings.instance[0] == "0":
        raise SettingsError("GATEWAY_INSTANCE must not begin with 0")
    address = urlsplit(settings.public_url)
    if address.scheme not in ("http", "https") or not address.netloc or address.query or address.fragment:
        raise SettingsError("GATEWAY_PUBLIC_URL must be an http(s) address, without query or fragment")
