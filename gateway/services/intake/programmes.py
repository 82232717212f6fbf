"""Which programmes and purposes there are: registered once, in one spelling, before anything is handed over."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence, Set

import msgspec

from contracts.errors import Conflict, InvalidRequest
from gateway.clock import Clock
from gateway.security import personal
from gateway.storage.base.database import Database
from gateway.storage.intake import programmes as stored
from gateway.storage.ops import audit

_SLUG = re.compile(r"(?=.{1,64}\Z)(?!.*[0-9]{16})[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_MOST = 100
"""Purposes of one programme that are registered at once."""


def is_slug(text: str) -> bool:
    """Whether a programme or purpose can be called so."""
    return _SLUG.fullmatch(text) is not None


class Programme(msgspec.Struct, frozen=True, kw_only=True):
    """A programme with its purposes."""

    programme: str
    purposes: tuple[str, ...]


class Programmes:
    """Knows what is registered; a process asks the store again only for what it does not know yet, as nothing that was
    registered goes away.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: Mapping[str, frozenset[str]] = {}

    async def known(self, programme: str | None = None, purpose: str | None = None) -> Mapping[str, frozenset[str]]:
        """Each programme's purposes; as they are now, unless this programme and purpose are among those known."""
        if programme is None or purpose not in self._known.get(programme, ()):
            async with self._database.connection() as connection:
                self._known = await stored.get_all(connection)
        return self._known

    async def find(self) -> list[Programme]:
        """All of them, in order of name."""
        known = await self.known()
        return [Programme(programme=name, purposes=tuple(sorted(known[name]))) for name in sorted(known)]

    async def register(self, programme: str, purposes: Sequence[str], actor: str) -> Programme:
        """Add a programme, or purposes to one. What is registered already stays. Raises `Conflict` for what is but
        another spelling of something registered: an instalment would have two.
        """
        if not 1 <= len(purposes) <= _MOST:
            raise InvalidRequest(f"A programme is registered with 1 to {_MOST} purposes at once.", field="purposes")
        for field, slug in [("programme", programme), *(("purposes", purpose) for purpose in purposes)]:
            if not is_slug(slug):
                raise InvalidRequest(
                    "Not a slug.",
                    field=field,
                    code="slug_invalid",
                    remedy="Write lower-case letters and digits with single hyphens between them, 64 at most.",
                )
            personal.refuse(slug, field)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await stored.hold(connection)
            there = await stored.get_all(connection)
            _refuse_alike({programme}, there.keys())
            _refuse_alike(set(purposes), there.get(programme, frozenset()))
            fresh = await stored.register(connection, programme, purposes, actor, now)
            if fresh:
                await audit.record(connection, now, actor, "programme.register", programme, {"purposes": fresh})
        known = await self.known()
        return Programme(programme=programme, purposes=tuple(sorted(known[programme])))


def _refuse_alike(slugs: Set[str], registered: Set[str]) -> None:
    """What is registered already as it is stays."""
    for slug in sorted(slugs - registered):
        for other in sorted((slugs | registered) - {slug}):
            if _read_aloud(other) == _read_aloud(slug):
                raise Conflict(
                    f"{other} is the same but for hyphens or zeros: who has one instalment under both is paid twice.",
                    code="slug_alike",
                    remedy=f"Hand over under {other}; if both are meant, name this one otherwise.",
                )


def _read_aloud(slug: str) -> list[str]:
    """The same for slugs that differ in hyphens between letters, or beside numbers, and in zeros before numbers."""
    return [part.lstrip("0") or "0" for part in re.findall("[a-z]+|[0-9]+", re.sub("(?<=[a-z])-(?=[a-z])", "", slug))]


def nearest(word: str, registered: Iterable[str]) -> str | None:
    """The registered word that was probably meant."""
    return next(iter(difflib.get_close_matches(word.strip().lower(), sorted(registered), 1, 0.5)), None)
