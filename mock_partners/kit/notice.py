"""One notification, and who sees it on its way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, repr=False)
class Notice:
    """One notification, signed already; every try sends the same bytes.

    `rotated` makes the headers that change when the partner signs with its next key.
    """

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]
    rotated: Callable[[], Mapping[str, str]] | None = field(default=None, compare=False)


Outcome = Callable[[int | None], None]
"""Told the result of each try."""


class Deliver(Protocol):
    """Sends a notice later, with its retries."""

    def __call__(
        self, notice: Notice, *, after_s: float, retries_s: Sequence[float], outcome: Outcome
    ) -> None: ...  # fmt: skip


class Tap(Protocol):
    """Sees every notice before it is scheduled, and delivers it as a scenario wants (`kit.backstage`)."""

    def post(self, notice: Notice, after_s: float, retries_s: Sequence[float], deliver: Deliver) -> None: ...
