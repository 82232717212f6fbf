"""Bugs in the adapters. Each kind is planted in every adapter where it can be; the shared SNAP code, once a partner."""

from __future__ import annotations

from collections.abc import Mapping

from tests.mutants.mutant import Edit, Mutant

SNAP_SIGN, SNAP_CODES = "adapters/snap/sign.py", "adapters/snap/codes.py"
PLANS, DAMAGE, CODES, LINKS, PAYOUTS, IDENTITY, NOTICES, TOKENS = (
    f"tests/contract/test_{name}.py"
    for name in ("plans", "damage", "codes", "links", "payouts", "identity", "notifications", "tokens")
)


def kind(name: str, tests: tuple[str, ...], planted: Mapping[str, tuple[Edit, ...]]) -> tuple[Mutant, ...]:
    """The same bug in several adapters."""
    return tuple(Mutant(f"{slug}/{name}", edits, tests, only=slug) for slug, edits in planted.items())


def at(slug: str, file: str, old: str, new: str, times: int = 1) -> Edit:
    return Edit(f"adapters/{slug}/{file}.py", old, new, times)


def snap_everywhere(edit: Edit, *slugs: str) -> dict[str, tuple[Edit, ...]]:
    return {slug: (edit,) for slug in slugs}


_SIGNING = (
    *kind(
        "wrong_hash", (TOKENS, PAYOUTS),
        snap_everywhere(Edit(SNAP_SIGN, "hashlib.sha256(content)", "hashlib.sha512(content)"), "bni", "gopay", "ovo")
        | {"linkaja": (at("linkaja", "sign", "hashlib.sha256(content)", "hashlib.sha512(content)"),)},
    ),
    *kind(
        "digest_case", (TOKENS, PAYOUTS),
        snap_everywhere(Edit(SNAP_SIGN, "(content).hexdigest()", "(content).hexdigest().upper()"), "bni", "gopay", "ovo")
        | {"linkaja": (at("linkaja", "sign", "digest()).decode()}", "digest()).decode().lower()}"),)},
    ),
    *kind("notice_hash_case", (NOTICES,), {"gopay": (
        at("gopay", "sign", "iris_merchant_key\").encode()).hexdigest()", "iris_merchant_key\").encode()).hexdigest().upper()"),
    )}),
    *kind("wrong_key", (TOKENS, PAYOUTS), {
        "bni": (at("bni", "sign", 'hmac_key="api_secret"', 'hmac_key="api_key"'),),
        "gopay": (at("gopay", "partner", "role=IrisRole.APPROVER", "role=IrisRole.CREATOR", 2),),
        "ovo": (at("ovo", "sign", 'secret=ctx.credential("client_secret")', 'secret=ctx.credential("client_id")'),),
        "linkaja": (at("linkaja", "sign", 'ctx.credential("hmac_secret")', 'ctx.credential("hmac_username")'),),
    }),
    *kind("clock_read", (PLANS, PAYOUTS), {
        "bni": (
            at("bni", "wire", "import date, datetime, timedelta", "import UTC, date, datetime, timedelta"),
            at("bni", "wire", "timestamp(order.created_at),\n        )\n    )\n\n\ndef status",
               "timestamp(datetime.now(UTC)),\n        )\n    )\n\n\ndef status"),
        ),
        "gopay": (at("gopay", "sign", "at=snap.timestamp(ctx.now),\n            secret", "at=snap.timestamp(datetime.now().astimezone()),\n            secret"),),
        "ovo": (
            at("ovo", "sign", "import date", "import UTC, date, datetime"),
            at("ovo", "sign", "at=snap.timestamp(ctx.now, milliseconds=True),\n        secret",
               "at=snap.timestamp(datetime.now(UTC), milliseconds=True),\n        secret"),
        ),
        "linkaja": (at("linkaja", "sign", "http_date(ctx.now)", "http_date(datetime.now(UTC))"),),
    }),
)

