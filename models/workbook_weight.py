"""What a workbook takes once it is read, weighed before: its reader believes whatever a part says of itself.

Each part streams once through a strict parser. Where the reader might take it in another way than is weighed here, a
row within a row, a comment within the number of a string, it is refused: nothing legitimate is written so.
"""

import re
from array import array
from typing import Final
from xml.parsers.expat import ExpatError, ParserCreate

from models.errors import Invalid, RowError

CELLS_MAX: Final = 3_000_000  # the reader makes room for the whole rectangle up to the last value
COLUMNS_MAX: Final = 1_024  # each is a series of its own
TEXT_BYTES_MAX: Final = 64 << 20
TAGS_MAX: Final = 13_000_000  # two of a cell and two of its value
DEPTH_MAX: Final = 64
NAMES_MAX: Final = 10_000  # the parser keeps each
PIECE_BYTES: Final = 1 << 18

_DIGITS: Final = "0123456789"
_FAR: Final = CELLS_MAX + 1
_TABLES: Final = ("sheetData", "sst")
_BELOW: Final = {"sheetData": 0, "sst": 0, "row": 1, "c": 2, "v": 3, "is": 3, "f": 3, "si": 1}  # in its table
_EXPONENT: Final = re.compile(rb"[eE]\+?0*([0-9]{1,3})")  # written out, a number has so many digits


class Scale:
    """Weighs the parts of one workbook, in any order. Raises Invalid: workbook_too_large, or broken_workbook."""

    def __init__(self) -> None:
        self._tags_left = TAGS_MAX
        self._strings = array("I")
        self._sheets: list[_Part] = []

    def add(self, content: bytes) -> None:
        self._tags_left -= content.count(b"<")
        if self._tags_left < 0:
            raise refused("workbook_too_large")
        part = _Part(content)
        if part.strings and self._strings:
            raise refused("broken_workbook")  # which of the two would be read?
        self._strings = part.strings or self._strings
        if part.cells:
            self._sheets.append(part)

    def close(self) -> None:
        """A cell holds a copy of the shared string that it names."""
        for sheet in self._sheets:
            if sheet.named and max(sheet.named) >= len(self._strings):
                raise refused("broken_workbook")
            if sheet.digits + sum(map(self._strings.__getitem__, sheet.named)) > TEXT_BYTES_MAX:
                raise refused("workbook_too_large")


class _Part:
    """One part, parsed: a sheet, the shared strings, or what holds neither. It is called for each tag: few steps."""

    def __init__(self, content: bytes) -> None:
        self.strings = array("I")  # the length of each in bytes
        self.named = array("I")  # of each cell that names a shared string, which
        self.cells = self.digits = 0
        self._tags, self._letters = _Tags(), _Letters()
        self._depth = self._table = 0  # of the open table, if any
        self._next_row, self._row, self._column, self._kind, self._value = 1, 1, 0, "n", 0  # of the open cell
        self._rows = self._columns = 0  # how far values reach
        self._content = content
        self._parser = ParserCreate("utf-8")
        self._parser.StartElementHandler, self._parser.EndElementHandler = self._start, self._end
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        try:
            for start in range(0, len(content), PIECE_BYTES):
                piece = content[start : start + PIECE_BYTES]
                self._parser.Parse(piece)
                self._require_small(start + len(piece) - self._parser.CurrentByteIndex)
            self._parser.Parse(b"", True)
        except ExpatError as error:
            raise refused("broken_workbook") from error
        del self._content, self._parser

    def _require_small(self, open_bytes: int) -> None:
        """`open_bytes`: of a tag without end so far."""
        for size, size_max in (
            (self.cells, CELLS_MAX),
            (self._rows * self._columns, CELLS_MAX),
            (len(self.strings), CELLS_MAX),
            (self._columns, COLUMNS_MAX),
            (self._depth, DEPTH_MAX),
            (open_bytes, PIECE_BYTES),
            (max(len(self._parser.intern), len(self._letters)), NAMES_MAX),
        ):
            if size > size_max:
                raise refused("workbook_too_large")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = self._tags[name]
        self._depth += 1
        if not self._table:
            if tag in _TABLES:
                self._table = self._depth
                if _number(attributes.get("uniqueCount", "")) > CELLS_MAX:
                    raise refused("workbook_too_large")  # the reader makes room for so many
            return
        below = _BELOW.get(tag)
        if below is None:
            return
        if self._depth - self._table != below:
            raise refused("broken_workbook")
        if tag in ("v", "is"):
            self._value = self._parser.CurrentByteIndex
            if self._column > self._columns:
                self._columns = self._column
            if self._row > self._rows:
                self._rows = self._row
        elif tag == "c":
            self.cells += 1
            self._kind = attributes.get("t", "n")
            if place := attributes.get("r"):
                letters = place.rstrip(_DIGITS)
                self._row, self._column = _number(place[len(letters) :]), self._letters[letters]
            else:
                self._row, self._column = self._next_row, self._column + 1
        elif tag == "row" and (place := attributes.get("r")):
            self._next_row = _number(place[len(place.rstrip(_DIGITS)) :])
        elif tag == "si":
            self.strings.append(0)
            self._parser.CharacterDataHandler = self._text

    def _end(self, name: str) -> None:
        self._depth -= 1
        if not self._table:
            return
        tag = self._tags[name]
        if tag == "c":
            return
        if tag == "v":
            self._weigh(self._content[self._value : self._parser.CurrentByteIndex].partition(b">")[2])
        elif tag == "row":
            self._next_row, self._column = self._next_row + 1, 0
        elif tag == "si":
            self._parser.CharacterDataHandler = None
        elif self._depth < self._table:
            self._table = 0

    def _text(self, text: str) -> None:
        self.strings[-1] += len(text.encode())

    def _weigh(self, value: bytes) -> None:
        """A value as it is written: of a number with a tag or an entity in it the reader takes a part."""
        if value.isdigit():
            if self._kind == "s":
                self.named.append(int(value) if len(value) < 8 else _FAR)
        elif self._kind == "s" and value:
            raise refused("broken_workbook")
        elif self._kind == "n" and (exponent := _EXPONENT.search(value)):
            self.digits += int(exponent[1])


class _Tags(dict[str, str]):
    """The name of a tag without its prefix."""

    def __missing__(self, name: str) -> str:
        self[name] = tag = name.partition(":")[2] or name
        return tag


class _Letters(dict[str, int]):
    """The number of a column."""

    def __missing__(self, letters: str) -> int:
        number = 0
        for letter in letters[:4].upper():
            number = number * 26 + ord(letter) - ord("A") + 1
        self[letters] = number
        return number


def refused(code: str) -> Invalid:
    return Invalid("file_refused", [RowError(0, "*", code)])


def _number(digits: str) -> int:
    """Of anything a sheet has less than ten million; what is no number the reader refuses itself."""
    if len(digits) > 7:
        return _FAR
    return int(digits) if digits.isdecimal() else 0


def _refuse_doctype(*_: object) -> None:
    raise refused("broken_workbook")
