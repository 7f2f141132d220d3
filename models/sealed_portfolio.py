"""A portfolio that its lender has sealed itself (`consign-sealed/1`): figures, masks, tokens and cells, line by line.

The first line names lender, portfolio and keys, the last one is the lender's signature over all before it. What is
wrong with the file as a whole is refused as a whole; what is wrong with one case is a fault of its row, under the
same codes as a case file's.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import chain, islice
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl

from crypto import cobblestone, strict
from crypto.case_columns import AGE_BANDS
from crypto.errors import CryptoError, SignatureRefused
from crypto.fields import FIELD_CLASSES, FIELDS, MASK_KINDS
from crypto.grants import Grant, verify_signature
from crypto.masking import looks_masked
from models.case_file import FIGURE_COLUMNS, judge_figures
from models.columns import Seen
from models.errors import Invalid, RowError
from models.ids import new_id_texts
from models.intake import FIGURES, SALT_BYTES, SealedBatch
from models.tabular import Batch, error_frame, refused

FORMAT: Final = "consign-sealed/1"
FIRST_BYTES: Final = b'{"format":"consign-sealed/'
LINE_BYTES_MAX = 1 << 18
ROWS_PER_BATCH = 5_000
MASK_CHARS_MAX = 320
TOKEN_BYTES = 32
CELL_PAD_BYTES = 64
CELL_BYTES_MAX = cobblestone.CHUNK_BYTES  # no case file's row fills one chunk with one class

NAMES: Final = tuple(column.name for column in FIGURE_COLUMNS)
MEMBERS: Final = {"row", *NAMES, "age_band", "masks", "id_token", "mobile_tokens", "salt", "cells"}
MASKED: Final = {field: field_class for field_class, fields in FIELDS.items() for field in fields}
NEEDED_MASKS: Final = ("name", "id_number", "mobile")
BANDS: Final = frozenset(AGE_BANDS.values())
_surrogate = re.compile("[\ud800-\udfff]").search

PEOPLE: Final = {
    "row": pl.Int64,
    **dict.fromkeys(("age_band", "masks"), pl.String),
    **dict.fromkeys(("id_token", "mobile_token", "mobile_2_token", "salt", *FIELDS), pl.Binary),
}


class Header(NamedTuple):
    """`grants`: of each field class the lender's own key, as its tool wrapped and signed it."""

    lender_id: UUID
    portfolio_id: UUID
    sealed_on: dt.date
    row_count: int
    grants: dict[str, Grant]


class SealedFile:
    """One file, read once. Raises Invalid, at the line where it shows, for what refuses the file as a whole."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._lines = _lines(chunks)
        self._hash = sha256()
        self._row = 0
        self._count = 0
        self._first = next(self._lines, b"")
        self.header = _header(self._first)

    def batches(self, signing_public: bytes, on: dt.date) -> Iterator[SealedBatch]:
        """The cases in file order. Only the whole iteration shows that the file is whole and the lender's."""
        seen = Seen()
        lines = self._before_the_last()
        while taken := list(islice(lines, ROWS_PER_BATCH)):
            yield _judged([self._case(line) for line in taken], seen, on)
        self._require_signed(signing_public)

    def _before_the_last(self) -> Iterator[bytes]:
        """Every line between the header and the last, which stays in `_first`."""
        self._hash.update(self._first)
        last = next(self._lines, None)
        for line in self._lines:
            assert last is not None
            self._hash.update(last)
            yield last
            last = line
        self._first = last or b""

    def _case(self, line: bytes) -> dict[str, Any]:
        case = _parsed(line, "sealed_file_broken")
        row = case.get("row")
        # Rows the tool has left out are missing; none comes twice.
        if type(row) is not int or not self._row < row < 1 << 31:
            raise _whole("sealed_file_broken")
        self._row = row
        self._count += 1
        return case

    def _require_signed(self, signing_public: bytes) -> None:
        last = _parsed(self._first, "sealed_file_cut_off")
        if last.keys() != {"digest", "signature"}:
            raise _whole("sealed_file_cut_off")
        if self._count != self.header.row_count:
            raise _whole("sealed_file_cut_off")
        digest = self._hash.digest()
        if last["digest"] != digest.hex():
            raise _whole("sealed_file_altered")
        try:
            verify_signature(signing_public, "portfolio", digest, strict.unbase64(last["signature"], 64))
        except (ValueError, SignatureRefused):
            raise _whole("sealed_file_unsigned") from None
        if not self._count:
            raise _whole("header_only")


def peek(chunks: Iterable[bytes]) -> tuple[bool, Iterator[bytes]]:
    """Whether this is a sealed portfolio, and all of its bytes."""
    stream = iter(chunks)
    start = b""
    for chunk in stream:
        start += chunk
        if len(start) >= len(FIRST_BYTES):
            break
    return start.startswith(FIRST_BYTES), chain((start,), stream)


