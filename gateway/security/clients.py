"""Who calls the API: access tokens, scopes, and the guard that every route under /v1 carries."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, final

import msgspec
import structlog

from contracts.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unauthenticated
from gateway.clock import Clock
from gateway.security import assertions, dpop, personal
from gateway.security.limits import ACCESS_REFUSED, CALLS, Limits, network_of
from gateway.security.tenancy import must_own
from gateway.storage.access import clients as stored
from gateway.storage.base.database import Database
from gateway.storage.ops import audit

SCOPES = ("links", "verifications", "incentives", "payouts", "batches", "batches:approve", "read", "ops")
MAKING = frozenset({"links", "verifications", "incentives", "payouts", "batches"})
"""Scopes of who hands over and acts for participants: within one organisation."""
EVERYWHERE = "*"
"""What stands for every organisation where one is named."""
TOKEN_LIFE_S = 900
_SECRET_BYTES = 32
BOTH_GOOD = timedelta(hours=24)
"""How long two secrets of one client are good, so that it can change over without a gap."""
PERSONS = "op-"
"""How the ids of people begin who sign in at /ops (services/ops/operators.py): no secret or key ever stands for one."""
_NOT_CLIENTS = frozenset({"cli", "command-line", "gateway", "nobody", "worker"})
"""Who else acts on the record."""
_SLUG = re.compile(r"(?=.{1,40}\Z)[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_RETURN = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?:[/?][A-Za-z0-9._~:/?@!$&()*+,;=%-]*)?",
    re.ASCII,
)
"""Nothing in it that one reader takes for a host and another for a path, and nothing that ends a header's word."""
ASKED_METHOD = "asked_method"
"""In a request's state: which it came with, where it is answered as another (api/guards.py)."""
_CACHE_S = 3.0
"""How long a token that was disabled may still be taken by a process that has just seen it."""
_CACHE_MOST = 4_096
_LONGEST_SUBJECT = 60
_log = structlog.get_logger(__name__)

if TYPE_CHECKING:  # commands that only hash a secret need no web framework
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

Connection: TypeAlias = "ASGIConnection[Any, Any, Any, Any]"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The client behind a request, as `request.auth`."""

    client_id: str
    scopes: frozenset[str]
    return_urls: tuple[str, ...]
    organisation: str | None
    """Whose rows it sees and changes; None: everybody's."""
    thumbprint: str | None = None
    """Of the key that must prove each of its requests, where the token is bound to one."""


def hashed(value: str) -> bytes:
    """SHA-256 of a random secret or token; gateway/storage/access/clients.py says why no slower function is needed."""
    return hashlib.sha256(value.encode()).digest()


