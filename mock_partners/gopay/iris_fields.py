"""Reads Iris' requests strictly (wallets.md 2.6); messages that Midtrans has not published are assumed."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import msgspec

from mock_partners.gopay.banks import NAMES, number_problems
from mock_partners.gopay.payouts import Instruction
from mock_partners.kit.http import Call, json_object

AMOUNT = re.compile(r"([0-9]{1,15})(\.0{1,2})?")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
NAME = re.compile("[A-Za-z0-9 ]*")
"""Midtrans: "only allows alphanumeric characters"; that spaces are among them, its own examples show."""
ALIAS = re.compile("[A-Za-z0-9]{1,20}")
MAX_KEY, MAX_NAME, MAX_NOTES, MAX_EMAIL = 100, 255, 100, 254
MAX_BATCH = 100
"""Payouts in one call (assumed)."""
MAX_STATEMENT_DAYS = 31
CREATING, STATEMENTS = "An error occurred when creating payouts", "An error occurred when fetching statements"
FIELDS = {"beneficiary_name", "beneficiary_account", "beneficiary_bank", "beneficiary_email", "amount", "notes"}
FACILITATORS = "bank_account_id"
"""A field that only facilitators fill; clients that know it send it empty."""
ACCEPTED = ("application/json", "application/*", "*/*")


class IrisRefusal(Exception):
    """Ends a handler with Iris' envelope; `errors` is a list, an object or a text, as Midtrans has it there."""

    def __init__(self, status: int, message: str, errors: object = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.errors = status, message, errors


def check_headers(call: Call) -> None:
    """Content-Type (with a body) and Accept must be there and allow JSON (wallets.md 2.2; the refusal is assumed)."""
    if not any(kind in call.header("accept").lower() for kind in ACCEPTED):
        raise IrisRefusal(400, "Accept must be application/json")
    if call.body and call.header("content-type").partition(";")[0].strip().lower() != "application/json":
        raise IrisRefusal(400, "Content-Type must be application/json")


def idempotency_key(call: Call) -> str:
    """X-Idempotency-Key, or an empty text where there is none."""
    key = call.header("x-idempotency-key")
    if len(key) > MAX_KEY:
        raise IrisRefusal(400, "idempotency-key is too long", "idempotency-key is too long")
    return key


def read(call: Call) -> dict[str, Any]:
    """The body, which must be a JSON object."""
    body = json_object(call.body)
    if body is None:
        raise IrisRefusal(400, "Bad request")
    return body


def instructions(body: dict[str, Any]) -> list[Instruction]:
    """The payouts of a create call, all good, or a refusal with a list of messages for each of them."""
    payouts = body.get("payouts")
    if not isinstance(payouts, list) or not 1 <= len(payouts) <= MAX_BATCH:
        raise IrisRefusal(400, CREATING, (f"Payouts must be a list of 1 to {MAX_BATCH}",))
    problems = [_problems(payout) for payout in payouts]
    if any(problems):
        raise IrisRefusal(400, CREATING, problems)
    return [_instruction(payout) for payout in payouts]


def _instruction(payout: dict[str, str]) -> Instruction:
    found = _amount(payout)
    assert found is not None
    return Instruction(
        payout["beneficiary_name"], payout["beneficiary_account"], payout["beneficiary_bank"],
        payout.get("beneficiary_email") or "", int(found[1]), payout["notes"],
    )  # fmt: skip


def _amount(payout: dict[str, Any]) -> re.Match[str] | None:
    """The amount, if it has a zero fraction: a text as documented, or a number as some clients send it."""
    amount = payout.get("amount")
    text = str(amount) if isinstance(amount, (str, int, float)) and not isinstance(amount, bool) else ""
    return AMOUNT.fullmatch(text)


def _problems(payout: object) -> list[str]:
    if not isinstance(payout, dict):
        return ["Payout is not an object"]
    unknown = payout.keys() - FIELDS - ({FACILITATORS} if not payout.get(FACILITATORS) else set())
    problems = [f"{name} is not permitted" for name in sorted(map(str, unknown))]
    problems += _text(payout, "beneficiary_name", MAX_NAME) or _unless(
        NAME.fullmatch(payout["beneficiary_name"]), "Beneficiary name only allows alphanumeric characters"
    )
    found = _amount(payout)
    if found is None:
        problems.append("Amount is not a number")
    elif int(found[1]) == 0:
        problems.append("Amount must be greater than 0")
    problems += _account(payout, "beneficiary_account", "beneficiary_bank")
    if payout.get("beneficiary_email"):
        problems += _text(payout, "beneficiary_email", MAX_EMAIL) or _unless(
            EMAIL.fullmatch(payout["beneficiary_email"]), "Beneficiary email is invalid"
        )
    return problems + _text(payout, "notes", MAX_NOTES)


def _account(fields: dict[str, Any], name: str, bank_name: str) -> list[str]:
    bank = fields.get(bank_name)
    known = bank if isinstance(bank, str) and bank in NAMES else ""
    problems = _unless(known, f"{_label(bank_name)} is not included in the list")
    problems += _text(fields, name, MAX_NAME)
    if not problems:
        problems = [f"{_label(name)} {problem}" for problem in number_problems(known, fields[name])]
    return problems


def reference_nos(body: dict[str, Any], doing: str) -> list[str]:
    """The numbers to approve or reject, each once."""
    numbers = body.get("reference_nos")
    good = isinstance(numbers, list) and 1 <= len(numbers) <= MAX_BATCH and all(isinstance(one, str) for one in numbers)
    if not isinstance(numbers, list) or not good:
        raise IrisRefusal(400, doing, (f"Reference nos must be a list of 1 to {MAX_BATCH}",))
    return list(dict.fromkeys(numbers))


def reason(body: dict[str, Any], doing: str) -> None:
    """reject_reason must be there; nobody reads it."""
    problems = _text(body, "reject_reason", MAX_NAME)
    if problems:
        raise IrisRefusal(400, doing, problems)


def period(call: Call, today: date) -> tuple[date, int]:
    """First day and number of days of a statement, both ends included: as asked in the body or the query, or a month.

    A body that is JSON and no object asks for nothing: Midtrans' own Go client sends a text.
    """
    asked: object = call.query_values()
    if call.body:
        try:
            asked = msgspec.json.decode(call.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise IrisRefusal(400, "Bad request") from None
    days_asked = asked if isinstance(asked, dict) else {}
    last_month = {"from_date": f"{today - timedelta(days=MAX_STATEMENT_DAYS - 1)}", "to_date": f"{today}"}
    try:
        first, last = (date.fromisoformat((days_asked or last_month)[name]) for name in last_month)
    except (KeyError, TypeError, ValueError):
        raise IrisRefusal(400, STATEMENTS, ("From date and to date must be YYYY-MM-DD",)) from None
    days = (last - first).days + 1
    if not 1 <= days <= MAX_STATEMENT_DAYS:
        raise IrisRefusal(400, STATEMENTS, (f"A statement covers 1 to {MAX_STATEMENT_DAYS} days",))
    return first, days


def beneficiary(body: dict[str, Any]) -> dict[str, str]:
    """An entry of the address book (fields recalled)."""
    problems = _text(body, "name", MAX_NAME)
    problems += _account(body, "account", "bank")
    for name, pattern in (("alias_name", ALIAS), ("email", EMAIL)):
        problems += _text(body, name, MAX_EMAIL) or _unless(pattern.fullmatch(body[name]), f"{_label(name)} is invalid")
    if problems:
        raise IrisRefusal(400, "An error occurred when creating beneficiary", problems)
    return {name: body[name] for name in ("name", "account", "bank", "alias_name", "email")}


def _text(fields: dict[str, Any], name: str, limit: int) -> list[str]:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        return [f"{_label(name)} can't be blank"]
    return [f"{_label(name)} is too long (maximum is {limit} characters)"] if len(value) > limit else []


def _unless(good: object, problem: str) -> list[str]:
    return [] if good else [problem]


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()
