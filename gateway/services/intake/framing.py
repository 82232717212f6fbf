"""Cuts a batch into rows: bytes into text, text into records, records into cells. No I/O.

A row ends where RFC 4180 says (a CSV) or at the end of its line (NDJSON), never inside a quoted cell. Where that can no
longer be told, or the file is of another kind, the whole file is refused with the cause; one bad record is a fault of
its row. Nothing that was sent is ever quoted: the line may hold a NIK.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from typing import Any, NamedTuple

from contracts.batch import COLUMNS, NOTES, Fault, RowCode
from gateway.services.intake.cells import cleaned
from gateway.services.intake.foreign import HEAD_BYTES, SAVE_AS, FileRefused, refuse_foreign

MAX_RECORD_CHARS = 65_536
"""A record that does not end within so many characters is none."""
_PIECE_CHARS = 16_384
"""Less than this waits for more, so that a record in many small chunks is not read over and over."""
_BOM, _MARK = codecs.BOM_UTF8, "\ufeff"
_FILLING = "\x1a\0"
"""What some programs end or fill up a file with; it is nobody's row."""
_FIELD = r'(?:"[^"]*+(?:""[^"]*+)*+"|[^",\n]*+)'
_RECORD = re.compile(rf"{_FIELD}(?:,{_FIELD})*+\r?\n")
_RECORDS = re.compile(rf"(?:{_FIELD}(?:,{_FIELD})*+\r?\n)*+")
_BROKEN = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as the decoder lets them through."""
_NAMEABLE = re.compile(r"(?=.{1,40}\Z)_*[a-z]+(?:_+[a-z]+)*_*[0-9]{0,3}", re.ASCII)
"""What looks like a column; a word with capitals or spaces may be somebody, where a file has no header."""
_FIXED_FORM = frozenset({"nik", "due_on", "deadline_on"})
"""Columns whose values show by their length that nothing was cut off."""
_SEPARATOR_LINES = (["sep=", ""], ["sep=,"])
"""What some spreadsheets begin a file with, to say that commas separate its columns."""
Cells = tuple[str, ...]
"""A row's values in the order of `COLUMNS`; empty where one is missing."""


class Record(NamedTuple):
    """One row as it stands in the file: its cells, or what is wrong with it as a whole."""

    line: int
    """Where it begins, counted from 1."""
    cells: Cells
    fault: Fault | None = None


class Decoder:
    """Bytes as text in pieces worth reading: one byte order mark is taken off, bytes that are not UTF-8 are kept as
    lone surrogates, for their rows to be refused by.
    """

    def __init__(self) -> None:
        self._head = b""
        self._begun = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text: list[str] = []
        self._chars = 0
        self._read = False
        """Whether any text was given out."""

    def feed(self, chunk: bytes, *, last: bool = False) -> str:
        """The text that is to be read now; empty while too little has come. Raises `FileRefused`."""
        if not self._begun:
            self._head += chunk
            if len(self._head) < HEAD_BYTES and not last:
                return ""
            refuse_foreign(self._head)
            chunk, self._head, self._begun = self._head.removeprefix(_BOM), b"", True
        text = self._decoder.decode(chunk, last)
        self._text.append(text)
        self._chars += len(text)
        if self._chars < _PIECE_CHARS and not last:
            return ""
        text, self._text, self._chars = "".join(self._text), [], 0
        if not self._read:
            self._read, text = True, text.lstrip(_MARK)  # a second one, of a program that added its own
        return text


