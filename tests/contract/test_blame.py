"""Whom each code speaks of: a refusal is never taken without a word on that, and our own troubles blame nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from contracts.errors import Hint, PartnerError
from contracts.identity import VERDICT_BLOCKER, IdentityAnswer, Verdict
from contracts.incentive import BlockerCode
from contracts.linking import LinkHeld, LinkRefused
from contracts.observation import PayoutNotice
from contracts.partner import Blame, Manifest, Notification, Partner
from contracts.payout import Outcome, OutcomeKind
from tests.contract.recording import Recording
from tests.contract.replay import steps
from tests.contract.test_codes import codes, played
from tests.partners import each

NOTICES = each("notices")
OURS = ("40100", "40101", "40103", "40301", "40304", "40314", "40319", "40320", "40408", "40416")
"""Cases of our own limits, account, deposit and credentials (snap-bni.md 1.8)."""
OF_THE_ACCOUNT = {
    BlockerCode.ACCOUNT_NOT_FOUND,
    BlockerCode.ACCOUNT_BLOCKED,
    BlockerCode.BALANCE_LIMIT,
    BlockerCode.MONTHLY_LIMIT,
    BlockerCode.CONSENT_DENIED,
}


class Swept(NamedTuple):
    """What the plans make of every code in every reply: a second or more of each partner's, so once for all tests."""

    refused: set[tuple[str | None, BlockerCode | None]]
    """Codes that some plan takes for a no, with the reason that it gives."""
    hinted: set[tuple[Hint, str | None]]
    """Hints with their codes; not at the end of linking, where a code's exchange shows no token of ours."""
    raised: set[type[BaseException]]
    """In the same."""


@pytest.fixture(scope="module")
def swept(recording: Recording) -> Swept:
    found = Swept(set(), set(), set())
    for take, index in steps(recording.takes):
        for _, said in played(take, index, codes(recording)):
            found.refused.update(refusals(said.result))
            if take.operation != "finish_link":
                told = said.error or said.result
                found.hinted.add((getattr(told, "hint", Hint.NONE), getattr(told, "partner_code", None)))
                found.raised.update({type(said.error)} if said.error else ())
    return found


def refusals(result: object) -> Iterator[tuple[str | None, BlockerCode | None]]:
    """The code of a no, with the reason that it gives; nothing of any other result."""
    if isinstance(result, Outcome) and result.kind is OutcomeKind.REJECTED:
        yield result.partner_code, result.reason
    elif isinstance(result, LinkRefused):
        yield result.partner_code, result.code
    elif isinstance(result, LinkHeld):
        yield result.partner_code, None
    elif isinstance(result, IdentityAnswer) and result.verdict not in {Verdict.MATCH, Verdict.MISMATCH}:
        yield result.partner_code, VERDICT_BLOCKER[result.verdict]


def test_every_refusal_says_whom_it_speaks_of(swept: Swept, manifest: Manifest) -> None:
    assert swept.refused
    for code, reason in swept.refused:
        if code is not None and code.startswith("200"):
            continue  # a verdict in an answer that worked
        assert manifest.blames(code) is not None, f"{code}: list it in the manifest's codes"
        if reason in OF_THE_ACCOUNT:
            assert manifest.blames(code) is Blame.PERSON, code
        if reason is BlockerCode.PARTNER_FLOAT_SHORT:
            assert manifest.blames(code) is Blame.OURS, code


def test_a_hint_agrees_with_whom_its_code_speaks_of(swept: Swept, recording: Recording, manifest: Manifest) -> None:
    """Credentials, tokens and the deposit are ours; a customer's token is never ours alone."""
    named = {code for code, _, _ in codes(recording).errors}
    assert all(issubclass(kind, PartnerError) for kind in swept.raised), swept.raised
    for hint, code in swept.hinted:
        if code is None or (len(code) != 7 and code not in named and manifest.blames(code) is None):
            continue
        if hint in {Hint.OUR_TOKEN, Hint.FLOAT_SHORT}:
            assert manifest.blames(code) is Blame.OURS, code
        elif hint is Hint.CREDENTIALS:
            assert manifest.blames(code) in {Blame.OURS, Blame.AMBIGUOUS}, code
        elif hint is Hint.CUSTOMER_TOKEN:
            assert manifest.blames(code) in {Blame.PERSON, Blame.AMBIGUOUS}, code


def test_our_own_limits_and_keys_blame_nobody(manifest: Manifest) -> None:
    for case in OURS:
        for service in range(100):
            said = manifest.blames(f"{case[:3]}{service:02d}{case[3:]}")
            assert said is not Blame.PERSON or case[:3] == "401", (case, service)


def test_a_code_that_nobody_listed_speaks_of_nobody(manifest: Manifest) -> None:
    for code in (None, "", "zz", "9999999", "401xx", "40117001", "5041700", "4091700", "4291700"):
        assert manifest.blames(code) is None, code


def test_every_code_has_a_source(manifest: Manifest) -> None:
    assert manifest.codes and all(code.source.strip() for code in manifest.codes.values())


def test_a_failure_told_by_notification_says_whom_it_speaks_of(partner: Partner) -> None:
    """Where the reason of a failure comes by notification: each code that the sheet lists, and no other."""
    slug = partner.manifest.slug
    route = next((route for route in partner.manifest.callbacks if route.kind == "payout"), None)
    if route is None:
        return
    told = NOTICES[slug]
    assert told.FAILURES and told.NO_FAILURES
    for code in (*told.FAILURES, *told.NO_FAILURES):
        note = Notification(
            kind=route.kind, method=route.method, target=f"/callbacks/{slug}{route.path}", headers={},
            body=told.failed(code),
        )  # fmt: skip
        said = partner.callbacks.read(note)
        assert isinstance(said, PayoutNotice) and said.outcome.kind is OutcomeKind.REJECTED, code
        blamed = partner.manifest.blames(said.outcome.partner_code)
        assert (blamed is not None) == (code in told.FAILURES), code
        if said.outcome.reason in OF_THE_ACCOUNT:
            assert blamed is Blame.PERSON, code
        if said.outcome.reason is BlockerCode.PARTNER_FLOAT_SHORT:
            assert blamed is Blame.OURS, code
