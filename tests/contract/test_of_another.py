"""Answers that belong to another request, day, account or time, at every partner: what they show of it is believed, and
they are no answer to what was asked.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from adapters import answers
from contracts.observation import StatementPage
from contracts.payout import Outcome, OutcomeKind
from contracts.plan import Effect, Response
from gateway.services.payouts.words import agreed
from tests.contract.recording import Recording
from tests.contract.replay import damaged, document, fresh, leaves, play, put, told, written
from tests.contract.stage import NIK, OTHER_NIK, Take
from tests.contract.test_codes import codes


def aged(reply: Response) -> Response:
    """As a cache gives it two hours later."""
    return msgspec.structs.replace(reply, headers={**reply.headers, "age": "7200"})


def _page(take: Take, reply: Response) -> StatementPage:
    said = play(take, len(take.exchanges) - 1, lambda _: reply)
    assert isinstance(said.result, StatementPage), said.error
    return said.result


def test_a_list_out_of_a_cache_proves_nothing_absent(recording: Recording) -> None:
    for take in recording.of("statement"):
        reply = take.replies[-1]
        assert _page(take, reply).proves_absence
        page = _page(take, aged(reply))
        assert page.lines and not page.proves_absence, "what it lists counts"


@pytest.mark.parametrize("operation", ["statement", "balance"])
def test_a_list_or_balance_of_another_request_or_account_is_none(recording: Recording, operation: str) -> None:
    """Wherever a request bears a number or names our account, and the answer shows another one."""
    for take in recording.of(operation):
        request, reply = take.exchanges[-1]
        asked = json.loads(request.content or b"{}")
        for name in {"partnerReferenceNo", "accountNo"} & asked.keys():
            for value, good in ((asked[name], True), ("7700000000000007", False)):
                other = msgspec.structs.replace(reply, content=written(reply, {**document(reply), name: value}))
                said = play(take, len(take.exchanges) - 1, lambda _, other=other: other)
                assert said.verdict is good, (name, said.error)


def test_a_reference_that_columns_have_parted_is_ours(recording: Recording) -> None:
    """In a statement, and where a look-up shows it again."""
    ours = recording.order.reference
    for take in recording.of("statement"):
        reply = take.replies[-1]
        text = reply.content.decode()
        assert text.count(ours) >= 1
        parted = msgspec.structs.replace(reply, content=text.replace(ours, f"{ours[:9]} {ours[9:]}").encode())
        assert _page(take, parted) == _page(take, reply)
    for take in recording.of("find_payout"):
        reply = take.replies[-1]
        if ours in reply.content.decode():
            parted = reply.content.decode().replace(ours, f"{ours[:9]} {ours[9:]}").encode()
            said = play(take, 0, lambda _, reply=reply, parted=parted: msgspec.structs.replace(reply, content=parted))
            assert said.verdict


def test_a_part_given_back_or_from_elsewhere_is_no_payment_given_back(recording: Recording) -> None:
    """As a look-up tells it; what is left of the payment may be shown as nothing."""
    order = recording.order
    row: Any = order  # of whose payout the amount alone is looked at
    for take in recording.of("find_payout"):
        body: Any = document(take.replies[-1])
        if "latestTransactionStatus" not in body:
            continue
        body = put(body, ("latestTransactionStatus",), "04")
        for changes, whole in (
            ({}, True),
            ({"amount": {"value": "0.00", "currency": "IDR"}}, True),
            ({"amount": {"value": "100000.00", "currency": "IDR"}}, False),
            ({"customerNumber": "6281299999999", "beneficiaryAccountNo": "7000099999"}, False),
        ):
            content = json.dumps({**body, **changes}).encode()
            said = play(take, 0, lambda reply, content=content: msgspec.structs.replace(reply, content=content))
            assert isinstance(said.result, Outcome), said.error
            kind = agreed(said.result, row, order.account).kind
            assert (kind is OutcomeKind.REVERSED) is whole, changes


def test_what_may_have_changed_since_is_not_taken_out_of_a_cache(recording: Recording) -> None:
    """A verdict on a NIK, a link that stands, a balance, an account that can be paid; a payment that was made stays."""
    seen = set()
    for take in recording.takes:
        for index, (request, reply) in enumerate(take.exchanges):
            before_a_payment = take.operation == "payout" and request.effect is Effect.READ
            if before_a_payment or take.operation in ("verify_nik", "link_health", "balance"):
                said = play(take, index, lambda given, reply=reply: aged(reply) if given is reply else given)
                assert said.error is not None, f"{take.operation}: {request.operation}"
                seen.add(take.operation)
    assert "verify_nik" in seen
    for take in recording.of("find_payout"):
        said = play(take, 0, aged)
        ended = isinstance(take.result, Outcome) and take.result.kind is OutcomeKind.SUCCEEDED
        assert said.result == take.result if ended else not said.verdict
        body: Any = document(take.replies[-1])
        for path in (("latestTransactionStatus",), ("status",), ("data", "status")):
            if not isinstance(answers.at(body, *path), str):
                continue
            for word in ("03", "05", "06", "07", "PENDING", "FAILED", "processed", "failed", "queued"):
                content = json.dumps(put(body, path, word)).encode()
                said = play(take, 0, lambda reply, content=content: aged(fresh(reply, content=content)))
                assert not said.verdict, word


NAMES = {
    "partnerReferenceNo": ("partnerReferenceNo",),
    "originalPartnerReferenceNo": ("originalPartnerReferenceNo", "partnerReferenceNo"),
    "merchantTrxID": ("merchantTrxID",),
    "notes": ("notes",),
}
"""Under which names an answer shows the number that its request bears under this one; the partner's own names for it
are in `codes.py` of its tests.
"""


def test_an_answer_that_names_another_request_is_none(recording: Recording) -> None:
    """Whichever request bears a number of ours, and wherever its answer shows it: linking and inquiries too."""
    seen = 0
    shown_as = {name: (name,) for name in codes(recording).reference} | NAMES
    for take, index in told(recording.takes):
        request, reply = take.exchanges[index]
        asked: Any = json.loads(request.content or b"{}")
        body: Any = document(reply)
        for shown in {shown for name in shown_as.keys() & _names(asked) for shown in shown_as[name]}:
            for path in leaves(body):
                if path and path[-1] == shown and all(isinstance(each, str) for each in path):
                    content = json.dumps(put(body, path, "1000000000000000999")).encode()
                    other = fresh(reply, content=content)
                    said = play(take, index, lambda given, reply=reply, other=other: other if given is reply else given)
                    assert not said.verdict, (take.operation, request.operation, shown)
                    seen += 1
    shows = any(b"partnerReferenceNo" in reply.content for take in recording.takes for reply in take.replies)
    assert seen or not shows


def _names(asked: Any) -> set[str]:
    return {str(path[-1]) for path in leaves(asked) if path}


def test_a_look_at_a_name_that_shows_another_account_proves_none(recording: Recording) -> None:
    for take in recording.of("verify_nik"):
        for index, reply in enumerate(take.replies):
            body: Any = document(reply)
            if "account_no" in body:
                other = fresh(reply, content=json.dumps({**body, "account_no": "081299999999"}).encode())
                said = play(take, index, lambda given, reply=reply, other=other: other if given is reply else given)
                assert said.error is not None
                for form in ("", None, body["account_no"].replace("0", "62", 1)):
                    other = fresh(reply, content=json.dumps({**body, "account_no": form}).encode())
                    said = play(take, index, lambda given, reply=reply, other=other: other if given is reply else given)
                    assert said.result == take.result


def test_a_look_up_whose_notes_name_another_payout_is_none(recording: Recording) -> None:
    for take in recording.of("find_payout"):
        body: Any = document(take.replies[-1])
        if "notes" in body:
            for notes, good in (("1000000000000000999", False), (None, True), ("incentive", True)):
                said = play(take, 0, damaged(content=json.dumps({**body, "notes": notes}).encode()))
                assert said.verdict is good


def test_a_check_that_shows_another_nik_is_no_verdict(recording: Recording) -> None:
    """Wherever our NIK is asked about by itself, and its answer shows a NIK under the name that it was asked under."""
    for take in recording.of("verify_nik"):
        for index, (request, reply) in enumerate(take.exchanges):
            asked: Any = json.loads(request.content or b"{}")
            body: Any = document(reply) if reply.content else {}
            for path in leaves(asked):
                value: Any = asked
                for name in path:
                    value = value[name]
                if value not in (NIK, OTHER_NIK):
                    continue
                inner = path if "data" not in body else ("data", *path)
                for shown, same in (
                    (value, True),
                    (f"{value[:4]}********{value[-4:]}", True),
                    ("3174053009909999", False),
                ):
                    where = {**body, inner[0]: {**body.get(inner[0], {}), inner[1]: shown}} if inner[1:] else None
                    other = fresh(reply, content=json.dumps(where or {**body, path[0]: shown}).encode())
                    said = play(take, index, lambda given, reply=reply, other=other: other if given is reply else given)
                    assert said.verdict is same, (path, shown, said.error, "accounts.must_be_of_nik")
