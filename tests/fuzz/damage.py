"""Damage to messages: what is done to real ones, and what of it counts.

A message is *damaged* when it no longer means what its sender wrote. White space, the order of keys, an unknown field
more, a key repeated with the same value leave the meaning as it is: such a draw is thrown away and drawn again.

- *Broken* (`BROKEN`): what arrives is no such message at all: cut off, in another encoding, a page of HTML, empty,
  nested without end, two messages in one. Nothing whatever may be taken from it.
- *Altered* (`ALTERED`): it may still read as JSON, and something in it is another value: a byte flipped, a byte
  that belongs to no text, a piece lost or repeated, a field of another type, missing, twice with two values, or out of
  all bounds.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

HTML = b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>"
EMPTY = (b"", b" ", b"\r\n", b"null", b"{}", b"[]", b'""', b"0", b"true")
DEEP = (b"[" * 20_000, b'{"a":' * 20_000, b'{"a":' * 2_000 + b"1" + b"}" * 2_000)
OTHER_TYPES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    "",
    " ",
    "zz",
    "\x00",
    "\ud800",
    [],
    [[]],
    {},
    {"value": {}},
)
HUGE: tuple[Any, ...] = (10**30, -(10**30), 1e308, 2**63, 2**64, "9" * 400, "9" * 5_000, "A" * 20_000)
_TRIES = 50


class Damaged(NamedTuple):
    """Another content, how it came about, and where, for a document: the path of the value."""

    kind: str
    content: bytes
    path: tuple[Any, ...] = ()


class Double(dict[str, Any]):
    """An object one of whose keys stands in its text twice: `first` and then the entry itself, or after it."""

    def __init__(self, entries: dict[str, Any], key: str, other: Any, *, before: bool) -> None:
        super().__init__(entries)
        self.key, self.other, self.before = key, other, before


def _truncated(rng: Random, content: bytes) -> Damaged:
    return Damaged("truncated", content[: rng.randrange(len(content))])


def _encoded(rng: Random, content: bytes) -> Damaged:
    text = content.decode("utf-8", "replace")
    made = (
        text.encode("utf-16"), text.encode("utf-32-le"), text.encode("utf-16-be"), gzip.compress(content, mtime=0),
        base64.b64encode(content),
    )  # fmt: skip
    return Damaged("encoding", rng.choice(made))


def _html(rng: Random, content: bytes) -> Damaged:
    return Damaged("html", rng.choice((HTML, HTML + content, b"<pre>" + content + b"</pre>")))


def _empty(rng: Random, content: bytes) -> Damaged:
    return Damaged("empty", rng.choice(EMPTY))


def _nested(rng: Random, content: bytes) -> Damaged:
    depth = rng.choice((1, 3, 2_000))
    return Damaged("nested", rng.choice((*DEEP, b"[" * depth + content + b"]" * depth)))


def _twice(rng: Random, content: bytes) -> Damaged:
    return Damaged(
        "twice", rng.choice((content + content, content + b"\n" + content[: rng.randrange(1, len(content))]))
    )


def _spliced(rng: Random, content: bytes) -> Damaged:
    a, b = sorted((rng.randrange(len(content)), rng.randrange(len(content))))
    return Damaged("spliced", rng.choice((content[:b] + content[a:], content[:a] + content[b:])))


def _strayed(rng: Random, content: bytes) -> Damaged:
    at = rng.randrange(len(content))
    return Damaged("stray", content[:at] + rng.choice((b"\xff\xfe", b"\x00")) + content[at:])


def _flipped(rng: Random, content: bytes) -> Damaged:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(changed))
        changed[at] ^= rng.choice((1 << rng.randrange(8), rng.randrange(1, 256)))
    return Damaged("flipped", bytes(changed))


def _document(content: bytes) -> Any:
    return json.loads(content)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(one for key, sub in inner for one in _leaves(sub, (*path, key)))]


def at(document: Any, path: tuple[Any, ...]) -> Any:
    """The value at a path."""
    for key in path:
        document = document[key]
    return document


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at a path; `Ellipsis`: without it."""
    if not path:
        return value
    copy: Any = dict(document) if isinstance(document, dict) else list(document)
    if len(path) == 1 and value is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = put(copy[path[0]], path[1:], value)
    return copy


