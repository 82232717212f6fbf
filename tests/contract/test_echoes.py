"""What an answer about a payout shows of what was asked must be right where it is, at every partner.

The names of the fields stand here as the sheets print them (those that are not SNAP's in `codes.py` of the partner's
tests), apart from the adapters' tables: a field that is misspelt there switches its comparison off without a sound.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contracts.identity import Verdict
from contracts.payout import Outcome, OutcomeKind
from contracts.plan import Effect, Response
from tests.contract.recording import Recording
from tests.contract.replay import Played, damaged, document, fresh, leaves, play, put, told, written
from tests.contract.stage import Take
from tests.contract.test_codes import codes
from tests.partners.kit import Codes

ACCOUNT = {"customerNumber", "beneficiaryAccountNo"}
REFERENCE = {"partnerReferenceNo", "originalPartnerReferenceNo"}
SERVICE = {"serviceCode"}


def echoes(reply: Response, own: Codes) -> Iterator[tuple[str, str, bytes]]:
    """Each echo of an answer as `(what, field, the same answer with another one there)`."""
    body = document(reply)
    for path in leaves(body):
        value: Any = body
        for name in path:
            value = value[name]
        field = path[-1] if path else ""
        if field == "amount" and type(value) is int:
            yield "amount", ".".join(map(str, path)), written(reply, put(body, path, int(f"7{value}")))
        if not isinstance(value, str) or not value:
            continue
        if field in ACCOUNT | own.account:
            what, other = "account", value[:-2] + ("11" if value[-2:] != "11" else "22")
        elif field in REFERENCE | own.reference:
            what, other = "reference", value[:-2] + ("11" if value[-2:] != "11" else "22")
        elif field == "amount" or path[-2:] == ("amount", "value"):
            what, other = "amount", "7" + value
        elif field in SERVICE:
            what, other = "service", "99"
        else:
            continue
        yield what, ".".join(map(str, path)), written(reply, put(body, path, other))


def only(reply: Response, other: Response) -> Callable[[Response], Response]:
    """This reply is another one; those that follow are as they were."""
    return lambda given: other if given is reply else given


def noticed(take: Take, said: Played) -> bool:
    """Could not be told, or told as theirs, which the gateway takes for a contradiction."""
    if not said.verdict:
        return True
    now, then = said.result, take.result
    return isinstance(now, Outcome) and (now.account, now.amount_rupiah) != (then.account, then.amount_rupiah)


def succeeded(recording: Recording) -> Iterator[Take]:
    for take in recording.of("payout") + recording.of("approve") + recording.of("find_payout"):
        if isinstance(take.result, Outcome) and take.result.kind is OutcomeKind.SUCCEEDED:
            yield take


def test_every_echo_of_a_payment_is_compared(recording: Recording) -> None:
    seen: Counter[str] = Counter()
    for take in succeeded(recording):
        for index, (request, reply) in enumerate(take.exchanges):
            ends = index == len(take.exchanges) - 1
            for what, field, other in echoes(reply, codes(recording)):
                if not ends and what != "account":
                    continue  # an inquiry is about the account alone: nothing else of it is believed
                said = play(take, index, only(reply, fresh(reply, content=other)))
                assert noticed(take, said), (
                    f"{take.operation}, {request.operation}: {field} is not compared: adapters/asked.py"
                )
                seen[what] += 1
    assert seen.total(), "some answer shows something of what was asked"


def test_a_match_that_shows_another_account_is_none(recording: Recording) -> None:
    """Whatever proves the account at this partner: the NIK would be of whoever the answer is about."""
    for take in recording.of("verify_nik"):
        if take.result.verdict is not Verdict.MATCH:
            continue
        for index, reply in enumerate(take.replies):
            for what, field, other in echoes(reply, codes(recording)):
                if what == "account":
                    said = play(take, index, only(reply, fresh(reply, content=other)))
                    assert said.kind is not Verdict.MATCH, f"{field} is not compared with the account asked about"


def test_the_code_of_another_service_is_no_verdict(recording: Recording) -> None:
    """Of a payment, nor of anything else that is asked."""
    for take, index in told(recording.takes):
        request, reply = take.exchanges[index]
        body = document(reply)
        code = body.get("responseCode", "") if isinstance(body, dict) else ""
        if len(code) != 7:
            continue
        for service in ("00", "16", "18", "73", "99"):
            other = body | {"responseCode": code[:3] + service + code[5:]}
            said = play(take, index, only(reply, fresh(reply, content=json.dumps(other).encode())))
            assert service == code[3:5] or not said.verdict, f"{request.operation} took service {service}"


@pytest.mark.parametrize("code", ["4010001", "4017301"])
def test_a_token_refused_before_the_service_was_known_ends_no_payment(recording: Recording, code: str) -> None:
    for take in succeeded(recording):
        for index, (request, _) in enumerate(take.exchanges):
            said = play(take, index, damaged(status=401, content=json.dumps({"responseCode": code}).encode()))
            kind = said.result.kind if isinstance(said.result, Outcome) else None
            assert said.error is not None or request.effect is Effect.WRITE and kind is OutcomeKind.UNKNOWN


def contradictions(body: dict[str, Any], write: bool) -> Iterator[dict[str, Any]]:
    """A success, SNAP's or LinkAja's, with a state beside its code that says otherwise."""
    if len(str(body.get("responseCode", ""))) == 7:
        for word in ("02", "03", 3, "05", "06", "07") if write else ():
            yield {**body, "latestTransactionStatus": word}
        for value in ("600000.00", "1000", 1000) if not write else ():
            back = {"refundAmount": {"value": value, "currency": "IDR"}}
            yield from ({**body, **back}, {**body, "additionalInfo": back})
    elif "data" in body:
        for word in ("FAILED", "pending"):
            yield {**body, "data": {**body["data"], "status": word}}
        for code in (5, "05", "26"):
            yield {**body, "status": code}


def test_a_success_that_contradicts_itself_is_none(recording: Recording) -> None:
    for take in succeeded(recording):
        request, reply = take.exchanges[-1]
        for other in contradictions(document(reply), request.effect is Effect.WRITE):
            said = play(take, len(take.exchanges) - 1, damaged(content=json.dumps(other).encode()))
            assert said.result is None or said.result.kind is not OutcomeKind.SUCCEEDED, (take.operation, other)


def test_a_success_of_which_nothing_was_given_back_is_one(recording: Recording) -> None:
    for take in succeeded(recording):
        body = document(take.replies[-1])
        for word in ({"value": "0.00", "currency": "IDR"}, None, "", {}):
            content = json.dumps({**body, "refundAmount": word}).encode()
            assert play(take, len(take.exchanges) - 1, damaged(content=content)).result == take.result


def test_a_refusal_or_absence_beside_a_state_that_stands_is_neither(recording: Recording) -> None:
    """What was paid, or may be, is not sent again and nobody is blamed for it: it is looked up."""
    for take in succeeded(recording):
        _, reply = take.exchanges[-1]
        body = document(reply)
        snap = len(str(body.get("responseCode", ""))) == 7
        for code in ("40305", "42900", "40401", "40100") if snap else ("15", "51", "40", "25"):
            for stands in ("00", "03") if snap else ("COMPLETED", "PENDING"):
                if snap:
                    status = int(code[:3])
                    name = {"responseCode": code[:3] + body["responseCode"][3:5] + code[3:]}
                    other = {**body, **name, "latestTransactionStatus": stands}
                elif "data" in body:
                    status, other = 200, {"data": {**body["data"], "responseCode": code, "status": stands}}
                else:
                    continue
                content = json.dumps(other).encode()
                said = play(take, len(take.exchanges) - 1, damaged(status=status, content=content))
                assert not said.verdict, (take.operation, code, stands, said.result)


def test_a_refusal_that_names_another_payment_is_none_of_ours(recording: Recording) -> None:
    for take in succeeded(recording):
        _, reply = take.exchanges[-1]
        body = document(reply)
        for field in sorted(REFERENCE & body.keys()):
            for code in ("40305", "40401"):
                name = {"responseCode": code[:3] + body["responseCode"][3:5] + code[3:]}
                content = json.dumps({**body, **name, field: "1000000000000000999"}).encode()
                said = play(take, len(take.exchanges) - 1, damaged(status=int(code[:3]), content=content))
                assert said.error is not None
