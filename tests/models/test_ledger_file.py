"""The ledger's files: payments, reversals and balances, and days on which nothing moved."""

import datetime as dt
import io
from decimal import Decimal

import pytest

from models.ledger_file import BALANCE_COLUMNS, PAYMENT_COLUMNS, read_balances, read_payments

PAYMENT = {
    "case_number": "LN-1",
    "amount": "100.00",
    "currency": "CNY",
    "value_date": "2026-01-04",
    "posting_date": "2026-01-05",
    "reference": "B-1",
    "paid_to": "lender",
    "reversal_of": "",
}
BALANCE = {"case_number": "LN-1", "balance": "900.00", "currency": "CNY", "status": "open"}


def table(*rows: dict[str, str]) -> io.BytesIO:
    return io.BytesIO("\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]).encode())


@pytest.mark.parametrize(("read", "columns"), [(read_payments, PAYMENT_COLUMNS), (read_balances, BALANCE_COLUMNS)])
def test_a_header_alone_is_a_day_without_movement(read, columns):
    header = ",".join(column.name for column in columns)
    [batch] = read(io.BytesIO(header.encode()))
    assert batch.rows.columns[: len(columns) + 1] == ["row", *(column.name for column in columns)]
    assert (batch.rows.height, batch.errors.height) == (0, 0)


def test_a_payment_is_typed():
    [batch] = read_payments(table(PAYMENT))
    [payment] = batch.rows.to_dicts()
    assert (payment["amount"], payment["value_date"]) == (Decimal("100.00"), dt.date(2026, 1, 4))
    assert payment["reversal_of"] is None
    assert payment["reference_personal"] is False


@pytest.mark.parametrize("number", ["13812345678", "11010519491231002X", "张三还款", "4716461583322103"])
def test_a_payment_that_names_a_person_stands_and_is_flagged(number):
    [batch] = read_payments(table(PAYMENT | {"case_number": number}))
    assert batch.errors.rows() == []
    assert batch.rows["reference_personal"].to_list() == [True]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"amount": "-100.00"}, ("amount", "negative_amount")),
        ({"amount": "0"}, ("amount", "zero_amount")),
        ({"reversal_of": "B-0"}, ("amount", "reversal_not_negative")),
        ({"posting_date": "2026-02-29"}, ("posting_date", "impossible_date")),
        ({"reference": "B-0"}, ("reference", "duplicate_reference")),
        ({"reference": "13812345678"}, ("reference", "reference_personal")),
        ({"paid_to": ""}, ("paid_to", "required_missing")),
    ],
)
def test_a_bad_payment_is_named_by_field_and_code(change, error):
    [batch] = read_payments(table(PAYMENT | {"reference": "B-0"}, PAYMENT | change))
    assert batch.errors.rows() == [(2, *error)]
    assert batch.rows["row"].to_list() == [1]


def test_a_reversal_takes_an_amount_back():
    [batch] = read_payments(table(PAYMENT, PAYMENT | {"amount": "-40", "reference": "B-2", "reversal_of": "B-1"}))
    assert batch.errors.rows() == []
    assert batch.rows["amount"].to_list() == [Decimal("100.00"), Decimal("-40.00")]


def test_a_paid_off_case_has_nothing_left():
    [batch] = read_balances(table(BALANCE, {**BALANCE, "case_number": "LN-2", "balance": "0", "status": "paid_off"}))
    assert batch.errors.rows() == []
    assert batch.rows["balance"].to_list() == [Decimal("900.00"), Decimal("0.00")]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"case_number": "LN-1"}, ("case_number", "duplicate_case_number")),
        ({"balance": "-1"}, ("balance", "negative_amount")),
        ({"status": "gone"}, ("status", "unknown_value")),
    ],
)
def test_a_bad_balance_is_named_by_field_and_code(change, error):
    [batch] = read_balances(table(BALANCE, BALANCE | {"case_number": "LN-2"} | change))
    assert batch.errors.rows() == [(2, *error)]
