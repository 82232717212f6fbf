"""Settings from the environment: what is missing, malformed or out of bounds is named, and never its value."""

from __future__ import annotations

import base64
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.registry import PARTNERS
from contracts.secret import Secret
from gateway.settings import SettingsError, from_environment
from tests.gateway.program import run

MANIFESTS = {"gopay": PARTNERS["gopay"].manifest, "ovo": PARTNERS["ovo"].manifest}
COMPLETE = {
    "DATABASE_URL": "postgresql://gateway@127.0.0.1/gateway",
    "REDIS_URL": "redis://127.0.0.1",
    "GATEWAY_MASTER_KEY": base64.b64encode(bytes(32)).decode(),
    "GATEWAY_PUBLIC_URL": "https://pay.test",
} | {
    f"{slug}_{name}".upper(): "x"
    for slug, manifest in MANIFESTS.items()
    for name, credential in manifest.credentials.items()
    if credential.default is None
}


def test_what_is_complete_is_read() -> None:
    settings = from_environment(
        COMPLETE | {"GATEWAY_QUOTAS": " gopay=50, ovo=0.5 ", "GATEWAY_MAX_IN_FLIGHT": "8"}, MANIFESTS
    )
    assert settings.quotas == {"gopay": 50.0, "ovo": 0.5}
    assert settings.max_in_flight == 8
    assert settings.partners["gopay"]["channel_id"].reveal() == "95221"
    assert from_environment(COMPLETE | {"GATEWAY_QUOTAS": ""}, MANIFESTS).quotas == {}


def test_a_credential_is_what_stands_in_its_file_and_not_the_line_end_behind_it() -> None:
    kept = from_environment(COMPLETE | {"OVO_CLIENT_SECRET": " s3cret\r\n"}, MANIFESTS).partners["ovo"]["client_secret"]
    assert kept.reveal() == "s3cret"
    for broken in ("s3c\nret", "s3cret\x00", "s3c\u200bret"):
        with pytest.raises(SettingsError, match="OVO_CLIENT_SECRET has a line break") as raised:
            from_environment(COMPLETE | {"OVO_CLIENT_SECRET": broken}, MANIFESTS)
        assert "s3c" not in str(raised.value)


@pytest.mark.parametrize("end", ["\r", " ", "\n"])
def test_a_file_of_another_system_gives_the_same_settings(end: str) -> None:
    """Its line ends stood in addresses that partners were given, and in a database's name."""
    told = COMPLETE | {
        "GATEWAY_METRICS_TOKEN": "x" * 24, "GATEWAY_PROFILE": "demo", "GATEWAY_INSTANCE": "11",
        "GATEWAY_CONSOLE_URL": "http://c.test/", "GATEWAY_WEBHOOK_NETWORKS": "10.0.0.0/8",
        "GATEWAY_WAITS": "link_life_s=45", "GATEWAY_MAX_IN_FLIGHT": "8",
        "OVO_BASE_URL": "https://o.test", "OVO_PAGE_HOSTS": "page.test", "OVO_CA_PEM": "pem",
    }  # fmt: skip
    ended = {name: value + end for name, value in told.items()}
    assert _all(from_environment(ended, MANIFESTS)) == _all(from_environment(told, MANIFESTS))


@pytest.mark.parametrize("name", ["OVO_SNAP_URL", "OVO_BASE_URL"])
def test_a_partners_address_is_one(name: str) -> None:
    usual = from_environment(COMPLETE, MANIFESTS).hosts
    assert from_environment(COMPLETE | {name: ""}, MANIFESTS).hosts == usual, "set to nothing is not set"
    assert from_environment(COMPLETE | {name: "http://127.0.0.1:9104/a/"}, MANIFESTS).hosts["ovo"] == {
        "snap": "http://127.0.0.1:9104/a"
    }
    for wrong in ("ovo.test", "//ovo.test", "https://", "https://o vo.test", "https://ovo.test?a=b", "ftp://ovo.test"):
        with pytest.raises(SettingsError, match=f"^{name} must be"):
            from_environment(COMPLETE | {name: wrong}, MANIFESTS)


def _all(node: object) -> object:
    """Settings with their secrets."""
    if isinstance(node, Secret):
        return node.reveal()
    if isinstance(node, msgspec.Struct):
        return {name: _all(getattr(node, name)) for name in node.__struct_fields__}
    return {key: _all(value) for key, value in node.items()} if isinstance(node, dict) else node


@pytest.mark.parametrize("given", ["https://pay.test/", "https://pay.test//"])
def test_addresses_made_of_the_public_url_have_one_slash(given: str) -> None:
    assert from_environment(COMPLETE | {"GATEWAY_PUBLIC_URL": given}, MANIFESTS).public_url == "https://pay.test"


