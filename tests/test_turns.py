"""Cases in turn are all tried, and the one that fails is named."""

from __future__ import annotations

import inspect

import pytest

from tests.turns import in_turn


async def test_each_case_is_tried_and_the_one_that_fails_is_named() -> None:
    tried: list[tuple[str, int, str]] = []

    @in_turn(("number", "word"), [(1, "a"), (2, "b"), (3, "c")])
    @in_turn("more", ["x", "y"])
    async def tries(fixture: str, number: int, word: str, more: str) -> None:
        tried.append((fixture, number, word + more))
        assert number < 2 or more == "x"

    assert list(inspect.signature(tries).parameters) == ["fixture"]
    with pytest.raises(AssertionError) as failed:
        await tries(fixture="f")
    assert tried == [("f", 1, "ax"), ("f", 1, "ay"), ("f", 2, "bx"), ("f", 2, "by")]
    assert failed.value.__notes__ == ["the case: 'y'", "the case: (2, 'b')"]