def _whole(code: str) -> Invalid:
    return refused([RowError(0, "*", code)])


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines with their ends, the last one perhaps without."""
    open_line = b""
    for chunk in chunks:
        *lines, open_line = (open_line + chunk).split(b"\n")
        if len(open_line) > LINE_BYTES_MAX:
            raise _whole("sealed_file_broken")
        for line in lines:
            yield line + b"\n"
    if open_line:
        yield open_line


def _parsed(line: bytes, code: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    # Raised here, outside: the parser's error carries the line.
    if not isinstance(found, dict) or len(line) > LINE_BYTES_MAX:
        raise _whole(code)
    return found


def _header(line: bytes) -> Header:
    header = _parsed(line, "sealed_file_broken")
    if header.get("format") != FORMAT:
        raise _whole("sealed_file_version")
    try:
        strict.exactly(header, "format", "lender", "portfolio", "sealed_on", "rows", "classes")
        classes = strict.exactly(header["classes"], *FIELD_CLASSES)
        return Header(
            lender_id=UUID(bytes=strict.raw_id(header["lender"])),
            portfolio_id=UUID(bytes=strict.raw_id(header["portfolio"])),
            sealed_on=dt.date.fromisoformat(strict.text(header["sealed_on"])),
            row_count=strict.integer(header["rows"]),
            grants={name: Grant.from_json(classes[name]) for name in FIELD_CLASSES},
        )
    except (ValueError, CryptoError):
        raise _whole("sealed_file_broken") from None


def _judged(cases: list[dict[str, Any]], seen: Seen, on: dt.date) -> SealedBatch:
    texts = {name: [_figure(case.get(name)) for case in cases] for name in NAMES}
    rows = pl.Series("row", [case["row"] for case in cases], pl.Int64)
    given = Batch(pl.DataFrame({"row": rows, **texts}, schema_overrides=dict.fromkeys(NAMES, pl.String)), _no_errors())
    figures = judge_figures(given, seen, on)
    people, faults = [], []
    for case in cases:
        person, wrong = _person(case)
        people.append(person)
        faults += [RowError(case["row"], field, code) for field, code in wrong]
    errors = pl.concat([figures.errors, error_frame(faults)]).sort("row", maintain_order=True)
    good = figures.rows.join(errors, on="row", how="anti", maintain_order="left")
    good = good.join(pl.DataFrame(people, PEOPLE, orient="row"), on="row", maintain_order="left")
    ids = new_id_texts(2 * good.height)
    return SealedBatch(
        good.select(
            **{name: pl.col(column) for name, column in FIGURES.items()},
            case_id=pl.Series(ids[: good.height], dtype=pl.String),
            borrower_id=pl.Series(ids[good.height :], dtype=pl.String),
            **{name: pl.col(name) for name in PEOPLE if name not in FIGURES},
        ),
        errors,
    )


def _no_errors() -> pl.DataFrame:
    return error_frame([])


def _figure(value: object) -> str | None:
    """A figure as the case file wrote it; what is no text is refused for a character that no figure has."""
    return value if value is None or (isinstance(value, str) and not _surrogate(value)) else "\x00"


def _person(case: dict[str, Any]) -> tuple[tuple[Any, ...], list[tuple[str, str]]]:
    """The members that stand for the person, as a row of PEOPLE, and what is wrong with them: field and code."""
    wrong: list[tuple[str, str]] = []

    def read(field: str, code: str, reader: Callable[[Any], Any]) -> Any:
        try:
            return reader(case.get(field))
        except ValueError:
            wrong.append((field, code))
            return None

    if not case.keys() <= MEMBERS:
        wrong.append(("*", "unknown_field"))
    band = case.get("age_band")
    if not isinstance(band, str) or band not in BANDS:
        wrong.append(("age_band", "unknown_value"))
        band = None
    masks = read("masks", "mask_shape", strict.mapping) or {}
    wrong += _faults_of_masks(masks)
    id_token = read("id_token", "token_shape", lambda value: strict.unbase64(value, TOKEN_BYTES))
    mobile_token, mobile_2_token = read("mobile_tokens", "token_shape", _mobile_tokens) or (None, None)
    salt = read("salt", "salt_shape", lambda value: strict.unbase64(value, SALT_BYTES))
    cells = read("cells", "cell_shape", _cells)
    classes = {MASKED[field] for field in (*NEEDED_MASKS, *masks) if field in MASKED}
    if cells is not None:
        wrong += [(name, "cell_missing") for name in FIELDS if (name in cells) != (name in classes)]
    text = json.dumps(masks, ensure_ascii=False, separators=(",", ":")) if not wrong else None
    tokens = (id_token, mobile_token, mobile_2_token, salt)
    return (case["row"], band, text, *tokens, *((cells or {}).get(name) for name in FIELDS)), wrong


def _faults_of_masks(masks: dict[str, Any]) -> list[tuple[str, str]]:
    """An unknown field is not named: it may be a borrower's data."""
    unknown = [("masks", "unknown_field")] if not masks.keys() <= MASK_KINDS.keys() else []
    missing = [(field, "required_missing") for field in NEEDED_MASKS if field not in masks]
    given = [(field, kind) for field, kind in MASK_KINDS.items() if field in masks]
    return unknown + missing + [(field, "mask_shape") for field, kind in given if not _masked(kind, masks[field])]


def _masked(kind: str, text: object) -> bool:
    return isinstance(text, str) and len(text) <= MASK_CHARS_MAX and looks_masked(kind, text)


def _mobile_tokens(value: object) -> tuple[bytes, bytes | None]:
    if not isinstance(value, list) or not 1 <= len(value) <= 2:
        raise ValueError("one token, or two")
    first, *others = [strict.unbase64(token, TOKEN_BYTES) for token in value]
    if first in others:
        raise ValueError("the same token twice")
    return first, others[0] if others else None


def _cells(value: object) -> dict[str, bytes]:
    cells = {name: strict.unbase64(cell) for name, cell in strict.mapping(value).items()}
    if not cells.keys() <= FIELDS.keys() or not all(map(is_cell_sized, cells.values())):
        raise ValueError("a cell of no known class, or of no cell's size")
    return cells


def is_cell_sized(cell: bytes) -> bool:
    """Whether a cell can be one of a padded text: what it holds shows to nobody here."""
    padded = len(cell) - cobblestone.HEADER_BYTES - cobblestone.TAG_BYTES
    return 0 < padded < CELL_BYTES_MAX and padded % CELL_PAD_BYTES == 0