class CsvCells:
    """Text of a CSV as rows. The first line is the header: the columns in any order, and perhaps `NOTES`."""

    def __init__(self) -> None:
        self._rest = ""
        self._lines = 0
        self._names: list[str] = []
        self._order: list[int] = []
        self._width = 0

    def feed(self, text: str, *, last: bool = False) -> list[Record]:
        """The rows that are whole now; raises `FileRefused`."""
        text = self._rest + text
        cut = _last_record_end(text)
        self._rest = text[cut:].rstrip(_FILLING) if last else text[cut:]
        found = self._read(text[:cut]) if cut else []
        if not self._order and len(self._rest) > MAX_RECORD_CHARS:
            _refuse_lone_returns(self._rest)
        if self._rest.count('"') % 2 if last else len(self._rest) > MAX_RECORD_CHARS:
            raise _unclosed(self._lines + 1)
        if last and self._rest:
            self._see_the_end()
            found += self._read(self._rest + "\n")
        return found

    def _see_the_end(self) -> None:
        """A file without a last line end may have been cut: its last column must show that it is whole."""
        if not self._order:
            _refuse_lone_returns(self._rest)
            return
        whole = [name for name, at in zip(COLUMNS, self._order, strict=True) if at == self._width - 1]
        if not whole or whole[0] not in _FIXED_FORM:
            raise FileRefused(
                "The last line has no line end, so that its last column may have been cut short.",
                code="file_cut",
                remedy="Send the whole file again; end its last line with a line break.",
            )

    def _read(self, text: str) -> list[Record]:
        if not self._order and (begun := text.lstrip()):
            _refuse_other_text(begun.split("\n", 1)[0])
        if '"' in text and _RECORDS.fullmatch(text) is None:
            raise self._misquoted(text)
        broken = not text.isascii() and _BROKEN.search(text) is not None
        reader = csv.reader(io.StringIO(text, newline="\n"), strict=True)
        found: list[Record] = []
        before, first = 0, self._lines + 1
        while True:
            line = first + before
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error:  # a carriage return inside a cell that is not quoted
                cells = None
            before = reader.line_num
            if cells == []:
                continue
            if not self._order:
                if cells not in _SEPARATOR_LINES:
                    self._names = _without_empty_columns(cells or [])
                    self._order, self._width = _order_of(self._names)
            elif (record := self._record(line, cells, broken)) is not None:
                found.append(record)
        self._lines += text.count("\n")
        return found

    def _record(self, line: int, cells: list[str] | None, broken: bool) -> Record | None:
        if cells is None or len(cells) != self._width:
            cells = None if cells is None else _without_empty_columns(cells, self._width)
            if cells is not None and not any(map(str.strip, cells)):
                return None  # an empty row of a spreadsheet
            if cells is None or len(cells) != self._width:
                hint = None if cells is None else f"{len(cells)}/{self._width}"
                return Record(line, (), Fault(None, RowCode.ROW_MALFORMED.value, hint))
        if cells[0][:1] == _MARK:  # of the next file, where files were put one behind the other
            cells[0] = cells[0].lstrip(_MARK)
        if cells == self._names or not (cells[0].strip() or any(map(str.strip, cells))):
            return None  # the header again, or an empty row
        row = tuple([cells[at] for at in self._order])
        return Record(line, row, _encoding(row) if broken else None)

    def _misquoted(self, text: str) -> FileRefused:
        at = 0
        while (found := _RECORD.match(text, at)) is not None:
            at = found.end()
        return FileRefused(
            f"The double quotes of line {self._lines + text.count(chr(10), 0, at) + 1} are not those of a CSV (RFC"
            " 4180): where the rows behind it begin and end cannot be told.",
            code="quotes_invalid",
            remedy="Quote a whole cell or none of it, and double each quote inside; any spreadsheet's CSV export does.",
        )


def _last_record_end(text: str) -> int:
    """Behind the last line end that is not inside quotes; 0 where there is none."""
    cut = text.rfind("\n") + 1
    quotes = text.count('"', 0, cut)
    while quotes % 2 and cut:
        before = text.rfind("\n", 0, cut - 1) + 1
        quotes -= text.count('"', before, cut)
        cut = before
    return cut


def _refuse_lone_returns(head: str) -> None:
    if "\r" in head:
        raise FileRefused(
            "The lines end with a carriage return alone.",
            code="line_ends_unsupported",
            remedy=f"End them with LF or CR LF. {SAVE_AS}",
        )


def _unclosed(line: int) -> FileRefused:
    return FileRefused(
        f"The row that begins in line {line} does not end within {MAX_RECORD_CHARS} characters, or not at all: a double"
        " quote is not closed, or lines have no ends.",
        code="row_unending",
        remedy="Close the quotes of that line, or send the whole file again.",
    )


def _refuse_other_text(first_line: str) -> None:
    if first_line.startswith("<"):
        raise FileRefused("This is HTML or XML, not a batch as text.", code="file_foreign", remedy=SAVE_AS)
    if first_line.startswith(("{", "[")):
        raise FileRefused(
            "This is JSON, sent as a CSV.",
            code="header_invalid",
            remedy="Send one JSON object a line as application/x-ndjson (a file named .ndjson or .jsonl).",
        )
    if (separator := _other_separator(first_line.strip().lower())) is not None:
        raise FileRefused(
            f"The columns are separated by {separator}, not by commas.",
            code="separator_unsupported",
            remedy=f"Separate them with commas, whole rupiah without dots. {SAVE_AS}",
        )


