"""The one writer of CSV exports: RFC 4180, and no cell that a spreadsheet would run as a formula."""

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

# What starts a formula in one spreadsheet or another, also when it trims the cell before it looks; the
# full-width forms are read as the plain ones.
FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
QUOTED = re.compile(r'[,"\r\n]')
BOM = "\ufeff"  # lets a spreadsheet know that the file is UTF-8


def csv_line(values: Iterable[object]) -> str:
    """One record with its CRLF. Numbers stay numbers, also negative ones; None is an empty cell."""
    return ",".join(map(_cell, values)) + "\r\n"


def csv_lines(records: Iterable[Iterable[object]], *, bom: bool = False) -> Iterator[str]:
    """One string per record, for a streamed answer; with `bom` the first starts with a byte order mark."""
    mark = BOM if bom else ""
    for record in records:
        yield mark + csv_line(record)
        mark = ""


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)
    if FORMULA.match(text):
        text = "'" + text
    if QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