_EFFECTS = (
    *kind("effects_swapped", (PLANS, PAYOUTS), {
        "bni": (
            at("bni", "sign", "service=wire.PAYOUT_SERVICE,\n    effect=Effect.WRITE", "service=wire.PAYOUT_SERVICE,\n    effect=Effect.READ"),
            at("bni", "sign", 'service="15",\n    effect=Effect.READ', 'service="15",\n    effect=Effect.WRITE'),
        ),
        "gopay": (
            at("gopay", "partner", 'operation="payout.approve",\n            effect=Effect.WRITE', 'operation="payout.approve",\n            effect=Effect.READ'),
            at("gopay", "partner", 'operation="payout.status", effect=Effect.READ', 'operation="payout.status", effect=Effect.WRITE'),
        ),
        "ovo": (
            at("ovo", "sign", 'operation="payout.transfer",\n        effect=Effect.WRITE', 'operation="payout.transfer",\n        effect=Effect.READ'),
            at("ovo", "sign", 'operation="payout.inquiry",\n        effect=Effect.READ', 'operation="payout.inquiry",\n        effect=Effect.WRITE'),
        ),
        "linkaja": (
            at("linkaja", "sign", '"payout.transfer",\n        Effect.WRITE', '"payout.transfer",\n        Effect.READ'),
            at("linkaja", "sign", '"payout.inquiry", Effect.READ', '"payout.inquiry", Effect.WRITE'),
        ),
    }),
    *kind("two_writes", (PLANS, PAYOUTS), {
        "bni": (at("bni", "partner", "self.frozen_body(ctx, order), n=1)\n",
                   "self.frozen_body(ctx, order), n=1)\n        reply = yield sign.post(ctx, sign.TRANSFER, self.frozen_body(ctx, order), n=2)\n"),),
        "gopay": (at("gopay", "partner", "        return mapping.approved(reply, number)",
                     '        reply = yield sign.iris_request(ctx, "POST", "payouts/approve", wire.approve(number), operation="payout.approve", '
                     "effect=Effect.WRITE, role=IrisRole.APPROVER)\n        return mapping.approved(reply, number)"),),
        "ovo": (at("ovo", "partner", "        reply = yield sign.topup(ctx, order)\n",
                   "        reply = yield sign.topup(ctx, order)\n        reply = yield sign.topup(ctx, order)\n"),),
        "linkaja": (at("linkaja", "partner", "        return mapping.confirmed(order, reply)",
                       "        reply = yield sign.confirm(ctx, order, order.grant, session)\n        return mapping.confirmed(order, reply)"),),
    }),
)

_REPLACED = '__import__("msgspec").structs.replace(order, reference=ctx.external_id(1))'
_MONEY = (
    *kind("amount_without_decimals", (PLANS, PAYOUTS), {
        "bni": (at("bni", "wire", "decimal_string(order.amount_rupiah)", "str(order.amount_rupiah)", 2),),
        "gopay": (at("gopay", "wire", "decimal_string(order.amount_rupiah)", "str(order.amount_rupiah)"),),
        "ovo": (at("ovo", "wire", "value=decimal_string(amount_rupiah)", "value=str(amount_rupiah)"),),
        "linkaja": (at("linkaja", "wire", "{amount_rupiah:010d}00", "{amount_rupiah:012d}"),),
    }),
    *kind("amount_times_100", (PAYOUTS,), {
        "bni": (at("bni", "wire", "decimal_string(order.amount_rupiah)", "decimal_string(order.amount_rupiah * 100)", 2),),
        "gopay": (at("gopay", "wire", "decimal_string(order.amount_rupiah)", "decimal_string(order.amount_rupiah * 100)"),),
        "ovo": (at("ovo", "wire", "value=decimal_string(amount_rupiah)", "value=decimal_string(amount_rupiah * 100)"),),
        "linkaja": (at("linkaja", "wire", "{amount_rupiah:010d}00", "{amount_rupiah * 100:010d}00"),),
    }),
    *kind("unstable_reference", (PLANS, PAYOUTS), {
        "bni": (at("bni", "partner", "wire.transfer(order, ", f"wire.transfer({_REPLACED}, "),),
        "gopay": (at("gopay", "partner", "idempotency_key=order.reference", "idempotency_key=ctx.external_id(0)"),),
        "ovo": (
            at("ovo", "sign", "content=topup_body(order)", f"content=topup_body({_REPLACED})"),
            at("ovo", "partner", "sign.topup_body(order)", f"sign.topup_body({_REPLACED})"),
        ),
        "linkaja": (at("linkaja", "sign", "wire.confirm(order, ", f"wire.confirm({_REPLACED}, "),),
    }),
    *kind("frozen_without_amount", (PLANS,), {
        "linkaja": (
            at("linkaja", "wire", "    amount: str\n    merchant_trx_id: str = msgspec.field(name=\"merchantTrxID\")\n    trx_date: str\n\n\nclass LinkAjaCheck",
               "    merchant_trx_id: str = msgspec.field(name=\"merchantTrxID\")\n    trx_date: str\n\n\nclass LinkAjaCheck"),
            at("linkaja", "wire", "LinkAjaFrozen(\n            amount=padded_amount(order.amount_rupiah),\n", "LinkAjaFrozen(\n"),
        ),
    }),
)

