"""What a scenario does to a notification: loses, delays, repeats, reorders or forges it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mock_partners.kit.clock import Kind, Scheduler
from mock_partners.kit.notice import Notice

SHORT_S = 0.05
"""Between a notification and the one that it overtook."""
Send = Callable[[Notice, float, Sequence[float]], None]


@dataclass
class _Held:
    notice: Notice
    retries_s: Sequence[float]
    gone: bool = False


class NoticeFate:
    """Delivers notices as a rule's atoms say; keeps those that wait for the next one."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._held: dict[str, list[_Held]] = {}

    def deliver(
        self, do: Mapping[str, Any], notice: Notice, after_s: float, retries_s: Sequence[float], send: Send
    ) -> None:
        """Sends, through `send(notice, after_s, retries_s)`, what becomes of the notice."""
        if do.get("suppress_notification"):
            return
        if do.get("sign_with_next_key") and notice.rotated is not None:
            notice = replace(notice, headers={**notice.headers, **notice.rotated()})
        notice = forged(notice, do.get("forge_notification", ""))
        if "reorder_notification_s" in do:
            self._hold(notice, do["reorder_notification_s"], retries_s, send)
            return
        after_s += do.get("delay_notification_s", 0.0)
        for _ in range(1 + do.get("duplicate_notification", 0)):
            send(notice, after_s, retries_s)
        if "repeat_notification_s" in do:
            send(notice, after_s + do["repeat_notification_s"], retries_s)
        for held in self._held.pop(notice.path, []):
            self._release(held, after_s + SHORT_S, send)

    def _hold(self, notice: Notice, most_s: float, retries_s: Sequence[float], send: Send) -> None:
        held = _Held(notice, retries_s)
        self._held.setdefault(notice.path, []).append(held)
        self._scheduler.after(most_s, Kind.UNDELIVERED, lambda: self._release(held, 0.0, send))

    @staticmethod
    def _release(held: _Held, after_s: float, send: Send) -> None:
        if not held.gone:
            held.gone = True
            send(held.notice, after_s, held.retries_s)


def forged(notice: Notice, what: str) -> Notice:
    """The notice as somebody without the partner's key would send it."""
    headers = dict(notice.headers)
    signatures = [name for name in headers if "signature" in name.lower() or name.lower() == "authorization"]
    if what == "no_signature":
        for name in signatures:
            del headers[name]
    if what == "signature":
        for name in signatures:
            headers[name] = ("B" if headers[name][:1] == "A" else "A") + headers[name][1:]
    body = notice.body
    if what == "body":
        at = max((place for place, byte in enumerate(body) if chr(byte).isdecimal()), default=len(body) - 1)
        body = body[:at] + (b"1" if body[at : at + 1] == b"0" else b"0") + body[at + 1 :]
    return replace(notice, headers=headers, body=body)
