"""Between gateway and partners: every request, answer and notification, and what may go wrong with each."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from contracts.errors import GatewayError
from contracts.partner import Notification
from gateway.partners.transport import Reply
from mock_partners.gopay.credentials import NEXT_MERCHANT_KEY
from mock_partners.gopay.payouts import NOTIFY_PATH, notice_signature
from mock_partners.kit.clock import Kind
from mock_partners.kit.http import Abort
from mock_partners.kit.http import Reply as Answer
from mock_partners.kit.notify import Notice
from tests.sim.baton import Crash
from tests.sim.manners import DATELESS, signed_anew, without_times
from tests.sim.partners import PUBLIC, PartnerSide
from tests.sim.watch import MOVES, leaves, taken, write_of

if TYPE_CHECKING:
    from tests.sim.town import Town

REFUSED, DROPPED, RESET = "never connected", "request dropped", "request reset"
LOST, LOST_RESET, LATE = "answered and lost", "answered and reset", "arrives after the time-out"
SEND_FAULTS = {
    REFUSED: 3, DROPPED: 6, RESET: 2, LOST: 6, LOST_RESET: 3, LATE: 5,
    "502 html": 2, "503 empty": 2, "500": 2, "504": 1,
    "401 html": 2, "403 html": 1, "429 for a while": 2, "429 until a date": 1, "302 to a login": 1,
    "done, 502 html": 2, "done, 503 empty": 1, "done, 500": 2, "done, 504": 2,
    "truncated": 2, "wrong types": 3, "html": 1, "empty": 1, "other json": 1,
}  # fmt: skip
"""What may happen to a request; `done`: the partner did it and something in front of it answered."""
LATE_S = 840.0
"""A request is never on its way for longer: partners take no X-TIMESTAMP older than 900 s (decisions X6)."""
_IDS = re.compile(r"[0-9a-zA-Z-]*[0-9][0-9a-zA-Z-]{7,}")
HTML = b"<html><head><title>Bad Gateway</title></head><body>nginx</body></html>"
_GATEWAY_ANSWERS = {
    "502 html": (502, HTML, "text/html"), "503 empty": (503, b"", "text/plain"),
    "500": (500, b'{"message":"Internal server error"}', "application/json"),
    "504": (504, b'{"message":"Endpoint request timed out"}', "application/json"),
    "401 html": (401, HTML, "text/html"), "403 html": (403, HTML, "text/html"),
    "429 for a while": (429, HTML, "text/html"), "429 until a date": (429, HTML, "text/html"),
    "302 to a login": (302, b"", "text/html"),
    "html": (200, HTML, "text/html"), "empty": (200, b"", "application/json"),
    "other json": (200, b'["ok"]', "application/json"),
}  # fmt: skip
NOT_DELIVERED = frozenset(
    {"502 html", "503 empty", "500", "504", "401 html", "403 html", "429 for a while", "429 until a date",
     "302 to a login"}
)  # fmt: skip
"""Something in front of the partner answers, and the partner never hears of it."""
_FRONT = Answer(500)
NOTICE_FAULTS = {
    "dropped": 3, "dropped for good": 3, "twice": 3, "delayed": 4, "acknowledgement lost": 3, "damaged": 2,
    "under the next key": 2,
}  # fmt: skip


UNSIGNED = frozenset({"/callbacks/gopay/v1/callback/partner"})
"""Notifications that the partner does not sign: hints to ask again, whatever stands in them (wallets.md 2.5)."""


class Line:
    """The gateway's way to one partner: `gateway.partners.executor.Transport`."""

    def __init__(self, town: Town, side: PartnerSide) -> None:
        self._town, self._side = town, side

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        town, side = self._town, self._side
        named = {name.lower(): value for name, value in headers.items()}
        path = target.partition("?")[0]
        place = f"{side.slug} {method} {_IDS.sub('*', path)}"
        await town.look()
        write = write_of(side.slug, method, path, named, content)
        if write is not None:
            leaves(town, side, write, timeout_s)
        await town.point("sending")
        town.trace(f"send {place}", target, str(sorted(named.items())), content)
        await town.point(f"send {place}")
        fault = town.chance.fault(f"send {place}", town.profile.send, SEND_FAULTS)
        if fault is None and write is not None and write.does is MOVES:
            fault = town.chance.fault(f"send {place}, busy", side.behind.busy, {LOST: 1})
        kind, rng = fault if fault is not None else ("", town.quiet)
        if side.down_until_s > town.now_s:
            kind, rng = side.down_how, town.quiet
        if kind:
            town.trace(f"  fault: {kind}")
        await self._before(kind, rng, method, target, named, content, timeout_s)
        answer: Answer | None = _FRONT
        if kind not in NOT_DELIVERED:
            answer = await self._deliver(method, target, named, content)
        reply = self._after(kind, rng, answer, timeout_s, side.lists(path))
        town.trace(f"receive {place} {reply.status}", reply.content)
        await town.point(f"receive {place}")
        return reply

    async def _before(
        self, kind: str, rng: random.Random, method: str, target: str, headers: dict[str, str], content: bytes,
        timeout_s: float,
    ) -> None:  # fmt: skip
        """What happens before the partner has it."""
        town = self._town
        if kind == REFUSED:
            town.pass_s(0.1)
            raise httpx.ConnectError("refused")
        if kind == RESET:
            town.pass_s(0.1)
            raise httpx.ReadError("reset")
        if kind in (DROPPED, LATE):
            if kind == LATE:

                async def arrive() -> None:
                    town.trace(f"late {self._side.slug} {method}", target)
                    await self._deliver(method, target, headers, content)

                self._side.scheduler.after(timeout_s + rng.uniform(0, LATE_S - timeout_s), Kind.SCHEDULED, arrive)
            town.pass_s(timeout_s)
            raise httpx.ReadTimeout("no answer")

    async def _deliver(self, method: str, target: str, headers: dict[str, str], content: bytes) -> Answer | None:
        """The partner does it; None: it reset the connection instead of answering."""
        town, side = self._town, self._side
        town.pass_s(0.05)
        write = write_of(side.slug, method, target.partition("?")[0], headers, content)
        await town.look()
        side.on_taking = None if write is None else lambda: taken(town, side, write)
        payout = write.of(town, side.slug) if write is not None and write.does is MOVES else None
        try:
            return await side.answer(method, target, headers, content, None if payout is None else payout.reference)
        except Abort:
            return None
        finally:
            side.on_taking = None

    def _after(self, kind: str, rng: random.Random, answer: Answer | None, timeout_s: float, lists: bool) -> Reply:
        """What becomes of the answer."""
        town = self._town
        if kind == LOST:
            town.pass_s(timeout_s)
            raise httpx.ReadTimeout("no answer")
        if kind == LOST_RESET or answer is None:
            raise httpx.ReadError("reset")
        status, body = answer.status, answer.body
        content_type = answer.headers.get("Content-Type", "text/plain")
        if kind.removeprefix("done, ") in _GATEWAY_ANSWERS:
            status, body, content_type = _GATEWAY_ANSWERS[kind.removeprefix("done, ")]
        elif kind == "truncated":
            body = body[: rng.randrange(len(body))] if body else b""
        elif kind == "wrong types":
            body = _wrong_types(body, rng)
        if lists and kind in ("wrong types", "other json"):
            town.lists_damaged += 1
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if kind == "429 for a while":
            headers["retry-after"] = str(rng.choice([5, 40, 300]))
        elif kind == "429 until a date":
            until = datetime.fromtimestamp(town.now_s + rng.choice([5, 40, 300]), UTC)
            headers["retry-after"] = format_datetime(until, usegmt=True)
        if DATELESS in town.manners and self._side.slug == "gopay":
            body = without_times(body)
        return Reply(status, {**headers, "content-type": content_type}, body)


