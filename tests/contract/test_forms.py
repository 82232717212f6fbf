"""The same said in another form is the same verdict, at every partner and in every answer: numbers for texts, letters
of another size, spaces around a value. Partners change such things without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from contracts.payout import Outcome, OutcomeKind
from tests.contract.recording import Recording
from tests.contract.replay import damaged, document, fresh, leaves, play, put, told, written

_NUMBER = re.compile(r"[0-9]{1,40}(?:\.00)?", re.ASCII)
_WORD = re.compile(r"[A-Za-z_]+", re.ASCII)


def as_number(value: str) -> Any:
    return json.loads(value.lstrip("0").removeprefix(".00") or "0") if _NUMBER.fullmatch(value) else value


def in_other_letters(value: str) -> str:
    return value.swapcase() if _WORD.fullmatch(value) else value


def with_spaces(value: str) -> str:
    return value if "://" in value else f" {value}\n"


@pytest.mark.parametrize("form", [as_number, in_other_letters, with_spaces])
def test_another_form_is_the_same_verdict(recording: Recording, form: Callable[[str], Any]) -> None:
    changed = 0
    for take, index in told(recording.takes):
        reply = take.replies[index]
        body = document(reply)
        if isinstance(body, dict) and "signature" in body:
            continue  # it is signed as it stands
        intact = play(take, len(take.exchanges), lambda reply: reply)
        for path in leaves(body):
            value: Any = body
            for name in path:
                value = value[name]
            if not isinstance(value, str) or not value or form(value) == value or path[-1] in ("resultStatus", "name"):
                continue
            other = fresh(reply, content=written(reply, put(body, path, form(value))))
            said = play(take, index, lambda given, reply=reply, other=other: other if given is reply else given)
            assert (said.verdict, said.kind) == (intact.verdict, intact.kind), (take.operation, path, said.error)
            changed += 1
    assert changed > 5


def test_a_list_of_one_may_stand_without_its_list(recording: Recording) -> None:
    """What turns XML into JSON leaves one entry so."""
    for take, index in told(recording.takes):
        reply = take.replies[index]
        body = document(reply)
        if isinstance(body, dict) and "signature" in body:
            continue  # it is signed as it stands
        for path in leaves(body):
            value: Any = body
            for name in path:
                value = value[name]
            if path and isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
                other = fresh(reply, content=written(reply, put(body, path, value[0])))
                said = play(take, index, lambda given, reply=reply, other=other: other if given is reply else given)
                assert (said.result, said.error) == (take.result, None), (take.operation, path)


NUMBERS = ("referenceNo", "linkRefNum", "originalReferenceNo")


@pytest.mark.parametrize("odd", ["A" * 65, "B" * 300, "ab c/d", "R\u00e9f-1", 7])
def test_a_number_of_theirs_in_whatever_form_keeps_no_payment_from_being_one(recording: Recording, odd: object) -> None:
    for take in recording.of("payout") + recording.of("find_payout"):
        if not isinstance(take.result, Outcome) or take.result.kind is not OutcomeKind.SUCCEEDED:
            continue
        index = len(take.exchanges) - 1
        body = document(take.replies[index])
        for path in leaves(body):
            if path and path[-1] in NUMBERS:
                content = json.dumps(put(body, path, odd)).encode()
                said = play(take, index, damaged(content=content))
                assert isinstance(said.result, Outcome), (path, said.error)
                assert (said.result.kind, said.result.amount_rupiah) == (take.result.kind, take.result.amount_rupiah)
