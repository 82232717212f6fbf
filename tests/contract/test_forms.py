"""The same said in another form is the same verdict, at every partner and in every answer: numbers for texts, letters
of another size, spaces around a value. Partners change such things without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.recording import Recording
from tests.contract.replay import document, fresh, leaves, play, put, told, written

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
