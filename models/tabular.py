"""An uploaded file, read once as a stream: bytes in, batches of text columns and named faults out.

CSV in UTF-8 or GB18030 is parsed in blocks, so that memory does not grow with the file; a workbook
(XLSX) is small or refused. Nothing touches a disk, and no fault carries a value of the file.
"""

import csv
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import BinaryIO, NamedTuple, TypeAlias, cast

import polars as pl

from models.errors import Invalid, RowError
from models.workbook import WORKBOOK_START, read_workbook

CHUNK_BYTES = 1 << 20
BLOCK_BYTES = 2 << 20
LINE_BYTES_MAX = 1 << 18
RECORD_CHARS_MAX = 1 << 16  # below the limit of the csv module
SAMPLE_LINES = 1_000  # of which the encoding is told
ROWS_PER_BATCH = 20_000  # of a workbook

ENCODINGS = ("utf-8", "gb18030")
UTF8_MARK = b"\xef\xbb\xbf"
UNREADABLE = {b"\xff\xfe": "encoding", b"\xfe\xff": "encoding", b"\xd0\xcf": "unsupported_format"}  # UTF-16, XLS
BLANK = ', \t\r"'  # a spreadsheet writes an empty row with nothing but these

ERROR_SCHEMA = {"row": pl.Int64, "field": pl.String, "code": pl.String}


class Header(NamedTuple):
    """The columns a file may have, must have, and must never bring."""

    known: Collection[str]
    required: Collection[str]
    forbidden: Collection[str] = ()


class Batch(NamedTuple):
    """`rows`: `row` (Int64, 1 is the first below the header) and the columns of the file as text, empty is "".

    `errors`: row, field, code. A row that is not blank is in exactly one of the two.
    """

    rows: pl.DataFrame
    errors: pl.DataFrame


class FileOutcome(NamedTuple):
    """Rows by what became of them; `errors` names every fault of the refused ones, by row."""

    accepted: int
    repeated: int
    refused: int
    errors: list[RowError]


class Upload:
    """The bytes of one upload, read once and hashed on the way."""

    def __init__(self, source: BinaryIO | Iterable[bytes]) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        if hasattr(self._source, "read"):
            file = cast(BinaryIO, self._source)
            chunks: Iterable[bytes] = iter(lambda: file.read(CHUNK_BYTES), b"")
        else:
            chunks = self._source
        for chunk in chunks:
            self._hash.update(chunk)
            self.size += len(chunk)
            yield chunk

    def digest(self) -> bytes:
        """SHA-256 of what was read so far: of the whole file once the last batch is taken."""
        return self._hash.digest()


Source: TypeAlias = Upload | BinaryIO | Iterable[bytes]


def read_table(
    source: Source, header: Header, *, may_be_empty: bool = False, rows_max: int | None = None
) -> Iterator[Batch]:
    """Batches in file order, at least one; raises Invalid (row 0) where the file as a whole is refused.

    The faults of a row, all of field `*`: encoding, row_too_long, broken_quotes, too_few_fields,
    too_many_fields, truncated_row. Without any row the file is refused as `header_only`, unless it `may_be_empty`;
    with more than `rows_max`, as `too_many_rows`.
    """
    chunks = iter(source if isinstance(source, Upload) else Upload(source))
    start = _first_bytes(chunks)
    content = chain((start,), chunks)
    batches = _workbook_batches(content, header) if start.startswith(WORKBOOK_START) else _csv_batches(content, header)
    rows_seen = 0
    for batch in batches:
        rows_seen += batch.rows.height + batch.errors.height
        if rows_max is not None and rows_seen > rows_max:
            raise refused([RowError(0, "*", "too_many_rows")])
        if rows_seen or may_be_empty:
            yield batch
    if not rows_seen and not may_be_empty:
        raise refused([RowError(0, "*", "header_only")])


def refused(errors: list[RowError]) -> Invalid:
    """The file as a whole is refused."""
    return Invalid("file_refused", errors)


def error_frame(errors: list[RowError]) -> pl.DataFrame:
    return pl.DataFrame(errors, schema=ERROR_SCHEMA, orient="row")


