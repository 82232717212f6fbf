"""Grants and what adapters keep between steps, as sealed fields of a link."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

import msgspec

from contracts.linking import Grant
from contracts.secret import Masked, Secret
from gateway.security import places
from gateway.security.vault import SealBroken, Vault

T = TypeVar("T")


class _Grant(Masked, frozen=True, omit_defaults=True):
    """A grant as it is sealed; it exists only between opening and wrapping."""

    access_token: str
    refresh_token: str | None = None
    expires_at: datetime | None = None
    extra: dict[str, str] = msgspec.field(default_factory=dict)


def seal_grant(vault: Vault, link_id: str, grant: Grant) -> bytes:
    """The grant sealed for its link: it opens for no other one."""
    plain = _Grant(
        access_token=grant.access_token.reveal(),
        refresh_token=grant.refresh_token.reveal() if grant.refresh_token else None,
        expires_at=grant.expires_at,
        extra={name: value.reveal() for name, value in grant.extra.items()},
    )
    return vault.seal(places.link_grant(link_id), msgspec.json.encode(plain).decode())


def open_grant(vault: Vault, link_id: str, sealed: bytes) -> Grant:
    """The grant of a link; raises `SealBroken`."""
    plain = _decode(vault.open(places.link_grant(link_id), sealed), _Grant)
    return Grant(
        access_token=Secret(plain.access_token),
        refresh_token=Secret(plain.refresh_token) if plain.refresh_token is not None else None,
        expires_at=plain.expires_at,
        extra=_wrap(plain.extra),
    )


def seal_map(vault: Vault, link_id: str, values: Mapping[str, Secret]) -> bytes | None:
    """What an adapter carries to the link's next step, sealed; None for nothing."""
    if not values:
        return None
    plain = {name: value.reveal() for name, value in values.items()}
    return vault.seal(places.link_carry(link_id), msgspec.json.encode(plain).decode())


def open_map(vault: Vault, link_id: str, sealed: bytes | None) -> dict[str, Secret]:
    """What an adapter carried here from the step before; raises `SealBroken`."""
    if sealed is None:
        return {}
    return _wrap(_decode(vault.open(places.link_carry(link_id), sealed), dict[str, str]))


def _wrap(values: Mapping[str, str]) -> dict[str, Secret]:
    return {name: Secret(value) for name, value in values.items()}


def _decode(text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:
        raise SealBroken("a sealed field has another shape than this version writes") from None
