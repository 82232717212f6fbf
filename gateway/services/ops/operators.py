"""People who sign in at `/ops`: accounts with roles, a password and a time-based code (RFC 6238), and sessions.

A person is a client with the id `op-NAME` whose secret nobody has, so whatever checks or records a client's decision
checks and records a person's; they get in by signing in and in no other way.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import re
import secrets
from datetime import datetime, timedelta
from typing import final

import msgspec
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from contracts.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unauthenticated
from contracts.text import typed_digits
from gateway.clock import Clock
from gateway.security import places
from gateway.security.clients import PERSONS, hashed
from gateway.security.vault import Vault
from gateway.storage.access import clients
from gateway.storage.base.database import Connection, Database
from gateway.storage.ops import audit, operators
from gateway.storage.ops.operators import OperatorRow

ROLES = {"operator": ("ops", "read"), "approver": ("batches:approve", "read"), "auditor": ("read",)}
"""Role -> the scopes that its decisions are checked against."""
IDLE_S, LIFE_S = 1_800.0, 28_800.0
STEP_S, DIGITS, EARLY_STEPS = 30, 6, 1
"""One step to either side is taken: phones' clocks differ."""
FREE_TRIES, LOCK_S, LONGEST_LOCK_S = 5, 60.0, 3_600.0
MIN_PASSWORD, MAX_PASSWORD = 12, 128
_FEWEST_SIGNS = 5
"""Different ones in a password."""
_MEMORY_KIB, _ITERATIONS, _LANES = 19_456, 2, 1  # OWASP's figures for Argon2id


class RoleMissing(Forbidden):
    """Somebody who is signed in may not do this."""

    code = "role_missing"
    remedy = "Ask somebody who has it: `gateway operators list` shows who."

    def __init__(self, *roles: str) -> None:
        super().__init__(f"This needs the role {' or '.join(roles)}.")


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in, as `request.auth`."""

    client_id: str
    roles: frozenset[str]
    csrf: str
    """What every form of this session carries."""


@final
class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """A new account's secrets, shown once."""

    client_id: str
    password: str
    totp_uri: str

    def __repr__(self) -> str:
        return f"Enrolled({self.client_id}, ***)"