@final
class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A new client with its secret, which is shown once and kept nowhere."""

    client_id: str
    secret: str
    organisation: str | None = None
    """Of a new one: whose rows it sees and makes; None: all."""

    def __repr__(self) -> str:
        return f"Registered({self.client_id}, ***)"


async def register(
    database: Database,
    now: datetime,
    *,
    name: str,
    scopes: Sequence[str],
    return_urls: Sequence[str] = (),
    organisation: str | None = None,
    person: str | None = None,
    actor: str = "cli",
) -> Registered:
    """Store a new client. Its id is its name in lower case with dashes, and is never used again.

    `organisation`: whose rows it sees and makes, `EVERYWHERE` for all; when left out, all for who only approves or
    operates, else one of its own. `person`: who holds it, when left out nobody else. Raises `InvalidRequest` for a
    scope that does not exist, scopes that do not go together or a name that is none, `Conflict` for one that is taken.
    """
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InvalidRequest(f"Scopes are: {', '.join(SCOPES)}.", field="scopes")
    client_id = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not name.isprintable() or not 1 <= len(client_id) <= 40:
        raise InvalidRequest("A client's name has 1 to 40 letters and digits, with spaces between.", field="name")
    personal.refuse(name, "name")
    if client_id in _NOT_CLIENTS or client_id.startswith(PERSONS):
        raise InvalidRequest("On the record this name is somebody else's.", field="name", remedy="Choose another name.")
    for field, text in (("organisation", organisation), ("person", person)):
        if text is not None and _SLUG.fullmatch(text) is None and (field, text) != ("organisation", EVERYWHERE):
            raise InvalidRequest(f"--{field} is 1 to 40 lower-case letters, digits and single dashes.", field=field)
    if not all(map(_RETURN.fullmatch, return_urls)):
        raise InvalidRequest(
            "A return address is https:// or http://, a host and a path, as a browser reads it: no user, no fragment.",
            field="return_urls",
        )
    whose = _organisation(client_id, set(scopes), organisation)
    client = Registered(client_id=client_id, secret=secrets.token_urlsafe(_SECRET_BYTES), organisation=whose)
    row = stored.ClientRow(
        id=client.client_id,
        name=name,
        scopes=tuple(scopes),
        return_urls=tuple(return_urls),
        created_at=now,
        disabled_at=None,
        organisation=whose,
        person=person or client_id,
    )
    async with database.transaction() as connection:
        if not await stored.insert(connection, row, hashed(client.secret)):
            raise Conflict(
                "There is, or was, a client of that name.", code="client_exists", remedy="Choose another name."
            )
        about = {"scopes": list(scopes), "organisation": row.organisation, "person": row.person}
        await audit.record(connection, now, actor, "client.create", client.client_id, about)
    return client


def _organisation(client_id: str, scopes: set[str], named: str | None) -> str | None:
    """Whose rows a client with these scopes sees and makes; raises `InvalidRequest` for what does not go together."""
    makes, decides = bool(scopes & MAKING), sorted(scopes & {"batches:approve", "ops"})
    if makes and decides:
        raise InvalidRequest(
            f"No client both hands over ({', '.join(sorted(scopes & MAKING))}) and decides ({', '.join(decides)}).",
            field="scopes",
            code="duties_not_separate",
            remedy="Make one client for each duty, held by different people.",
        )
    if named is None:
        return None if decides else client_id
    if named == EVERYWHERE and makes:
        raise InvalidRequest("Who hands over does so for one organisation.", field="organisation")
    if named != EVERYWHERE and "ops" in scopes:
        raise InvalidRequest("The scope ops acts for every organisation: name none.", field="organisation")
    return None if named == EVERYWHERE else named


async def disable(database: Database, now: datetime, client_id: str, *, actor: str = "cli") -> bool:
    """Refuse a client from now on (within a few seconds everywhere); False when there is no such enabled client."""
    async with database.transaction() as connection:
        found = await stored.disable(connection, client_id, now)
        if found:
            await audit.record(connection, now, actor, "client.disable", client_id, {})
    return found


async def rotate(database: Database, now: datetime, client_id: str, *, at_once: bool, actor: str = "cli") -> Registered:
    """A new secret for a client; the old one is good for a day beside it, unless `at_once`. Raises `NotFound`."""
    _refuse_person(client_id)
    client = Registered(client_id=client_id, secret=secrets.token_urlsafe(_SECRET_BYTES))
    until = now if at_once else now + BOTH_GOOD
    async with database.transaction() as connection:
        if not await stored.rotate(connection, client_id, hashed(client.secret), until):
            raise NotFound("There is no enabled client of that id that has a secret.")
        await audit.record(connection, now, actor, "client.rotate", client_id, {"old_until": until})
    return client


def _refuse_person(client_id: str) -> None:
    if client_id.startswith(PERSONS):
        raise InvalidRequest(
            "This is a person, who signs in at /ops with a password and a code and in no other way.",
            field="client_id",
            remedy="Make a client for the program: `gateway clients create`.",
        )


async def set_keys(database: Database, now: datetime, client_id: str, keys: str, *, actor: str = "cli") -> None:
    """Have a client prove itself by one of these public keys (JSON Web Key Set) and by no secret any more. Raises
    `InvalidRequest`, `NotFound`.
    """
    _refuse_person(client_id)
    public = assertions.public_keys(keys)
    async with database.transaction() as connection:
        if not await stored.set_keys(connection, client_id, public):
            raise NotFound("There is no enabled client of that id.")
        await audit.record(connection, now, actor, "client.keys", client_id, {})


class ClientDirectory:
    """Issues clients' tokens and recognises them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._seen: OrderedDict[bytes, tuple[float, stored.TokenRow]] = OrderedDict()

    async def find(self, client_id: str) -> tuple[stored.ClientRow, stored.Credentials] | None:
        """An enabled client and by what it proves itself now."""
        async with self._database.connection() as connection:
            return await stored.get_with_credentials(connection, client_id, self._clock.now())

    async def proves(self, client_id: str, keys: str, assertion: str, audiences: Collection[str]) -> bool:
        """Whether a statement proves that it comes from this client, now and for the first time."""
        now = self._clock.now()
        try:
            claims = assertions.proved(assertion, keys, client_id, audiences, now)
        except assertions.AssertionRefused as error:
            _log.info("assertion_refused", client_id=client_id, because=str(error))
            return False
        async with self._database.connection() as connection:
            return await stored.use_assertion(connection, client_id, hashed(claims.jti), claims.expires_at, now)

    async def holder(
        self, client_id: str, proofs: Sequence[str], method: str, url: str, token: str | None = None
    ) -> str | None:
        """The thumbprint of the key that signed a request's one proof, now and for the first time; None: none did."""
        now = self._clock.now()
        try:
            if len(proofs) != 1:
                raise dpop.ProofRefused(f"{len(proofs)} proofs")
            proof = dpop.proved(proofs[0], method, url, now, token)
        except dpop.ProofRefused as error:
            _log.info("proof_refused", client_id=client_id, because=str(error))
            return None
        once = hashed(f"proof {proof.thumbprint} {proof.jti}")
        async with self._database.connection() as connection:
            fresh = await stored.use_assertion(connection, client_id, once, proof.good_until, now)
        return proof.thumbprint if fresh else None

    async def note(
        self, actor: str, action: str, path: str, about: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        """What was refused goes on record, by the first parts of its path: what follows may be anything."""
        subject = "/".join(path.split("/")[:3])[:_LONGEST_SUBJECT]
        async with self._database.connection() as connection:
            await audit.record(connection, self._clock.now(), actor, action, subject, about)

    async def note_refused(self, client_id: str | None) -> None:
        """Wrong credentials go on record; a name that nobody has may be anything that was typed, and does not."""
        async with self._database.connection() as connection:
            await audit.record(connection, self._clock.now(), client_id or "nobody", "token.refused", "oauth", {})

    async def revoke(self, token: str, client_id: str) -> None:
        """End one of the client's tokens; other processes may take it a few seconds longer."""
        now, token_hash = self._clock.now(), hashed(token)
        async with self._database.transaction() as connection:
            if await stored.delete_token(connection, token_hash, client_id):
                await audit.record(connection, now, client_id, "token.revoke", client_id, {})
        self._seen.pop(token_hash, None)

    async def keep_token(
        self, token: str, client_id: str, scopes: Sequence[str], thumbprint: str | None = None
    ) -> None:
        """Store a token just issued; it lives `TOKEN_LIFE_S`, and is good beside proofs of the key alone that
        `thumbprint` names.
        """
        now = self._clock.now()
        expires_at = now + timedelta(seconds=TOKEN_LIFE_S)
        async with self._database.connection() as connection:
            await stored.insert_token(connection, hashed(token), client_id, scopes, now, expires_at, thumbprint)

    async def recognise(self, token: str) -> Caller | None:
        """The caller whose valid token this is, or None."""
        token_hash = hashed(token)
        found = self._cached(token_hash)
        if found is None:
            async with self._database.connection() as connection:
                found = await stored.find_token(connection, token_hash)
            if found is None:
                return None
            self._seen[token_hash] = (self._clock.monotonic() + _CACHE_S, found)
            while len(self._seen) > _CACHE_MOST:
                self._seen.popitem(last=False)
        if found.expires_at <= self._clock.now():
            return None
        return Caller(
            client_id=found.client_id,
            scopes=found.scopes,
            return_urls=found.return_urls,
            organisation=found.organisation,
            thumbprint=found.thumbprint,
        )

    def forget(self) -> None:
        """Look every token up again."""
        self._seen.clear()

    def _cached(self, token_hash: bytes) -> stored.TokenRow | None:
        entry = self._seen.get(token_hash)
        if entry is None:
            return None
        until, row = entry
        if until < self._clock.monotonic():
            del self._seen[token_hash]
            return None
        return row


class Scopes:
    """A guard: the request carries a valid token with at least one of `scopes`, and the ids in its address name rows of
    the caller's organisation; sets `request.auth` to the `Caller`.
    """

    def __init__(self, scopes: tuple[str, ...]) -> None:
        assert set(scopes) <= set(SCOPES), "a guard names known scopes"
        self.scopes = scopes

    async def __call__(self, connection: Connection, _: BaseRouteHandler) -> None:
        """Raises `Unauthenticated`, `Forbidden`, `NotFound` or `TooManyRequests`."""
        kind, _space, token = connection.headers.get("authorization", "").partition(" ")
        if kind.lower() not in _KINDS or not token:
            raise Unauthenticated("The request carries no access token.")
        core = connection.app.state.core
        directory: ClientDirectory = core.clients
        caller = await directory.recognise(token.strip())
        limits: Limits = connection.app.state.limits
        redis = core.resources.redis
        if caller is None:
            await limits.take(redis, ACCESS_REFUSED, network_of(connection.client.host if connection.client else ""))
            await directory.note("nobody", "token.unknown", connection.scope["path"])
            raise Unauthenticated("The access token is unknown or has expired.", code="invalid_token")
        if not await _held(connection, directory, caller, kind.lower(), token.strip()):
            await limits.take(redis, ACCESS_REFUSED, network_of(connection.client.host if connection.client else ""))
            await directory.note(caller.client_id, "token.unproved", connection.scope["path"])
            raise Unproved(
                "The access token is not shown as it was issued: to a key, or to none.",
                code="invalid_token",
                remedy="Of a bound token send Authorization: DPoP TOKEN and one DPoP header, made anew for each request"
                " (RFC 9449); another as Bearer TOKEN.",
            )
        await limits.take(redis, CALLS, caller.client_id)
        if caller.scopes.isdisjoint(self.scopes):
            await limits.take(redis, ACCESS_REFUSED, caller.client_id)
            await directory.note(caller.client_id, "scope.refused", connection.scope["path"])
            raise Forbidden(f"This needs the scope {' or '.join(self.scopes)}.", code="scope_missing")
        connection.scope["auth"] = caller
        await must_own(core.resources.database, caller.organisation, connection.path_params)


class Unproved(Unauthenticated):
    """A token bound to a key without its proof, or a proof of a token that is bound to none."""

    headers = MappingProxyType(
        {"WWW-Authenticate": f'DPoP error="invalid_token", algs="{" ".join(assertions.ALGORITHMS)}"'}
    )


_KINDS = ("bearer", "dpop")


async def _held(connection: Connection, directory: ClientDirectory, caller: Caller, kind: str, token: str) -> bool:
    """Whether the request shows the token as it was issued: bare, or beside a proof of the key that it is bound to."""
    if caller.thumbprint is None:
        return kind == "bearer"
    if kind != "dpop":
        return False
    public: str = connection.app.state.core.resources.settings.public_url
    url, proofs = public + connection.scope["path"], connection.headers.getall("dpop", [])
    method = connection.scope["state"].get(ASKED_METHOD, connection.scope.get("method"))
    return await directory.holder(caller.client_id, proofs, str(method), url, token) == caller.thumbprint


def require(*scopes: str) -> Scopes:
    """The guard that every route under /v1 carries: any one of `scopes` lets a client in."""
    return Scopes(scopes)
