"""Bulk sealing: batches of good rows go in; masks, blind tokens and sealed cells come out, and nothing in the clear."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import polars as pl

from crypto.cells import CellSealer
from crypto.masking import mask
from crypto.secret import Secret
from crypto.tokens import token
from models import case_file
from models.case_file import CaseBatch
from models.ids import new_ids

SALT_BYTES = 32
SEALED_CLASSES = ("identity", "contact", "related", "account")
FIELDS = {
    name: [column.name for column in case_file.COLUMNS if column.field_class == name] for name in SEALED_CLASSES
}
# A field without a kind of its own is hidden whole.
MASK_KINDS = {
    "name": "name",
    "id_number": "id_cn",
    "birth_date": "birth_date",
    "mobile": "mobile",
    "mobile_2": "mobile",
    "email": "email",
    "address": "address",
    "relative_name": "name",
    "relative_relation": "hidden",
    "relative_phone": "phone",
    "employer": "employer",
    "employer_phone": "phone",
    "card_number": "bank_card",
}
FIGURES = (
    pl.col("row"),
    pl.col("case_number").alias("reference"),
    *map(pl.col, ("product", "region", "currency", "principal", "interest", "fees", "balance", "dpd")),
    pl.col("bucket"),
    pl.col("age_band"),
    pl.col("overdue_since").alias("overdue_since_on"),
    pl.col("opened_on"),
)
BYTES = ("id_token", "mobile_token", "mobile_2_token", "salt", *SEALED_CLASSES)


class SealedBatch(NamedTuple):
    """`rows`: FIGURES, then case_id and borrower_id (hex), masks (JSON), and BYTES; `errors`: row, field, code."""

    rows: pl.DataFrame
    errors: pl.DataFrame


class Sealer:
    """Seals the cases of one portfolio. `index_key` is the lender's: equal ids and phones get equal tokens."""

    def __init__(self, portfolio_id: bytes, class_keys: Mapping[str, Secret], index_key: Secret) -> None:
        self._cells = CellSealer(portfolio_id, class_keys)
        self._index_key = index_key

    def seal_ahead(self, batches: Iterator[CaseBatch]) -> Iterator[SealedBatch]:
        """Read and seal the next batch in a thread while the caller stores this one. To be closed."""
        with ThreadPoolExecutor(1, "intake") as pool:
            coming = pool.submit(self._next, batches)
            while (batch := coming.result()) is not None:
                coming = pool.submit(self._next, batches)
                yield batch

    def seal(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` as `case_file.read_cases` gives them."""
        count = rows.height
        ids = new_ids(2 * count)
        return rows.select(FIGURES).with_columns(
            # Borrowers new to the lender take the second half; the ids of the others are never used.
            pl.Series("case_id", [id_.hex for id_ in ids[:count]], pl.String),
            pl.Series("borrower_id", [id_.hex for id_ in ids[count:]], pl.String),
            _masks(rows),
            *self._tokens(rows),
            *self._sealed(rows),
        )

    def _next(self, batches: Iterator[CaseBatch]) -> SealedBatch | None:
        batch = next(batches, None)
        return SealedBatch(self.seal(batch.rows), batch.errors) if batch else None

    def _tokens(self, rows: pl.DataFrame) -> list[pl.Series]:
        def column(kind: str, name: str) -> pl.Series:
            values = [value and token(self._index_key, kind, value) for value in rows[name].to_list()]
            return pl.Series(f"{name}_token", values, pl.Binary)

        again = pl.when(pl.col("mobile_2") != pl.col("mobile")).then("mobile_2").alias("mobile_2")
        return [
            column("id_cn", "id_number").alias("id_token"),
            column("mobile", "mobile"),
            pl.Series("mobile_2_token", []),
        ]

    def _sealed(self, rows: pl.DataFrame) -> list[pl.Series]:
        noise = os.urandom(SALT_BYTES * rows.height)
        salts = [noise[at : at + SALT_BYTES] for at in range(0, len(noise), SALT_BYTES)]
        by_class = {name: _fields(rows.select(fields)) for name, fields in FIELDS.items()}
        return []
