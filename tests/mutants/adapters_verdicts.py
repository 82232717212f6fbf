# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs in what a partner's word on a payout is taken for."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import CODES, DAMAGE, PAYOUTS, SNAP_CODES, at, kind, shared

_REJECT = "rejected(BlockerCode.PARTNER_REJECTED, "
VERDICTS: tuple[Mutant, ...] = (
    *kind(
        "absence_as_verdict",
        (CODES, PAYOUTS),
        {
            "bni": (
                at(
                    "bni",
                    "mapping",
                    "return not_found(partner_code=envelope.code)",
                    "return rejected(None, technical=True, partner_code=envelope.code)",
                ),
            ),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    'return unknown(partner_code="404")',
                    'return rejected(None, technical=True, partner_code="404")',
                ),
            ),
            "ovo": (
                at(
                    "ovo",
                    "mapping",
                    "return not_found(partner_code=envelope.code)",
                    "return rejected(None, technical=True, partner_code=envelope.code)",
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    "return not_found(partner_code=said.code)",
                    "return rejected(None, technical=True, partner_code=said.code)",
                ),
            ),
        },
    ),
    *kind(
        "in_progress_as_success",
        (PAYOUTS,),
        {
            "bni": (at("bni", "mapping", '"03": OutcomeKind.PENDING', '"03": OutcomeKind.SUCCEEDED'),),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    'IrisStatus.PROCESSED: lambda: pending(partner_code="processed", ',
                    'IrisStatus.PROCESSED: lambda: succeeded(partner_code="processed", ',
                ),
            ),
            "ovo": (at("ovo", "mapping", '"03": OutcomeKind.PENDING', '"03": OutcomeKind.SUCCEEDED'),),
            "linkaja": (
                at("linkaja", "mapping", '"PENDING": OutcomeKind.PENDING', '"PENDING": OutcomeKind.SUCCEEDED'),
            ),
        },
    ),
    *kind(
        "accepted_as_success",
        (PAYOUTS,),
        {
            "bni": (
                at(
                    "bni",
                    "mapping",
                    'return pending(partner_code=code, partner_reference=envelope.optional_text("referenceNo"))',
                    "return succeeded(partner_code=code)",
                ),
            ),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    'return pending(partner_code="202", partner_reference=number)',
                    'return succeeded(partner_code="202", partner_reference=number)',
                ),
            ),
            "ovo": (
                at(
                    "ovo",
                    "mapping",
                    'return pending(partner_code=code, partner_reference=envelope.optional_text("referenceNo"))',
                    "return succeeded(partner_code=code)",
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    'if kind is OutcomeKind.PENDING:\n        return pending(partner_code=said.code, partner_reference=said.optional_text("linkRefNum"))\n    if kind is OutcomeKind.REJECTED:\n        return rejected(REASONS',
                    "if kind is OutcomeKind.PENDING:\n        return succeeded(partner_code=said.code)\n    if kind is OutcomeKind.REJECTED:\n        return rejected(REASONS",
                ),
            ),
        },
    ),
    *kind(
        "every_error_as_refusal",
        (CODES, PAYOUTS),
        {
            "bni": (at("bni", "mapping", "return unknown(partner_code=code)", f"return {_REJECT}partner_code=code)"),),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    'return unknown(partner_code=f"{reply.status:03d}")',
                    'return rejected(_B.PARTNER_REJECTED, partner_code=f"{reply.status:03d}")',
                ),
            ),
            "ovo": (at("ovo", "mapping", "return unknown(partner_code=code)", f"return {_REJECT}partner_code=code)"),),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    "    return unknown(partner_code=said.code)\n\n\ndef checked",
                    f"    return {_REJECT}partner_code=said.code)\n\n\ndef checked",
                ),
            ),
        },
    ),
    *kind(
        "unreadable_as_refusal",
        (DAMAGE, PAYOUTS),
        {
            "bni": (
                at(
                    "bni",
                    "mapping",
                    "    envelope = codes.read(reply, sign.TRANSFER.service)\n",
                    f"    try:\n        envelope = codes.read(reply, sign.TRANSFER.service)\n    except PartnerProtocolError:\n        return {_REJECT})\n",
                ),
            ),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    '    if reply.status == 202 and wire.decode(reply.content, wire.IrisStatusReply).status == "ok":\n        return pending',
                    "    try:\n        wire.decode(reply.content, dict)\n    except Exception:\n        return rejected(_B.PARTNER_REJECTED)\n"
                    '    if reply.status == 202 and wire.decode(reply.content, wire.IrisStatusReply).status == "ok":\n        return pending',
                ),
            ),
            "ovo": (
                at(
                    "ovo",
                    "mapping",
                    '    envelope = codes.read(reply, "38")\n',
                    f'    try:\n        envelope = codes.read(reply, "38")\n    except PartnerProtocolError:\n        return {_REJECT})\n',
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    "    said = wire.answer(reply)\n    kind = CONFIRM",
                    f"    try:\n        said = wire.answer(reply)\n    except PartnerProtocolError:\n        return {_REJECT})\n    kind = CONFIRM",
                ),
            ),
        },
    ),
    *kind(
        "escaping_decode_error",
        (DAMAGE,),
        shared(
            Edit(
                SNAP_CODES,
                "except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):",
                "except msgspec.ValidationError:",
            ),
            "bni",
            "ovo",
        )
        | {
            "gopay": (
                at(
                    "gopay",
                    "wire",
                    "except (msgspec.DecodeError, UnicodeDecodeError, RecursionError)",
                    "except msgspec.ValidationError",
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "wire",
                    "except (msgspec.DecodeError, UnicodeDecodeError, RecursionError)",
                    "except msgspec.DecodeError",
                ),
            ),
        },
    ),
    *kind(
        "code_over_http_status",
        (DAMAGE,),
        shared(Edit(SNAP_CODES, 'if code[:3] != f"{reply.status:03d}":', "if not code:"), "bni", "ovo")
        | {
            "gopay": (at("gopay", "mapping", "if reply.status == 202 and wire", "if wire", 2),),
            "linkaja": (at("linkaja", "mapping", "    if reply.status != 200:\n        return unknown()\n", ""),),
        },
    ),
    *kind(
        "duplicate_as_refusal",
        (CODES,),
        {
            "bni": (
                at(
                    "bni",
                    "mapping",
                    '    "4031702": Blocker',
                    '    "4091701": BlockerCode.PARTNER_REJECTED,\n    "4031702": Blocker',
                ),
            ),
            "ovo": (
                at(
                    "ovo",
                    "mapping",
                    "    return unknown(partner_code=code)\n",
                    f"    if envelope.case in ALREADY_KNOWN:\n        return {_REJECT}partner_code=code)\n    return unknown(partner_code=code)\n",
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    '    "89": OutcomeKind.UNKNOWN,\n    "94": OutcomeKind.UNKNOWN',
                    '    "89": OutcomeKind.UNKNOWN,\n    "94": OutcomeKind.REJECTED',
                ),
                at(
                    "linkaja",
                    "mapping",
                    '"62": BlockerCode.ACCOUNT_BLOCKED}',
                    '"62": BlockerCode.ACCOUNT_BLOCKED, "94": BlockerCode.PARTNER_REJECTED}',
                ),
            ),
        },
    ),
    *kind(
        "time_out_as_not_accepted",
        (CODES,),
        {
            "bni": (
                at("bni", "mapping", '"42900"})', '"42900", "50400"})'),
                Edit(
                    SNAP_CODES,
                    '    "42900": Hint.THROTTLED,\n',
                    '    "42900": Hint.THROTTLED,\n    "50400": Hint.LATER,\n',
                ),
            ),
            "ovo": (
                at("ovo", "mapping", '"42900"})', '"42900", "50400"})'),
                Edit(
                    SNAP_CODES,
                    '    "42900": Hint.THROTTLED,\n',
                    '    "42900": Hint.THROTTLED,\n    "50400": Hint.LATER,\n',
                ),
            ),
            "linkaja": (
                at("linkaja", "mapping", '"89": OutcomeKind.UNKNOWN', '"89": OutcomeKind.NOT_ACCEPTED'),
                at(
                    "linkaja",
                    "mapping",
                    '"51": Hint.FLOAT_SHORT}\n"""Codes at confirm',
                    '"51": Hint.FLOAT_SHORT, "89": Hint.LATER}\n"""Codes at confirm',
                ),
            ),
        },
    ),
    *kind(
        "reversal_as_success",
        (PAYOUTS,),
        {
            "bni": (at("bni", "mapping", '"04": OutcomeKind.REVERSED', '"04": OutcomeKind.SUCCEEDED'),),
            "ovo": (at("ovo", "mapping", '"04": OutcomeKind.REVERSED', '"04": OutcomeKind.SUCCEEDED'),),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    "IrisStatus.FAILED: lambda: failed(error_code, said_at)",
                    'IrisStatus.FAILED: lambda: pending(partner_code="failed")',
                ),
            ),
        },
    ),
)
