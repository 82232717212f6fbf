"""Bugs in DANA's adapter alone."""

from __future__ import annotations

from functools import partial

from tests.mutants.planting import IDENTITY, LINKS, ONE_ACCOUNT, PAYOUTS, PLANS, alone

PROFILE, SIGNED = "tests/adapters/dana/test_profile.py", "tests/adapters/dana/test_sign.py"
bug = partial(alone, "dana")

BUGS = (
    bug("anybody_signs_in", "identity", "if _holder(told) != query.account:", "if not _holder(told):", ONE_ACCOUNT),
    bug(
        "answer_of_nobody",
        "identity",
        'if not rsa.valid(ctx.credential("dana_public_key_pem"), text, signed.signature):',
        "if not signed.signature:",
        PROFILE,
    ),
    bug("answer_to_another", "identity", 'not in (None, "", ctx.external_id(0)):', "is answers.AMBIGUOUS:", PROFILE),
    bug("moved_number_stands", "identity", "code == DONE and _holder(told) == account", "code == DONE", PROFILE),
    bug(
        "unverified_is_mismatch",
        "identity",
        '"KYC_NOT_VERIFIED": Verdict.KYC_INCOMPLETE',
        '"KYC_NOT_VERIFIED": Verdict.MISMATCH',
        IDENTITY,
    ),
    bug(
        "dead_token_unseen",
        "identity",
        '("F", "ACCESS_TOKEN_INVALID"): Hint.CUSTOMER_TOKEN',
        '("F", "ACCESS_TOKEN_INVALID"): Hint.NONE',
        LINKS,
    ),
    bug(
        "last_of_two_rows",
        "identity",
        "answers.unambiguous(",
        "dict(",
        PROFILE,
    ),
    bug(
        "seamless_signed_encoded",
        "sign",
        'rsa.sign(ctx.credential("private_key_pem"), data)',
        'rsa.sign(ctx.credential("private_key_pem"), __import__("urllib.parse").parse.quote(data, safe=""))',
        SIGNED,
    ),
    bug("signs_another_text", "sign", "asked.decode())", 'asked.decode() + " ")', IDENTITY),
    bug(
        "exchange_is_a_read",
        "sign",
        'token_call("link.exchange", WRITE',
        'token_call("link.exchange", READ',
        "tests/adapters/test_requests.py",
    ),
    bug(
        "notes_of_the_attempt",
        "partner",
        "DANA.ask(ctx, sign.TOPUP, wire.topup(order), n=1)",
        'DANA.ask(ctx, sign.TOPUP, {**wire.topup(order), "notes": ctx.serial}, n=1)',
        PLANS,
    ),
    bug("first_page_again", "wire", '"pageNumber": str(page)', '"pageNumber": "1"', PAYOUTS),
    bug(
        "signature_refused_as_unlinked",
        "mapping",
        'frozenset({"4010902", "4010904"})',
        'frozenset({"4010900", "4010902", "4010904"})',
        LINKS,
    ),
)
