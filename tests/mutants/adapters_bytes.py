# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs in what leaves for a partner: signatures, effects, references, amounts."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import CALLS, NOTICES, PAY, PAYOUTS, PLANS, SNAP_SIGN, TOKENS, VALUES, at, kind, shared

_SIGNING = (
    *kind(
        "wrong_hash",
        (TOKENS, PAYOUTS),
        shared(Edit(SNAP_SIGN, "hashlib.sha256(content)", "hashlib.sha512(content)"), "bni", "gopay", "ovo")
        | {"linkaja": (at("linkaja", "sign", "hashlib.sha256(content)", "hashlib.sha512(content)"),)},
    ),
    *kind(
        "digest_case",
        (TOKENS, PAYOUTS),
        shared(Edit(SNAP_SIGN, "(content).hexdigest()", "(content).hexdigest().upper()"), "bni", "gopay", "ovo")
        | {"linkaja": (at("linkaja", "sign", "digest()).decode()}", "digest()).decode().lower()}"),)},
    ),
    *kind(
        "notice_hash_case",
        (NOTICES,),
        {
            "gopay": (
                at("gopay", "sign", "key.encode()).hexdigest().encode()", "key.encode()).hexdigest().upper().encode()"),
            )
        },
    ),
    *kind(
        "wrong_key",
        (TOKENS, PAYOUTS),
        {
            "bni": (at("bni", "sign", 'secret="api_secret"', 'secret="api_key"'),),
            "gopay": (at("gopay", "sign", '"iris_approver_key" if', '"iris_creator_key" if'),),
            "ovo": (
                at("ovo", "sign", "OVO = Side(milliseconds=True,", 'OVO = Side(secret="client_id", milliseconds=True,'),
            ),
            "linkaja": (at("linkaja", "sign", 'ctx.credential("hmac_secret")', 'ctx.credential("hmac_username")'),),
        },
    ),
    *kind(
        "clock_read",
        (PLANS, PAYOUTS),
        {
            "bni": (
                at("bni", "wire", "import date, timedelta", "import UTC, date, datetime, timedelta"),
                at(
                    "bni",
                    "wire",
                    '"sourceAccountNo": source_account,\n        "transactionDate": timestamp(order.created_at)',
                    '"sourceAccountNo": source_account,\n        "transactionDate": timestamp(datetime.now(UTC))',
                ),
            ),
            "gopay": (
                Edit(
                    CALLS,
                    "at = snap.timestamp(ctx.now,",
                    'at = snap.timestamp(__import__("datetime").datetime.now().astimezone(),',
                ),
            ),
            "ovo": (
                Edit(
                    CALLS,
                    "at = snap.timestamp(ctx.now,",
                    'at = snap.timestamp(__import__("datetime").datetime.now().astimezone(),',
                ),
            ),
            "linkaja": (at("linkaja", "sign", "http_date(ctx.now)", "http_date(datetime.now(UTC))"),),
        },
    ),
)

