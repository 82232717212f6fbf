"""An example of each body that a client sends and of its answer, shown in the description; a test sends them all to the
application.

People are invented (the NIKs' serials are 99xx); ids stand for those that earlier answers gave.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_PERSON = {
    "participant_id": "P-000001", "nik": "3174010101909901", "full_name": "Dewi Lestari", "phone": "+6281234567890",
    "partner": "ovo", "account": "+6281234567890",
}  # fmt: skip
ROW = {
    "programme": "prakerja-2026-1", "purpose": "training", "period": "1", **_PERSON, "amount_rupiah": 600_000,
    "due_on": "2026-01-05", "deadline_on": "2099-12-31",
}  # fmt: skip
_ROOT = "0f" * 32
_PLAN_ID, _INCENTIVE_ID, _PAYOUT_ID = "pl17642880000000001", "1", "17642880000000002"

BODIES: dict[str, Any] = {
    "register_programme": {"programme": "prakerja-2026-1", "purposes": ["training", "survey"]},
    "submit_batch": {"rows": [ROW]},
    "decide_batch": {"decision": "approve", "content_root": _ROOT},
    "submit_incentive": ROW | {"period": "2"},
    "correct_participant": {"full_name": "Dewi Lestari Putri"},
    "change_account": {"partner": "linkaja", "account": "+6281234567891", "phone": "+6281234567891"},
    "give_proof": {"document": "letter 2026/11/17 of the partner"},
    "propose_plan": {
        "programme": "prakerja-2026-1",
        "name": "four-months",
        "most_participants": 1_000,
        "instalments": [
            {"purpose": "training", "period": 11, "amount_rupiah": 600_000, "due_after_days": 7,
             "deadline_after_days": 60},
            {"purpose": "survey", "period": 11, "amount_rupiah": 50_000, "after": "survey-1",
             "deadline_after_days": 30},
        ],
        "holidays": ["2026-12-25"],
        "weekends": False,
    },
    "decide_plan": {"decision": "approve", "content_root": _ROOT},
    "entitle": {
        "plan_id": _PLAN_ID,
        "entitlements": [_PERSON | {"participant_id": "P-000002", "nik": "3174010101909902"}],
    },
    "complete": {"plan_id": _PLAN_ID, "completions": [{"participant_id": "P-000002", "finished_on": "2026-11-20"}]},
    "start_link": {"participant_id": "P-000001", "return_url": "https://core.test/back"},
    "answer_link": {"inputs": {"otp": "123456"}},
    "request_verification": {"participant_id": "P-000001"},
    "hasten_payout": {"incentive_id": _INCENTIVE_ID},
    "create_webhook_endpoint": {"url": "https://hooks.example/prakerja", "types": ["incentive.changed"]},
    "change_webhook_endpoint": {"types": ["incentive.changed", "case.opened"]},
    "replay_webhook_events": {"dead_letters": True},
    "pause_partner": {"reason": "the partner asked us to wait until noon"},
    "resume_partner": {"read": "9d41c6f02b7ae385"},
    "release_hold": {"reason": "the partner says that it is back"},
    "close_case": {"reason": "the partner gave the second credit back, letter 17", "read": "5b0e7c19d2a6f438"},
    "ask_again": {"stage": "payout", "since": "2026-11-20T00:00:00Z", "code": "account_blocked"},
    "propose_settlement": {
        "payout_id": _PAYOUT_ID, "verdict": "paid", "document": "letter 2026/11/18 of the partner",
        "why": "its books have the credit",
    },
    "start_reconciliation": {"partner": "ovo", "date": "2026-01-05"},
}  # fmt: skip
"""By the operation's id: its body as JSON."""

CSV = ",".join(ROW) + "\n" + ",".join(str(value) for value in ROW.values()) + "\n"
"""A batch as a file."""

ANSWERS: dict[str, Any] = json.loads(Path(__file__).with_name("answers.json").read_bytes())
"""By the operation's id: what it answers, as the application has answered it; long lists show their first items."""