_REJECT = "rejected(BlockerCode.PARTNER_REJECTED, "
_VERDICTS = (
    *kind("absence_as_verdict", (CODES, PAYOUTS), {
        "bni": (at("bni", "mapping", "return not_found(partner_code=envelope.code)", "return rejected(None, technical=True, partner_code=envelope.code)"),),
        "gopay": (at("gopay", "mapping", 'return unknown(partner_code="404")', 'return rejected(None, technical=True, partner_code="404")'),),
        "ovo": (at("ovo", "mapping", "return not_found(partner_code=envelope.code)", "return rejected(None, technical=True, partner_code=envelope.code)"),),
        "linkaja": (at("linkaja", "mapping", "return not_found(partner_code=said.code)", "return rejected(None, technical=True, partner_code=said.code)"),),
    }),
    *kind("in_progress_as_success", (PAYOUTS,), {
        "bni": (at("bni", "mapping", '"03": OutcomeKind.PENDING', '"03": OutcomeKind.SUCCEEDED'),),
        "gopay": (at("gopay", "mapping", 'IrisStatus.PROCESSED: lambda: pending(partner_code="processed", ', 'IrisStatus.PROCESSED: lambda: succeeded(partner_code="processed", '),),
        "ovo": (at("ovo", "mapping", '"03": OutcomeKind.PENDING', '"03": OutcomeKind.SUCCEEDED'),),
        "linkaja": (at("linkaja", "mapping", '"PENDING": OutcomeKind.PENDING', '"PENDING": OutcomeKind.SUCCEEDED'),),
    }),
    *kind("accepted_as_success", (PAYOUTS,), {
        "bni": (at("bni", "mapping", 'return pending(partner_code=code, partner_reference=envelope.optional_text("referenceNo"))', "return succeeded(partner_code=code)"),),
        "gopay": (at("gopay", "mapping", 'return pending(partner_code="202", partner_reference=number)', 'return succeeded(partner_code="202", partner_reference=number)'),),
        "ovo": (at("ovo", "mapping", 'return pending(partner_code=code, partner_reference=envelope.optional_text("referenceNo"))', "return succeeded(partner_code=code)"),),
        "linkaja": (at("linkaja", "mapping", 'if kind is OutcomeKind.PENDING:\n        return pending(partner_code=said.code, partner_reference=said.optional_text("linkRefNum"))\n    if kind is OutcomeKind.REJECTED:\n        return rejected(REASONS',
                       "if kind is OutcomeKind.PENDING:\n        return succeeded(partner_code=said.code)\n    if kind is OutcomeKind.REJECTED:\n        return rejected(REASONS"),),
    }),
    *kind("every_error_as_refusal", (CODES, PAYOUTS), {
        "bni": (at("bni", "mapping", "return unknown(partner_code=code)", f"return {_REJECT}partner_code=code)"),),
        "gopay": (at("gopay", "mapping", 'return unknown(partner_code=f"{reply.status:03d}")', 'return rejected(_B.PARTNER_REJECTED, partner_code=f"{reply.status:03d}")'),),
        "ovo": (at("ovo", "mapping", "return unknown(partner_code=code)", f"return {_REJECT}partner_code=code)"),),
        "linkaja": (at("linkaja", "mapping", "    return unknown(partner_code=said.code)\n\n\ndef checked", f"    return {_REJECT}partner_code=said.code)\n\n\ndef checked"),),
    }),
    *kind("unreadable_as_refusal", (DAMAGE, PAYOUTS), {
        "bni": (at("bni", "mapping", "    envelope = codes.read(reply, sign.TRANSFER.service)\n",
                   f"    try:\n        envelope = codes.read(reply, sign.TRANSFER.service)\n    except PartnerProtocolError:\n        return {_REJECT})\n"),),
        "gopay": (at("gopay", "mapping", '    if reply.status == 202 and wire.decode(reply.content, wire.IrisStatusReply).status == "ok":\n        return pending',
                     '    try:\n        wire.decode(reply.content, dict)\n    except Exception:\n        return rejected(_B.PARTNER_REJECTED)\n'
                     '    if reply.status == 202 and wire.decode(reply.content, wire.IrisStatusReply).status == "ok":\n        return pending'),),
        "ovo": (at("ovo", "mapping", '    envelope = codes.read(reply, "38")\n',
                   f'    try:\n        envelope = codes.read(reply, "38")\n    except PartnerProtocolError:\n        return {_REJECT})\n'),),
        "linkaja": (at("linkaja", "mapping", "    said = wire.answer(reply)\n    kind = CONFIRM",
                       f"    try:\n        said = wire.answer(reply)\n    except PartnerProtocolError:\n        return {_REJECT})\n    kind = CONFIRM"),),
    }),
    *kind("escaping_decode_error", (DAMAGE,),
        snap_everywhere(Edit(SNAP_CODES, "except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error", "except msgspec.ValidationError as error"), "bni", "ovo")
        | {
            "gopay": (at("gopay", "wire", "except (msgspec.DecodeError, UnicodeDecodeError, RecursionError)", "except msgspec.ValidationError"),),
            "linkaja": (at("linkaja", "wire", "except (msgspec.DecodeError, UnicodeDecodeError, RecursionError)", "except msgspec.DecodeError"),),
        }),
    *kind("code_over_http_status", (DAMAGE,),
        snap_everywhere(Edit(SNAP_CODES, 'if code[:3] != f"{reply.status:03d}":', "if not code:"), "bni", "ovo")
        | {
            "gopay": (at("gopay", "mapping", "if reply.status == 202 and wire", "if wire", 2),),
            "linkaja": (at("linkaja", "mapping", "    if reply.status != 200:\n        return unknown()\n", ""),),
        }),
    *kind("duplicate_as_refusal", (CODES,), {
        "bni": (at("bni", "mapping", '    "4031702": Blocker', '    "4091701": BlockerCode.PARTNER_REJECTED,\n    "4031702": Blocker'),),
        "ovo": (at("ovo", "mapping", '    "4033803": Blocker', '    "4093801": BlockerCode.PARTNER_REJECTED,\n    "4033803": Blocker'),),
        "linkaja": (
            at("linkaja", "mapping", '    "89": OutcomeKind.UNKNOWN,\n    "94": OutcomeKind.UNKNOWN', '    "89": OutcomeKind.UNKNOWN,\n    "94": OutcomeKind.REJECTED'),
            at("linkaja", "mapping", '"62": BlockerCode.ACCOUNT_BLOCKED}', '"62": BlockerCode.ACCOUNT_BLOCKED, "94": BlockerCode.PARTNER_REJECTED}'),
        ),
    }),
    *kind("time_out_as_not_accepted", (CODES,), {
        "bni": (
            at("bni", "mapping", '"42900"})', '"42900", "50400"})'),
            Edit(SNAP_CODES, '    "42900": Hint.THROTTLED,\n', '    "42900": Hint.THROTTLED,\n    "50400": Hint.LATER,\n'),
        ),
        "ovo": (
            at("ovo", "mapping", '"42900"})', '"42900", "50400"})'),
            Edit(SNAP_CODES, '    "42900": Hint.THROTTLED,\n', '    "42900": Hint.THROTTLED,\n    "50400": Hint.LATER,\n'),
        ),
        "linkaja": (
            at("linkaja", "mapping", '"89": OutcomeKind.UNKNOWN', '"89": OutcomeKind.NOT_ACCEPTED'),
            at("linkaja", "mapping", '"51": Hint.FLOAT_SHORT}\n"""Codes at confirm', '"51": Hint.FLOAT_SHORT, "89": Hint.LATER}\n"""Codes at confirm'),
        ),
    }),
    *kind("reversal_as_success", (PAYOUTS,), {
        "bni": (at("bni", "mapping", '"04": OutcomeKind.REVERSED', '"04": OutcomeKind.SUCCEEDED'),),
        "ovo": (at("ovo", "mapping", '"04": OutcomeKind.REVERSED', '"04": OutcomeKind.SUCCEEDED'),),
        "gopay": (at("gopay", "mapping", "IrisStatus.FAILED: lambda: failed(error_code)", 'IrisStatus.FAILED: lambda: pending(partner_code="failed")'),),
    }),
)

