"""The workbench on the command line, where it may go, and what it hides."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.registry import PARTNERS
from contracts.errors import Forbidden, InvalidRequest, NotSupported, PartnerUnavailable
from contracts.partner import Partner
from contracts.plan import Effect, Request
from contracts.secret import Secret
from gateway.cli import main
from gateway.settings import SettingsError
from gateway.workbench.bench import Wishes
from gateway.workbench.cassette import Cassette, CassetteError, read
from gateway.workbench.hiding import Hider, is_hidden
from gateway.workbench.operations import ALL, OPERATIONS, chosen, declared, perform
from gateway.workbench.people import AskedPerson, returned
from gateway.workbench.recorder import PLANS
from gateway.workbench.signed import BODY_HASH, signed_text
from gateway.workbench.target import ALLOW, check_allowed, on_environment
from mock_partners.pytest import PartnerServer
from tests.contract.cassettes import FOLDER
from tests.contract.recording import Recording, record
from tests.gateway.program import run

SLUGS = sorted(PARTNERS)
Said = Callable[..., str]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs `gateway workbench ...` in this process: what it prints, on one line, its exit status checked."""
    for name in [name for name in os.environ if name.startswith(("BNI_", "GOPAY_", "LINKAJA_", "OVO_", "WORKBENCH_"))]:
        monkeypatch.delenv(name)

    def call(*arguments: str, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["gateway", "workbench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        assert ended.value.code == status, shown
        return " ".join((shown.out + shown.err).split())

    return call


def test_a_payout_works_at_once_and_shows_nothing_private(tmp_path: Path) -> None:
    file = tmp_path / "bni.json"
    text = run("workbench", "bni", "payout", "--record", str(file))
    assert "/snap-service/v1/transfer-intrabank  payout.transfer write  200" in text
    assert 'payout: Outcome kind="succeeded" partner_code="2001700"' in text
    assert "signed: POST:/snap-service/v1/transfer-intrabank:" in text
    kept = file.read_text()
    for value in ("0115476151", "81200000151", "BUDI SANTOSO", "bni-snap-api", "0115476117"):
        assert value not in text + kept, value
    assert [take.operation for take in read(file).takes] == ["fetch_token", "payout"]


def test_a_lost_answer_is_shown_as_unknown_and_ends_with_status_1(said: Said) -> None:
    text = said("bni", "payout", "--behaviour", "pay:lost_answer", status=1)
    assert "payout.transfer write no whole reply" in text
    assert "payout: OutcomeUnknown" in text and "no verdict:" in text


def test_what_a_partner_does_not_have_is_refused(said: Said) -> None:
    refused = said("bni", "approve", status=2)
    assert "BNI does not offer payout_two_step, so there is no approve. It has: token," in refused
    assert "--help" in said("bni", "pay", status=2)


def test_beyond_this_machine_it_refuses(said: Said) -> None:
    text = said("bni", "balance", "--against", "live", status=2)
    assert "sandbox.bni.co.id" in text and ALLOW in text


def test_help_teaches_what_the_partner_has(said: Said) -> None:
    text = said("gopay", "--help")
    for name in declared(PARTNERS["gopay"].manifest.capabilities):
        assert f"{name}: {OPERATIONS[name].help}" in text
    assert "link-refresh" not in text and "gateway workbench gopay verify" in text
    assert "gateway workbench compare" in said("--help")


def test_compare_says_where_they_differ(said: Said, tmp_path: Path) -> None:
    recorded = FOLDER / "ovo.json"
    changed = tmp_path / "changed.json"
    document = json.loads(recorded.read_text())
    reply = next(take for take in document["takes"] if take["operation"] == "balance")["exchanges"][0]["reply"]
    reply["body"]["responseCode"], reply["body"]["more"] = "2001101", 1
    changed.write_text(json.dumps(document))
    assert "0 differences" in said("compare", str(recorded), str(recorded))
    report = tmp_path / "report.json"
    assert "ovo: 2 differences in" in said("compare", str(recorded), str(changed), "--json", str(report), status=1)
    told = [(d["field"], d["kind"], d["recorded"], d["mock"]) for d in json.loads(report.read_text())["differences"]]
    assert told == [
        ("reply.body.responseCode", "value", '"2001100"', '"2001101"'),
        ("reply.body.more", "added", None, "1"),
    ]
    changed.write_text("{}")
    assert "is no cassette" in said("compare", str(changed), status=2)


def test_compare_asks_the_mock_as_it_is_now(said: Said) -> None:
    assert "0 differences in" in said("compare", str(FOLDER / "linkaja.json"))


# --- a partner in the environment: here a mock on loopback, as a sandbox would be ---


def environment_of(slug: str, server: PartnerServer) -> dict[str, str]:
    environment = {f"{slug}_{name}".upper(): str(value) for name, value in server.credentials.items()}
    environment |= {f"{slug}_BASE_URL".upper(): server.url, "GATEWAY_PUBLIC_URL": "http://127.0.0.1:9"}
    who = {"ACCOUNT": "+6281234567890", "PHONE": "+6281234567890", "NAME": "BUDI SANTOSO", "NIK": "3174052209989902"}
    return environment | {f"WORKBENCH_{slug}_{name}".upper(): value for name, value in who.items()}


@pytest.fixture
def sandbox(mock_server: Callable[..., PartnerServer]) -> tuple[Partner, dict[str, str]]:
    server = mock_server("ovo", notify_base="http://127.0.0.1:9")
    return PARTNERS["ovo"], environment_of("ovo", server)


def nobody(question: str, hidden: bool) -> str:
    raise InvalidRequest(question)


def test_without_a_terminal_it_names_the_variable(
    said: Said, sandbox: tuple[Partner, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sandbox[1].items():
        if not name.endswith("_NIK"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("WORKBENCH_OVO_GRANT", '{"access_token": "nobodys-token-77"}')
    text = said("ovo", "verify", "--against", "live", status=2)
    assert "no terminal to ask at" in text and "WORKBENCH_OVO_NIK" in text


async def performed(
    partner: Partner, environment: dict[str, str], operation: str, ask: Callable[[str, bool], str] = nobody
) -> Cassette:
    async with on_environment(partner, environment, Wishes(pays_first=False), ask) as bench:
        error = await perform(bench, operation)
        if error is not None:
            raise error
        cassette = bench.cassette("live")
    assert cassette is not None
    return cassette


async def test_it_asks_where_the_gateway_would_ask(sandbox: tuple[Partner, dict[str, str]]) -> None:
    partner, environment = sandbox
    cassette = await performed(partner, environment, "balance")
    assert cassette.against == "live"
    assert cassette.takes[-1].outcome["is"] == "Balance"
    del environment["OVO_CLIENT_SECRET"]
    with pytest.raises(SettingsError, match="OVO_CLIENT_SECRET"):
        await performed(partner, environment, "balance")


async def test_the_person_opens_the_page_and_pastes_where_it_ended(sandbox: tuple[Partner, dict[str, str]]) -> None:
    """What is pasted is the partner's own error here: nothing was agreed to."""
    asked: list[tuple[str, bool]] = []
    denied = "http://127.0.0.1:9/callbacks/ovo/link?st=x&errorResponse=%7B%22responseCode%22%3A%224030701%22%7D"

    def paste(question: str, hidden: bool) -> str:
        asked.append((question, hidden))
        return denied

    with pytest.raises(InvalidRequest, match="brought no code back"):
        await performed(*sandbox, "link-finish", paste)
    assert len(asked) == 1 and "/linkage/" in asked[0][0] and not asked[0][1]


async def test_a_grant_from_the_environment_is_used_and_kept(sandbox: tuple[Partner, dict[str, str]]) -> None:
    """`all` then neither links nor unlinks; nobody's token is refused by the partner, and shown nowhere."""
    partner, environment = sandbox
    environment["WORKBENCH_OVO_GRANT"] = json.dumps({"access_token": "nobodys-token-77", "refresh_token": "r-77"})
    async with on_environment(partner, environment, Wishes(pays_first=False), nobody) as bench:
        assert isinstance(await perform(bench, "verify"), PartnerUnavailable)
        assert isinstance(await perform(bench, ALL), InvalidRequest), "the refresh says that the link is gone"
        cassette = bench.cassette("live")
    assert cassette is not None and "nobodys" not in repr(msgspec.to_builtins(cassette))
    ended = {take.operation: take.outcome for take in cassette.takes}
    assert ended["verify_nik"]["hint"] == "customer_token"
    assert not {"begin_link", "finish_link", "unlink"} & ended.keys()


async def test_live_makes_no_payout_that_nobody_asked_for(sandbox: tuple[Partner, dict[str, str]]) -> None:
    with pytest.raises(InvalidRequest, match="--reference"):
        await performed(*sandbox, "find")


@pytest.mark.parametrize("slug", SLUGS)
def test_only_named_hosts_may_be_reached(slug: str) -> None:
    manifest = PARTNERS[slug].manifest
    hosts = [host.sandbox_url.split("/")[2] for host in manifest.hosts.values()]
    with pytest.raises(Forbidden):
        check_allowed(manifest, {})
    with pytest.raises(Forbidden):
        check_allowed(manifest, {ALLOW: "all, *"})
    check_allowed(manifest, {ALLOW: ", ".join(hosts)})
    check_allowed(manifest, {f"{slug}_BASE_URL".upper(): "http://127.0.0.1:1"})
    with pytest.raises(Forbidden, match=r"api\.example"):
        check_allowed(manifest, {f"{slug}_BASE_URL".upper(): "https://api.example", ALLOW: ", ".join(hosts)})


def test_the_contract_suite_runs_live_or_says_why_not(mock_server: Callable[..., PartnerServer]) -> None:
    server = mock_server("ovo")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract/test_plans.py"]
    done = subprocess.run(
        [*command, "--against", "live", "-k", "write_is_the_last"],
        env=kept | environment_of("ovo", server),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "against live: BNI would be reached at" in done.stdout
    assert "against live: nobody is there to be asked for Open" in done.stdout


# --- what is hidden ---


def test_every_operation_has_its_plans() -> None:
    plans = {plan for operation in OPERATIONS.values() for plan in operation.plans}
    assert plans == set(PLANS)


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("accessToken", True), ("bankCardToken", True), ("tokenType", False), ("expiresIn", False), ("otp", True),
        ("beneficiaryAccountName", True), ("beneficiaryAccountNo", True), ("beneficiaryAccountStatus", False),
        ("identificationNo", True), ("identificationNoMatch", False), ("nikMatch", False), ("customerNumber", True),
        ("referenceNumber", False), ("phoneNo", True), ("msisdn", True), ("redirectUrl", True), ("Digest", True),
        ("X-SIGNATURE", True), ("X-PARTNER-ID", True), ("X-EXTERNAL-ID", False), ("responseCode", False),
        ("dateOfBirth", True), ("transactionDate", False), ("beneficiary_email", True), ("serviceCode", False),
        ("bank_name", False), ("beneficiaryBankName", False), ("account_name", True), ("bankAccountName", True),
    ],
)  # fmt: skip
def test_names_that_hide(name: str, hidden: bool) -> None:
    assert is_hidden(name) is hidden


def test_a_placeholder_keeps_the_form_and_is_one_for_one_value() -> None:
    hider = Hider()
    assert hider.placeholder("3174052209989901", "nik") == "3174010101909901"
    assert hider.placeholder("+6281234567890", "phone") == "+6289900000001"
    assert hider.placeholder("081234567890", "account") == "089900000001"
    assert hider.placeholder("0115476151", "account") == "9900000001"
    assert hider.placeholder("123456", "otp") == "000000"
    assert hider.placeholder("abc", "access_token") == hider.placeholder("abc", "other") == "access-token-1"
    for made in ("3174010101909901", "+6289900000001", "9900000001", "access-token-1"):
        assert hider.placeholder(made, "x") == made, "a placeholder is not hidden again"


def test_what_is_known_is_hidden_wherever_it_turns_up() -> None:
    hider = Hider()
    hider.learn({"name": Secret("SITI AMINAH"), "access_token": Secret("t0ken-of-siti"), "otp": Secret("493021")})
    hider.learn({"name": Secret("Budi")})
    body = {"note": "TRF SITI AMINAH 6281234567890", "x": ["Bearer t0ken-of-siti"], "n": 3174052209989901, "ok": True}
    shown = hider.value(body)
    assert shown["note"] == "TRF NAMA PESERTA 1 6289900000001"
    assert hider.text("kode 493021 untuk budi") == "kode 000000 untuk NAMA PESERTA 2"
    assert hider.text("Budidaya 4930211") == "Budidaya 4930211"
    assert shown["x"] == ["Bearer access-token-1"]
    assert shown["n"] == 3174010101909901 and shown["ok"] is True
    assert hider.value({"ktp": {"gender": "F", "anything": {"deep": "x"}}})["ktp"]["anything"]["deep"] != "x"


def test_a_bank_s_name_stays_where_it_is_part_of_an_address() -> None:
    hider = Hider()
    shown = hider.value({"account_name": "SITI AMINAH", "bank_name": "gopay", "ktp": {"bank_name": "SITI"}})
    assert shown == {"account_name": "NAMA PESERTA 1", "bank_name": "gopay", "ktp": {"bank_name": "bank-name-secret-1"}}
    assert hider.text("/forward/gopay-id/?bank=gopay&name=SITI AMINAH") == (
        "/forward/gopay-id/?bank=gopay&name=NAMA PESERTA 1"
    )


JSON = st.recursive(
    st.text("ab 1:/", max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["note", "a", "data"]), inner),
    max_leaves=9,
)
PRIVATE = ("3174052209989901", "+6281234567890", "0115476151", "SITI AMINAH", "t0ken/of+siti==", "1946340000009901")


@given(before=JSON, after=JSON, private=st.sampled_from(PRIVATE), around=st.text('xy .,:"/', max_size=3))
def test_nothing_known_comes_through_wherever_it_stands(before: Any, after: Any, private: str, around: str) -> None:
    hider = Hider()
    hider.learn({name: Secret(value) for name, value in zip("abcdef", PRIVATE, strict=True)})
    shown = hider.value({"note": [before, {"a": f"{around}{private}{around}"}, after]})
    assert private not in json.dumps(shown, ensure_ascii=False)
    assert hider.value(shown) == shown, "what is hidden stays as it is"


def test_a_string_is_called_signed_only_if_it_gives_the_signature_sent() -> None:
    recording = asyncio.run(record(PARTNERS["linkaja"]))
    credentials = recording.stage.credentials
    signed = [request for request in recording.requests if signed_text(request, credentials)]
    assert signed == recording.requests
    for request in signed:
        text = signed_text(request, credentials)
        assert text is not None and (BODY_HASH in text or "|" in text)
        assert (
            signed_text(msgspec.structs.replace(request, target="/other", headers=_late(request)), credentials) is None
        )
    unsigned = Request(operation="x", effect=Effect.READ, host="h", method="GET", target="/", headers={})
    assert signed_text(unsigned, credentials) is None


def _late(request: Request) -> dict[str, str]:
    return {name: "later" if name in ("X-TIMESTAMP", "Date") else value for name, value in request.headers.items()}


def test_a_person_comes_back_to_the_redirect_address_or_not_at_all() -> None:
    back = "https://gateway.test/callbacks/ovo/link?st=s"
    assert returned(f"{back}&authCode=c", back) == {"authCode": "c"}
    with pytest.raises(InvalidRequest):
        returned("https://elsewhere.test/callbacks/ovo/link?authCode=c", back)


async def test_a_grant_that_is_no_grant_is_refused_without_being_quoted() -> None:
    with pytest.raises(InvalidRequest) as refused:
        AskedPerson("ovo", {"WORKBENCH_OVO_GRANT": "s3cret"}, nobody).grant()
    assert "s3cret" not in refused.value.detail


def test_a_file_that_is_no_cassette_says_so(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    for text, told in (("nonsense", "no JSON"), ("{}", "missing required"), (_of_version(2), "record it again")):
        file.write_text(text)
        with pytest.raises(CassetteError, match=told):
            read(file)


def _of_version(version: int) -> str:
    document: dict[str, Any] = json.loads((FOLDER / "ovo.json").read_text())
    return json.dumps(document | {"version": version})


def test_recordings_of_a_story_agree_with_what_the_suite_records() -> None:
    """The workbench's story has no operation that the contract suite does not know."""
    recording: Recording = asyncio.run(record(PARTNERS["ovo"]))
    assert {take.operation for take in read(FOLDER / "ovo.json").takes} <= {take.operation for take in recording.takes}


def test_an_operation_that_is_not_declared_raises_the_manifest_s_error() -> None:
    with pytest.raises(NotSupported, match="link_status"):
        chosen("link-status", PARTNERS["bni"].manifest)
