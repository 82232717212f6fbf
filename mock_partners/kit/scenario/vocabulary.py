"""Every word of the scenario language: the conditions of `when`, the atoms of `do`, each with a line of explanation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.scenario import kinds
from mock_partners.kit.scenario.kinds import DELAY, FLAG, RUPIAH, SECONDS, TEXT, TEXTS, Kind
from mock_partners.registry import PARTNERS

OTP_LIFE_S, SESSION_LIFE_S = 300.0, 300.0
"""How long an OTP (snap-bni.md 1.1) and a cash-in session (decisions L6) live."""
PAY_BEHAVIOURS = tuple(behaviour.value for behaviour in Behaviour if behaviour.value.startswith("pay:"))


class Part(StrEnum):
    """What an atom works on, which is also the order in which it is explained."""

    WIRE = "the connection"
    INSTEAD = "the answer, in place of doing the work"
    CHANGE = "the answer, after the work was done"
    DOOR = "the door"
    PAYOUT = "the payout that the call makes"
    STATEMENT = "the statement that the call reads"
    MEMORY = "what the partner remembers"
    TOKENS = "tokens, codes and pages"
    ACCOUNT = "the account that the call is about"
    NOTICE = "the notification"
    PLAY = "the scenario itself"


@dataclass(frozen=True)
class Word:
    """One key: what it may be set to and what it means; `{}` in `says` stands for the value."""

    kind: Kind
    says: str
    part: Part = Part.PLAY


WHEN: dict[str, Word] = {
    "partner": Word(kinds.choices(*PARTNERS), "at {}"),
    "operation": Word(TEXTS, "the operation is {}"),
    "notification": Word(TEXTS, "a notification goes to a path that ends in {}"),
    "account": Word(TEXTS, "it is about the account or phone {}"),
    "reference": Word(TEXTS, "a reference in it is {}"),
    "amount": Word(kinds.AMOUNT, "its amount is {}"),
    "field": Word(kinds.TEXTS_BY_NAME, "its fields are {}"),
    "header": Word(kinds.TEXTS_BY_NAME, "its headers are {}"),
    "nth": Word(kinds.NUMBERS, "it is matching call number {}"),
    "from": Word(kinds.count(1), "it is matching call {} or later"),
    "to": Word(kinds.count(1), "it is matching call {} or earlier"),
    "per": Word(kinds.choice("account", "reference"), "calls are counted for each {}"),
    "rate": Word(kinds.RATE, "a seeded draw picks a share of {} of them"),
    "crowd": Word(
        kinds.table(
            {
                "share": kinds.RATE,
                "by": kinds.choice("person", "shard", "dice"),
                "shards": kinds.count(2, 1000),
                "onset_s": SECONDS,
            },
            ("share",),
        ),
        "it is one of a crowd: {}",
    ),
    "after_s": Word(SECONDS, "{} s have passed"),
    "until_s": Word(SECONDS, "not yet {} s have passed"),
    "since": Word(kinds.choice("start", "first"), "seconds, and a crowd's onset, are counted from the {}"),
    "after": Word(kinds.MOMENT, "the partner's clock is at {} or later"),
    "before": Word(kinds.MOMENT, "the partner's clock is before {}"),
    "between": Word(kinds.TIMES, "the partner's clock is between {}"),
    "state": Word(TEXTS, "the scenario's state is {}"),
}

_code = kinds.pattern("[0-9]{3}([0-9]{2}|xx)[0-9A-Z]{2}", 'a response code such as "504xx00" (xx: the called service)')
_http = kinds.count(200, 599)
_fields = kinds.VALUES_BY_NAME

DO: dict[str, Word] = {
    "delay_s": Word(DELAY, "wait {} s before the work", Part.WIRE),
    "slow_answer_s": Word(DELAY, "wait {} s between the work and the answer", Part.WIRE),
    "trickle_s": Word(SECONDS, "send the answer's body in ten pieces over {} s", Part.WIRE),
    "drop_before_booking": Word(FLAG, "read the request, do nothing, reset the connection", Part.WIRE),
    "drop_after_booking": Word(FLAG, "do the work, then reset the connection", Part.WIRE),
    "close_without_answer": Word(FLAG, "do the work, then close the connection", Part.WIRE),
    "cut_answer": Word(FLAG, "close the connection after half of the answer's body", Part.WIRE),
    "code": Word(_code, "answer the response code {}", Part.INSTEAD),
    "message": Word(TEXT, "with the response message {}", Part.INSTEAD),
    "status": Word(_http, "answer HTTP {}", Part.INSTEAD),
    "body": Word(TEXT, "answer the body {}", Part.INSTEAD),
    "headers": Word(kinds.TEXTS_BY_NAME, "with the headers {}", Part.INSTEAD),
    "booked": Word(FLAG, "but do the work all the same", Part.INSTEAD),
    "repeat_previous_answer": Word(FLAG, "send the operation's previous answer once more", Part.INSTEAD),
    "answer_code": Word(_code, "replace the response code by {}", Part.CHANGE),
    "unlisted_code": Word(FLAG, "replace the case of the response code by 99, which no table lists", Part.CHANGE),
    "http_status": Word(_http, "send HTTP {}, whatever the body says", Part.CHANGE),
    "code_as_int": Word(FLAG, "send the response code as a number", Part.CHANGE),
    "set": Word(_fields, "set the fields {}", Part.CHANGE),
    "remove": Word(TEXTS, "leave out the fields {}", Part.CHANGE),
    "wrong_type": Word(TEXTS, "change the type of the fields {}", Part.CHANGE),
    "wrong_amount_rupiah": Word(RUPIAH, "show {} rupiah in every amount", Part.CHANGE),
    "truncated": Word(FLAG, "send half of the JSON, with a length that agrees", Part.CHANGE),
    "html": Word(FLAG, "send an HTML page, as a proxy would", Part.CHANGE),
    "empty_body": Word(FLAG, "send no body", Part.CHANGE),
    "not_json": Word(FLAG, "send JSON with a comma too many", Part.CHANGE),
    "not_utf8": Word(FLAG, "send bytes that are no UTF-8 inside the JSON", Part.CHANGE),
    "not_an_object": Word(FLAG, "send the JSON inside a list", Part.CHANGE),
    "duplicate_keys": Word(FLAG, "send every field twice, the first time as null", Part.CHANGE),
    "content_type": Word(TEXT, "send the Content-Type {}", Part.CHANGE),
    "set_headers": Word(kinds.TEXTS_BY_NAME, "set the answer's headers {}", Part.CHANGE),
    "rate_limit": Word(
        kinds.table({"calls": kinds.count(0), "per_s": SECONDS, "retry_after_s": kinds.count(0)}, ("calls", "per_s")),
        "answer 429 with Retry-After above {}", Part.DOOR,
    ),
    "outage": Word(
        kinds.choice("bad_gateway", "unavailable", "gateway_timeout"),
        "answer as a proxy whose backend is {}", Part.DOOR,
    ),
    "maintenance": Word(FLAG, "answer 503 with a maintenance page", Part.DOOR),
    "refuse_token": Word(
        kinds.choice("service_00", "invalid_00", "service_73", "called", "gateway"),
        "refuse the token before the service is known, in the words of {}", Part.DOOR,
    ),
    "cut_off": Word(FLAG, "answer 403xx06, as during the day's cut-off", Part.INSTEAD),
    "behave": Word(kinds.choice(*PAY_BEHAVIOURS), "behave as an account with {}", Part.PAYOUT),
    "pending_lookups": Word(kinds.count(0), "say pending, and for {} look-ups too", Part.PAYOUT),
    "pending_s": Word(SECONDS, "say pending, and at look-ups within {} s too", Part.PAYOUT),
    "settle_after_s": Word(SECONDS, "say pending, and settle by itself after {} s", Part.PAYOUT),
    "fail": Word(FLAG, "say pending, and fail when it settles", Part.PAYOUT),
    "fail_code": Word(kinds.pattern("0[0-9]{2}", 'an error code of Iris such as "006"'), "fail with {}", Part.PAYOUT),
    "then_completes_s": Word(SECONDS, "say completed {} s after it failed, and book it", Part.PAYOUT),
    "not_found_lookups": Word(kinds.count(0), "book it, but say not found at {} look-ups", Part.PAYOUT),
    "reverse_after_s": Word(SECONDS, "take it back {} s after it was booked", Part.PAYOUT),
    "book_twice": Word(FLAG, "book it twice", Part.PAYOUT),
    "book_amount_rupiah": Word(RUPIAH, "book {} rupiah, whatever was asked for", Part.PAYOUT),
    "fee_rupiah": Word(RUPIAH, "book a fee of {} rupiah too", Part.PAYOUT),
    "deposit_short": Word(FLAG, "find the deposit short", Part.PAYOUT),
    "omit_rows": Word(kinds.count(1), "leave out every row number {} of a day", Part.STATEMENT),
    "duplicate_rows": Word(kinds.count(1), "show every row number {} of a day twice", Part.STATEMENT),
    "late_rows_s": Word(SECONDS, "show a row only {} s after it was booked", Part.STATEMENT),
    "foreign_rows": Word(kinds.count(1, 1000), "add {} rows to each day that nobody asked for", Part.STATEMENT),
    "fee_rows_rupiah": Word(RUPIAH, "add a fee row of {} rupiah after every row", Part.STATEMENT),
    "wrong_rows_rupiah": Word(RUPIAH, "show {} rupiah in every row", Part.STATEMENT),
    "shuffle_rows": Word(FLAG, "show a day's rows in another order", Part.STATEMENT),
    "unlisted_rows": Word(kinds.count(1, 1000), "add {} rows to each day of a kind that no list has", Part.STATEMENT),
    "cut_references": Word(kinds.count(1, 64), "show only {} signs of our reference in every row", Part.STATEMENT),
    "repeat_numbers": Word(kinds.count(1, 1000), "give its own numbers anew after every {} rows", Part.STATEMENT),
    "post_under_yesterday_s": Word(
        SECONDS, "post what is booked within {} s after midnight under the day before", Part.STATEMENT
    ),
    "oldest_first": Word(FLAG, "list the oldest row first", Part.STATEMENT),
    "page_rows": Word(kinds.count(1, 1000), "list {} rows a page", Part.STATEMENT),
    "grow_rows": Word(kinds.count(1, 1000), "list {} more rows in front with each page that is read", Part.STATEMENT),
    "forget_references": Word(FLAG, "forget the payouts of the call's references, or all", Part.MEMORY),
    "forget_external_ids": Word(FLAG, "forget which X-EXTERNAL-IDs were used", Part.MEMORY),
    "forget": Word(TEXTS, "forget what is kept under {}", Part.MEMORY),
    "expire_tokens": Word(FLAG, "let every access token of the programme expire", Part.TOKENS),
    "revoke_tokens": Word(FLAG, "make every access token of the programme unknown", Part.TOKENS),
    "expire_customer_tokens": Word(FLAG, "let every customer token expire", Part.TOKENS),
    "revoke_customer_tokens": Word(FLAG, "make every customer token unknown", Part.TOKENS),
    "expire_otp": Word(FLAG, "take the call as if the OTP's life were over", Part.TOKENS),
    "expire_session": Word(FLAG, "take the call as if its session's life were over", Part.TOKENS),
    "expire_pages": Word(FLAG, "end every open consent page", Part.TOKENS),
    "later_s": Word(SECONDS, "take the call as if it came {} s later", Part.TOKENS),
    "clock_skew_s": Word(kinds.SIGNED_SECONDS, "judge the time stamp by a clock that is {} s off", Part.TOKENS),
    "accept_key": Word(kinds.choice("first", "next"), "take only signatures by the client's {} key", Part.TOKENS),
    "lose_sms": Word(FLAG, "never deliver the SMS that the call sends", Part.TOKENS),
    "block_account": Word(FLAG, "block the account", Part.ACCOUNT),
    "unblock_account": Word(FLAG, "make the account active", Part.ACCOUNT),
    "remove_account": Word(FLAG, "let the account vanish", Part.ACCOUNT),
    "set_kyc": Word(kinds.choice("full", "basic"), "set the account's KYC to {}", Part.ACCOUNT),
    "set_name": Word(kinds.pattern(r".{1,128}", "a name of 1 to 128 characters"), "rename the holder", Part.ACCOUNT),
    "set_balance_rupiah": Word(RUPIAH, "set the account's balance to {} rupiah", Part.ACCOUNT),
    "set_monthly_in_rupiah": Word(RUPIAH, "set what came in this month to {} rupiah", Part.ACCOUNT),
    "nik_check": Word(
        kinds.choice("match", "mismatch", "not_on_file", "in_progress", "unavailable"),
        "let the NIK check come out as {}", Part.ACCOUNT,
    ),
    "set_deposit_rupiah": Word(RUPIAH, "set the programme's deposit to {} rupiah", Part.MEMORY),
    "suppress_notification": Word(FLAG, "never send it", Part.NOTICE),
    "delay_notification_s": Word(DELAY, "send it {} s later", Part.NOTICE),
    "duplicate_notification": Word(kinds.count(1, 100), "send {} more of it", Part.NOTICE),
    "reorder_notification_s": Word(SECONDS, "hold it until the next one has gone, at most {} s", Part.NOTICE),
    "repeat_notification_s": Word(SECONDS, "send it again {} s later", Part.NOTICE),
    "forge_notification": Word(
        kinds.choice("signature", "body", "no_signature"), "send it with a forged {}", Part.NOTICE
    ),
    "sign_with_next_key": Word(FLAG, "sign it with the partner's next key", Part.NOTICE),
    "goto": Word(TEXT, "go to the state {}", Part.PLAY),
    "advance_clock_s": Word(SECONDS, "move the partner's clock on by {} s first", Part.PLAY),
}  # fmt: skip

LATER_S = {"expire_otp": OTP_LIFE_S + 1, "expire_session": SESSION_LIFE_S + 1}
"""Atoms that are a fixed `later_s`."""

EXCLUSIVE: tuple[frozenset[str], ...] = (
    frozenset({"drop_before_booking", "drop_after_booking", "close_without_answer", "cut_answer"}),
    frozenset({"truncated", "html", "empty_body", "not_json", "not_utf8", "not_an_object", "duplicate_keys"}),
    frozenset({"outage", "maintenance", "cut_off", "code", "refuse_token"}),
    frozenset({"answer_code", "unlisted_code"}),
    frozenset({"behave", "pending_lookups"}),
    frozenset({"behave", "pending_s"}),
    frozenset({"behave", "settle_after_s"}),
    frozenset({"behave", "fail"}),
    frozenset({"block_account", "unblock_account", "remove_account"}),
    frozenset({"expire_tokens", "revoke_tokens"}),
    frozenset({"expire_customer_tokens", "revoke_customer_tokens"}),
    frozenset({"expire_otp", "expire_session", "later_s"}),
    frozenset({"suppress_notification", "delay_notification_s", "reorder_notification_s"}),
)
"""Of each group a rule can have one."""
NEEDS = {
    "message": ("code",),
    "booked": ("code", "status", "body", "cut_off"),
    "then_completes_s": ("fail_code",),
}
"""An atom that means something only beside one of these."""
