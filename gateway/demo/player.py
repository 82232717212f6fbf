"""Plays the participants: core asks for a link when a person opens the page, the person goes through the partner's
pages.

At most one page a phone number at a time, because the SMS box is per phone; an OTP counts only if it was sent after the
step that asked for it. A link that expires while it is still being played is asked for again, three times at most.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Network
from typing import Any

import httpx

from gateway.demo.browser import Browser, Page
from gateway.demo.cohort import Person
from gateway.demo.core import ApiError, Client

AT_ONCE = 12
"""Pages played at the same time: the gateway gives a link ten minutes to be opened and a short life after that."""
_NETWORK = IPv4Network("10.0.0.0/8")
_MOST_STEPS = 12
_MOST_LINKS = 4
_POLL_S = 0.25
_SMS_WAIT_S = 20.0
_ENDED = {"active", "failed", "revoked", "unlinked", "unlinking"}
_TRY_AGAIN = {"consent_abandoned", "link_required"}
"""How a link ends that expired under the person's hands, or whose exchange got no answer."""


def address_of(participant_id: str) -> str:
    """Where a person's browser is: the same at each visit, seldom anybody else's."""
    return str(_NETWORK[zlib.crc32(participant_id.encode()) % _NETWORK.num_addresses])


class PlayError(Exception):
    """A page did not behave as a person would expect; the demonstration reports it and goes on."""


class Player:
    """All participants of a cohort."""

    def __init__(
        self, core: Client, http: httpx.AsyncClient, *, mocks: Mapping[str, str], return_url: str, seed: int
    ) -> None:
        self._core = core
        self._http = http
        self._mocks = mocks
        self._return_url = return_url
        self._rng = random.Random(f"player {seed}")  # noqa: S311 - order of play
        self._phones: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.waiting = 0
        """People whose account is linked to someone else: they wait for a new challenge."""
        self.left = 0
        """People not finished with, the waiting ones included."""
        self.walked_away_at: float | None = None
        """When the last of those who walk away did so, in the event loop's seconds."""
        self.problems: list[str] = []

    @property
    def busy(self) -> int:
        """People who are at a page, or about to be."""
        return self.left - self.waiting

    async def play(self, people: tuple[Person, ...]) -> None:
        """Everyone, in an order drawn from the seed, until each has come to an end; cancel it to leave the waiting
        ones.
        """
        order = list(people)
        self._rng.shuffle(order)
        # Whoever walks away is waited for as long as a page lives: from the start, while the others go on.
        order.sort(key=lambda person: person.behaviour != "link:abandon")
        self.left = len(order)
        async with asyncio.TaskGroup() as group:
            for person in order:
                group.create_task(self._person(person))

    async def _person(self, person: Person) -> None:
        try:
            await self._link(person)
        except ApiError as error:
            # A participant whose rows were all refused at intake does not exist for the gateway.
            if error.code != "not_found":
                self.problems.append(f"{person.participant_id}: {error}")
        except (PlayError, httpx.HTTPError) as error:
            self.problems.append(f"{person.participant_id}: {type(error).__name__} {error}")
        finally:
            self.left -= 1

    async def _link(self, person: Person) -> None:
        for _ in range(_MOST_LINKS):
            async with self._slots, self._phones[person.phone.reveal()]:
                asked_for = {"participant_id": person.participant_id, "return_url": self._return_url}
                link = await self._core.call("POST", "/v1/links", json=asked_for)
                await self._visit(person, link["challenge"]["url"])
            link = await self._settled(person, link["link_id"])
            if link.get("ended_because") not in _TRY_AGAIN:
                return

    async def _settled(self, person: Person, link_id: str) -> dict[str, Any]:
        """Answer each new challenge of a link until the link has ended (or, abandoned, is left to expire)."""
        while True:
            link: dict[str, Any] = await self._core.call("GET", f"/v1/links/{link_id}")
            if link["state"] in _ENDED or person.behaviour == "link:abandon":
                return link
            if link["state"] == "challenged":
                async with self._slots, self._phones[person.phone.reveal()]:
                    await self._visit(person, link["challenge"]["url"])
                continue
            waits = link["state"] == "waiting"
            self.waiting += waits
            try:
                await asyncio.sleep(_POLL_S)
            finally:
                self.waiting -= waits

    async def _visit(self, person: Person, url: str) -> None:
        """Open a challenge and go through its pages to where they end."""
        browser = Browser(self._http, self._return_url, address_of(person.participant_id))
        since = datetime.now(UTC)
        page = await browser.get(url)
        if page.has_button("begin"):
            page = await browser.submit(page, {}, "begin")
        if person.behaviour == "link:abandon":
            self.walked_away_at = asyncio.get_running_loop().time()
            return
        for _ in range(_MOST_STEPS):
            if page.form is None:
                break
            asked, since = since, datetime.now(UTC)
            page = await self._step(person, browser, page, asked)
        else:
            raise PlayError("the pages did not end")
        if person.behaviour == "link:callback_twice":
            await self._again(browser, page)

    async def _step(self, person: Person, browser: Browser, page: Page, asked: datetime) -> Page:
        assert page.form is not None
        denies = person.behaviour == "link:deny"
        if denies and page.has_button("deny") and "card_no" not in page.form.fields and "otp" not in page.form.fields:
            return await browser.submit(page, {}, "deny")
        values = {
            "agree": "yes",
            "phone": person.phone.reveal(),
            "pin": person.pin.reveal(),
            "card_no": person.card_no.reveal(),
        }
        if "otp" in page.form.fields:
            # Who refuses at a bank types one wrong code after another; none is sent anew.
            code = await self._otp(person, datetime.min.replace(tzinfo=UTC) if denies else asked)
            values["otp"] = f"{(int(code) + 1) % 1_000_000:06d}" if denies else code
        return await browser.submit(page, values, "continue")

    async def _otp(self, person: Person, asked: datetime) -> str:
        """The newest code sent to the person's phone since the step that asked for it."""
        deadline = asyncio.get_running_loop().time() + _SMS_WAIT_S
        while True:
            reply = await self._http.get(
                f"{self._mocks[person.partner]}/__mock__/sms", params={"phone": person.phone.reveal()}
            )
            for sms in reply.raise_for_status().json():
                if datetime.fromisoformat(sms["sent_at"]) >= asked:
                    return str(sms["code"])
            if asyncio.get_running_loop().time() > deadline:
                raise PlayError("no OTP arrived")
            await asyncio.sleep(_POLL_S)

    async def _again(self, browser: Browser, first: Page) -> None:
        """Replay the redirect with the same code and state: the same page must come, and nothing change."""
        callback = next((url for url in reversed(browser.visited) if "/callbacks/" in url), None)
        if callback is None:
            return
        second = await browser.get(callback)
        if (second.url, second.status) != (first.url, first.status):
            raise PlayError("a replayed callback got another page than the first")
