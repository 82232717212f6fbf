"""How long a demonstration will still take, at the pace of the last while."""

from __future__ import annotations

from collections import deque

OVER_S = 30.0
"""The pace is taken over so long: people come in waves, and a page that is waited for is not the end of it."""
_LEAST_S = 5.0


class Pace:
    """Of what is due, how much had come to an end at each look."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def left_s(self, at_s: float, settled: int, due: int) -> float | None:
        """Seconds until all of `due` is settled; None while that cannot be told. `at_s` rises from call to call."""
        self._looks.append((at_s, settled))
        while len(self._looks) > 2 and self._looks[1][0] <= at_s - OVER_S:
            self._looks.popleft()
        since_s, before = self._looks[0]
        if settled >= due or settled <= before or at_s - since_s < _LEAST_S:
            return None
        return (due - settled) * (at_s - since_s) / (settled - before)


def in_words(left_s: float | None) -> str:
    """`about 2 min 10 s more; `, to the next ten seconds; nothing where it cannot be told."""
    if left_s is None:
        return ""
    minutes, seconds = divmod(max(10, round(left_s / 10) * 10), 60)
    return f"about {f'{minutes} min ' if minutes else ''}{f'{seconds} s ' if seconds else ''}more; "
