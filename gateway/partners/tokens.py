"""Our own access tokens at the partners: shared by all nodes through Redis, sealed, fetched by one of them at a time.

Redis holds only what may be lost: without it every process fetches its own token, which partners allow (docs/partners:
tokens asked for twice in a second are normal).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.errors import PartnerError, PartnerUnavailable
from contracts.partner import AccessToken
from contracts.secret import Secret
from gateway.clock import Clock
from gateway.security.vault import KeysNotFollowed, SealBroken, Vault

EARLY_S = 60.0
"""A token is renewed this long before it ends (SNAP: 900 s, renewed at 840 s; snap-bni.md 4.3), a short-lived one after
half its life: else each call would ask for one.
"""
FETCH_S = 15.0
Fetch = Callable[[AccessToken | None], Awaitable[AccessToken]]
"""Gets a token from the partner; it is handed the one held before, if any, which may carry a refresh token."""


class _Stored(msgspec.Struct):
    value: str
    refresh: str | None
    ends_at: float
    early_s: float = EARLY_S


class Tokens:
    """One process' view of our tokens: memory first, then Redis, then the partner."""

    def __init__(self, redis: Redis | None, vault: Vault, clock: Clock) -> None:
        self._redis = redis
        self._vault = vault
        self._clock = clock
        self._held: dict[tuple[str, str], _Stored] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._failures: dict[tuple[str, str], tuple[int, PartnerError]] = {}
        """How often none could be had, and what was said last."""
        self._clients: dict[str, Secret] = {}

    def got_with(self, slug: str, credentials: Mapping[str, Secret], hosts: Mapping[str, str]) -> None:
        """With what a partner's tokens are got here, and where. One got with anything else is another client's, and
        what we sign would not agree with it.
        """
        facts = (sorted((name, held.reveal()) for name, held in credentials.items()), sorted(hosts.items()))
        self._clients[slug] = Secret(msgspec.json.encode(facts).decode())

    async def get(self, slug: str, name: str, fetch: Fetch) -> Secret:
        """A token with some life left; raises `PartnerUnavailable` when none can be had."""
        key = (slug, name)
        held = self._held.get(key)
        if held is not None and self._alive(held):
            return Secret(held.value)
        failures, _ = self._failures.get(key, (0, None))
        async with self._locks.setdefault(key, asyncio.Lock()):
            held = self._held.get(key)
            if held is None or not self._alive(held):
                since, error = self._failures.get(key, (0, None))
                if since > failures and error is not None:  # whoever waited for that try shares its end, not the queue
                    raise PartnerUnavailable(
                        error.detail,
                        hint=error.hint,
                        partner_code=error.partner_code,
                        retry_after_s=error.retry_after_s,
                    ) from error
                held = await self._shared(key) or await self._fetch_or_say(key, held, fetch)
                self._held[key] = held
            return Secret(held.value)

    async def drop(self, slug: str, refused: Mapping[str, Secret]) -> None:
        """Forget tokens that the partner refused, here and in Redis; one that has taken their place since stays."""
        for name, token in refused.items():
            key, value = (slug, name), token.reveal()
            held = self._held.get(key)
            if held is not None and held.value == value:
                del self._held[key]
            if self._redis is None:
                continue
            try:
                shared = await self._read(key)
                if shared is not None and shared.value == value:
                    await self._redis.delete(self._place(key))
            except RedisError:
                continue

    def _alive(self, held: _Stored) -> bool:
        return self._clock.now().timestamp() < held.ends_at - held.early_s

    async def _shared(self, key: tuple[str, str]) -> _Stored | None:
        try:
            shared = await self._read(key)
        except RedisError:
            return None
        return shared if shared is not None and self._alive(shared) else None

    async def _read(self, key: tuple[str, str]) -> _Stored | None:
        if self._redis is None:
            return None
        sealed = await self._redis.get(self._place(key))
        if not isinstance(sealed, bytes):
            return None
        try:
            return msgspec.json.decode(self._vault.open(self._place(key), bytes(sealed)), type=_Stored)
        except (SealBroken, msgspec.DecodeError):
            return None

    async def _fetch_or_say(self, key: tuple[str, str], last: _Stored | None, fetch: Fetch) -> _Stored:
        try:
            return await self._fetch(key, last, fetch)
        except TimeoutError as error:
            self._fail(key, PartnerUnavailable("no answer about our token"))
            raise PartnerUnavailable("no answer about our token") from error
        except PartnerError as error:
            self._fail(key, error)
            raise

    def _fail(self, key: tuple[str, str], error: PartnerError) -> None:
        times, _ = self._failures.get(key, (0, None))
        self._failures[key] = (times + 1, error)

    async def _fetch(self, key: tuple[str, str], last: _Stored | None, fetch: Fetch) -> _Stored:
        held = None
        if last is not None:
            held = AccessToken(
                value=Secret(last.value), life_s=0.0, refresh=Secret(last.refresh) if last.refresh else None
            )
        asked_at = self._clock.now()  # its life began before we could read the answer, however long that took
        async with self._clock.timeout(FETCH_S * 2):
            token = await fetch(held)
        stored = _Stored(
            value=token.value.reveal(),
            refresh=token.refresh.reveal() if token.refresh else None,
            ends_at=asked_at.timestamp() + token.life_s,
            early_s=min(EARLY_S, token.life_s / 2),
        )
        await self._share(key, stored, token.life_s)
        return stored

    async def _share(self, key: tuple[str, str], stored: _Stored, life_s: float) -> None:
        if self._redis is None:
            return
        try:
            sealed = self._vault.seal(self._place(key), msgspec.json.encode(stored).decode())
            await self._redis.set(self._place(key), sealed, ex=max(1, int(life_s)))
        except (RedisError, KeysNotFollowed):
            return  # the token works without being shared

    def _place(self, key: tuple[str, str]) -> str:
        slug, name = key
        mark = self._vault.index("token client", self._clients[slug].reveal()).hex() if slug in self._clients else ""
        return f"token:{slug}:{name}:{mark}"
