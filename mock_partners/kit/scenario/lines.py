"""Where each key of a TOML text stands: the standard reader tells values, not lines, and a good error names both."""

from __future__ import annotations

import tomllib
from typing import Any

Path = tuple[str | int, ...]


class Lines:
    """The line of every key of a text that `tomllib` has taken; the nearest known line of any other path."""

    def __init__(self, text: str) -> None:
        self._found: dict[Path, int] = {}
        _Scanner(text, self._found).document()

    def of(self, path: Path) -> int:
        while path and path not in self._found:
            path = path[:-1]
        return self._found.get(path, 1)


class _Scanner:
    """Walks over a valid document once; of values it understands only where they end."""

    def __init__(self, text: str, found: dict[Path, int]) -> None:
        self._text, self._at, self._found = text.replace("\r\n", "\n"), 0, found
        self._arrays: dict[Path, int] = {}
        self._line, self._counted = 1, 0

    def document(self) -> None:
        table: Path = ()
        while self._skip(" \t\n"):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        line = self._here()
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        path = self._resolve(self._key("]"), many)
        self._at += 2 if many else 1
        self._note(path, line)
        return path

    def _resolve(self, names: tuple[str, ...], many: bool) -> Path:
        """A header's names with the numbers of the array elements they lie in."""
        path: Path = ()
        for place, name in enumerate(names, 1):
            path = (*path, name)
            if many and place == len(names):
                self._arrays[path] = self._arrays.get(path, -1) + 1
            if path in self._arrays:
                path = (*path, self._arrays[path])
        return path

    def _pair(self, table: Path) -> None:
        line = self._here()
        path: Path = table
        for name in self._key("="):
            path = (*path, name)
            self._note(path, line)
        self._at += 1
        self._value(path)

    def _key(self, end: str) -> tuple[str, ...]:
        """The dotted key before `end`, read by the standard reader."""
        start = self._at
        while self._text[self._at] != end:
            if self._text[self._at] in "\"'":
                self._string()
            else:
                self._at += 1
        value: Any = tomllib.loads(self._text[start : self._at] + "=0")
        names = []
        while isinstance(value, dict):
            name = next(iter(value))
            names.append(name)
            value = value[name]
        return tuple(names)

    def _value(self, path: Path) -> None:
        self._skip(" \t\n")
        match self._text[self._at]:
            case '"' | "'":
                self._string()
            case "[":
                self._list(path)
            case "{":
                self._inline(path)
            case _:
                while self._at < len(self._text) and self._text[self._at] not in ",]}\n#":
                    self._at += 1

    def _list(self, path: Path) -> None:
        self._at += 1
        place = 0
        while self._skip(" \t\n,") and self._text[self._at] != "]":
            self._note((*path, place), self._here())
            self._value((*path, place))
            place += 1
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while self._skip(" \t\n,") and self._text[self._at] != "}":
            self._pair(path)
        self._at += 1

    def _string(self) -> None:
        quote = self._text[self._at]
        mark = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(mark)
        while not self._text.startswith(mark, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(mark)
        while len(mark) == 3 and self._at < len(self._text) and self._text[self._at] == quote:
            self._at += 1  # up to two quotes may stand before the closing three

    def _skip(self, blanks: str) -> bool:
        """Passes blanks and comments; whether anything is left."""
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._text[self._at] in blanks:
                self._at += 1
            else:
                return True
        return False

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _note(self, path: Path, line: int) -> None:
        self._found.setdefault(path, line)