_NUMBERS = frozenset({"value", "amount", "reference_no", "referenceNo"})
"""Where a number is a value like any other: a partner that says it means another amount, or another payout."""


def _wrong_types(body: bytes, rng: random.Random) -> bytes:
    """One value replaced by one of another type, or left out."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body[: len(body) // 2]
    places: list[tuple[Any, Any]] = []
    _collect(value, places)
    if not places:
        return b"null"
    holder, key = places[rng.randrange(len(places))]
    if isinstance(holder, dict) and rng.random() < 0.3:
        del holder[key]
    else:
        others: list[Any] = [None, True, [], {}, 7, "x"]
        of_another = [one for one in others if type(one) is not type(holder[key])]
        holder[key] = rng.choice([one for one in of_another if one != 7 or key not in _NUMBERS])
    return msgspec.json.encode(value)


def _collect(value: Any, places: list[tuple[Any, Any]]) -> None:
    if isinstance(value, dict):
        for key, below in value.items():
            places.append((value, key))
            _collect(below, places)
    elif isinstance(value, list):
        for below in value:
            _collect(below, places)


class Post:
    """The partners' way to the gateway: notifications."""

    def __init__(self, town: Town) -> None:
        self._town = town

    async def __call__(self, url: str, notice: Notice) -> int | None:
        """One try of the partner to deliver; what it is answered."""
        town = self._town
        path = url.removeprefix(PUBLIC)
        if DATELESS in town.manners and path == NOTIFY_PATH:
            body = without_times(notice.body)
            notice = replace(notice, body=body, headers=signed_anew(path, body, notice.headers))
        town.trace(f"notify {path}", notice.body)
        fault = town.chance.fault(f"notify {path}", town.profile.notice, NOTICE_FAULTS)
        if fault is None:
            return await self.deliver(path, notice, notice.body)
        kind, rng = fault
        town.trace(f"  fault: {kind}")
        town.notices_late = True
        match kind:
            case "dropped":
                return None
            case "dropped for good":
                town.notices_lost = True
                return 200
            case "twice":
                await self.deliver(path, notice, notice.body)
                return await self.deliver(path, notice, notice.body)
            case "delayed":
                delay_s = rng.choice([5.0, 60.0, 1_800.0, 90_000.0])
                scheduler = town.sides[path.split("/")[2]].scheduler

                async def later() -> None:
                    await self.deliver(path, notice, notice.body)

                scheduler.after(delay_s, Kind.UNDELIVERED, later)
                return 200
            case "under the next key":
                if path == NOTIFY_PATH and notice.rotated is not None:
                    signature = {"Iris-Signature": notice_signature(notice.body, NEXT_MERCHANT_KEY)}
                    notice = replace(notice, headers={**notice.headers, **signature})
                return await self.deliver(path, notice, notice.body)
            case "acknowledgement lost":
                await self.deliver(path, notice, notice.body)
                return None
            case _:
                at = rng.randrange(len(notice.body))
                damaged = notice.body[:at] + bytes([notice.body[at] ^ 1]) + notice.body[at + 1 :]
                status = await self.deliver(path, notice, damaged)
                if status is not None and status < 300 and path not in UNSIGNED:
                    town.bad(f"a damaged notification was taken with {status}")
                return status

    async def deliver(self, path: str, notice: Notice, body: bytes) -> int | None:
        """The gateway takes a notification in; None: no answer came."""
        town = self._town
        _, _, slug, rest = path.split("/", 3)
        try:
            async with town.request() as services:
                manifest = services.resources.desks[slug].manifest
                route = next(
                    (r for r in manifest.callbacks if r.path == f"/{rest}" and r.method == notice.method), None
                )
                if route is None:
                    return 404
                note = Notification(
                    kind=route.kind,
                    method=notice.method,
                    target=path,
                    headers={name.lower(): value for name, value in notice.headers.items()},
                    body=body,
                )
                status, _ = await services.inbox.accept(slug, note)
        except GatewayError as error:
            status = error.http_status
        except town.accidents:
            status = 500
        except Crash:
            return None
        town.trace(f"notified {path} {status}")
        return status
