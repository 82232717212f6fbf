"""What an answer about a payout shows of what was asked, not compared. It is planted where it is read: in the house for
those whose payouts it reads, and in an adapter whose payouts are not SNAP's. Each runs against every partner that it
concerns: who is not asked lets it live. At the end what the house does for links and lists of bookings.
"""

from __future__ import annotations

import importlib

from adapters.registry import PARTNERS
from tests.mutants.mutant import Edit, Mutant
from tests.mutants.planting import PAY, SNAP_CODES, SNAP_LINKS, STMT, at, kind, one, shared

_HELD, _ASKED = "adapters/asked.py", "tests/contract/test_asked.py"
ECHOES = ("tests/contract/test_echoes.py",)
_LINKAJA, _READERS = "adapters/linkaja/mapping.py", "tests/adapters/linkaja/test_mapping.py"
_LISTS, _REFRESHES = "tests/adapters/snap/test_statements.py", "tests/adapters/snap/test_links.py"
SLUGS = [slug for slug in PARTNERS if hasattr(importlib.import_module(f"adapters.{slug}.mapping"), "PAYOUTS")]
"""Whose payouts the house reads."""


def everywhere(name: str, old: str, new: str, **own: Edit) -> tuple[Mutant, ...]:
    """One bug, in the house and in the adapters that read for themselves."""
    planted = shared(Edit(PAY, old, new), *SLUGS) | {slug: (edit,) for slug, edit in own.items()}
    return kind(f"house_{name}", ECHOES, planted)


