"""Bulk sealing: good rows of a case file go in; masks, blind tokens and sealed cells come out."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import polars as pl

from crypto.cells import CellSealer
from crypto.fields import FIELDS, MASK_KINDS
from crypto.masking import mask
from crypto.secret import Secret
from crypto.tokens import tokens
from models.case_file import CaseBatch
from models.ids import new_id_texts

SALT_BYTES = 32
FIGURES = {  # what stays readable: the column's name in the table, and in the file
    "row": "row",
    "reference": "case_number",
    "product": "product",
    "region": "region",
    "currency": "currency",
    "principal": "principal",
    "interest": "interest",
    "fees": "fees",
    "balance": "balance",
    "dpd": "dpd",
    "bucket": "bucket",
    "age_band": "age_band",
    "overdue_since_on": "overdue_since",
    "opened_on": "opened_on",
}


class SealedBatch(NamedTuple):
    """`rows` as `Sealer.seal` answers them; `errors`: row, field, code of the others."""

    rows: pl.DataFrame
    errors: pl.DataFrame


class Sealer:
    """Seals the cases of one portfolio. Under the lender's index key equal ids and phones have equal tokens."""

    def __init__(self, portfolio_id: bytes, class_keys: Mapping[str, Secret], index_key: Secret) -> None:
        self._cells = CellSealer(portfolio_id, class_keys)
        self._index_key = index_key

    def seal_batches(self, batches: Iterable[CaseBatch]) -> Iterator[SealedBatch]:
        for batch in batches:
            yield SealedBatch(self.seal(batch.rows), batch.errors)

    def seal(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` are those of a CaseBatch; the answer holds nothing in the clear, one row for each:

        FIGURES; `case_id`, and `borrower_id` in case the person is new to the lender, in hex; `masks`, a JSON object
        of those there are; as bytes `id_token`, `mobile_token`, `mobile_2_token` (null also where it is
        the same number), `salt`, and a cell for each class in FIELDS (null where it has no value).
        """
        ids = new_id_texts(2 * rows.height)
        noise = os.urandom(SALT_BYTES * rows.height)
        salts = [noise[at : at + SALT_BYTES] for at in range(0, len(noise), SALT_BYTES)]
        return rows.select(
            **{name: pl.col(column) for name, column in FIGURES.items()},
            case_id=pl.Series(ids[: rows.height], dtype=pl.String),
            borrower_id=pl.Series(ids[rows.height :], dtype=pl.String),
            masks=_masks(rows),
            id_token=self._tokens("id_cn", rows["id_number"]),
            mobile_token=self._tokens("mobile", rows["mobile"]),
            mobile_2_token=self._tokens("mobile", _only_other(rows["mobile_2"], rows["mobile"])),
            salt=pl.Series(salts, dtype=pl.Binary),
            **self._sealed(rows, salts),
        )

    def _tokens(self, kind: str, values: pl.Series) -> pl.Series:
        return pl.Series(tokens(self._index_key, kind, values.to_list()), dtype=pl.Binary)

    def _sealed(self, rows: pl.DataFrame, salts: list[bytes]) -> dict[str, pl.Series]:
        texts = rows.select(json_object(columns).cast(pl.Binary).alias(name) for name, columns in FIELDS.items())
        references = rows["case_number"].cast(pl.Binary).to_list()
        cells = self._cells.seal_cases(references, salts, {name: texts[name].to_list() for name in FIELDS})
        return {name: pl.Series(sealed, dtype=pl.Binary) for name, sealed in cells.items()}


def json_object(columns: Collection[str]) -> pl.Expr:
    """Each row's values of these columns of text as RFC 8785 JSON, without the nulls; null where all of them are."""
    # Polars escapes strings as RFC 8785 does; the order of the names and what to leave out are ours.
    members = [
        pl.when(pl.col(name).is_not_null()).then(
            pl.struct(name).struct.json_encode().str.strip_prefix("{").str.strip_suffix("}")
        )
        for name in sorted(columns)
    ]
    given = pl.any_horizontal(pl.col(name).is_not_null() for name in columns)
    return pl.when(given).then("{" + pl.concat_str(members, separator=",", ignore_nulls=True) + "}")


def _masks(rows: pl.DataFrame) -> pl.Series:
    masks = [
        pl.Series(name, [None if value is None else mask(kind, value) for value in rows[name].to_list()], pl.String)
        for name, kind in MASK_KINDS.items()
    ]
    return pl.select(masks).select(json_object(MASK_KINDS)).to_series()


def _only_other(values: pl.Series, first: pl.Series) -> pl.Series:
    return pl.select(pl.when(values != first).then(values)).to_series()
