"""The first sheet of an uploaded workbook (XLSX) as text, small or refused: an archive is weighed before it is read."""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator

import fastexcel
import polars as pl

from models.errors import Invalid, RowError

WORKBOOK_START = b"PK\x03\x04"
PACKED_BYTES_MAX = 16 << 20
UNPACKED_BYTES_MAX = 64 << 20
CELLS_MAX = 3_000_000  # the reader makes room for the whole rectangle up to the last cell
MEMBERS_MAX = 1_000

_CELL = re.compile(rb"""\br\s*=\s*["']([A-Za-z]*)([0-9]+)["']""")
_MIDNIGHT = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}) 00:00:00$"


def read_workbook(chunks: Iterable[bytes]) -> pl.DataFrame:
    """All rows of the first sheet, the header's included, as text with "" for empty cells.

    Raises Invalid: workbook_too_large, or broken_workbook.
    """
    packed = b"".join(_limited(chunks, PACKED_BYTES_MAX))
    try:
        sheet = fastexcel.read_excel(_repacked(packed)).load_sheet(0, header_row=None, dtypes="string")
    except (fastexcel.FastExcelError, zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError) as error:
        raise _refused("broken_workbook") from error
    days = pl.all().str.replace(_MIDNIGHT, "$1")  # a cell that holds a day arrives with its midnight
    return sheet.to_polars().select(days.fill_null(""))


def _repacked(packed: bytes) -> bytes:
    """The same members, stored plainly: what is parsed is exactly what was weighed, whatever the archive declared."""
    members = zipfile.ZipFile(io.BytesIO(packed)).infolist()
    if len(members) > MEMBERS_MAX:
        raise _refused("workbook_too_large")
    plain = io.BytesIO()
    room = UNPACKED_BYTES_MAX
    with zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as archive:
        for member in {member.filename: member for member in members}.values():
            content = b"".join(_limited(_unpacked(packed, member), room))
            room -= len(content)
            if "worksheets/" in member.filename and _cells(content) > CELLS_MAX:
                raise _refused("workbook_too_large")
            archive.writestr(zipfile.ZipInfo(member.filename), content)
    return plain.getvalue()


def _unpacked(packed: bytes, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """A member's content piece by piece; its declared size is not believed."""
    lengths = struct.unpack_from("<HH", packed, member.header_offset + 26)
    start = member.header_offset + 30 + sum(lengths)
    body = packed[start : start + member.compress_size]
    if member.compress_type == zipfile.ZIP_STORED:
        yield body
    elif member.compress_type == zipfile.ZIP_DEFLATED:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        while body and not inflate.eof:
            yield inflate.decompress(body, 1 << 20)
            body = inflate.unconsumed_tail
    else:
        raise _refused("broken_workbook")


def _cells(sheet: bytes) -> int:
    """The area of the rectangle from A1 to the last column and row any cell or row of the sheet names."""
    columns, rows = {"A"}, {b"1"}
    for cell in _CELL.finditer(sheet):
        columns.add(cell[1].decode().upper() or "A")
        rows.add(cell[2])
    return max(map(_column_number, columns)) * max(map(int, rows))


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters[:8]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _limited(chunks: Iterable[bytes], bytes_max: int) -> Iterator[bytes]:
    for chunk in chunks:
        bytes_max -= len(chunk)
        if bytes_max < 0:
            raise _refused("workbook_too_large")
        yield chunk


def _refused(code: str) -> Invalid:
    return Invalid("file_refused", [RowError(0, "*", code)])