def _order_of(names: list[str]) -> tuple[list[int], int]:
    names = [cleaned(name).lower() for name in names]
    missing = [name for name in COLUMNS if name not in names]
    begin = f"Begin with: {','.join(COLUMNS)}"
    if len(names) == 1 and names[0].split(",")[0] in COLUMNS and len(names[0].split(",")) >= len(COLUMNS):
        raise FileRefused(
            "Each line stands within double quotes as a whole, so that it is one cell.",
            code="header_invalid",
            remedy=f"In the spreadsheet put the columns apart (Data, Text to Columns, by commas). {SAVE_AS}",
        )
    if len(missing) == 1 and any(name.startswith(missing[0]) for name in names):
        raise FileRefused(
            "The rows stand in one line: the line breaks are missing.",
            code="header_invalid",
            remedy="Send the file as it is, with a line break behind each row: curl --data-binary @FILE (-d takes them"
            " out).",
        )
    if missing:
        raise FileRefused(
            f"The first line must name the columns; missing: {', '.join(missing)}.",
            field=missing[0],
            code="header_invalid",
            remedy=begin,
        )
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise FileRefused(f"The first line names a column twice{_named(name)}.", code="header_invalid", remedy=begin)
    for name in names:
        if name not in COLUMNS and name not in NOTES:
            raise FileRefused(
                f"The first line names a column that a batch does not have{_named(name)}.",
                code="header_invalid",
                remedy=f"Take that column out{'' if name else ' (it has no name)'}. {begin}",
            )
    return [names.index(name) for name in COLUMNS], len(names)


def _without_empty_columns(cells: list[str], width: int = 0) -> list[str]:
    """Without the empty cells behind the first `width`: a spreadsheet's columns that were once in use."""
    end = len(cells)
    while end > width and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _other_separator(line: str) -> str | None:
    for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        named = sum(cell.strip('" ') in COLUMNS for cell in line.split(sign))
        if named > len(COLUMNS) // 2 or line.strip('" ') == f"sep={sign}":
            return name
    return None


def _named(name: str) -> str:
    """The name of a column, where it looks like one."""
    return f": {name}" if _NAMEABLE.fullmatch(name) else ""


def _encoding(cells: Cells) -> Fault | None:
    for name, cell in zip(COLUMNS, cells, strict=True):
        if _BROKEN.search(cell):
            return Fault(name, RowCode.ENCODING_INVALID.value)
    return None


class JsonCells:
    """Text of NDJSON as rows: one object a line with exactly the columns as keys."""

    def __init__(self, *, begun: bool = False) -> None:
        """`begun`: it is known to be JSON, so that its first line is a row like any other."""
        self._rest = ""
        self._lines = 0
        self._begun = begun

    def feed(self, text: str, *, last: bool = False) -> list[Record]:
        """The rows that are whole now; raises `FileRefused`."""
        text = self._rest + text
        lines = (text.rstrip(_FILLING) if last else text).split("\n")
        self._rest = "" if last else lines.pop()
        if len(self._rest) > MAX_RECORD_CHARS:
            raise _unclosed(self._lines + len(lines) + 1)
        first = self._lines + 1
        self._lines += len(lines)
        if not self._begun and (filled := [line for line in lines if line.strip()]):
            self._begin(filled[0])
        return [self._record(number, line) for number, line in enumerate(lines, first) if line and not line.isspace()]

    def _begin(self, line: str) -> None:
        self._begun = True
        if not line.lstrip().startswith("{"):
            raise FileRefused(
                "The first line is no JSON object.",
                code="header_invalid",
                remedy="Send one JSON object a line, without brackets around them all; a CSV goes as text/csv.",
            )
        if line.strip() == "{":
            raise FileRefused(
                "The first JSON object is spread over several lines.",
                code="header_invalid",
                remedy="Send each object in one line, without line breaks inside; up to 1,000 rows may go as"
                ' application/json: {"rows": [...]}.',
            )

    def _record(self, line: int, text: str) -> Record:
        return json_record(text, line)


def json_record(text: str, line: int = 1) -> Record:
    """One JSON object as a row: what a line of NDJSON is, and the body of a single incentive."""
    if _BROKEN.search(text):
        return Record(line, (), Fault(None, RowCode.ENCODING_INVALID.value))
    try:
        pairs = _decode(text)
    except (ValueError, RecursionError):  # so deep is no row either
        pairs = None
    if not isinstance(pairs, _Pairs):
        return Record(line, (), Fault(None, RowCode.ROW_MALFORMED.value, "JSON"))
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            shown = name if name in COLUMNS else None
            return Record(line, (), Fault(shown, RowCode.KEY_REPEATED.value))
        if name not in COLUMNS and name not in NOTES:
            return Record(line, (), Fault(None, RowCode.COLUMN_UNKNOWN.value, _named(name)[2:] or None))
        values[name] = value
    return Record(line, tuple([_cell(name, values.get(name)) for name in COLUMNS]))


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all of its keys, those that stand twice as well."""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(object_pairs_hook=_Pairs, parse_constant=_no_constant).decode


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if type(value) is str:
        return value
    if type(value) is int and name in _NUMBERS:
        return str(value)
    return DIGITS if type(value) in (int, float) and name not in _NUMBERS else _ODD


_NUMBERS = frozenset({"amount_rupiah", "period"})
"""Columns whose values may come as numbers or as text; any other number may have lost a zero on its way."""
DIGITS = "\0digits"
"""Stands for a number where a text belongs: a zero in front of it, or its last digits, may be lost."""
_ODD = "\0"
"""Stands for a value of another JSON type: no check of any field lets it through."""
