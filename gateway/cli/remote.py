"""What the commands share that are clients of the API: whose credentials, its address, and what to do where it refuses
or says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

import httpx
import typer

from contracts.errors import GatewayError
from gateway.client import Gateway, NoAnswer, Refused
from gateway.client.call import Call

T = TypeVar("T")

API = "http://127.0.0.1:8000"
Url = Annotated[str, typer.Option(envvar="PRAKERJA_API_URL", help="The API's address.")]
ClientId = Annotated[str, typer.Option(envvar="PRAKERJA_CLIENT_ID", help="The client's id.")]
Secret = Annotated[
    str, typer.Option(envvar="PRAKERJA_CLIENT_SECRET", prompt=True, hide_input=True, help="Better not typed here.")
]


class ApiRefused(GatewayError):
    """The API answered with a problem."""


class ApiSilent(GatewayError):
    """The API gave no answer."""

    title = "No answer"
    remedy = "Is it running, and is its address right? What was asked may have been done: look before you ask again."


@contextmanager
def answered(url: str) -> Iterator[None]:
    """A refusal or silence of the API at `url`, of the generated client or of httpx, becomes `ApiRefused` or
    `ApiSilent`.
    """
    try:
        yield
    except Refused as refused:
        raise ApiRefused(refused.detail, code=refused.code, remedy=refused.remedy) from None
    except (NoAnswer, httpx.TransportError) as error:
        what = str(error) if isinstance(error, NoAnswer) else type(error).__name__
        raise ApiSilent(f"{url} gave no answer ({what}).") from None


@contextmanager
def connected(url: str, client_id: str, client_secret: str) -> Iterator[Gateway]:
    """The API as a client of it."""
    with answered(url), Gateway(url, client_id, client_secret) as gateway:
        yield gateway


def asked(url: str, client_id: str, client_secret: str, call: Call[T]) -> T:
    """The answer to one call."""
    with connected(url, client_id, client_secret) as gateway:
        return gateway.send(call)