_PEOPLE = (
    *kind("failure_as_mismatch", (IDENTITY, CODES), {
        "bni": (at("bni", "identity", "        raise codes.unavailable(envelope, reply)", "        return IdentityAnswer(verdict=Verdict.MISMATCH)"),),
        "gopay": (at("gopay", "mapping", "    if reply.status not in (200, 401, 404):\n        raise _unavailable(reply)", "    if reply.status not in (200, 401, 404):\n        return IdentityAnswer(verdict=Verdict.MISMATCH)"),),
        "ovo": (at("ovo", "mapping", "    _inquiry_done(envelope, reply)\n    _check_account(envelope, query.account)", '    if envelope.code != "2003700":\n        return IdentityAnswer(verdict=Verdict.MISMATCH)\n    _check_account(envelope, query.account)'),),
        "linkaja": (at("linkaja", "mapping", '        raise unavailable(said)\n    _check_account(said, "customerNumber"', '        return IdentityAnswer(verdict=Verdict.MISMATCH)\n    _check_account(said, "customerNumber"'),),
    }),
    *kind("unknown_nik_as_mismatch", (IDENTITY,), {
        "bni": (at("bni", "identity", '"U": Verdict.KYC_INCOMPLETE', '"U": Verdict.MISMATCH'), at("bni", "identity", 'assert set(MATCHES) == set("YNUP")', 'assert MATCHES')),
        "gopay": (at("gopay", "mapping", "return IdentityAnswer(verdict=Verdict.KYC_INCOMPLETE, partner_code=code)", "return IdentityAnswer(verdict=Verdict.MISMATCH, partner_code=code)"),),
        "ovo": (at("ovo", "mapping", '"NOT_AVAILABLE": Verdict.KYC_INCOMPLETE', '"NOT_AVAILABLE": Verdict.MISMATCH'), at("ovo", "mapping", "assert len(set(IDENTITY.values())) == len(IDENTITY)", "assert IDENTITY")),
        "linkaja": (at("linkaja", "mapping", '"U": Verdict.KYC_INCOMPLETE', '"U": Verdict.MISMATCH'), at("linkaja", "mapping", "assert len(set(NIK_MATCH.values())) == len(NIK_MATCH)", "assert NIK_MATCH")),
    }),
    *kind("value_in_an_error", (DAMAGE,), {
        "bni": (at("bni", "wire", "fields of {kind.__name__}", "fields of {kind.__name__} in {envelope.body}"),),
        "gopay": (at("gopay", "wire", 'raise protocol_error(f"not readable as {getattr(shape, \'__name__\', \'a list\')}")', "raise protocol_error(content.decode(errors='replace'))"),),
        "ovo": (at("ovo", "mapping", "field {field} is not ours", "field {field} is {echoed}"),),
        "linkaja": (at("linkaja", "wire", "field {name} is not a string", "field {name} is {value}"),),
    }),
    *kind("nik_in_a_header", (PLANS,), {
        "bni": (at("bni", "identity", "    return sign.post(ctx, KYC, wire.encode(body))", '    request = sign.post(ctx, KYC, wire.encode(body))\n    request.headers["X-NIK"] = query.nik.reveal()\n    return request'),),
        "linkaja": (at("linkaja", "sign", '"/v1/custbind/verify/kyc", ', 'f"/v1/custbind/verify/kyc?nik={query.nik.reveal()}", '),),
    }),
    *kind("held_as_refused", (LINKS,), {
        slug: (at(slug, "mapping", "return LinkHeld(partner_code=envelope.code)", "return LinkRefused(code=BlockerCode.ACCOUNT_SHARED)", 2),)
        for slug in ("ovo", "linkaja")
    }),
    *kind("our_bad_key_ends_the_link", (LINKS,), {
        slug: (at(slug, "mapping", 'GRANT_GONE = frozenset({', 'GRANT_GONE = frozenset({"4017400", '),)
        for slug in ("ovo", "linkaja")
    }),
    *kind("expired_as_unlinked", (LINKS,), {
        slug: (at(slug, "partner", "if ends is not None and ends - _EXPIRY_MARGIN <= ctx.now:", "if ends is None:"),)
        for slug in ("ovo", "linkaja")
    }),
    *kind("refusal_as_grant_asked_again", (LINKS,), {
        "bni": (at("bni", "mapping", '"4030411": BlockerCode.CONSENT_DENIED', '"4030411": BlockerCode.CONSENT_ABANDONED'),),
        "gopay": (at("gopay", "mapping", '"4031005": _B.CONSENT_DENIED', '"4031005": _B.CONSENT_ABANDONED'),),
        "ovo": (at("ovo", "mapping", '"OV00006": BlockerCode.CONSENT_DENIED', '"OV00006": BlockerCode.CONSENT_ABANDONED'),),
        "linkaja": (at("linkaja", "mapping", '"access_denied": BlockerCode.CONSENT_DENIED', '"access_denied": BlockerCode.CONSENT_ABANDONED'),),
    }),
)

