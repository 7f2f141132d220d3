"""The first sheet of an uploaded workbook (XLSX) as text, small or refused: an archive is weighed before it is read."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator

import fastexcel
import polars as pl

from models.workbook_weight import TEXT_BYTES_MAX, Scale, refused

WORKBOOK_START = b"PK\x03\x04"
PACKED_BYTES_MAX = 16 << 20
UNPACKED_BYTES_MAX = TEXT_BYTES_MAX
MEMBERS_MAX = 1_000

_PARTS = (".xml", ".rels")  # no pictures, and no workbook of another kind, which nothing here weighs
_FOREIGN = "customxml/"  # what other programs keep in a workbook, in any encoding
_MIDNIGHT = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}) 00:00:00$"


def read_workbook(chunks: Iterable[bytes]) -> pl.DataFrame:
    """All rows of the first sheet, the header's included, as text with "" for empty cells.

    Raises Invalid: workbook_too_large, or broken_workbook.
    """
    packed = b"".join(_limited(chunks, PACKED_BYTES_MAX))
    try:
        sheet = fastexcel.read_excel(_repacked(packed)).load_sheet(0, header_row=None, dtypes="string").to_polars()
    except (fastexcel.FastExcelError, zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError) as error:
        raise refused("broken_workbook") from error
    except BaseException as error:  # the reader's own failure: outside Exception, and its class has no place to import
        if type(error).__name__ != "PanicException":
            raise
        raise refused("broken_workbook") from error
    days = pl.all().str.replace(_MIDNIGHT, "$1")  # a cell that holds a day arrives with its midnight
    return sheet.select(days.fill_null(""))


def _repacked(packed: bytes) -> bytes:
    """The same members, stored plainly: what is parsed is exactly what was weighed, whatever the archive declared."""
    members = zipfile.ZipFile(io.BytesIO(packed)).infolist()
    if len(members) > MEMBERS_MAX:
        raise refused("workbook_too_large")
    plain, scale = io.BytesIO(), Scale()
    room = UNPACKED_BYTES_MAX
    with zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as archive:
        for name, member in {member.filename: member for member in members}.items():
            if not name.lower().endswith(_PARTS) or name.lower().startswith(_FOREIGN):
                continue
            content = b"".join(_limited(_unpacked(packed, member), room))
            room -= len(content)
            scale.add(content)
            archive.writestr(zipfile.ZipInfo(name), content)
    scale.close()
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
        raise refused("broken_workbook")


def _limited(chunks: Iterable[bytes], bytes_max: int) -> Iterator[bytes]:
    for chunk in chunks:
        bytes_max -= len(chunk)
        if bytes_max < 0:
            raise refused("workbook_too_large")
        yield chunk
