"""The case file: what stands, what is refused, and why."""

import datetime as dt
import io
from decimal import Decimal

import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import tabular
from models.case_file import COLUMNS, read_cases
from models.errors import Invalid
from models.identifiers import check_character
from models.tabular import Upload

ON = dt.date(2026, 1, 5)
NAMES = [column.name for column in COLUMNS]
GOOD = {
    "case_number": "LN-0001",
    "product": "信用卡",
    "currency": "CNY",
    "balance": "1250.00",
    "dpd": "65",
    "name": "张三",
    "id_number": "11010519491231002X",
    "mobile": "13812345678",
}


def case_csv(*rows: dict[str, str]) -> bytes:
    lines = [",".join(NAMES), *(",".join(row.get(name, "") for name in NAMES) for row in rows)]
    return "\n".join(lines).encode()


def read(content: bytes) -> tuple[pl.DataFrame, list[tuple]]:
    batches = list(read_cases(io.BytesIO(content), ON))
    return pl.concat([b.rows for b in batches]), pl.concat([b.errors for b in batches]).rows()


def resident_id(body: str) -> str:
    return body + check_character(body)


def test_a_good_row_is_typed_and_derived():
    row = {
        "principal": "1000",
        "interest": "200.5",
        "fees": "49.50",
        "opened_on": "2019/1/2",
        "birth_date": "1949-12-31",
    }
    rows, errors = read(case_csv(GOOD | row))
    assert errors == []
    [case] = rows.to_dicts()
    assert case["balance"] == Decimal("1250.00")
    assert case["fees"] == Decimal("49.50")
    assert rows.schema["balance"] == pl.Decimal(18, 2)
    assert (case["dpd"], case["bucket"], case["age_band"]) == (65, "M3", "65+")
    assert (case["opened_on"], case["birth_date"]) == (dt.date(2019, 1, 2), "1949-12-31")
    assert case["email"] is None


def test_only_the_required_columns_are_enough():
    content = ",".join(GOOD) + "\n" + ",".join(GOOD.values()) + "\n"
    rows, errors = read(content.encode("gb18030"))
    assert errors == []
    assert rows["name"].to_list() == ["张三"]
    assert rows.columns == ["row", *NAMES, "bucket", "age_band"]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("case_number", "", "required_missing"),
        ("name", "", "required_missing"),
        ("case_number", "13812345678", "case_number_personal"),
        ("case_number", "11010519491231002X", "case_number_personal"),
        ("case_number", "4716461583322103", "case_number_personal"),
        ("case_number", "-1", "case_number_shape"),
        ("case_number", "张三", "case_number_shape"),
        ("case_number", "A" * 41, "too_long"),
        ("case_number", "2.02501E+15", "spreadsheet_mangled"),
        ("product", "cash 13812345678", "product_personal"),
        ("product", "=1+1", "product_shape"),
        ("currency", "RMB", "unknown_currency"),
        ("balance", "abc", "not_a_number"),
        ("balance", "1.2E+05", "spreadsheet_mangled"),
        ("balance", "1.005", "too_many_decimals"),
        ("balance", "12345678901234", "amount_too_large"),
        ("balance", "0.00", "balance_not_positive"),
        ("balance", "-5", "balance_not_positive"),
        ("principal", "-1", "negative_amount"),
        ("dpd", "-1", "negative_amount"),
        ("dpd", "3.5", "not_a_number"),
        ("dpd", "1234567", "amount_too_large"),
        ("overdue_since", "2025-02-30", "impossible_date"),
        ("overdue_since", "2026-01-06", "impossible_date"),
        ("opened_on", "05.01.2020", "impossible_date"),
        ("region", "990000", "invalid_region"),
        ("name", "张\x00三", "control_character"),
        ("name", "a\u202eb", "control_character"),
        ("address", "x" * 301, "too_long"),
        ("id_number", "110105194912310021", "invalid_resident_id"),
        ("id_number", "123", "invalid_resident_id"),
        ("id_number", resident_id("11010520700101001"), "invalid_resident_id"),
        ("id_number", "5.10105E+17", "spreadsheet_mangled"),
        ("id_number", "510105199001011000", "spreadsheet_mangled"),
        ("birth_date", "1990-01-01", "birth_date_mismatch"),
        ("mobile", "12812345678", "invalid_mobile"),
        ("mobile", "1.38E+10", "spreadsheet_mangled"),
        ("mobile_2", "0086-138-1121-1114", "invalid_mobile"),
        ("email", "nobody", "invalid_email"),
        ("relative_phone", "call me", "invalid_phone"),
        ("card_number", "4716461583322104", "invalid_card"),
        ("card_number", "6228480402564820000", "spreadsheet_mangled"),
    ],
)
def test_a_bad_field_is_named_with_its_code(field, value, code):
    rows, errors = read(case_csv(GOOD | {field: value}, GOOD | {"case_number": "LN-0002"}))
    assert errors == [(1, field, code)]
    assert rows["row"].to_list() == [2]


