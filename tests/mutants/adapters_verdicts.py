# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs in what a partner's word on a payout is taken for."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import ANSWERS, CODES, DAMAGE, PAY, PAYOUTS, SNAP_CODES, at, kind, shared

_REJECT = "rejected(BlockerCode.PARTNER_REJECTED, "
VERDICTS: tuple[Mutant, ...] = (
    *kind(
        "absence_as_verdict",
        (CODES, PAYOUTS),
        {
            "bni": (
                Edit(
                    PAY,
                    "return not_found(partner_code=envelope.code)",
                    "return rejected(None, technical=True, partner_code=envelope.code)",
                ),
            ),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    'return unknown(partner_code="404", retry_after_s=answers.retry_after_s(reply))',
                    'return rejected(None, technical=True, partner_code="404")',
                ),
            ),
            "ovo": (
                Edit(
                    PAY,
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
            "bni": (Edit(PAY, '"03": OutcomeKind.PENDING', '"03": OutcomeKind.SUCCEEDED'),),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    'case "approved" | "processed":\n            return pending(',
                    'case "approved" | "processed":\n            return succeeded(',
                ),
            ),
            "ovo": (Edit(PAY, '"03": OutcomeKind.PENDING', '"03": OutcomeKind.SUCCEEDED'),),
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
                Edit(
                    PAY,
                    'return pending(partner_code=code, partner_reference=envelope.optional_number("referenceNo"))',
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
                Edit(
                    PAY,
                    'return pending(partner_code=code, partner_reference=envelope.optional_number("referenceNo"))',
                    "return succeeded(partner_code=code)",
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    "if kind is OutcomeKind.PENDING:\n        return pending(partner_code=said.code, partner_reference=_number(said))\n    if kind is OutcomeKind.REJECTED:\n        return rejected(REASONS",
                    "if kind is OutcomeKind.PENDING:\n        return succeeded(partner_code=said.code)\n    if kind is OutcomeKind.REJECTED:\n        return rejected(REASONS",
                ),
            ),
        },
    ),
    *kind(
        "every_error_as_refusal",
        (CODES, PAYOUTS),
        {
            "bni": (
                Edit(
                    PAY,
                    "return unknown(partner_code=code, retry_after_s=wait_s)",
                    "return rejected(BlockerCode.PARTNER_REJECTED, partner_code=code)",
                ),
            ),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    'return unknown(partner_code=f"{reply.status:03d}", detail=detail, retry_after_s=wait_s)',
                    'return rejected(_B.PARTNER_REJECTED, partner_code=f"{reply.status:03d}")',
                ),
            ),
            "ovo": (
                Edit(
                    PAY,
                    "return unknown(partner_code=code, retry_after_s=wait_s)",
                    "return rejected(BlockerCode.PARTNER_REJECTED, partner_code=code)",
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    "return unknown(partner_code=said.code, retry_after_s=wait_s)",
                    "return rejected(BlockerCode.PARTNER_REJECTED, partner_code=said.code)",
                ),
            ),
        },
    ),
    *kind(
        "unreadable_as_refusal",
        (DAMAGE, PAYOUTS),
        {
            "bni": (
                Edit(
                    PAY,
                    "        envelope = self.transfer.read(reply)\n",
                    "        try:\n            envelope = self.transfer.read(reply)\n        except Exception:\n            return rejected(BlockerCode.PARTNER_REJECTED)\n",
                ),
            ),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    '    return pending(partner_code="202", partner_reference=number) if',
                    '    try:\n        answers.json_value(reply)\n    except Exception:\n        return rejected(_B.PARTNER_REJECTED)\n    return pending(partner_code="202", partner_reference=number) if',
                ),
            ),
            "ovo": (
                Edit(
                    PAY,
                    "        envelope = self.transfer.read(reply)\n",
                    "        try:\n            envelope = self.transfer.read(reply)\n        except Exception:\n            return rejected(BlockerCode.PARTNER_REJECTED)\n",
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    "    said = _read(reply)\n    kind = CONFIRM",
                    "    try:\n        said = _read(reply)\n    except Exception:\n        return rejected(BlockerCode.PARTNER_REJECTED, )\n    kind = CONFIRM",
                ),
            ),
        },
    ),
    *kind(
        "escaping_decode_error",
        (DAMAGE,),
        shared(
            Edit(
                ANSWERS,
                '    except (ValueError, RecursionError):\n        raise PartnerProtocolError("no JSON")',
                '    except RecursionError:\n        raise PartnerProtocolError("no JSON")',
            ),
            "bni",
            "gopay",
            "linkaja",
            "ovo",
        ),
    ),
    *kind(
        "code_over_http_status",
        (DAMAGE,),
        shared(Edit(SNAP_CODES, 'if code[:3] != f"{reply.status:03d}":', "if not code:"), "bni", "ovo")
        | {
            "gopay": (at("gopay", "mapping", "if reply.status == 202 else {}", "if reply.content else {}"),),
            "linkaja": (
                at(
                    "linkaja",
                    "mapping",
                    '    if reply.status != 200:\n        raise answers.no_answer(reply, "no answer of the partner API", our_token)\n',
                    "",
                ),
            ),
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
                Edit(PAY, 'assert code[:3] in ("400", "403", "404")', 'assert code[:1] == "4"'),  # seen at import
            ),
            "ovo": (
                Edit(
                    PAY,
                    "        return unknown(partner_code=code, retry_after_s=wait_s)",
                    '        if envelope.case in ("40901", "40418"):\n            return rejected(BlockerCode.PARTNER_REJECTED, partner_code=code)\n        return unknown(partner_code=code, retry_after_s=wait_s)',
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
                Edit(SNAP_CODES, '"40314", "42900"})', '"40314", "42900", "50400"})'),
                Edit(
                    SNAP_CODES,
                    '    "42900": Hint.THROTTLED,\n',
                    '    "42900": Hint.THROTTLED,\n        "50400": Hint.LATER,\n',
                ),
            ),
            "ovo": (
                Edit(SNAP_CODES, '"40314", "42900"})', '"40314", "42900", "50400"})'),
                Edit(
                    SNAP_CODES,
                    '    "42900": Hint.THROTTLED,\n',
                    '    "42900": Hint.THROTTLED,\n        "50400": Hint.LATER,\n',
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
            "bni": (Edit(PAY, '"04": OutcomeKind.REVERSED', '"04": OutcomeKind.SUCCEEDED'),),
            "ovo": (Edit(PAY, '"04": OutcomeKind.REVERSED', '"04": OutcomeKind.SUCCEEDED'),),
            "gopay": (
                at(
                    "gopay",
                    "mapping",
                    "return failed(said.error_code, said_at, said.error_message)",
                    'return pending(partner_code="failed")',
                ),
                at("gopay", "mapping", "return failed(None, said_at)", 'return pending(partner_code="failed")'),
            ),
        },
    ),
)
