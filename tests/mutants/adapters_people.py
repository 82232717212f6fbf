# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs about people and what comes in: NIK checks, links, private data, notifications, statements, token hints."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import (
    ANSWERS,
    BASE,
    CODES,
    DAMAGE,
    IDENTITY,
    LINKS,
    NOTICES,
    PAGING,
    PAYOUTS,
    PLANS,
    SNAP_CODES,
    SNAP_LINKS,
    TOKENS,
    at,
    kind,
    shared,
)  # fmt: skip

_PEOPLE = (
    *kind(
        "failure_as_mismatch",
        (IDENTITY, CODES),
        {
            "bni": (
                at(
                    "bni",
                    "identity",
                    "    KYC.expect(reply)\n",
                    "    if envelope.code != KYC.done:\n        return IdentityAnswer(verdict=Verdict.MISMATCH)\n",
                ),
            ),
            "gopay": (
                at(
                    "gopay",
                    "identity",
                    '        raise answers.no_answer(reply, "no submission", Hint.CUSTOMER_TOKEN)',
                    "        return IdentityAnswer(verdict=Verdict.MISMATCH)",
                ),
            ),
            "ovo": (
                at(
                    "ovo",
                    "mapping",
                    "    sign.IDENTITY.expect(reply)\n",
                    "    if envelope.code != sign.IDENTITY.done:\n        return IdentityAnswer(verdict=Verdict.MISMATCH)\n",
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    "        raise _unavailable(said, reply)\n    shown",
                    "        return IdentityAnswer(verdict=Verdict.MISMATCH)\n    shown",
                ),
            ),
        },
    ),
    *kind(
        "unknown_nik_as_mismatch",
        (IDENTITY,),
        {
            "bni": (
                at("bni", "identity", '"U": Verdict.KYC_INCOMPLETE', '"U": Verdict.MISMATCH'),
                at("bni", "identity", 'assert set(MATCHES) == set("YNUP")', "assert MATCHES"),
            ),
            "gopay": (
                at(
                    "gopay",
                    "identity",
                    "return IdentityAnswer(verdict=Verdict.KYC_INCOMPLETE, partner_code=code)",
                    "return IdentityAnswer(verdict=Verdict.MISMATCH, partner_code=code)",
                ),
            ),
            "ovo": (
                at("ovo", "mapping", '"NOT_AVAILABLE": Verdict.KYC_INCOMPLETE', '"NOT_AVAILABLE": Verdict.MISMATCH'),
                at("ovo", "mapping", "assert len(set(IDENTITY.values())) == len(IDENTITY)", "assert IDENTITY"),
            ),
            "linkaja": (
                at("linkaja", "mapping", '"U": Verdict.KYC_INCOMPLETE', '"U": Verdict.MISMATCH'),
                at("linkaja", "mapping", "assert len(set(NIK_MATCH.values())) == len(NIK_MATCH)", "assert NIK_MATCH"),
            ),
        },
    ),
    *kind(
        "value_in_an_error",
        (DAMAGE,),
        {
            "bni": (Edit(SNAP_CODES, 'is not ours")', 'is {value}")'),),
            "gopay": (Edit(ANSWERS, 'f"{what} cannot be read")', 'f"{what} cannot be read: {value}")'),),
            "ovo": (Edit("adapters/asked.py", "is not what was asked about", "is {theirs}"),),
            "linkaja": (at("linkaja", "wire", "field {name} is missing or not a string", "field {name} is {value}"),),
        },
    ),
    *kind(
        "nik_in_a_header",
        (PLANS,),
        {
            "bni": (
                at(
                    "bni",
                    "partner",
                    "        reply = yield SNAP.ask(ctx, identity.KYC, identity.body(query))\n",
                    '        request = SNAP.ask(ctx, identity.KYC, identity.body(query))\n        request.headers["X-NIK"] = query.nik.reveal()\n        reply = yield request\n',
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "partner",
                    "sign.ask(ctx, sign.KYC, wire.kyc(query))",
                    'sign.ask(ctx, sign.KYC, wire.kyc(query), query=f"?nik={query.nik.reveal()}")',
                ),
            ),
        },
    ),
    *kind(
        "held_as_refused",
        (LINKS,),
        {
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    "return LinkHeld(partner_code=envelope.code)",
                    "return LinkRefused(code=BlockerCode.ACCOUNT_SHARED)",
                    2,
                ),
            ),
            "ovo": (
                at(
                    "ovo",
                    "mapping",
                    "return LinkHeld(partner_code=envelope.code) if held else None",
                    "return links.refused(envelope, dict.fromkeys(HELD, BlockerCode.ACCOUNT_SHARED)) if held else None  # type: ignore",
                ),
            ),
        },
    ),
    *kind(
        "our_bad_key_ends_the_link",
        (LINKS,),
        shared(
            Edit(SNAP_LINKS, 'if seen.code[:3] not in ("200", "404"):', 'if seen.code == "":'),
            "ovo",
            "linkaja",
            "dana",
        ),
    ),
    *kind(
        "expired_as_unlinked",
        (LINKS,),
        shared(
            Edit(
                SNAP_LINKS,
                "if grant.expires_at is not None and grant.expires_at - _EXPIRY_MARGIN <= ctx.now:",
                "if grant.expires_at is None:",
            ),
            "ovo",
            "linkaja",
        ),
    ),
    *kind(
        "refusal_as_grant_asked_again",
        (LINKS,),
        {
            "bni": (
                at(
                    "bni",
                    "mapping",
                    '"4030411": BlockerCode.CONSENT_DENIED',
                    '"4030411": BlockerCode.CONSENT_ABANDONED',
                ),
            ),
            "gopay": (at("gopay", "mapping", '"4031005": _B.CONSENT_DENIED', '"4031005": _B.CONSENT_ABANDONED'),),
            "ovo": (
                at(
                    "ovo",
                    "mapping",
                    '"OV00006": BlockerCode.CONSENT_DENIED',
                    '"OV00006": BlockerCode.CONSENT_ABANDONED',
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    '"access_denied": BlockerCode.CONSENT_DENIED',
                    '"access_denied": BlockerCode.CONSENT_ABANDONED',
                ),
            ),
        },
    ),
)

