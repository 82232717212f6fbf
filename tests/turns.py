"""Cases in turn: many inputs that leave nothing behind, on one database instead of one for each."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

Test = Callable[..., Awaitable[None]]


def in_turn(names: str | tuple[str, ...], cases: Sequence[Any]) -> Callable[[Test], Test]:
    """As `pytest.mark.parametrize`, but all cases are one test: for what is refused and changes nothing, so that a case
    that does change something is noticed by those after it too. A failure says of which case it is.
    """
    named = tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else names
    assert cases

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)

        @functools.wraps(test)
        async def each(**fixtures: Any) -> None:
            for case in cases:
                values = case if len(named) > 1 else (case,)
                try:
                    await test(**fixtures, **dict(zip(named, values, strict=True)))
                except BaseException as error:
                    error.add_note(f"the case: {case!r}")
                    raise

        rest = [value for name, value in signature.parameters.items() if name not in named]
        each.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
        return each

    return decorate
