"""Whom each code speaks of: a refusal is never taken without a word on that, and our own troubles blame nobody."""

from __future__ import annotations

from collections.abc import Iterator

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


def refusals(recording: Recording) -> Iterator[tuple[str | None, BlockerCode | None]]:
    """Every code that some plan takes for a no, with the reason that it gives."""
    for take, index in steps(recording.takes):
        for _, said in played(take, index, codes(recording)):
            result = said.result
            if isinstance(result, Outcome) and result.kind is OutcomeKind.REJECTED:
                yield result.partner_code, result.reason
            elif isinstance(result, LinkRefused):
                yield result.partner_code, result.code
            elif isinstance(result, LinkHeld):
                yield result.partner_code, None
            elif isinstance(result, IdentityAnswer) and result.verdict not in {Verdict.MATCH, Verdict.MISMATCH}:
                yield result.partner_code, VERDICT_BLOCKER[result.verdict]


def test_every_refusal_says_whom_it_speaks_of(recording: Recording, manifest: Manifest) -> None:
    found = {(code, reason) for code, reason in refusals(recording)}
    assert found
    for code, reason in found:
        if code is not None and code.startswith("200"):
            continue  # a verdict in an answer that worked
        assert manifest.blames(code) is not None, f"{code}: list it in the manifest's codes"
        if reason in OF_THE_ACCOUNT:
            assert manifest.blames(code) is Blame.PERSON, code
        if reason is BlockerCode.PARTNER_FLOAT_SHORT:
            assert manifest.blames(code) is Blame.OURS, code


def test_a_hint_agrees_with_whom_its_code_speaks_of(recording: Recording, manifest: Manifest) -> None:
    """Credentials, tokens and the deposit are ours; a customer's token is never ours alone."""
    named = {code for code, _, _ in codes(recording).errors}
    for take, index in steps([take for take in recording.takes if take.operation != "finish_link"]):
        for _, said in played(take, index, codes(recording)):  # a code's exchange shows no token of ours
            hint, code = (
                getattr(said.error or said.result, "hint", Hint.NONE),
                getattr(said.error or said.result, "partner_code", None),
            )
            assert said.error is None or isinstance(said.error, PartnerError)
            if code is None or (len(code) != 7 and code not in named):
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