_INBOUND = (
    *kind(
        "notices_unverified", (NOTICES,), {"gopay": (at("gopay", "callbacks", "if not valid:", "if not note.kind:"),)}
    ),
    *kind(
        "stale_notices_taken",
        (NOTICES,),
        {"gopay": (at("gopay", "sign", "not answers.of_now(said_at, ctx.now)", "False"),)},
    ),
    *kind(
        "notice_of_another_path",
        (NOTICES,),
        {
            "gopay": (
                at(
                    "gopay",
                    "sign",
                    "(note.method, note.target, snap.minify",
                    '(note.method, "/callbacks/gopay/v1.0/registration-account/notify", snap.minify',
                ),
            ),
        },
    ),
    *kind(
        "notices_of_strangers_taken",
        (NOTICES,),
        shared(
            Edit(BASE, "        raise SignatureInvalid(", "        return None\n        raise SignatureInvalid("),
            "bni",
            "ovo",
            "linkaja",
            "dana",
        ),
    ),
    *kind(
        "redelivery_is_another_event",
        (NOTICES,),
        {
            "gopay": (
                at(
                    "gopay",
                    "callbacks",
                    "digest = hashlib.sha256(apart",
                    "digest = hashlib.sha256(str(id(note)).encode() + apart",
                ),
            )
        },
    ),
    *kind(
        "only_one_page",
        (PAYOUTS,),
        {
            "bni": (Edit(PAGING, "next_cursor=str(asked + 1) if more else None", "next_cursor=None"),),
            "ovo": (Edit(PAGING, "next_cursor=str(asked + 1) if more else None", "next_cursor=None"),),
            "linkaja": (Edit(PAGING, "next_cursor=str(asked + 1) if more else None", "next_cursor=None"),),
        },
    ),
    *kind(
        "refused_token_without_a_hint",
        (TOKENS,),
        shared(Edit(SNAP_CODES, '    "40103": Hint.OUR_TOKEN,\n', '    "40103": Hint.NONE,\n'), "bni", "ovo")
        | {
            "gopay": (Edit(SNAP_CODES, '    "40101": Hint.OUR_TOKEN,\n', '    "40101": Hint.NONE,\n'),),
            "linkaja": (Edit(ANSWERS, "hints = {401: our_token,", "hints = {401: Hint.NONE,"),),
        },
    ),
)

PEOPLE: tuple[Mutant, ...] = (*_PEOPLE, *_INBOUND)