_IMPORTED = Edit(
    PAY,
    "        assert self.transfer.effect is Effect.WRITE\n        assert all(call.effect is Effect.READ for call in reads)\n",
    "        assert len(reads) == len(Effect)\n",
)
"""The tables refuse it as soon as they are imported; what the suites say without that is asked here."""
_EFFECTS = (
    *kind(
        "effects_swapped",
        (PLANS, PAYOUTS),
        {
            "bni": (
                at("bni", "sign", 'Call("payout.transfer", WRITE', 'Call("payout.transfer", READ'),
                at("bni", "sign", 'Call("payout.inquiry", READ', 'Call("payout.inquiry", WRITE'),
                _IMPORTED,
            ),
            "gopay": (
                at("gopay", "sign", 'Call("payout.approve", WRITE', 'Call("payout.approve", READ'),
                at("gopay", "sign", 'Call("payout.status", READ', 'Call("payout.status", WRITE'),
            ),
            "ovo": (
                at("ovo", "sign", 'Call("payout.transfer", WRITE', 'Call("payout.transfer", READ'),
                at("ovo", "sign", 'Call("payout.inquiry", READ', 'Call("payout.inquiry", WRITE'),
                _IMPORTED,
            ),
            "linkaja": (
                at("linkaja", "sign", 'Call("payout.transfer", WRITE', 'Call("payout.transfer", READ'),
                at("linkaja", "sign", 'Call("payout.inquiry", READ', 'Call("payout.inquiry", WRITE'),
            ),
        },
    ),
    *kind(
        "two_writes",
        (PLANS, PAYOUTS),
        {
            "bni": (
                at(
                    "bni",
                    "partner",
                    "        return PAYOUTS.transferred(order, reply)",
                    '        reply = yield SNAP.ask(ctx, sign.TRANSFER, wire.transfer(order, ctx.credentials["source_account"]), n=2)\n        return PAYOUTS.transferred(order, reply)',
                ),
            ),
            "gopay": (
                at(
                    "gopay",
                    "partner",
                    "        return mapping.approved(reply, order)",
                    "        reply = yield sign.iris(ctx, sign.APPROVE, wire.approve(_number(order)))\n        return mapping.approved(reply, order)",
                ),
            ),
            "ovo": (
                at(
                    "ovo",
                    "partner",
                    "        return PAYOUTS.transferred(order, reply)",
                    "        reply = yield OVO.ask(ctx, sign.TOPUP, wire.topup(order), n=2)\n        return PAYOUTS.transferred(order, reply)",
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "partner",
                    "        return mapping.confirmed(order, reply)",
                    "        reply = yield sign.ask(ctx, sign.CONFIRM, confirm, frozen=self.frozen_body(ctx, order))\n        return mapping.confirmed(order, reply)",
                ),
            ),
        },
    ),
)

_REPLACED = '__import__("msgspec").structs.replace(order, reference=ctx.external_id(1))'
_MONEY = (
    *kind(
        "amount_without_decimals",
        (PLANS, PAYOUTS),
        {
            "bni": (Edit(VALUES, "decimal_string(amount_rupiah)", "str(amount_rupiah)"),),
            "ovo": (Edit(VALUES, "decimal_string(amount_rupiah)", "str(amount_rupiah)"),),
            "linkaja": (at("linkaja", "wire", "{amount_rupiah:010d}00", "{amount_rupiah:012d}"),),
        },
    ),
    *kind(
        "amount_times_100",
        (PAYOUTS,),
        {
            "bni": (Edit(VALUES, "decimal_string(amount_rupiah)", "decimal_string(amount_rupiah * 100)"),),
            "gopay": (
                at("gopay", "wire", "decimal_string(order.amount_rupiah)", "decimal_string(order.amount_rupiah * 100)"),
            ),
            "ovo": (Edit(VALUES, "decimal_string(amount_rupiah)", "decimal_string(amount_rupiah * 100)"),),
            "linkaja": (at("linkaja", "wire", "{amount_rupiah:010d}00", "{amount_rupiah * 100:010d}00"),),
        },
    ),
    *kind(
        "unstable_reference",
        (PLANS, PAYOUTS),
        {
            "bni": (
                at(
                    "bni",
                    "partner",
                    "wire.transfer(order, ",
                    'wire.transfer(__import__("msgspec").structs.replace(order, reference=ctx.external_id(1)), ',
                    2,
                ),
            ),
            "gopay": (at("gopay", "partner", "idempotency_key=order.reference", "idempotency_key=ctx.external_id(0)"),),
            "ovo": (
                at(
                    "ovo",
                    "partner",
                    "wire.topup(order)",
                    'wire.topup(__import__("msgspec").structs.replace(order, reference=ctx.external_id(1)))',
                    2,
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "partner",
                    "wire.confirm(order, ",
                    'wire.confirm(__import__("msgspec").structs.replace(order, reference=ctx.external_id(1)), ',
                ),
            ),
        },
    ),
    *kind(
        "frozen_without_amount",
        (PLANS,),
        {
            "linkaja": (
                at(
                    "linkaja",
                    "partner",
                    "calls.encode(wire.frozen(order))",
                    'calls.encode({"merchantTrxID": order.reference})',
                ),
            ),
        },
    ),
)

BYTES: tuple[Mutant, ...] = (*_SIGNING, *_EFFECTS, *_MONEY)
