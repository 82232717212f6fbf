# ruff: noqa: E501 - the texts to find and put are as long as in the source
"""Bugs in what leaves for a partner: signatures, effects, references, amounts."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import NOTICES, PAYOUTS, PLANS, SNAP_SIGN, TOKENS, at, kind, shared

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
                at(
                    "gopay",
                    "sign",
                    "key.strip().encode()).hexdigest()",
                    "key.strip().encode()).hexdigest().upper()",
                ),
            )
        },
    ),
    *kind(
        "wrong_key",
        (TOKENS, PAYOUTS),
        {
            "bni": (at("bni", "sign", 'hmac_key="api_secret"', 'hmac_key="api_key"'),),
            "gopay": (at("gopay", "partner", "role=IrisRole.APPROVER", "role=IrisRole.CREATOR", 2),),
            "ovo": (at("ovo", "sign", 'secret=ctx.credential("client_secret")', 'secret=ctx.credential("client_id")'),),
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
                    "timestamp(order.created_at),\n        )\n    )\n\n\ndef status",
                    "timestamp(datetime.now(UTC)),\n        )\n    )\n\n\ndef status",
                ),
            ),
            "gopay": (
                at(
                    "gopay",
                    "sign",
                    "at=snap.timestamp(ctx.now),\n            secret",
                    "at=snap.timestamp(datetime.now().astimezone()),\n            secret",
                ),
            ),
            "ovo": (
                at("ovo", "sign", "import date", "import UTC, date, datetime"),
                at(
                    "ovo",
                    "sign",
                    "at=snap.timestamp(ctx.now, milliseconds=True),\n        secret",
                    "at=snap.timestamp(datetime.now(UTC), milliseconds=True),\n        secret",
                ),
            ),
            "linkaja": (at("linkaja", "sign", "http_date(ctx.now)", "http_date(datetime.now(UTC))"),),
        },
    ),
)

_EFFECTS = (
    *kind(
        "effects_swapped",
        (PLANS, PAYOUTS),
        {
            "bni": (
                at(
                    "bni",
                    "sign",
                    "service=wire.PAYOUT_SERVICE,\n    effect=Effect.WRITE",
                    "service=wire.PAYOUT_SERVICE,\n    effect=Effect.READ",
                ),
                at("bni", "sign", 'service="15",\n    effect=Effect.READ', 'service="15",\n    effect=Effect.WRITE'),
            ),
            "gopay": (
                at(
                    "gopay",
                    "partner",
                    'operation="payout.approve",\n            effect=Effect.WRITE',
                    'operation="payout.approve",\n            effect=Effect.READ',
                ),
                at(
                    "gopay",
                    "partner",
                    'operation="payout.status", effect=Effect.READ',
                    'operation="payout.status", effect=Effect.WRITE',
                ),
            ),
            "ovo": (
                at(
                    "ovo",
                    "sign",
                    'operation="payout.transfer",\n        effect=Effect.WRITE',
                    'operation="payout.transfer",\n        effect=Effect.READ',
                ),
                at(
                    "ovo",
                    "sign",
                    'operation="payout.inquiry",\n        effect=Effect.READ',
                    'operation="payout.inquiry",\n        effect=Effect.WRITE',
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "sign",
                    '"payout.transfer",\n        Effect.WRITE',
                    '"payout.transfer",\n        Effect.READ',
                ),
                at("linkaja", "sign", '"payout.inquiry", Effect.READ', '"payout.inquiry", Effect.WRITE'),
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
                    "self.frozen_body(ctx, order), n=1)\n",
                    "self.frozen_body(ctx, order), n=1)\n        reply = yield sign.post(ctx, sign.TRANSFER, self.frozen_body(ctx, order), n=2)\n",
                ),
            ),
            "gopay": (
                at(
                    "gopay",
                    "partner",
                    "        return mapping.approved(reply, number)",
                    '        reply = yield sign.iris_request(ctx, "POST", "payouts/approve", wire.approve(number), operation="payout.approve", '
                    "effect=Effect.WRITE, role=IrisRole.APPROVER)\n        return mapping.approved(reply, number)",
                ),
            ),
            "ovo": (
                at(
                    "ovo",
                    "partner",
                    "        reply = yield sign.topup(ctx, order)\n",
                    "        reply = yield sign.topup(ctx, order)\n        reply = yield sign.topup(ctx, order)\n",
                ),
            ),
            "linkaja": (
                at(
                    "linkaja",
                    "partner",
                    "        return mapping.confirmed(order, reply)",
                    "        reply = yield sign.confirm(ctx, order, order.grant, session)\n        return mapping.confirmed(order, reply)",
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
            "bni": (at("bni", "wire", "decimal_string(order.amount_rupiah)", "str(order.amount_rupiah)", 2),),
            "gopay": (at("gopay", "wire", "decimal_string(order.amount_rupiah)", "str(order.amount_rupiah)"),),
            "ovo": (at("ovo", "wire", "value=decimal_string(amount_rupiah)", "value=str(amount_rupiah)"),),
            "linkaja": (at("linkaja", "wire", "{amount_rupiah:010d}00", "{amount_rupiah:012d}"),),
        },
    ),
    *kind(
        "amount_times_100",
        (PAYOUTS,),
        {
            "bni": (
                at(
                    "bni", "wire", "decimal_string(order.amount_rupiah)", "decimal_string(order.amount_rupiah * 100)", 2
                ),
            ),
            "gopay": (
                at("gopay", "wire", "decimal_string(order.amount_rupiah)", "decimal_string(order.amount_rupiah * 100)"),
            ),
            "ovo": (
                at("ovo", "wire", "value=decimal_string(amount_rupiah)", "value=decimal_string(amount_rupiah * 100)"),
            ),
            "linkaja": (at("linkaja", "wire", "{amount_rupiah:010d}00", "{amount_rupiah * 100:010d}00"),),
        },
    ),
    *kind(
        "unstable_reference",
        (PLANS, PAYOUTS),
        {
            "bni": (at("bni", "partner", "wire.transfer(order, ", f"wire.transfer({_REPLACED}, "),),
            "gopay": (at("gopay", "partner", "idempotency_key=order.reference", "idempotency_key=ctx.external_id(0)"),),
            "ovo": (
                at("ovo", "sign", "content=topup_body(order)", f"content=topup_body({_REPLACED})"),
                at("ovo", "partner", "sign.topup_body(order)", f"sign.topup_body({_REPLACED})"),
            ),
            "linkaja": (at("linkaja", "sign", "wire.confirm(order, ", f"wire.confirm({_REPLACED}, "),),
        },
    ),
    *kind(
        "frozen_without_amount",
        (PLANS,),
        {
            "linkaja": (
                at(
                    "linkaja",
                    "wire",
                    '    amount: str\n    merchant_trx_id: str = msgspec.field(name="merchantTrxID")\n    trx_date: str\n\n\nclass LinkAjaCheck',
                    '    merchant_trx_id: str = msgspec.field(name="merchantTrxID")\n    trx_date: str\n\n\nclass LinkAjaCheck',
                ),
                at(
                    "linkaja",
                    "wire",
                    "LinkAjaFrozen(\n            amount=padded_amount(order.amount_rupiah),\n",
                    "LinkAjaFrozen(\n",
                ),
            ),
        },
    ),
)

BYTES: tuple[Mutant, ...] = (*_SIGNING, *_EFFECTS, *_MONEY)