class Operators:
    """Accounts and sessions."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._nobody = _nobodys_hash()
        self.at_once = asyncio.Semaphore(2)
        """Held by who signs somebody in: a derivation takes 19 MiB and a core for some 20 ms. Whoever looks at an
        allowance first looks within it: of guesses side by side all would find the last one left.
        """

    async def enrol(self, name: str, roles: tuple[str, ...], *, actor: str) -> Enrolled:
        """A new account, with a password that is made here. Raises `InvalidRequest`, `Conflict`."""
        if not roles or not set(roles) <= set(ROLES):
            raise InvalidRequest(f"Roles are: {', '.join(ROLES)}.", field="roles")
        if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", name) or len(name) > 37:
            raise InvalidRequest("A name has 1 to 37 lower-case letters, digits and single dashes.", field="name")
        client_id, password, secret = PERSONS + name, secrets.token_urlsafe(15), secrets.token_bytes(20)
        now = self._clock.now()
        scopes = sorted({scope for role in roles for scope in ROLES[role]})
        row = clients.ClientRow(
            id=client_id,
            name=name,
            scopes=tuple(scopes),
            return_urls=(),
            created_at=now,
            disabled_at=None,
            organisation=None,
            person=name,
        )
        sealed = self._vault.seal(places.operator_totp(client_id), base64.b32encode(secret).decode())
        async with self._database.transaction() as connection:
            if not await clients.insert(connection, row, hashed(secrets.token_urlsafe(32))):
                raise Conflict("There is, or was, somebody of that name.", code="operator_exists")
            await operators.insert(connection, now, client_id, _password_hash(password), sealed, roles)
            await audit.record(connection, now, actor, "operator.enrol", client_id, {"roles": list(roles)})
        return Enrolled(
            client_id=client_id, password=password, totp_uri=_totp(secret).get_provisioning_uri(client_id, "Prakerja")
        )

    async def disable(self, name: str, *, actor: str) -> None:
        """Nobody signs in under this name any more, and who is signed in is out; raises `NotFound`."""
        now, client_id = self._clock.now(), PERSONS + name
        async with self._database.transaction() as connection:
            known = await operators.lock(connection, client_id)
            if known is None or not await clients.disable(connection, client_id, now):
                raise NotFound("There is no such operator.")
            await audit.record(connection, now, actor, "operator.disable", client_id, {})

    async def sign_in(self, name: str, password: str, code: str, *, alone: bool = False) -> str:
        """A session's token. Raises `Unauthenticated`, the same whatever was wrong; after some wrong codes beside the
        right password a name is locked for longer and longer. Wrong passwords lock nobody out: anybody can type them.
        `alone`: the person's sessions elsewhere end.
        """
        client_id = PERSONS + name.strip().lower()
        async with self._database.transaction() as connection:
            row = await operators.lock(connection, client_id)
            now = self._clock.now()
            right = await asyncio.to_thread(_verified, password, row.password_hash if row else self._nobody)
            step = None if row is None else self._step(row, code, now)
            locked = row is not None and row.locked_until is not None and row.locked_until > now
            token = (
                await self._opened(connection, row, step, now, alone) if row and right and step and not locked else None
            )
            if token is None and right and row is not None and not locked:
                failures = row.failures + 1
                await operators.failed(connection, client_id, failures, _locked_until(failures, now))
            # A name that nobody has may be anything that was typed, a password too: it is not written down.
            action = "operator.sign_in" if token else "operator.refused"
            await audit.record(connection, now, client_id if row else "nobody", action, "ops", {"locked": locked})
        if token is None:
            raise Unauthenticated("Name, password or code is wrong, or the account is locked for a while.")
        return token

    async def _opened(self, connection: Connection, row: OperatorRow, step: int, now: datetime, alone: bool) -> str:
        token = secrets.token_urlsafe(32)
        await operators.passed(connection, row.client_id, step)
        if alone:
            await operators.close_sessions(connection, row.client_id)
        await operators.open_session(connection, hashed(token), row.client_id, now, now + timedelta(seconds=LIFE_S))
        return token

    async def change_password(self, operator: Operator, present: str, code: str, new: str) -> str:
        """Another password for somebody who has the present one and a code, as for signing in; a new session's token,
        as every session of theirs ends. Raises `InvalidRequest` for a weak one, `Unauthenticated`.
        """
        name = operator.client_id.removeprefix(PERSONS)
        _refuse_weak(name, new)
        if new == present:
            raise InvalidRequest("That is the password there was.", field="new")
        async with self.at_once:
            encoded = await asyncio.to_thread(_password_hash, new)
            token = await self.sign_in(name, present, code, alone=True)
        async with self._database.transaction() as connection:
            await operators.set_password(connection, operator.client_id, encoded)
            await audit.record(connection, self._clock.now(), operator.client_id, "operator.password", "ops", {})
        return token

    async def recognise(self, token: str, *, by_itself: bool = False) -> Operator | None:
        """Whose session this is, while it is used at least every half hour and for eight hours at most. What a page
        asks for `by_itself` is no use: somebody may have left it open.
        """
        token_hash, now = hashed(token), self._clock.now()
        async with self._database.connection() as connection:
            row = await operators.session(connection, token_hash)
            if row is None or row.expires_at <= now or row.seen_at + timedelta(seconds=IDLE_S) <= now:
                return None
            if not by_itself and row.seen_at + timedelta(seconds=60) < now:
                await operators.seen(connection, token_hash, now)
        return Operator(client_id=row.client_id, roles=row.roles, csrf=self._vault.token(f"ops csrf {token}"))

    def known(self, name: str) -> str:
        """What a browser keeps in which this person has signed in. It lets nobody in: who has it is not kept from
        trying by what others have guessed.
        """
        return self._vault.token(f"ops known {PERSONS}{name.strip().lower()}")

    def is_known(self, name: str, given: str) -> bool:
        """Whether a browser's `known` is this person's."""
        return secrets.compare_digest(given.encode(), self.known(name).encode())

    async def sign_out(self, token: str) -> None:
        """The session ends."""
        async with self._database.connection() as connection:
            await operators.close_session(connection, hashed(token))

    def _step(self, row: OperatorRow, code: str, now: datetime) -> int | None:
        """The time step that `code` belongs to, if it is later than any that was taken before."""
        secret = base64.b32decode(self._vault.open(places.operator_totp(row.client_id), row.totp_sealed))
        current, typed = int(now.timestamp()) // STEP_S, typed_digits(code.strip())
        for step in range(current - EARLY_STEPS, current + EARLY_STEPS + 1):
            right = secrets.compare_digest(_totp(secret).generate(step * STEP_S), typed.encode())
            if right and step > row.totp_step:
                return step
        return None


def _refuse_weak(name: str, password: str) -> None:
    """Raise `InvalidRequest` for a password that is short, endless, or soon guessed."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        told = f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters."
    elif len(set(password)) < _FEWEST_SIGNS or name in password.lower() or "prakerja" in password.lower():
        told = f"It holds your name or the programme's, or fewer than {_FEWEST_SIGNS} different characters."
    else:
        return
    raise InvalidRequest(told, field="password", remedy="Choose another one: some words that do not belong together.")


def _totp(secret: bytes) -> TOTP:
    # Authenticator apps know SHA-1 and nothing else; HMAC does not need its collision resistance.
    return TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303


def _argon(salt: bytes) -> Argon2id:
    return Argon2id(salt=salt, length=32, iterations=_ITERATIONS, lanes=_LANES, memory_cost=_MEMORY_KIB)


def _password_hash(password: str) -> str:
    return _argon(secrets.token_bytes(16)).derive_phc_encoded(password.encode())


@functools.cache
def _nobodys_hash() -> str:
    """Of a password that nobody has, made before anybody signs in: an unknown name takes as long as a known one."""
    return _password_hash(secrets.token_urlsafe(16))


def _verified(password: str, encoded: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(password.encode(), encoded)
    except InvalidKey:
        return False
    return True


def _locked_until(failures: int, now: datetime) -> datetime | None:
    if failures < FREE_TRIES:
        return None
    doublings = min(failures - FREE_TRIES, 10)
    return now + timedelta(seconds=min(LOCK_S * 2**doublings, LONGEST_LOCK_S))