def _text(document: Any) -> bytes:
    """JSON, with the repeated keys of `Double`; a lone surrogate stays an escape."""
    if isinstance(document, Double):
        parts = [f"{json.dumps(key)}:{_text(value).decode()}" for key, value in document.items()]
        twice = f"{json.dumps(document.key)}:{json.dumps(document.other)}"
        return ("{" + ",".join([twice, *parts] if document.before else [*parts, twice]) + "}").encode()
    if isinstance(document, dict):
        return ("{" + ",".join(f"{json.dumps(k)}:{_text(v).decode()}" for k, v in document.items()) + "}").encode()
    if isinstance(document, list):
        return ("[" + ",".join(_text(value).decode() for value in document) + "]").encode()
    return json.dumps(document).encode()


def _retyped(rng: Random, content: bytes) -> Damaged:
    document = _document(content)
    path = rng.choice(_leaves(document))
    was = at(document, path)
    return Damaged("type", _text(put(document, path, rng.choice((*OTHER_TYPES, [was], {"was": was})))), path)


def _missing(rng: Random, content: bytes) -> Damaged:
    document = _document(content)
    path = rng.choice(_leaves(document))
    return Damaged("missing", _text(put(document, path, ...)) if path else b"{}", path)


def _huge(rng: Random, content: bytes) -> Damaged:
    document = _document(content)
    path = rng.choice(_leaves(document))
    return Damaged("huge", _text(put(document, path, rng.choice(HUGE))), path)


def _doubled(rng: Random, content: bytes) -> Damaged:
    document = _document(content)
    path = rng.choice([one for one in _leaves(document) if one and isinstance(one[-1], str)] or [()])
    if not path:
        return Damaged("doubled", content)
    holder = Double(at(document, path[:-1]), path[-1], rng.choice((*OTHER_TYPES, *HUGE)), before=rng.random() < 0.5)
    return Damaged("doubled", _text(put(document, path[:-1], holder)), path)


BROKEN: dict[str, Callable[[Random, bytes], Damaged]] = {
    "truncated": _truncated, "encoding": _encoded, "html": _html, "empty": _empty, "nested": _nested,
    "twice": _twice,
}  # fmt: skip
ALTERED: dict[str, Callable[[Random, bytes], Damaged]] = {
    "flipped": _flipped, "type": _retyped, "missing": _missing, "huge": _huge, "doubled": _doubled,
    "spliced": _spliced, "stray": _strayed,
}  # fmt: skip


class _Pairs(list[tuple[str, Any]]):
    """An object as its text has it, repeated keys included."""


def meaning(content: bytes) -> Any:
    """What a JSON text says, whatever its white space and the order of its keys; None: it is no JSON."""
    try:
        return _settled(json.loads(content.decode("utf-8"), object_pairs_hook=_Pairs))
    except (ValueError, RecursionError):
        return None


def _settled(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return ("object", frozenset((key, _settled(inner)) for key, inner in value))
    if isinstance(value, list):
        return ("array", tuple(_settled(inner) for inner in value))
    return (type(value).__name__, value)


def damage(rng: Random, content: bytes, kinds: dict[str, Callable[[Random, bytes], Damaged]]) -> Damaged:
    """One damage that changes what the message means."""
    intact = meaning(content)
    for _ in range(_TRIES):
        made = kinds[rng.choice(list(kinds))](rng, content)
        said = meaning(made.content)
        if said is None or said != intact:
            return made
    raise AssertionError("nothing damages this message")