HOUSE = (
    *everywhere(
        "inquiry_of_another_account",
        "self.shown(envelope, order.account) not in (None, order.account):  # then",
        "self.shown(envelope, order.account) == order.reference:  # then",
        linkaja=at(
            "linkaja",
            "mapping",
            'if _account(said, "msisdn", ours) not in (None, ours):',
            'if _account(said, "msisdn", ours) == "":',
        ),
    ),
    one(
        "asked/another_number",
        _HELD,
        "if name in NUMBERS:",
        "if name in NUMBERS - NUMBERS:",
        _ASKED,
        first="test_what_shows_another_request_or_account_is_no_answer",
    ),
    one(
        "asked/another_account",
        _HELD,
        "elif name in ACCOUNTS and names_account:",
        "elif name == query:",
        _ASKED,
        first="test_what_shows_another_request_or_account_is_no_answer",
    ),
    one(
        "asked/a_refusal_is_not_compared",
        _HELD,
        "or reply.status >= 400",
        "or reply.status >= 600",
        _ASKED,
        first="test_what_shows_another_request_or_account_is_no_answer",
    ),
    one(
        "asked/nothing_below_data",
        _HELD,
        '("data",), ("data", *above)',
        "above, above",
        *ECHOES,
        first="test_every_echo_of_a_payment_is_compared",
    ),
    one(
        "silence/access_that_is_not_renewed",
        "gateway/services/ops/silence.py",
        "now - UNRENEWED_FOR, now + LATE",
        "now - 9 * UNRENEWED_FOR, now",
        "tests/gateway/standing/test_silence.py",
        first="test_access_that_cannot_be_renewed_for_a_week_is_one_case_a_partner",
    ),
    one(
        "asked/another_instruction",
        _HELD,
        "SHOWN_AS.get(name, (name,))",
        "(name,)",
        _ASKED,
        first="test_a_create_approval_or_rejection_of_another_payout_is_none",
    ),
    one(
        "asked/an_ok_beside_an_error",
        "adapters/gopay/mapping.py",
        'and not (said.get("errors") or said.get("error_message"))',
        "",
        _ASKED,
        first="test_an_ok_beside_an_error_is_none",
    ),
    one(
        "asked/another_remark",
        _HELD,
        "elif name in REMARKS:",
        "elif name == query:",
        _ASKED,
        first="test_a_remark_that_bears_another_number_of_ours_is_of_another_payment",
    ),
    one(
        "asked/another_day",
        _HELD,
        "elif name in DAYS:",
        "elif name == query:",
        _ASKED,
        first="test_a_list_of_another_day_is_none",
    ),
    one(
        "asked/a_cache_answers",
        _HELD,
        "if not request.operation.startswith(LASTING):",
        "if not request.operation:",
        _ASKED,
        first="test_a_cache_answers_nothing_but_what_lasts",
    ),
    one(
        "asked/a_refusal_gives",
        "adapters/snap/links.py",
        "return None if code is None or _gives(envelope)",
        "return None if code is None",
        _ASKED,
        first="test_a_refusal_beside_what_it_refuses_is_none",
    ),
    one(
        "asked/not_given_back",
        "adapters/snap/links.py",
        "not _NOT_UNBOUND.isdisjoint(words[-1:])",
        'words[-1:] == ["-"]',
        _ASKED,
        first="test_a_link_that_is_not_given_back_by_its_result_stands",
    ),
    one(
        "asked/null_is_a_token",
        "adapters/answers.py",
        " is None or nothing(text):",
        " is None:",
        _ASKED,
        first="test_a_word_for_nothing_is_no_token",
    ),
    *kind(
        "house_lookup_of_another",
        ECHOES,
        {
            "gopay": (
                at(
                    "gopay", "mapping", "if answers.number(found.reference_no) != number:", "if not found.reference_no:"
                ),
            )
        },
    ),
    one(
        "key/either_half_is_good",
        "adapters/rsa.py",
        'if private is ("PRIVATE KEY" not in text):',
        "if private is None:",
        "tests/gateway/test_profile.py",
        first="test_a_key_that_cannot_work_is_told_before_it_signs",
    ),
    one(
        "key/any_length_is_good",
        "adapters/rsa.py",
        "or min(key.key_size for key in keys) < FEWEST_BITS:",
        "or FEWEST_BITS < 1:",
        "tests/gateway/test_profile.py",
        first="test_a_key_that_cannot_work_is_told_before_it_signs",
    ),
    *everywhere("lookup_of_another_service", 'envelope.echo(self.transfer.service, "serviceCode")', "pass"),
    *everywhere(
        "amount_not_read",
        "amount_rupiah=values.amount(envelope),",
        "amount_rupiah=None,",
        gopay=at(
            "gopay",
            "mapping",
            'amount_rupiah=None if said.amount in (None, "") else answers.whole(said.amount, "amount"),',
            "amount_rupiah=None,",
        ),
    ),
    *everywhere(
        "account_not_read",
        "account=self.shown(envelope, order.account),",
        "account=None,",
        gopay=at("gopay", "mapping", "account=account,", "account=None,"),
    ),
    *kind(
        "house_any_service", ECHOES, shared(Edit(SNAP_CODES, "if code[3:5] != service:", "if not code[3:5]:"), *SLUGS)
    ),
    # LinkAja's samples show neither with a success (wallets.md 12.5); where they are shown, they are read.
    one(
        "linkaja/house_amount_not_read",
        _LINKAJA,
        "amount_rupiah=_amount(said, order),",
        "amount_rupiah=None,",
        _READERS,
    ),
    one("linkaja/house_account_not_read", _LINKAJA, 'account=_account(said, "msisdn", order.account),', "", _READERS),
    one(
        "house/booking_that_did_not_succeed",
        STMT,
        "if kind is not None and self.booked and status.upper() != self.booked:",
        "if kind is None:",
        _LISTS,
    ),
    one(
        "house/names_at_the_top_of_a_row",
        STMT,
        "answers.at(row, *self.below)",
        "answers.at(row, *self.below) or row",
        _LISTS,
    ),
    one(
        "house/refresh_forgets_what_was_kept",
        SNAP_LINKS,
        "grant.extra, grant.refresh_token)",
        "None, grant.refresh_token)",
        _REFRESHES,
    ),
    one(
        "house/refused_signature_ends_a_link_at_once",
        SNAP_LINKS,
        "        look, look_body = second_look\n",
        "        if second_look:\n            return None\n        look, look_body = second_look\n",
        _REFRESHES,
    ),
)
