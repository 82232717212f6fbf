"""How a link knows the browser that began it, and the tokens that lead to it."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import datetime

from contracts.errors import LinkStateInvalid
from gateway.security.clients import hashed
from gateway.storage.linking.links import LinkRow

_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)
"""Connect tokens, states and cookies alike: 24 random or keyed bytes in base64url (SNAP allows a state 32)."""


def cookie_name(link: LinkRow) -> str:
    """One cookie a link: a family may link several accounts in one browser."""
    return f"link_{link.id}"


class OtherBrowser(LinkStateInvalid):
    """A known address in a browser that did not begin: often an app's own after a start in another one.

    `state`: of the way back; None for a challenge's address.
    """

    def __init__(self, link: LinkRow, state: str | None = None) -> None:
        super().__init__("This browser is not the one in which linking began.")
        self.link = link
        self.state = state


class NoLongerGood(LinkStateInvalid):
    """A known address that nobody opened in its time: out of a message of last week, say."""

    def __init__(self, link: LinkRow) -> None:
        super().__init__("This address was to be opened within ten minutes.")
        self.link = link


def in_time(link: LinkRow, now: datetime) -> None:
    """Raise `NoLongerGood` where a challenge was not opened in its time."""
    if link.opens_until is None or link.opens_until <= now:
        raise NoLongerGood(link)


def other_browser(link: LinkRow) -> LinkStateInvalid:
    """What to raise of a challenge that is over where this browser did not open it: perhaps none did."""
    return NoLongerGood(link) if link.cookie_hash is None else OtherBrowser(link)


def check_cookie(link: LinkRow, cookies: Mapping[str, str]) -> None:
    """Raise `LinkStateInvalid` in any other browser."""
    if not is_of(link, cookies):
        raise LinkStateInvalid


def is_of(link: LinkRow, cookies: Mapping[str, str]) -> bool:
    """The browser is the one that opened the link's page."""
    given = hashed(cookies.get(cookie_name(link), ""))
    return link.cookie_hash is not None and hmac.compare_digest(given, link.cookie_hash)


def is_formed(token: str) -> bool:
    """Whether it can be a token."""
    return _TOKEN.fullmatch(token) is not None


def well_formed(token: str) -> str:
    """The token, if it can be one; raises `LinkStateInvalid`."""
    if not is_formed(token):
        raise LinkStateInvalid
    return token
