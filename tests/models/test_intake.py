"""What the sealer answers opens again to exactly what was given, and shows nothing of it."""

import datetime as dt
import json
import os

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.canonical import Json, canonical
from crypto.cells import CellName, case_key, open_cell
from crypto.fields import FIELDS, MASK_KINDS
from crypto.masking import mask
from crypto.secret import Secret
from crypto.tokens import token
from models.case_file import read_cases
from models.intake import FIGURES, Sealer, json_object

PORTFOLIO_ID = b"P" * 16
CLASS_KEYS = {field_class: Secret(os.urandom(32)) for field_class in FIELDS}
INDEX_KEY = Secret(os.urandom(32))
TODAY = dt.date(2026, 3, 10)
HEADER = (
    "case_number,product,currency,balance,dpd,name,id_number,birth_date,mobile,mobile_2,email,address,"
    "relative_name,relative_relation,relative_phone,employer,employer_phone,card_number"
)
FULL = (
    "C-1,信用卡,CNY,1250.00,65,张三,110105199001011232,1990-01-01,13812345678,13912345678,zhangsan@126.com,"
    "北京市朝阳区望京街道289号,李四,父亲,13712345678,北京某某科技有限公司,010-62345678,6225751234567891497"
)
BARE = "C-2,信用卡,CNY,10.00,5,欧阳娜娜,110105900101123,,13612345678,13612345678,,,,,,,,"


def read(*lines: str) -> pl.DataFrame:
    text = "\n".join([HEADER, *lines])
    batches = list(read_cases(iter([text.encode()]), TODAY))
    assert not any(batch.errors.height for batch in batches)
    return pl.concat([batch.rows for batch in batches])


def seal(rows: pl.DataFrame) -> pl.DataFrame:
    return Sealer(PORTFOLIO_ID, CLASS_KEYS, INDEX_KEY).seal(rows)


def opened(row: dict[str, object], field_class: str) -> dict[str, object]:
    reference = str(row["reference"]).encode()
    key = case_key(CLASS_KEYS[field_class], PORTFOLIO_ID, reference, row["salt"])
    return open_cell(key, CellName(PORTFOLIO_ID, reference, field_class, 1), row[field_class])


def test_every_cell_opens_to_exactly_the_fields_of_its_class() -> None:
    rows = read(FULL)
    sealed = seal(rows).row(0, named=True)
    given_row = rows.row(0, named=True)
    for field_class, fields in FIELDS.items():
        assert opened(sealed, field_class) == {name: given_row[name] for name in fields}


def test_a_field_that_was_not_given_is_in_no_cell_and_a_class_without_fields_has_none() -> None:
    sealed = seal(read(BARE)).row(0, named=True)
    assert opened(sealed, "contact") == {"mobile": "13612345678", "mobile_2": "13612345678"}
    assert (sealed["related"], sealed["account"]) == (None, None)


def test_every_personal_field_has_a_mask_of_its_kind_and_no_other_field_has_one() -> None:
    rows = read(FULL)
    masks = json.loads(seal(rows)["masks"][0])
    assert masks.keys() == {name for fields in FIELDS.values() for name in fields}
    assert masks == {name: mask(MASK_KINDS[name], rows[name][0]) for name in masks}
    assert masks["relative_relation"] == "*****"


def test_a_field_without_value_has_no_mask() -> None:
    masks = json.loads(seal(read(BARE))["masks"][0])
    assert masks.keys() == {"name", "id_number", "mobile", "mobile_2"}


def test_an_old_id_and_its_new_form_have_one_token() -> None:
    tokens = seal(read(FULL, BARE))["id_token"].to_list()
    assert tokens == [token(INDEX_KEY, "id_cn", "110105199001011232")] * 2


def test_one_number_given_twice_has_one_token() -> None:
    sealed = seal(read(FULL, BARE))
    assert sealed["mobile_token"].to_list() == [token(INDEX_KEY, "mobile", n) for n in ("13812345678", "13612345678")]
    assert sealed["mobile_2_token"].to_list() == [token(INDEX_KEY, "mobile", "13912345678"), None]


def test_ids_and_salts_are_each_case_s_own() -> None:
    sealed = seal(read(FULL, BARE))
    ids = [*sealed["case_id"], *sealed["borrower_id"]]
    assert len(set(ids)) == 4
    assert {len(salt) for salt in sealed["salt"]} == {32}
    assert sealed["salt"].n_unique() == 2


def test_only_figures_and_masks_are_readable() -> None:
    sealed = seal(read(FULL))
    readable = [name for name, dtype in sealed.schema.items() if dtype != pl.Binary]
    assert set(readable) == {*FIGURES, "masks", "case_id", "borrower_id"}


def test_no_rows_seal_to_no_rows() -> None:
    rows = read(FULL)
    assert seal(rows.clear()).schema == seal(rows).schema


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys("bca", st.text() | st.none())), min_size=1, max_size=5))
def test_a_column_of_json_is_spelled_as_crypto_spells_it(rows: list[dict[str, str | None]]) -> None:
    texts = pl.DataFrame(rows, schema=dict.fromkeys("bca", pl.String)).select(json_object("bca")).to_series()
    expected: list[Json] = [{name: value for name, value in row.items() if value is not None} for row in rows]
    assert [text and text.encode() for text in texts] == [canonical(row) if row else None for row in expected]


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(text, text | st.none(), text | st.none()), min_size=1, max_size=5))
def test_any_text_survives_its_cell_and_leaves_a_mask_that_is_json(values: list[tuple[str, str, str]]) -> None:
    rows = pl.concat([read(BARE)] * len(values)).with_columns(
        pl.Series("name", [name for name, _, _ in values], pl.String),
        pl.Series("address", [address for _, address, _ in values], pl.String),
        pl.Series("employer", [employer for _, _, employer in values], pl.String),
    )
    for row, (name, address, employer) in zip(seal(rows).iter_rows(named=True), values, strict=True):
        assert opened(row, "identity")["name"] == name
        assert opened(row, "contact").get("address") == address
        assert (opened(row, "related") if row["related"] else {}).get("employer") == employer
        masks = json.loads(row["masks"])
        assert masks["name"] == mask("name", name)
        assert masks.get("employer") == (employer and mask("employer", employer))
