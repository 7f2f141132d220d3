"""A case file (CSV, UTF-8 or GB18030) read row by row: each row good, or named with what is wrong with it.

No fault carries a value of the file. Columns, rules and codes are those of the platform's own intake.
"""

import csv
import datetime as dt
import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

from crypto.case_columns import COLUMNS, FORBIDDEN_COLUMNS, age_band, crossed_faults
from crypto.errors import CaseFileRefused, RowFault

LINE_BYTES_MAX = 1 << 18
RECORD_CHARS_MAX = 1 << 16  # below the limit of the csv module
SAMPLE_LINES = 1_000  # of which the encoding is told

ENCODINGS = ("utf-8", "gb18030")
UTF8_MARK = b"\xef\xbb\xbf"
UNREADABLE = {  # UTF-16, XLS, XLSX
    b"\xff\xfe": "encoding",
    b"\xfe\xff": "encoding",
    b"\xd0\xcf": "unsupported_format",
    b"PK": "unsupported_format",
}
BLANK = ', \t\r"'  # a spreadsheet writes an empty row with nothing but these


class CaseRow(NamedTuple):
    """A row that stands: the tidy texts of the columns it gives, and the band of its borrower's age."""

    row: int
    texts: dict[str, str]
    age_band: str


def read_case_rows(file: BinaryIO, on: dt.date) -> Iterator[CaseRow | list[RowFault]]:
    """Each row as itself or as its faults, in file order; only the case numbers seen are kept.

    `on` is the business day: ages are those of that day, and no day may lie after it. Raises CaseFileRefused
    for the file as a whole: its header, its format, or no rows at all.
    """
    records = _records(file)
    header = next(records, None)
    if header is None:
        raise CaseFileRefused([RowFault(0, "*", "empty_file")])
    if isinstance(header.fields, str):
        raise CaseFileRefused([RowFault(0, "*", header.fields)])
    names = _column_names(header.fields)
    seen: set[str] = set()
    is_empty = True
    for row, (fields, is_last) in enumerate(records, start=1):
        if not fields:
            continue
        is_empty = False
        if isinstance(fields, str):
            yield [RowFault(row, "*", fields)]
        elif len(fields) == len(names):
            yield _judged(row, dict(zip(names, fields, strict=True)), seen, on)
        else:
            short = "truncated_row" if is_last else "too_few_fields"
            yield [RowFault(row, "*", short if len(fields) < len(names) else "too_many_fields")]
    if is_empty:
        raise CaseFileRefused([RowFault(0, "*", "header_only")])


def _judged(row: int, fields: dict[str, str], seen: set[str], on: dt.date) -> CaseRow | list[RowFault]:
    tidy = {column.name: column.tidied(fields.get(column.name, "")) for column in COLUMNS}
    crossed = crossed_faults(tidy, on)
    number = tidy["case_number"]
    if number in seen:
        crossed["case_number"] = "duplicate_case_number"
    elif number:
        seen.add(number)
    codes = ((column.name, column.fault(tidy[column.name]) or crossed.get(column.name)) for column in COLUMNS)
    faults = [RowFault(row, name, code) for name, code in codes if code]
    if faults:
        return faults
    return CaseRow(row, {name: text for name, text in tidy.items() if text}, age_band(tidy["id_number"], on))


def _column_names(fields: list[str]) -> list[str]:
    """The header's names, checked. An unknown column is named by its place: it may be a borrower's data."""
    names = [re.sub(r"[\s-]+", "_", field.strip().lower()) for field in fields]
    known = {column.name for column in COLUMNS}
    missing = [column.name for column in COLUMNS if column.required and column.name not in names]
    faults = [RowFault(0, name, "missing_column") for name in missing]
    for place, name in enumerate(names):
        if name in FORBIDDEN_COLUMNS:
            faults.append(RowFault(0, name, "forbidden_column"))
        elif name not in known:
            faults.append(RowFault(0, f"#{place + 1}", "unknown_column"))
        elif name in names[:place]:
            faults.append(RowFault(0, name, "duplicate_column"))
    if faults:
        raise CaseFileRefused(faults)
    return names


class _Record(NamedTuple):
    """The fields of a record, none for a blank one, or the code of its fault; and whether the file ends with it."""

    fields: list[str] | str
    is_last: bool


class _BadLine(NamedTuple):
    code: str


class _Lines:
    """The file's lines without their ends, and those that were taken and put back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._encoding = _encoding_of(file)
        self._waiting: deque[str | _BadLine] = deque()

    def take(self) -> str | _BadLine | None:
        """The next line, or None at the end."""
        if not self._waiting:
            self._read()
        return self._waiting.popleft() if self._waiting else None

    def put_back(self, lines: list[str | _BadLine]) -> None:
        self._waiting.extendleft(reversed(lines))

    def ended(self) -> bool:
        if not self._waiting:
            self._read()
        return not self._waiting

    def _read(self) -> None:
        line = self._file.readline(LINE_BYTES_MAX)
        if not line:
            return
        if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = self._file.readline(LINE_BYTES_MAX)
            self._waiting.append(_BadLine("row_too_long"))
            return
        text = _decoded(line.removesuffix(b"\n").removesuffix(b"\r"), self._encoding)
        self._waiting.append(_BadLine("encoding") if text is None else text)


def _records(file: BinaryIO) -> Iterator[_Record]:
    """After a broken record reading goes on with the very next line: one stray quote does not swallow the rest."""
    lines = _Lines(file)
    while (line := lines.take()) is not None:
        yield _Record(_fields(line, lines), is_last=lines.ended())


def _fields(line: str | _BadLine, lines: _Lines) -> list[str] | str:
    if isinstance(line, _BadLine):
        return line.code
    if len(line) > RECORD_CHARS_MAX:
        return "row_too_long"
    if line[:1] in BLANK and not line.strip(BLANK):
        return []
    if '"' not in line:
        return line.split(",")
    return _split(line) or (_spread(line, lines) if line.count('"') % 2 else "broken_quotes")


def _spread(first: str, lines: _Lines) -> list[str] | str:
    """The fields of a record whose quotes go on below its first line."""
    texts: list[str] = [first]
    taken: list[str | _BadLine] = []
    size = len(first)
    while (line := lines.take()) is not None:
        taken.append(line)
        if isinstance(line, _BadLine):
            break
        texts.append(line)
        size += len(line) + 1
        if size > RECORD_CHARS_MAX:
            break
        if line.count('"') % 2:
            fields = _split("\n".join(texts))
            if fields is not None:
                return fields
            break
    lines.put_back(taken)
    return "truncated_row" if line is None else "broken_quotes"


def _split(record: str) -> list[str] | None:
    try:
        return next(csv.reader((record,), strict=True))
    except csv.Error:
        return None


def _encoding_of(file: BinaryIO) -> str:
    """What most of the first lines are in, so that a broken one does not turn the file into another encoding.

    Leaves the file at its first line, behind a byte order mark.
    """
    start = file.read(4)
    for mark, code in UNREADABLE.items():
        if start.startswith(mark):
            raise CaseFileRefused([RowFault(0, "*", code)])
    begin = len(UTF8_MARK) if start.startswith(UTF8_MARK) else 0
    file.seek(begin)
    odd = (line for line in iter(lambda: file.readline(LINE_BYTES_MAX), b"") if not line.isascii())
    sample = [line.rstrip(b"\r\n") for line in islice(odd, SAMPLE_LINES)]
    file.seek(begin)
    return max(ENCODINGS, key=lambda name: sum(_decoded(line, name) is not None for line in sample))


def _decoded(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return None
