"""A cassette: a partner's plans as they really went, everything private replaced, in one JSON file.

It holds enough to play each plan again: its arguments and context beside its exchanges. Played with the placeholders
for credentials and person, the adapter must make of the same replies what it made of them then.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from contracts.errors import GatewayError
from contracts.nik import Nik
from contracts.partner import Context, Manifest, Partner
from contracts.plan import Request, Response
from contracts.secret import Secret
from gateway.workbench.hiding import Hider, plain
from gateway.workbench.recorder import Call, Recorder, Take
from gateway.workbench.signed import signed_text

VERSION = 1
TABLE = "text/csv"
_KEPT_HEADERS = ("content-type", "retry-after", "x-timestamp", "x-external-id")
"""Of a reply: what a partner documents. Cookies, traces and the names of servers are nobody's business."""


class CassetteError(Exception):
    """A file that is no cassette of this version; the message says what is wrong and quotes nothing."""


class SentRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request, hidden. `body`: its JSON, or a text saying what else it was; `signed`: the string signed, if known."""

    operation: str
    effect: str
    host: str
    method: str
    target: str
    headers: dict[str, str]
    body: Any = None
    signed: str | None = None


class GotReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reply, hidden."""

    status: int
    headers: dict[str, str]
    body: Any = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its reply (None: no whole answer came)."""

    request: SentRequest
    reply: GotReply | None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One plan. `tokens` are ours, `arguments` those of the operation of `Partner`; `outcome` is what it returned, or
    the error with which it could not tell.
    """

    operation: str
    now: datetime
    serial: str
    tokens: dict[str, str]
    arguments: list[Any]
    exchanges: list[Exchange]
    outcome: Any


class Cassette(msgspec.Struct, frozen=True, kw_only=True):
    """A file's content."""

    version: int
    partner: str
    against: str
    """`mock` or `live`."""
    recorded_at: datetime
    credentials: dict[str, str]
    """A placeholder for each credential that is no PEM key."""
    takes: list[Kept]

    def replies(self) -> int:
        """How many exchanges it holds."""
        return sum(len(take.exchanges) for take in self.takes)


def keep(takes: Sequence[Take], manifest: Manifest, credentials: Mapping[str, Secret], *, against: str) -> Cassette:
    """The hidden form of what was recorded: the only one that is shown or written."""
    hider = Hider()
    shown = hider.learn_credentials(manifest.credentials, credentials)
    for take in takes:
        hider.learn(take.arguments)
        hider.learn(take.result)
        hider.learn(take.context.tokens, "token")
    for take in takes:  # a first pass over the wire finds what is private there, so that the second hides it everywhere
        for call in take.calls:
            _exchange(call, {}, hider)
    return Cassette(
        version=VERSION,
        partner=manifest.slug,
        against=against,
        recorded_at=takes[0].context.now.replace(microsecond=0),
        credentials=shown,
        takes=[_kept(take, credentials, hider) for take in takes],
    )


def _kept(take: Take, credentials: Mapping[str, Secret], hider: Hider) -> Kept:
    return Kept(
        operation=take.operation,
        now=take.context.now,
        serial=take.context.serial,
        tokens={name: hider.placeholder(token.reveal(), name) for name, token in take.context.tokens.items()},
        arguments=[_argument(argument, hider) for argument in take.arguments],
        exchanges=[_exchange(call, credentials, hider) for call in take.calls],
        outcome=outcome(take, hider),
    )


def outcome(take: Take, hider: Hider) -> Any:
    """What came of a plan, as JSON."""
    if take.error is None:
        return plain(take.result, hider)
    told = {"is": type(take.error).__name__, "detail": hider.text(take.error.detail)}
    hint, code = getattr(take.error, "hint", None), getattr(take.error, "partner_code", None)
    return told | ({"hint": hint.value} if hint else {}) | ({"partner_code": code} if code else {})


def _argument(argument: object, hider: Hider) -> Any:
    made = plain(argument, hider)
    return {name: part for name, part in made.items() if name != "is"} if isinstance(made, dict) else made


def _exchange(call: Call, credentials: Mapping[str, Secret], hider: Hider) -> Exchange:
    request, reply = call.request, call.reply
    signed = signed_text(request, credentials)
    return Exchange(
        request=SentRequest(
            operation=request.operation,
            effect=request.effect.value,
            host=request.host,
            method=request.method,
            target=hider.text(request.target),
            headers={name: hider.header(name, value) for name, value in request.headers.items()},
            body=_body(request.content, "", hider),
            signed=None if signed is None else hider.text(signed),
        ),
        reply=None if reply is None else _reply(reply, hider),
    )