def _first_bytes(chunks: Iterator[bytes]) -> bytes:
    """Enough of the file to tell what it is, without its byte order mark."""
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) >= len(WORKBOOK_START):
            break
    if code := UNREADABLE.get(start[:2]):
        raise refused([RowError(0, "*", code)])
    start = start.removeprefix(UTF8_MARK)
    if not start.strip():
        raise refused([RowError(0, "*", "empty_file")])
    return start


def _column_names(fields: Sequence[str], header: Header, places: Sequence[int] = ()) -> list[str]:
    """The header's names, checked. An unknown column is named by its place (from 1; `places` where some stand empty):
    it may be a borrower's data."""
    names = [re.sub(r"[\s-]+", "_", field.strip().lower()) for field in fields]
    errors = [RowError(0, name, "missing_column") for name in header.required if name not in names]
    for index, (place, name) in enumerate(zip(places or range(1, len(names) + 1), names, strict=True)):
        if name in header.forbidden:
            errors.append(RowError(0, name, "forbidden_column"))
        elif name not in header.known:
            errors.append(RowError(0, f"#{place}", "unknown_column"))
        elif name in names[:index]:
            errors.append(RowError(0, name, "duplicate_column"))
    if errors:
        raise refused(errors)
    return names


def _workbook_batches(chunks: Iterable[bytes], header: Header) -> Iterator[Batch]:
    sheet = read_workbook(chunks)
    if sheet.is_empty():
        raise refused([RowError(0, "*", "empty_file")])
    titles = dict(zip(sheet.columns, sheet.row(0), strict=True))
    named = [column for column, title in titles.items() if title.strip()]
    stray = [pl.col(column) != "" for column in titles if column not in named]
    places = [place for place, title in enumerate(titles.values(), 1) if title.strip()]
    names = _column_names([titles[column] for column in named], header, places)
    table = (
        sheet.slice(1)
        .with_row_index("row", offset=1)
        .with_columns(pl.col("row").cast(pl.Int64), stray=pl.any_horizontal(pl.lit(value=False), *stray))
        .filter(pl.any_horizontal("stray", *(pl.col(column).str.strip_chars() != "" for column in named)))
    )
    for batch in [*table.iter_slices(ROWS_PER_BATCH)] or [table]:
        rows = batch.filter(~pl.col("stray")).select("row", **dict(zip(names, map(pl.col, named), strict=True)))
        strays = batch.filter("stray")["row"].to_list()
        yield Batch(rows, error_frame([RowError(row, "*", "too_many_fields") for row in strays]))


def _csv_batches(chunks: Iterable[bytes], header: Header) -> Iterator[Batch]:
    decoder = _Decoder()
    names: list[str] = []
    waiting: list[str | None] = []
    row = 1
    for block, is_last in _blocks(chunks):
        lines = waiting + decoder.lines(block)
        if not names:
            names = _column_names(_header_fields(lines.pop(0)), header)
        records = _Records(row, names)
        waiting = records.take(lines, is_last=is_last)
        row = records.row
        yield records.batch()


def _header_fields(line: str | None) -> list[str]:
    if line is None:
        raise refused([RowError(0, "*", "encoding")])
    fields, code, _ = _record([line], 0)
    if code:
        raise refused([RowError(0, "*", "broken_quotes")])
    return fields