_INBOUND = (
    *kind("notices_unverified", (NOTICES,), {"gopay": (at("gopay", "callbacks", "if not valid:", "if not note.kind:"),)}),
    *kind("stale_notices_taken", (NOTICES,), {"gopay": (at("gopay", "sign", "TOLERANCE_S = 900", "TOLERANCE_S = 900_000_000"),)}),
    *kind("notice_of_another_path", (NOTICES,), {
        "gopay": (at("gopay", "sign", "(note.method, note.target, snap.minify", '(note.method, "/callbacks/gopay/v1.0/registration-account/notify", snap.minify'),),
    }),
    *kind("notices_of_strangers_taken", (NOTICES,), {
        slug: (at(slug, "callbacks", "        raise SignatureInvalid", "        return None\n        raise SignatureInvalid"),)
        for slug in ("bni", "ovo", "linkaja")
    }),
    *kind("redelivery_is_another_event", (NOTICES,), {"gopay": (
        at("gopay", "callbacks", 'digest = hashlib.sha256(apart', 'digest = hashlib.sha256(str(id(note)).encode() + apart'),
    )}),
    *kind("only_one_page", (PAYOUTS,), {
        "bni": (at("bni", "mapping", "next_cursor=str(page + 1) if more else None", "next_cursor=None"),),
        "ovo": (at("ovo", "mapping", 'next_cursor = str(page + 1) if info.has_more == "Y" else None', "next_cursor = None"),),
        "linkaja": (at("linkaja", "mapping", "next_cursor = str(page + 1) if page < data.pages else None", "next_cursor = None"),),
    }),
    *kind("refused_token_without_a_hint", (TOKENS,),
        snap_everywhere(Edit(SNAP_CODES, '    "40103": Hint.OUR_TOKEN,\n', '    "40103": Hint.NONE,\n'), "bni", "gopay", "ovo")
        | {"linkaja": (at("linkaja", "mapping", 'raise PartnerUnavailable("HTTP 401", hint=Hint.OUR_TOKEN, partner_code="401")', 'raise PartnerUnavailable("HTTP 401", partner_code="401")'),)}),
)

ADAPTERS: tuple[Mutant, ...] = (*_SIGNING, *_EFFECTS, *_MONEY, *_VERDICTS, *_PEOPLE, *_INBOUND)
