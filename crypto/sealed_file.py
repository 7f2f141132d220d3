"""Sealing a portfolio where its data is: the rows of a case file go in, `consign-sealed/1` comes out.

JSON lines: who and which keys, a case each, and the lender's signature over every byte before the last line.
What identifies a borrower leaves this machine masked, as a blind token, or sealed under keys that are wrapped
to the lender's own key alone.
"""

import datetime as dt
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any

from crypto import strict
from crypto.canonical import canonical
from crypto.case_columns import COLUMNS
from crypto.case_rows import CaseRow
from crypto.cells import CellSealer
from crypto.fields import FIELD_CLASSES, FIELDS, MASK_KINDS
from crypto.grants import WrapContext, make_grant
from crypto.keyfile import PrivateKeys
from crypto.masking import mask
from crypto.secret import Secret
from crypto.tokens import tokens

FORMAT = "consign-sealed/1"
FIGURES = tuple(column.name for column in COLUMNS if column.name not in MASK_KINDS)
SALT_BYTES = 32
ROWS_PER_BATCH = 500


def new_portfolio_id(now: int) -> bytes:
    """A UUIDv7 (RFC 9562) for `now` in unix seconds: the platform lists portfolios by id."""
    noise = int.from_bytes(os.urandom(10))
    bits = now * 1000 << 80 | noise
    return (bits & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62).to_bytes(16)


def seal_portfolio(
    rows: Iterable[CaseRow], row_count: int, keys: PrivateKeys, portfolio_id: bytes, on: dt.date
) -> Iterator[bytes]:
    """The file's lines, for exactly `row_count` rows sealed on the business day `on`.

    Holds one batch of rows at a time. ValueError, before the signature, where there are more or fewer rows.
    """
    class_keys = {name: Secret.random() for name in FIELD_CLASSES}
    digest, sealed = sha256(), 0
    header = _line(_header(class_keys, row_count, keys, portfolio_id, on))
    digest.update(header)
    yield header
    sealer, coming = CellSealer(portfolio_id, {name: class_keys[name] for name in FIELDS}), iter(rows)
    while batch := list(islice(coming, ROWS_PER_BATCH)):
        sealed += len(batch)
        for case in _cases(batch, sealer, keys.index):
            line = _line(case)
            digest.update(line)
            yield line
    if sealed != row_count:
        raise ValueError("the rows have changed while they were sealed")
    signature = keys.sign("portfolio", digest.digest())
    yield _line({"digest": digest.hexdigest(), "signature": strict.to_base64(signature)})


def _header(
    class_keys: dict[str, Secret], row_count: int, keys: PrivateKeys, portfolio_id: bytes, on: dt.date
) -> dict[str, Any]:
    grants = {
        name: make_grant(
            key, keys.public.kem, WrapContext.of_class(keys.organisation_id, portfolio_id, name), keys.sign
        )
        for name, key in class_keys.items()
    }
    return {
        "format": FORMAT,
        "lender": strict.id_text(keys.organisation_id),
        "portfolio": strict.id_text(portfolio_id),
        "sealed_on": on.isoformat(),
        "rows": row_count,
        "classes": {name: grant.to_json() for name, grant in grants.items()},
    }


def _cases(rows: Sequence[CaseRow], sealer: CellSealer, index_key: Secret) -> Iterator[dict[str, Any]]:
    salts = [os.urandom(SALT_BYTES) for _ in rows]
    references = [row.texts["case_number"].encode() for row in rows]
    cells = sealer.seal_cases(references, salts, {name: [_fields(row, name) for row in rows] for name in FIELDS})
    id_tokens = tokens(index_key, "id_cn", [row.texts["id_number"] for row in rows])
    mobiles = tokens(index_key, "mobile", [row.texts["mobile"] for row in rows])
    others = tokens(index_key, "mobile", [row.texts.get("mobile_2") for row in rows])
    for place, row in enumerate(rows):
        phones = dict.fromkeys(token for token in (mobiles[place], others[place]) if token)
        sealed = {name: cells[name][place] for name in FIELDS}
        yield {
            "row": row.row,
            **{name: row.texts[name] for name in FIGURES if name in row.texts},
            "age_band": row.age_band,
            "masks": {name: mask(kind, row.texts[name]) for name, kind in MASK_KINDS.items() if name in row.texts},
            "id_token": strict.to_base64(id_tokens[place] or b""),
            "mobile_tokens": [strict.to_base64(token) for token in phones],
            "salt": strict.to_base64(salts[place]),
            "cells": {name: strict.to_base64(cell) for name, cell in sealed.items() if cell},
        }


def _fields(row: CaseRow, field_class: str) -> bytes | None:
    given = {name: row.texts[name] for name in FIELDS[field_class] if name in row.texts}
    return canonical({**given}) if given else None


def _line(document: dict[str, Any]) -> bytes:
    """Members in the order they are written in: the platform tells the format by the file's first bytes."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