def _blocks(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Whole lines, about BLOCK_BYTES at a time and without the last line's end, and whether the file ends there.

    A line without end is dropped beyond LINE_BYTES_MAX: it is refused anyway.
    """
    parts: list[bytes] = []
    size = open_line = 0
    for chunk in chunks:
        head, newline, tail = chunk.rpartition(b"\n")
        open_line = len(tail) if newline else open_line + len(chunk)
        if newline and size + len(chunk) >= BLOCK_BYTES:
            yield b"".join((*parts, head)), False
            parts, size = [tail], len(tail)
        elif newline or open_line <= LINE_BYTES_MAX or not parts:
            parts.append(chunk)
            size += len(chunk)
    yield b"".join(parts).removesuffix(b"\n"), True


class _Decoder:
    """Text of a file in an encoding that shows only when its first non-ASCII bytes arrive."""

    def __init__(self) -> None:
        self.encoding: str | None = None

    def lines(self, block: bytes) -> list[str | None]:
        """The block's lines without their ends; None for a line that holds broken bytes."""
        block = block.replace(b"\r\n", b"\n").removesuffix(b"\r")
        if self.encoding is None and not block.isascii():
            lines = [line for line in block.split(b"\n") if not line.isascii()][:SAMPLE_LINES]
            # Most lines decide, so that a broken one does not turn the file into another encoding.
            self.encoding = max(ENCODINGS, key=lambda name: sum(_decoded(line, name) is not None for line in lines))
        encoding = self.encoding or "ascii"
        text = _decoded(block, encoding)
        if text is not None:
            return cast("list[str | None]", text.split("\n"))
        return [_decoded(line, encoding) for line in block.split(b"\n")]


def _decoded(text: bytes, encoding: str) -> str | None:
    try:
        return text.decode(encoding)
    except UnicodeDecodeError:
        return None


class _Records:
    """The records of one block: lines without quotes are split all at once, the others one by one."""

    def __init__(self, row: int, names: list[str]) -> None:
        self.row = row
        self.names = names
        self.plain: list[str] = []
        self.plain_rows: list[int] = []
        self.quoted: list[list[str]] = []
        self.quoted_rows: list[int] = []
        self.errors: list[RowError] = []

    def take(self, lines: list[str | None], *, is_last: bool) -> list[str | None]:
        """Sort the lines into records and faults; returns the lines of a record that goes on in the next block."""
        width = len(self.names)
        at = 0
        while at < len(lines):
            line = lines[at]
            end, code, count, fields = at + 1, "", width, None
            if line is None:
                code = "encoding"
            elif len(line) > RECORD_CHARS_MAX:
                code = "row_too_long"
            elif line[:1] in BLANK and not line.strip(BLANK):
                self.row += 1
                at = end
                continue
            elif '"' in line:
                fields, code, end = _record(lines, at)
                count = len(fields)
                if code == "open_quote" and not is_last:
                    return lines[at:]
            else:
                count = line.count(",") + 1
            self._add(line, fields, code or _width_fault(count, width, is_last=is_last and end == len(lines)))
            self.row += 1
            at = end
        return []

    def _add(self, line: str | None, fields: list[str] | None, code: str) -> None:
        if code:
            self.errors.append(RowError(self.row, "*", "truncated_row" if code == "open_quote" else code))
        elif fields is not None:
            self.quoted.append(fields)
            self.quoted_rows.append(self.row)
        elif line is not None:
            self.plain.append(line)
            self.plain_rows.append(self.row)

    def batch(self) -> Batch:
        schema = dict.fromkeys(self.names, pl.String)
        rows = pl.DataFrame(self.quoted, schema=schema, orient="row")
        rows = rows.insert_column(0, pl.Series("row", self.quoted_rows, pl.Int64))
        if self.plain:
            text = "\n".join(self.plain).encode()
            plain = pl.read_csv(text, has_header=False, schema=schema, quote_char=None, empty_string_is_null=False)
            plain = plain.insert_column(0, pl.Series("row", self.plain_rows, pl.Int64))
            rows = pl.concat([plain, rows]).sort("row") if self.quoted else plain
        return Batch(rows, error_frame(self.errors))


def _width_fault(count: int, width: int, *, is_last: bool) -> str:
    if count < width:
        return "truncated_row" if is_last else "too_few_fields"
    return "too_many_fields" if count > width else ""


def _record(lines: list[str | None], at: int) -> tuple[list[str], str, int]:
    """The fields of the record that starts at a line, or its fault, and the line after it.

    A record whose quotes do not end is `open_quote` if it may go on below what we have. After a broken
    one reading goes on with the very next line, so that one stray quote does not swallow the rows below.
    """
    first = lines[at]
    assert first is not None
    fields = _split(first)
    if fields is not None:
        return fields, "", at + 1
    size = len(first)
    if first.count('"') % 2 == 0:
        return [], "broken_quotes", at + 1
    for end in range(at + 1, len(lines)):
        line = lines[end]
        size += len(line or "") + 1
        if line is None or size > RECORD_CHARS_MAX:
            return [], "broken_quotes", at + 1
        if line.count('"') % 2:
            fields = _split("\n".join(cast("list[str]", lines[at : end + 1])))
            return (fields, "", end + 1) if fields is not None else ([], "broken_quotes", at + 1)
    return [], "open_quote", at + 1


def _split(record: str) -> list[str] | None:
    try:
        return next(csv.reader((record,), strict=True))
    except csv.Error:
        return None
