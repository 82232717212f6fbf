"""Consent pages as a person sees them: plain Indonesian HTML, a form a step, nothing from elsewhere (decisions X4)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from html import escape
from typing import Any

from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Reply, Route, redirect
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World, normal_phone

TRIES = 3
OTP_LIFE = timedelta(minutes=5)


class Step(StrEnum):
    """What a consent page asks for, one form each."""

    AGREE = "agree"
    PHONE = "phone"
    OTP = "otp"
    PIN = "pin"


class End(StrEnum):
    """How a page ended: the person agreed, refused, or was locked out after three wrong PINs or OTPs."""

    AGREED = "agreed"
    DENIED = "denied"
    LOCKED = "locked"


FORMS = {
    Step.AGREE: (
        "<p>{merchant} meminta izin untuk menghubungkan akun {brand} Anda dan mengirim insentif ke akun itu.</p>"
        '<label><input type="checkbox" name="agree" value="yes"> Saya menyetujui syarat dan ketentuan</label>'
    ),
    Step.PHONE: '<label>Nomor ponsel<br><input name="phone" type="tel" autocomplete="off" required></label>',
    Step.OTP: (
        "<p>Kami mengirim kode OTP lewat SMS ke nomor Anda.</p>"
        '<label>Kode OTP<br><input name="otp" inputmode="numeric" maxlength="6" autocomplete="off"></label>'
    ),
    Step.PIN: '<label>PIN {brand}<br><input name="pin" type="password" inputmode="numeric" maxlength="6" '
    'autocomplete="off"></label>',
}
STYLE = (
    "body{font-family:sans-serif;max-width:24rem;margin:0 auto;padding:1rem}label{display:block;margin:1rem 0}"
    "input:not([type=checkbox]){width:100%;font-size:1.2rem}button{padding:.6rem 1.2rem;margin-right:.5rem}"
    ".error{color:#b00}"
)


@dataclass(repr=False)
class Page:
    """One page opened for one person. `subject` is the partner's own (a binding); `pin` empty accepts no PIN."""

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


class Pages:
    """The consent pages of one partner under `{prefix}/{page id}`; `finish` turns an end into the redirect's URL.

    `finish(page, end)` is called once per page. `once=True`: the URL can be opened only once (GoPay's web flow).
    """

    def __init__(
        self, world: World, clock: Clock, waits: Waits, *, prefix: str, brand: str,
        finish: Callable[[Page, End], str], merchant: str = "Kartu Prakerja", once: bool = False,
    ) -> None:  # fmt: skip
        self._world, self._clock, self._waits = world, clock, waits
        self._prefix, self._brand, self._merchant, self._finish, self._once = prefix, brand, merchant, finish, once
        self._open: dict[str, Page] = world.keep(f"pages{prefix}", dict)

    def open(self, subject: Any, *, phone: str, pin: str, steps: Sequence[Step]) -> str:
        """Makes a page and returns its path; it lives `link_life_s` and its id is good for one end."""
        now = self._clock.now()
        for stale in [page.id for page in self._open.values() if page.expires_at <= now]:
            del self._open[stale]
        page = Page(
            id=f"{self._world.rng.getrandbits(128):032x}", subject=subject, phone=normal_phone(phone), pin=pin,
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

    async def _show(self, call: Call) -> Reply:
        page = self._find(call)
        if page is None or (page.shown and self._once):
            return self._gone()
        page.shown = True
        self._enter(page)
        return self._form(page)

    async def _submit(self, call: Call) -> Reply:
        page = self._find(call)
        if page is None:
            return self._gone()
        fields = call.form()
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
                right = normal_phone(fields.get("phone", "")) == page.phone
                return "" if right else "Nomor ponsel tidak sesuai."
            case Step.OTP:
                alive = page.otp_until is not None and self._clock.now() < page.otp_until
                return self._count(page, alive and _equal(fields.get("otp", ""), page.otp), "Kode OTP salah.")
            case Step.PIN:
                return self._count(page, bool(page.pin) and _equal(fields.get("pin", ""), page.pin), "PIN salah.")

    @staticmethod
    def _count(page: Page, right: bool, problem: str) -> str:
        page.wrong += not right
        return "" if right else problem

    def _end(self, page: Page, end: End) -> Reply:
        del self._open[page.id]
        return redirect(self._finish(page, end))

    def _form(self, page: Page, problem: str = "") -> Reply:
        names = {"brand": escape(self._brand), "merchant": escape(self._merchant)}
        error = f'<p class="error">{escape(problem)}</p>' if problem else ""
        return self._html(
            200,
            f'{error}<form method="post" action="">{FORMS[page.steps[page.at]].format(**names)}'
            '<button name="action" value="continue">Lanjut</button>'
            '<button name="action" value="deny">Tolak</button></form>',
        )

    def _gone(self) -> Reply:
        return self._html(410, "<p>Halaman ini sudah tidak berlaku. Silakan mulai lagi dari Kartu Prakerja.</p>")

    def _html(self, status: int, content: str) -> Reply:
        text = (
            '<!doctype html><html lang="id"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{escape(self._brand)}</title><style>{STYLE}</style></head>"
            f"<body><h1>{escape(self._brand)}</h1>{content}</body></html>"
        )
        return Reply(status, text.encode(), {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"})


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), right.encode())
