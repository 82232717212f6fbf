"""A link as the API shows it: no personal data; a challenge only to whoever may hand it to the participant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from contracts.incentive import BlockerCode
from contracts.linking import LinkState
from contracts.partner import InputField
from contracts.text import Text
from gateway.storage.linking.links import LinkRow


class AskedInput(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the participant is asked to type."""

    name: str
    pattern: str
    label: Text


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What the participant must do next: open `url`, or give `inputs` through `POST /v1/links/{link_id}/inputs`."""

    url: str | None = None
    inputs: tuple[AskedInput, ...] = ()
    again: bool = False
    """The last input was wrong and may be typed again."""
    expires_at: datetime | None = None


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """A link and what is to be done about it."""

    link_id: str
    participant_id: str
    partner: str
    state: LinkState
    ended_because: str | None
    partner_code: str | None
    """The partner's own code for how it ended, as far as it gave one."""
    challenge: Challenge | None
    created_at: datetime
    updated_at: datetime


def challenge_of(link: LinkRow, inputs: Mapping[str, InputField], url: str) -> Challenge | None:
    """The present challenge; `url` is the address of a challenge that was not opened yet."""
    if link.state is LinkState.CHALLENGED:
        return Challenge(url=url, expires_at=link.opens_until)
    if link.wants and link.state in (LinkState.OPENED, LinkState.UNLINKING):
        asked = tuple(
            AskedInput(
                name=name,
                pattern=inputs[name].pattern,
                label=Text(inputs[name].label_indonesian, inputs[name].label_english),
            )
            for name in link.wants
        )
        return Challenge(inputs=asked, again=link.last_input_wrong, expires_at=link.lives_until)
    return None


_OUTCOMES = {
    LinkState.FAILED: "failed",
    LinkState.WAITING: "waiting",
    LinkState.CHALLENGED: "waiting",  # freed since, and not opened again yet
    LinkState.OPENED: "waiting",  # left before the end
    LinkState.EXCHANGING: "waiting",
}


def return_address(link: LinkRow) -> str:
    """Where the browser goes when the gateway is done: the client's address with the link's id and how linking went.

    What became of a link afterwards is no part of it, but for consent that was withdrawn on our own page: the same way
    back leads to the same address.
    """
    parts = urlsplit(link.return_url)
    withdrawn = link.ended_because == BlockerCode.CONSENT_WITHDRAWN.value
    outcome = "withdrawn" if withdrawn else _OUTCOMES.get(link.state, "linked")
    added = urlencode({"link_id": link.id, "outcome": outcome})
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))
