"""Consent pages as a person walks through them, a form a step; how they look is `kit.look` (decisions X4)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Reply, Route, redirect
from mock_partners.kit.look import Look, Scene, Step, form, gone
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World, normal_phone

MERCHANT = "Kartu Prakerja"
TRIES = 3
OTP_LIFE = timedelta(minutes=5)


class End(StrEnum):
    """How a page ended: the person agreed, refused, or was locked out after three wrong PINs or OTPs."""

    AGREED = "agreed"
    DENIED = "denied"
    LOCKED = "locked"


@dataclass(repr=False)
class Page:
    """One page opened for one person. `subject` is the partner's own (a binding); `pin` empty accepts no PIN.

    A page without a phone is for whoever enters a number that the partner knows.
    """

    id: str
    subject: Any
    phone: str
    pin: str
    steps: tuple[Step, ...]
    expires_at: datetime
    at: int = 0
    wrong: int = 0
    shown: bool = False
    otp: str = ""
    otp_until: datetime | None = None
    sent_to: str = ""
    """Where its end sent the browser."""


class Pages:
    """The consent pages of one partner under `{prefix}/{page id}`; `finish` turns an end into the redirect's URL.

    `finish(page, end)` is called once per page. `once=True`: the URL can be opened only once (GoPay's web flow).
    """

    def __init__(
        self, world: World, clock: Clock, waits: Waits, *, prefix: str, look: Look,
        finish: Callable[[Page, End], str], merchant: str = MERCHANT, once: bool = False,
    ) -> None:  # fmt: skip
        self._world, self._clock, self._waits = world, clock, waits
        self._prefix, self._look, self._merchant, self._finish, self._once = prefix, look, merchant, finish, once
        self._open: dict[str, Page] = world.keep(f"pages{prefix}", dict)

    def open(self, subject: Any, *, phone: str, pin: str, steps: Sequence[Step]) -> str:
        """Makes a page and returns its path; it lives `link_life_s` and its id is good for one end."""
        now = self._clock.now()
        while self._open and (oldest := next(iter(self._open.values()))).expires_at <= now:
            del self._open[oldest.id]
        known = normal_phone(phone) if phone else ""
        page = Page(
            id=f"{self._world.rng.getrandbits(128):032x}", subject=subject, phone=known, pin=pin,
            steps=tuple(steps), expires_at=now + timedelta(seconds=self._waits.link_life_s),
        )  # fmt: skip
        self._open[page.id] = page
        return f"{self._prefix}/{page.id}"

    def routes(self) -> list[Route]:
        path = f"{self._prefix}/{{page_id:str}}"
        return [Route("GET", path, self._show), Route("POST", path, self._submit)]

    def _find(self, call: Call) -> Page | None:
        page = self._open.get(call.params["page_id"])
        return page if page is not None and page.expires_at > self._clock.now() else None

    def _repeated(self, page: Page, fields: dict[str, str]) -> Reply | None:
        """The answer to a form that this page has had already: of an earlier step (the back button, or a second
        click on "continue") the page as it stands; of the last one the same redirect. It counts as no try.

        Forms without `step` come from programs, which are taken at their word.
        """
        steps = [step.value for step in page.steps]
        if page.sent_to:
            return redirect(page.sent_to) if fields.get("step") == steps[min(page.at, len(steps) - 1)] else self._gone()
        given = fields.get("step", steps[page.at])
        return self._form(page) if given != steps[page.at] else None

    async def _show(self, call: Call) -> Reply:
        page = self._find(call)
        if page is None or page.sent_to or (page.shown and self._once):
            return self._gone()
        page.shown = True
        self._enter(page)
        return self._form(page)

    async def _submit(self, call: Call) -> Reply:
        page = self._find(call)
        if page is None:
            return self._gone()
        fields = call.form()
        repeated = self._repeated(page, fields)
        if repeated is not None:
            return repeated
        if fields.get("action") == "deny":
            return self._end(page, End.DENIED)
        if fields.get("action") != "continue":
            return self._form(page, "Pilih lanjut atau tolak.")
        problem = self._check(page, fields)
        if problem:
            return self._end(page, End.LOCKED) if page.wrong >= TRIES else self._form(page, problem)
        page.at, page.wrong = page.at + 1, 0
        if page.at == len(page.steps):
            return self._end(page, End.AGREED)
        self._enter(page)
        return self._form(page)

    def _enter(self, page: Page) -> None:
        """Sends the OTP as its step is reached; showing the step again within the OTP's life sends no other."""
        now = self._clock.now()
        if page.steps[page.at] is Step.OTP and (page.otp_until is None or page.otp_until <= now):
            page.otp, page.otp_until = self._world.sms.send(page.phone, now), now + OTP_LIFE

    def _check(self, page: Page, fields: dict[str, str]) -> str:
        """What is wrong with the step's answer, in the person's words; empty if it is right."""
        match page.steps[page.at]:
            case Step.AGREE:
                return "" if fields.get("agree") else "Anda perlu menyetujui syarat dan ketentuan."
            case Step.PHONE:
                return self._log_in(page, normal_phone(fields.get("phone", "")))
            case Step.OTP:
                alive = page.otp_until is not None and self._clock.now() < page.otp_until
                return self._count(page, alive and _equal(fields.get("otp", ""), page.otp), "Kode OTP salah.")
            case Step.PIN:
                return self._count(page, bool(page.pin) and _equal(fields.get("pin", ""), page.pin), "PIN salah.")

    def _log_in(self, page: Page, phone: str) -> str:
        if not page.phone:
            account = self._world.wallet(phone)
            if account is None or not account.active:
                return "Nomor ponsel tidak terdaftar."
            page.phone, page.pin = account.phone, account.pin
        return "" if phone == page.phone else "Nomor ponsel tidak sesuai."

    @staticmethod
    def _count(page: Page, right: bool, problem: str) -> str:
        page.wrong += not right
        return "" if right else f"{problem} Sisa percobaan: {TRIES - page.wrong}."

    def _end(self, page: Page, end: End) -> Reply:
        page.sent_to, page.subject = self._finish(page, end), None
        return redirect(page.sent_to)

    def _form(self, page: Page, problem: str = "") -> Reply:
        scene = Scene(
            merchant=self._merchant, step=page.steps[page.at], place=page.at, steps=len(page.steps), phone=page.phone,
            until=page.expires_at, problem=problem,
        )  # fmt: skip
        return form(self._look, scene)

    def _gone(self) -> Reply:
        return gone(self._look, self._merchant)


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), right.encode())