def _reply(reply: Response, hider: Hider) -> GotReply:
    headers = {name: hider.header(name, value) for name, value in reply.headers.items() if name in _KEPT_HEADERS}
    body = _body(reply.content, reply.headers.get("content-type", ""), hider)
    return GotReply(status=reply.status, headers=headers, body=body)


def _body(content: bytes, content_type: str, hider: Hider) -> Any:
    """JSON with placeholders, or the rows of a table in CSV, its columns' names first; of anything else its size alone:
    nobody knows what stands in it.
    """
    if not content:
        return None
    try:
        if content_type.startswith(TABLE):
            columns, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
            return [columns, *([hider.value(*cell) for cell in zip(row, columns, strict=True)] for row in rows)]
        return hider.value(msgspec.json.decode(content))
    except (msgspec.DecodeError, ValueError, csv.Error, RecursionError):
        return f"<{len(content)} bytes that cannot be read>"


def _content(reply: GotReply) -> bytes:
    """The bytes of a body that was kept."""
    if reply.body is None:
        return b""
    if reply.headers.get("content-type", "").startswith(TABLE) and isinstance(reply.body, list):
        text = io.StringIO(newline="")
        csv.writer(text).writerows(reply.body)
        return text.getvalue().encode()
    return msgspec.json.encode(reply.body)


def encode(cassette: Cassette) -> bytes:
    """The file's bytes: a line for each leaf, so that two versions can be read side by side."""
    return msgspec.json.format(msgspec.json.encode(cassette), indent=1) + b"\n"


def read(path: Path) -> Cassette:
    """A cassette out of a file; raises `CassetteError`."""
    try:
        cassette = msgspec.json.decode(path.read_bytes(), type=Cassette)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what = str(error) if isinstance(error, msgspec.ValidationError) else "it is no JSON"
        raise CassetteError(f"{path.name} is no cassette: {what}") from None
    if cassette.version != VERSION:
        raise CassetteError(f"{path.name} is of version {cassette.version}; this is {VERSION}: record it again")
    return cassette


def context(kept: Kept, cassette: Cassette, manifest: Manifest, pem: Mapping[str, Secret]) -> Context:
    """The context of a kept plan in the placeholders' world; `pem` are keys made up for it."""
    shown = {name: Secret(value) for name, value in cassette.credentials.items()}
    return Context(
        now=kept.now,
        serial=kept.serial,
        credentials={**shown, **pem},
        tokens={name: Secret(value) for name, value in kept.tokens.items()},
        hosts={name: f"https://{name}.invalid" for name in manifest.hosts},
    )


def arguments(kept: Kept) -> list[Any]:
    """The plan's arguments as the contract's own types, with placeholders inside."""
    hints = get_type_hints(getattr(Partner, kept.operation), localns={"Request": Request, "Response": Response})
    kinds = [kind for name, kind in hints.items() if name not in ("ctx", "return")]
    return [
        msgspec.convert(argument, kind, dec_hook=_opened) for argument, kind in zip(kept.arguments, kinds, strict=True)
    ]


def _opened(kind: type, value: Any) -> Any:
    if kind in (Secret, Nik):
        return kind(value)
    raise NotImplementedError(kind.__name__)


def replies(kept: Kept) -> list[Response]:
    """What was answered then, in order, as bytes again; an exchange without a reply ends the list."""
    answered: list[Response] = []
    for exchange in kept.exchanges:
        if exchange.reply is None:
            break
        reply = exchange.reply
        answered.append(Response(status=reply.status, headers=reply.headers, content=_content(reply)))
    return answered


def replay(
    cassette: Cassette,
    partner: Partner,
    pem: Mapping[str, Secret],
    sign: Callable[[Response], Response] = lambda reply: reply,
) -> list[Take]:
    """Run every kept plan again on the replies of then: what today's adapter asks, and makes of them. A reply that the
    partner had signed holds other values by now and is given to `sign`, as nobody here has the partner's key.

    A plan that got no whole reply is left out: how it ended was the executor's word. Raises `CassetteError` where the
    adapter asks more than was recorded.
    """
    recorder = Recorder(partner)
    for kept in cassette.takes:
        answered = replies(kept)
        if len(answered) < len(kept.exchanges):
            continue
        plan = getattr(recorder, kept.operation)(context(kept, cassette, partner.manifest, pem), *arguments(kept))
        try:
            next(plan)
            for reply in answered:
                plan.send(sign(reply))
        except StopIteration:
            continue
        except GatewayError:
            continue  # noted on the take
        finally:
            plan.close()
        raise CassetteError(f"{kept.operation} asks more than was recorded: record it again")
    return recorder.takes
