"""What each partner declares about itself makes sense and names only what exists."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import msgspec
import pytest

from adapters.registry import PARTNERS
from contracts.errors import NotSupported
from contracts.partner import EVERY_PARTNER, Capability, Manifest, Mark, Partner
from contracts.partner import Partner as Contract
from mock_partners.registry import name_of
from tests.contract.recording import Recording
from tests.partners import each

OPERATIONS = frozenset(
    name for name, member in vars(Contract).items() if inspect.isfunction(member) and not name.startswith("_")
)
LINKING = {Capability.LINK_REDIRECT, Capability.LINK_INPUTS}
PAYING = {Capability.PAYOUT_ONE_STEP, Capability.PAYOUT_TWO_STEP}
NOTIFYING = {"link": Capability.NOTIFY_LINK, "identity": Capability.NOTIFY_KYC, "payout": Capability.NOTIFY_PAYOUT}


def test_every_operation_has_the_contract_s_parameters(partner: Partner) -> None:
    for name in sorted(OPERATIONS):
        ours = list(inspect.signature(getattr(partner, name)).parameters)
        wanted = list(inspect.signature(getattr(Contract, name)).parameters)[1:]
        assert ours == wanted, name


def test_links_pays_and_checks_in_one_way(manifest: Manifest) -> None:
    assert len(manifest.capabilities & LINKING) == 1
    assert len(manifest.capabilities & PAYING) == 1
    assert EVERY_PARTNER <= manifest.capabilities


def test_every_fact_has_a_source(manifest: Manifest) -> None:
    sourced: list[Any] = [*manifest.hosts.values(), *manifest.tokens.values(), *manifest.quotas, *manifest.facts]
    sourced += [manifest.lookups, manifest.absence, manifest.lifetimes]
    assert all(fact.source.strip() for fact in sourced)
    assert all(fact.text.strip() for fact in manifest.facts)
    assert manifest.documents.strip() and manifest.name.strip()


def test_what_is_assumed_is_said_so(manifest: Manifest) -> None:
    """No partner publishes all of this, so none can claim to have seen it."""
    assert any(fact.mark is Mark.ASSUMED for fact in manifest.facts)
    assert len({fact.text for fact in manifest.facts}) == len(manifest.facts)


def test_needs_name_operations_and_tokens_that_exist(manifest: Manifest) -> None:
    assert set(manifest.needs) <= OPERATIONS
    assert {name for names in manifest.needs.values() for name in names} <= set(manifest.tokens)
    assert "fetch_token" not in manifest.needs


def test_every_token_is_used_and_lives(manifest: Manifest) -> None:
    assert set(manifest.tokens) == {name for names in manifest.needs.values() for name in names}
    assert all(token.life_s > 60 for token in manifest.tokens.values())


def test_callbacks_are_declared_as_capabilities(manifest: Manifest) -> None:
    kinds = [route.kind for route in manifest.callbacks]
    assert set(kinds) <= NOTIFYING.keys(), "the kind says what a notification is of (contracts.partner.CallbackRoute)"
    assert {NOTIFYING[kind] for kind in kinds} == manifest.capabilities & set(NOTIFYING.values())
    ways = [(route.method, route.path) for route in manifest.callbacks]
    assert len(set(ways)) == len(ways) and len(set(kinds)) == len(kinds)
    assert all(route.path.startswith("/") and "?" not in route.path for route in manifest.callbacks)
    assert all(0 < route.max_body_bytes <= 1_048_576 for route in manifest.callbacks)


def test_numbers_are_bounds(manifest: Manifest) -> None:
    assert 1 <= manifest.min_amount_rupiah <= manifest.max_amount_rupiah
    assert all(quota.per_s > 0 and quota.operations for quota in manifest.quotas)
    assert manifest.verification_retry_s > 0 and manifest.verification_tries > 0
    assert manifest.confirm_rejection_s > 0 and manifest.reason_wait_s >= 0


def test_quotas_meet_operations_that_are_asked_for(manifest: Manifest, recording: Recording) -> None:
    asked = {request.operation for request in recording.requests}
    for quota in manifest.quotas:
        for prefix in quota.operations:
            assert any(operation.startswith(prefix) for operation in asked), prefix


def test_lookups_can_prove_what_the_absence_rule_says(manifest: Manifest) -> None:
    """As many looks as the rule wants fit between the last attempt and its end, spread over half of that time."""
    schedule, rule = manifest.lookups, manifest.absence
    assert 0 < schedule.first_s <= schedule.max_s <= schedule.horizon_s and schedule.factor >= 1
    assert rule.lookups >= 2 and rule.after_s > 0
    if rule.by_lookup:
        assert schedule.first_s <= rule.after_s / 2
        assert rule.after_s <= schedule.horizon_s <= manifest.lifetimes.lookup_reach_s


def test_a_link_that_payouts_need_alive_can_be_looked_at(manifest: Manifest) -> None:
    """By the payout itself, or by a call of its own; otherwise no payout would ever leave."""
    if manifest.payout_needs_live_link and not manifest.payout_proves_link:
        assert Capability.LINK_STATUS in manifest.capabilities


def test_lifetimes_are_of_a_known_kind(manifest: Manifest) -> None:
    life = manifest.lifetimes
    assert life.external_id in {"jakarta_day", "none"}
    assert life.reference_s is None or life.reference_s > manifest.lookups.horizon_s
    assert (life.create_key_s is not None) == manifest.two_step


def test_inputs_are_the_gateway_s_form(manifest: Manifest) -> None:
    asked = Capability.LINK_INPUTS in manifest.capabilities
    assert bool(manifest.inputs) == bool(manifest.first_inputs) == asked
    assert set(manifest.first_inputs) <= set(manifest.inputs)
    for field in manifest.inputs.values():
        re.compile(field.pattern, re.ASCII)
        assert field.label_indonesian and field.label_english


def test_a_wallet_s_account_is_a_phone(manifest: Manifest) -> None:
    pattern = re.compile(manifest.account_pattern, re.ASCII)
    assert (pattern.fullmatch("+6281234567890") is not None) == manifest.account_is_phone
    assert pattern.fullmatch(manifest.account_example) is not None
    assert pattern.fullmatch("") is None and pattern.fullmatch("081234567890 ") is None


def test_hosts_are_secure_addresses(manifest: Manifest) -> None:
    assert manifest.hosts
    assert all(re.fullmatch(r"https://[a-z0-9.-]+(:[0-9]+)?", host.sandbox_url) for host in manifest.hosts.values())


def test_requests_name_declared_hosts(manifest: Manifest, recording: Recording) -> None:
    assert {request.host for request in recording.requests} <= set(manifest.hosts)


def test_keys_and_secrets_are_marked(manifest: Manifest) -> None:
    for name, credential in manifest.credentials.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name) and credential.help.strip()
        assert credential.pem == name.endswith("_pem"), name
        hidden = any(word in name for word in ("secret", "private", "_key")) and "public" not in name
        assert credential.secret or not hidden, f"{name} is a secret"
        assert credential.default is None or not credential.secret, f"{name} has a default"


def test_the_partner_hands_over_what_the_adapter_needs(slug: str, manifest: Manifest) -> None:
    given = importlib.import_module(f"mock_partners.{slug}").CREDENTIALS["credentials"]
    needed = {name for name, credential in manifest.credentials.items() if credential.default is None}
    assert needed <= set(given)
    assert set(given) <= set(manifest.credentials), "the partner hands over what nobody uses"


MODULES = {
    Capability.LINK_REDIRECT: ("pages", "a browser goes to its page: `WALLET`, as ovo's"),
    **dict.fromkeys(
        NOTIFYING.values(), ("notices", "it sends notifications: how the suites sign and read them, as gopay's")
    ),
}


def test_the_suites_are_told_what_they_need_of_it(slug: str, manifest: Manifest) -> None:
    """Beside `client.py` and `story.py`, without which nothing begins."""
    missing = [
        f"tests/partners/{slug}/{module}.py is missing: {why}"
        for capability, (module, why) in MODULES.items()
        if capability in manifest.capabilities and slug not in each(module)
    ]
    assert missing == []


def test_people_are_shown_one_name_of_it(slug: str, manifest: Manifest) -> None:
    assert name_of(slug) == manifest.name, "the mocks' console has another: mock_partners/registry.py, _NAMES"


UNDECLARED: dict[Capability, tuple[str, ...]] = {
    Capability.LINK_REDIRECT: ("read_return", "finish_link"),
    Capability.LINK_INPUTS: ("answer_link",),
    Capability.LINK_STATUS: ("link_health",),
    Capability.GRANT_REFRESH: ("refresh_grant",),
    Capability.UNLINK: ("unlink",),
    Capability.VERIFY_NIK: ("verify_nik",),
    Capability.PAYOUT_ONE_STEP: ("payout",),
    Capability.PAYOUT_TWO_STEP: ("prepare", "approve", "withdraw"),
    Capability.FIND_PAYOUT: ("find_payout",),
    Capability.STATEMENT: ("statement",),
    Capability.BALANCE: ("balance",),
    Capability.NOTIFY_LINK: (),
    Capability.NOTIFY_KYC: (),
    Capability.NOTIFY_PAYOUT: (),
}
assert set(UNDECLARED) == set(Capability), "every capability has its operations"


@pytest.mark.parametrize("capability", list(Capability), ids=lambda capability: capability.value)
def test_what_is_not_declared_is_refused_when_called(
    partner: Partner, recording: Recording, capability: Capability
) -> None:
    """Refused at the call itself, before anyone runs the plan; what is declared is not refused."""
    person, order, query = recording.person, recording.order, recording.query
    ctx = msgspec.structs.replace(recording.stage.bare_context(), tokens={})
    given = {
        "query": {}, "order": order, "grant": recording.grant, "start": person.start(), "day": None, "cursor": None,
        "ctx": ctx, "finish": None, "answer": None,
    }  # fmt: skip
    for name in UNDECLARED[capability]:
        operation = getattr(partner, name)
        wanted = {key: given[key] for key in inspect.signature(operation).parameters if key != "query"}
        if "query" in inspect.signature(operation).parameters:
            wanted["query"] = query if capability is Capability.VERIFY_NIK else {}
        if capability in partner.manifest.capabilities:
            assert callable(operation)
            continue
        with pytest.raises(NotSupported):
            operation(**wanted)


def test_the_registry_knows_each_partner_by_its_own_name() -> None:
    assert {slug: partner.manifest.slug for slug, partner in PARTNERS.items()} == {slug: slug for slug in PARTNERS}
    assert all(re.fullmatch(r"[a-z]+", slug) for slug in PARTNERS)