@pytest.mark.parametrize(
    ("field", "given_as", "kept_as"),
    [
        ("mobile", "+8613812345678", "13812345678"),
        ("mobile", "138-1234-5678", "13812345678"),
        ("mobile", "\u3000１３８１２３４５６７８", "13812345678"),
        ("id_number", "'11010519491231002x\t", "11010519491231002X"),
        ("id_number", "110105491231002", "110105491231002"),
        ("card_number", "4716 4615 8332 2103", "4716461583322103"),
        ("employer_phone", "010-62345678", "010-62345678"),
        ("currency", "cny", "CNY"),
        ("name", " 张三 ", "张三"),
    ],
)
def test_usual_ways_of_writing_are_accepted_and_kept_in_one_form(field, given_as, kept_as):
    rows, errors = read(case_csv(GOOD | {field: given_as}))
    assert errors == []
    assert rows[field].to_list() == [kept_as]


def test_components_must_sum_to_the_balance():
    rows = [{"principal": "1000", "interest": "249.99"}, {"principal": "1250"}, {"principal": "x"}]
    content = case_csv(*(GOOD | {"case_number": f"LN-{n}"} | row for n, row in enumerate(rows)))
    assert read(content)[1] == [(1, "balance", "components_mismatch"), (3, "principal", "not_a_number")]


def test_a_case_number_given_twice_is_refused_the_second_time_also_batches_later(monkeypatch):
    monkeypatch.setattr(tabular, "BLOCK_BYTES", 200)
    content = case_csv(*(GOOD | {"case_number": f"LN-{n}"} for n in (1, 2, 2, 3, 1)))
    chunks = [content[at : at + 50] for at in range(0, len(content), 50)]
    batches = list(read_cases(Upload(chunks), ON))
    assert len(batches) > 1
    assert pl.concat([batch.errors for batch in batches]).rows() == [
        (3, "case_number", "duplicate_case_number"),
        (5, "case_number", "duplicate_case_number"),
    ]


def test_every_fault_of_a_row_is_named_in_the_order_of_the_columns():
    errors = read(case_csv(GOOD | {"dpd": "x", "currency": "", "mobile": "1"}))[1]
    assert errors == [(1, "currency", "required_missing"), (1, "dpd", "not_a_number"), (1, "mobile", "invalid_mobile")]


@pytest.mark.parametrize("column", ["cvv", "Card Expiry", "password", "有效期"])
def test_a_secret_of_a_card_is_refused_with_the_whole_file(column):
    content = case_csv(GOOD).decode().replace("card_number", column)
    with pytest.raises(Invalid) as refused:
        list(read_cases(io.BytesIO(content.encode()), ON))
    assert [error.code for error in refused.value.errors] == ["forbidden_column"]


def test_an_age_counts_the_birthday():
    before, on_it = resident_id("11010519900106001"), resident_id("11010519910105002")
    rows = read(case_csv(GOOD | {"id_number": before}, GOOD | {"case_number": "LN-2", "id_number": on_it}))[0]
    assert rows["age_band"].to_list() == ["35-44", "35-44"]
    assert read(case_csv(GOOD | {"id_number": resident_id("11010519910106001")}))[0]["age_band"].item() == "25-34"


def test_an_id_kept_as_a_number_in_a_workbook_is_called_mangled():
    book = openpyxl.Workbook()
    book.active.append(list(GOOD))
    book.active.append([*(GOOD | {"id_number": "x"}).values()])
    book.active["G2"] = 510105199001011000
    book.active["D2"], book.active["E2"] = 1250.5, 65
    file = io.BytesIO()
    book.save(file)
    assert read(file.getvalue())[1] == [(1, "id_number", "spreadsheet_mangled")]


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=',"\n\r'), max_size=30)
LIKELY = st.sampled_from([*GOOD.values(), "-1", "5.1E+17", "510105199001011000", "2025-02-30", "0", "1E5", "１２"])


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), CELL | LIKELY, max_size=6), max_size=8))
def test_good_rows_and_faulty_rows_make_up_the_file_and_no_fault_holds_a_value(odd):
    content = case_csv(*(GOOD | {"case_number": f"LN-{n}"} | row for n, row in enumerate(odd)), GOOD)
    rows, errors = read(content)
    good, faulty = rows["row"].to_list(), {row for row, _, _ in errors}
    assert sorted([*good, *faulty]) == list(range(1, len(odd) + 2))
    assert {field for _, field, _ in errors} <= {*NAMES, "*"}
    assert all(code.isascii() and code.replace("_", "").isalpha() for _, _, code in errors)
