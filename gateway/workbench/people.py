"""Whose account the workbench uses: a test account of a mock, or somebody at a terminal with a sandbox account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec

from contracts.errors import InvalidRequest
from contracts.linking import Grant
from contracts.secret import Secret
from gateway.demo.browser import Browser

_MOST_STEPS = 12
Ask = Callable[[str, bool], str]
"""Asks at the terminal: the question, and whether the answer is hidden. Raises `InvalidRequest` without a terminal."""


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway would have stored of this participant."""

    account: Secret
    phone: Secret
    name: Secret


class Person(Protocol):
    """A participant who takes part in linking."""

    async def details(self) -> Details:
        """Who it is."""

    async def types(self, name: str) -> str:
        """What goes into a field: `card_no`, `otp`, `pin`, `nik`."""

    async def visits(self, url: str, back: str) -> dict[str, str]:
        """Go through the partner's pages to the address `back`: the query with which the browser comes there."""

    def grant(self) -> Grant | None:
        """An access that exists already, so that nothing has to be linked."""


class MockPerson:
    """A test account as `mock-partners credentials` lists it; reads its OTP in the mock's SMS box."""

    def __init__(self, listed: Mapping[str, str], base_url: str, http: httpx.AsyncClient) -> None:
        self._listed = listed
        self._base_url = base_url
        self._http = http
        self._phone = listed.get("phone") or listed["account"]

    async def details(self) -> Details:
        """The test account."""
        return Details(
            account=Secret(self._listed["account"]),
            phone=Secret(self._phone),
            name=Secret(self._listed["holder_name"]),
        )

    async def types(self, name: str) -> str:
        """What the account's holder would type."""
        if name == "otp":
            reply = await self._http.get(f"{self._base_url}/__mock__/sms", params={"phone": self._phone})
            return str(reply.raise_for_status().json()[0]["code"])
        if name == "nik":  # without one on file, one that is nobody's
            return self._listed["nik_on_file"] or "3174056209989901"
        return {"agree": "yes", "phone": self._phone}.get(name) or self._listed[name]

    async def visits(self, url: str, back: str) -> dict[str, str]:
        """Agree to everything."""
        browser = Browser(self._http, back.partition("?")[0])
        page = await browser.get(url)
        for _ in range(_MOST_STEPS):
            if page.form is None:
                break
            page = await browser.submit(page, {name: await self.types(name) for name in page.form.fields}, "continue")
        return returned(page.url, back)

    def grant(self) -> Grant | None:
        """None: it links each time."""
        return None


class AskedPerson:
    """Somebody whose details stand in `WORKBENCH_{PARTNER}_{FIELD}` or are asked for at the terminal."""

    def __init__(self, slug: str, environment: Mapping[str, str], ask: Ask) -> None:
        self._prefix = f"workbench_{slug}_".upper()
        self._environment = environment
        self._ask = ask
        self._details: Details | None = None

    async def details(self) -> Details:
        """Account, phone and name; asked for once."""
        if self._details is None:
            self._details = Details(**{name: Secret(await self.types(name)) for name in ("account", "phone", "name")})
        return self._details

    async def types(self, name: str) -> str:
        """From the environment, or from the keyboard, unseen."""
        variable = f"{self._prefix}{name.upper()}"
        return self._environment.get(variable) or self._ask(f"{name} ({variable})", True)

    async def visits(self, url: str, back: str) -> dict[str, str]:
        """The address is opened in a browser by hand; where that ended is pasted here."""
        return returned(self._ask(f"Open {url}\nand paste the address where the browser ended", False).strip(), back)

    def grant(self) -> Grant | None:
        """`WORKBENCH_{PARTNER}_GRANT`: a JSON object with `access_token`, and `refresh_token`, `extra` where needed."""
        text = self._environment.get(f"{self._prefix}GRANT")
        if not text:
            return None
        try:
            return msgspec.json.decode(text, type=Grant, dec_hook=lambda kind, value: kind(value))
        except msgspec.DecodeError:
            raise InvalidRequest(f"{self._prefix}GRANT is no JSON object of a grant.") from None


def returned(url: str, back: str) -> dict[str, str]:
    """What the partner added to our redirect address; raises `InvalidRequest` for another address."""
    if not url.startswith(back.partition("?")[0]):
        raise InvalidRequest("The browser did not come back to the redirect address: the page ended elsewhere.")
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    query.pop("st", None)
    return query
