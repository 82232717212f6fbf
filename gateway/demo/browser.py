"""A small browser for the player: cookies, redirects, forms. One per page played; nothing of it is logged."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

_MOST_REDIRECTS = 10


class Form:
    """The first form of a page: where it goes, its hidden values, the names of its fields and buttons."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.hidden: dict[str, str] = {}
        self.fields: set[str] = set()
        self.buttons: set[tuple[str, str]] = set()


class Page:
    """What the browser shows now."""

    def __init__(self, url: str, status: int, form: Form | None) -> None:
        self.url = url
        self.status = status
        self.form = form

    def has_button(self, value: str) -> bool:
        """Whether the page's form has the button `action=value`."""
        return self.form is not None and ("action", value) in self.form.buttons


class Browser:
    """Follows redirects by itself, as far as `stop_at`: an address it does not visit, where the journey ends.

    `address`: where it is on the network, told as a proxy in front of the gateway would tell it: what one address may
    ask is bounded, and people do not share one.
    """

    def __init__(self, client: httpx.AsyncClient, stop_at: str, address: str | None = None) -> None:
        self._client = client
        self._stop_at = stop_at
        self._headers = httpx.Headers(client.headers)
        if address is not None:
            self._headers["X-Forwarded-For"] = address
        self._cookies = httpx.Cookies()
        self.visited: list[str] = []
        """Addresses asked for with GET, in order: to replay one."""

    async def get(self, url: str) -> Page:
        """Open an address."""
        return await self._go("GET", url, None)

    async def submit(self, page: Page, values: Mapping[str, str], button: str) -> Page:
        """Fill the page's form with what it asks for out of `values`, and press `action=button`."""
        if page.form is None:
            raise ValueError("the page has no form")
        data = dict(page.form.hidden)
        data.update({name: value for name, value in values.items() if name in page.form.fields})
        data["action"] = button
        return await self._go("POST", urljoin(page.url, page.form.action or page.url), data)

    async def _go(self, method: str, url: str, data: Mapping[str, str] | None) -> Page:
        for _ in range(_MOST_REDIRECTS):
            if url.startswith(self._stop_at):
                return Page(url, 200, None)
            if method == "GET":
                self.visited.append(url)
            # Not built by the client, which many share: it would add the cookies of all of them.
            request = httpx.Request(
                method, url, data=data, cookies=self._cookies, headers=self._headers,
                extensions={"timeout": self._client.timeout.as_dict()},
            )  # fmt: skip
            reply = await self._client.send(request)
            self._cookies.extract_cookies(reply)
            self._client.cookies.clear()
            if not reply.has_redirect_location:
                return Page(url, reply.status_code, _form(reply))
            url, method, data = urljoin(url, reply.headers["location"]), "GET", None
        raise httpx.TooManyRedirects(f"more than {_MOST_REDIRECTS} redirects")


def _form(reply: httpx.Response) -> Form | None:
    if not reply.headers.get("content-type", "").startswith("text/html"):
        return None
    # Only what is needed is parsed: many people are played by one process.
    _, opened, rest = reply.text.partition("<form")
    reader = _FormReader()
    reader.feed(opened + rest.partition("</form>")[0])
    return reader.form


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        if tag == "form" and self.form is None:
            self.form = Form(values.get("action", ""))
        elif self.form is not None and tag in ("input", "button"):
            name = values.get("name", "")
            if tag == "button" or values.get("type") == "submit":
                self.form.buttons.add((name, values.get("value", "")))
            elif values.get("type") == "hidden":
                self.form.hidden[name] = values.get("value", "")
            else:
                self.form.fields.add(name)
