# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs about people and what comes in: NIK checks, links, private data, notifications, statements, token hints."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import (
    CODES,
    DAMAGE,
    IDENTITY,
    LINKS,
    NOTICES,
    PAYOUTS,
    PLANS,
    SNAP_CODES,
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
                    "        raise codes.unavailable(envelope, reply)",
                    "        return IdentityAnswer(verdict=Verdict.MISMATCH)",
                ),
            ),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    "    if reply.status not in (200, 401, 404):\n        raise _unavailable(reply)",
                    "    if reply.status not in (200, 401, 404):\n        return IdentityAnswer(verdict=Verdict.MISMATCH)",
                ),
            ),
            "ovo": (
                at(
                    "ovo",
                    "mapping",
                    "    _inquiry_done(envelope, reply)\n    echoed =",
                    '    if envelope.code != "2003700":\n        return IdentityAnswer(verdict=Verdict.MISMATCH)\n    echoed =',
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    '        raise unavailable(said)\n    if wire.account_of(said.text("customerNumber"',
                    '        return IdentityAnswer(verdict=Verdict.MISMATCH)\n    if wire.account_of(said.text("customerNumber"',
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
                    "mapping",
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
            "bni": (at("bni", "wire", "fields of {kind.__name__}", "fields of {kind.__name__} in {envelope.body}"),),
            "gopay": (
                at(
                    "gopay",
                    "wire",
                    "raise protocol_error(f\"not readable as {getattr(shape, '__name__', 'a list')}\")",
                    "raise protocol_error(content.decode(errors='replace'))",
                ),
            ),
            "ovo": (at("ovo", "mapping", "field {field} is not ours", "field {field} is {echoed}"),),
            "linkaja": (at("linkaja", "wire", "field {name} is not a string", "field {name} is {value}"),),
        },
    ),
    *kind(
        "nik_in_a_header",
        (PLANS,),
        {
            "bni": (
                at(
                    "bni",
                    "identity",
                    "    return sign.post(ctx, KYC, wire.encode(body))",
                    '    request = sign.post(ctx, KYC, wire.encode(body))\n    request.headers["X-NIK"] = query.nik.reveal()\n    return request',
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "sign",
                    '"/v1/custbind/verify/kyc", ',
                    'f"/v1/custbind/verify/kyc?nik={query.nik.reveal()}", ',
                ),
            ),
        },
    ),
    *kind(
        "held_as_refused",
        (LINKS,),
        {
            slug: (
                at(
                    slug,
                    "mapping",
                    "return LinkHeld(partner_code=envelope.code)",
                    "return LinkRefused(code=BlockerCode.ACCOUNT_SHARED)",
                    2,
                ),
            )
            for slug in ("ovo", "linkaja")
        },
    ),
    *kind(
        "our_bad_key_ends_the_link",
        (LINKS,),
        {
            slug: (at(slug, "mapping", "GRANT_GONE = frozenset({", 'GRANT_GONE = frozenset({"4017400", '),)
            for slug in ("ovo", "linkaja")
        },
    ),
    *kind(
        "expired_as_unlinked",
        (LINKS,),
        {
            slug: (
                at(slug, "partner", "if ends is not None and ends - _EXPIRY_MARGIN <= ctx.now:", "if ends is None:"),
            )
            for slug in ("ovo", "linkaja")
        },
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
        {"gopay": (at("gopay", "sign", "TOLERANCE_S = 900", "TOLERANCE_S = 900_000_000"),)},
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
            Edit(
                "adapters/no_callbacks.py",
                "        raise SignatureInvalid",
                "        return None\n        raise SignatureInvalid",
            ),
            "bni",
            "ovo",
            "linkaja",
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
            "bni": (at("bni", "mapping", "next_cursor=str(page + 1) if more else None", "next_cursor=None"),),
            "ovo": (
                at(
                    "ovo",
                    "mapping",
                    'next_cursor = str(page + 1) if info.has_more == "Y" else None',
                    "next_cursor = None",
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    "next_cursor = str(page + 1) if page < data.pages else None",
                    "next_cursor = None",
                ),
            ),
        },
    ),
    *kind(
        "refused_token_without_a_hint",
        (TOKENS,),
        shared(Edit(SNAP_CODES, '    "40103": Hint.OUR_TOKEN,\n', '    "40103": Hint.NONE,\n'), "bni", "ovo")
        | {
            "gopay": (Edit(SNAP_CODES, '    "40101": Hint.OUR_TOKEN,\n', '    "40101": Hint.NONE,\n'),),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    'raise PartnerUnavailable("HTTP 401", hint=Hint.OUR_TOKEN, partner_code="401")',
                    'raise PartnerUnavailable("HTTP 401", partner_code="401")',
                ),
            ),
        },
    ),
)

PEOPLE: tuple[Mutant, ...] = (*_PEOPLE, *_INBOUND)