@pytest.mark.parametrize("name", ["DATABASE_URL", "GATEWAY_MASTER_KEY", "OVO_CLIENT_SECRET"])
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is not set"):
        from_environment({key: value for key, value in COMPLETE.items() if key != name}, MANIFESTS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("GATEWAY_QUOTAS", text) for text in ("gopay", "gopay=", "gopay=many", "gopay=0", "ovo=-1", "ovo=nan")),
        *(("GATEWAY_QUOTAS", text) for text in ("dana=50", "gopay=inf", "gopay=50;ovo=20")),
        *(("GATEWAY_MAX_IN_FLIGHT", text) for text in ("0", "-1", "100000", "many", "1.5")),
        *(("GATEWAY_VERDICT_LIFE_S", text) for text in ("0", "-1", "1e300", "nan", "inf", "long")),
        *(("GATEWAY_INSTANCE", text) for text in ("1", "01", "100", "1x")),
        *(("GATEWAY_MASTER_KEY", text) for text in ("c2hvcnQ=", "no base64")),
        *(
            ("GATEWAY_PUBLIC_URL", text)
            for text in ("pay.test", "https://", "https://pay.test/?a=1", "https://a.test/#b")
        ),
        *(("GATEWAY_RESEND_ON_ASSUMED_ABSENCE", text) for text in ("perhaps",)),
        *(("GATEWAY_WAITS", text) for text in ("absence_s=soon", "absence_s=0", "absence_s=nan")),
        ("GATEWAY_NO_SUCH_THING", "secret-value"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_without_its_value(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        from_environment(COMPLETE | {name: text}, MANIFESTS)
    said = str(refused.value)
    assert said.startswith((name, "waits:"))
    assert len(text) < 5 or text not in said


SIGNS = st.text("abcXYZ0123456789/#?@:[]%&=+ ", min_size=8, max_size=24)


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
@given(password=SIGNS)
def test_a_password_with_signs_of_an_address_is_told_of_and_never_shown(name: str, password: str) -> None:
    """Drivers quote what they stumble over: a port, say, that is the first half of a password."""
    scheme = "redis" if name == "REDIS_URL" else "postgresql"
    settings = from_environment(COMPLETE | {name: f"{scheme}://u:{quote(password, safe='')}@h:1/0"}, MANIFESTS)
    assert quote(password, safe="") in (settings.redis_url if name == "REDIS_URL" else settings.database_url).reveal()
    try:
        from_environment(COMPLETE | {name: f"{scheme}://u:{password}@h:1/0"}, MANIFESTS)
    except SettingsError as refused:
        said = str(refused).replace("USER:PASSWORD@HOST:PORT/NAME", "")
        assert said.startswith(f"{name} cannot be read") and password not in said
    else:
        assert "?" in password or not set("/#@") & set(password), "what ends a server's name does not pass"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("REDIS_URL", "http://cache"), ("REDIS_URL", "redis://cache:99999"), ("DATABASE_URL", "mysql://u@db/x"),
        ("DATABASE_URL", "postgresql://u@db:99999/x"), ("DATABASE_URL", "postgresql://u@db:1,db:65536/x"),
    ],
)  # fmt: skip
def test_what_no_driver_takes_for_an_address_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} cannot be read as (redis|postgresql)://"):
        from_environment(COMPLETE | {name: text}, MANIFESTS)


@pytest.mark.parametrize("command", ["serve", "worker", "migrate", "funnel"])
@pytest.mark.parametrize("where", ["@nowhere.invalid/x", "@/x?host=/nowhere", "@127.0.0.1:1/x"])
def test_a_database_that_is_not_there_is_told_in_a_line(command: str, where: str) -> None:
    partners = {
        f"{slug}_{name}".upper(): "x"
        for slug, partner in PARTNERS.items()
        for name, credential in partner.manifest.credentials.items()
        if credential.default is None
    }
    given = COMPLETE | partners | {"GATEWAY_PROFILE": "demo", "DATABASE_URL": f"postgresql://gateway{where}"}
    said = run(command, status=2, **given)
    assert said.startswith("error: The database does not answer") and len(said.splitlines()) == 1


@pytest.mark.parametrize("password", ["Sw0rd/fish", "Sw0rd#fish", "12#Sw0rdfish", "Sw0rd?fish", "[Sw0rdfish"])
def test_no_command_shows_a_part_of_a_password(password: str) -> None:
    said = run("funnel", status=2, DATABASE_URL=f"postgresql://gateway:{password}@127.0.0.1:1/x")
    assert said.startswith("error: DATABASE_URL cannot be read") and "Sw0rd" not in said
