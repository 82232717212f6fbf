"""A batch as one JSON object: its rows become lines, for the same reading as NDJSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import msgspec

from contracts.errors import TooLarge
from gateway.services.intake.foreign import FileRefused

MOST_ROWS = 1_000
_MOST_BYTES = 4_194_304
_FORM = 'Send {"rows": [...]} with one object a row; more rows go as text/csv or application/x-ndjson.'


class _Rows(msgspec.Struct):
    rows: list[msgspec.Raw]


async def object_lines(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The rows of `{"rows": [...]}`, a line each; raises `FileRefused` and `TooLarge`."""
    whole = bytearray()
    async for chunk in body:
        whole += chunk
        if len(whole) > _MOST_BYTES:
            raise TooLarge(f"A batch as JSON has at most {_MOST_BYTES} bytes. {_FORM}")
    text = bytes(whole).removeprefix(b"\xef\xbb\xbf")
    try:
        text.decode()
    except UnicodeDecodeError:
        raise FileRefused(
            "The body is text in another charset than UTF-8.", code="charset_unsupported", remedy="Send it in UTF-8."
        ) from None
    try:
        rows = msgspec.json.decode(text, type=_Rows).rows
        once = [name for name, _ in json.loads(text, object_pairs_hook=list)] == ["rows"]
    except (ValueError, TypeError, RecursionError):
        once = False
    if not once:
        raise FileRefused('The body is not {"rows": [...]}.', code="json_malformed", remedy=_FORM) from None
    if len(rows) > MOST_ROWS:
        raise TooLarge(f"A batch as JSON has at most {MOST_ROWS} rows. {_FORM}")
    if rows:
        # A line break inside a row is space between its parts: within a text JSON has it escaped.
        yield b"\n".join([bytes(row).replace(b"\r", b" ").replace(b"\n", b" ") for row in rows])
