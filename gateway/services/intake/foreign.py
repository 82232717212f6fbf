"""Files that are no text of rows, told by their first bytes: workbooks, packed and encrypted ones, another charset."""

from __future__ import annotations

import codecs
import re

from contracts.errors import InvalidRequest

HEAD_BYTES = 16
"""So many are looked at; a shorter file is looked at whole."""
SAVE_AS = "In the spreadsheet choose 'Save as', 'CSV UTF-8 (comma delimited)', and send that file."
_UNPACK = "Send it unpacked."
_EXPORT = "Send what it holds as text: 'CSV UTF-8 (comma delimited)', or one JSON object a line."
_WIDE = re.compile(rb"[\t-~]\0(?:[\t-~]|\0\0)|\0[\t-~]\0[\t-~]|\0\0\0[\t-~]")
"""Latin letters of two or four bytes each: without a mark nothing else tells these charsets."""
_NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x1f]")
_FOREIGN = (
    ((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "text in UTF-32", SAVE_AS),
    ((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "text in UTF-16", SAVE_AS),
    ((b"PK\x03\x04", b"PK\x05\x06"), "a workbook (.xlsx) or another ZIP file", SAVE_AS),
    (b"\xd0\xcf\x11\xe0", "an old workbook (.xls)", SAVE_AS),
    (b"\x1f\x8b", "a gzip file", _UNPACK),
    ((b"BZh", b"\x28\xb5\x2f\xfd", b"\xfd7zX", b"7z\xbc\xaf", b"Rar!", b"\x04\x22\x4d\x18"), "a packed file", _UNPACK),
    (b"%PDF", "a PDF", SAVE_AS),
    (b"{\\rt", "a document (.rtf)", SAVE_AS),
    (b"\0\x05\x16\x07", "what macOS keeps beside a file (._NAME)", "Send the file itself, without ._ before its name."),
    ((b"-----BEGIN ", b"age-encryption.o", b"Salted__"), "an encrypted or signed file", "Send what it holds."),
    (b"--", "a form (multipart/form-data)", "Send the file alone as the body: curl --data-binary @FILE."),
)


class FileRefused(InvalidRequest):
    """The file as a whole cannot be read."""

    code = "file_unreadable"
    title = "The file cannot be read"


def refuse_foreign(head: bytes) -> None:
    """Raise `FileRefused` for what its first bytes show to be another kind of file."""
    head = head[:HEAD_BYTES]
    for signs, name, remedy in _FOREIGN:
        if head.startswith(signs):
            raise FileRefused(f"This is {name}, not a batch as text.", code="file_foreign", remedy=remedy)
    if _WIDE.match(head):
        raise FileRefused("This is text in UTF-16 or UTF-32.", code="charset_unsupported", remedy=SAVE_AS)
    if _NO_TEXT.search(head):
        raise FileRefused("This is no text but a program's own form.", code="file_foreign", remedy=_EXPORT)
