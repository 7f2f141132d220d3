"""Files of contacts and claims: typed rows, and faults named by row, field and code."""

import datetime as dt
import io
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.activity_file import CLAIM_COLUMNS, contact_columns, read_claims, read_contacts
from models.errors import Invalid

CONTACT = {
    "case_number": "LN-1",
    "channel": "call",
    "direction": "outbound",
    "party": "debtor",
    "outcome": "conversation",
    "occurred_at": "2026-01-05 21:30",
    "duration_seconds": "42",
    "external_ref": "CDR-1",
}
CLAIM = {
    "case_number": "LN-1",
    "amount": "100.50",
    "currency": "CNY",
    "paid_on": "2026-01-05",
    "reference": "PAY-1",
    "paid_to": "lender",
}


def table(*rows: dict[str, str]) -> io.BytesIO:
    return io.BytesIO("\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]).encode())


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-05 21:30", dt.datetime(2026, 1, 5, 13, 30, tzinfo=dt.UTC)),
        ("2026-01-05T21:30:05", dt.datetime(2026, 1, 5, 13, 30, 5, tzinfo=dt.UTC)),
        ("2026/1/5 21:30:05", dt.datetime(2026, 1, 5, 13, 30, 5, tzinfo=dt.UTC)),
        ("2026-01-05T21:30:05+08:00", dt.datetime(2026, 1, 5, 13, 30, 5, tzinfo=dt.UTC)),
        ("2026-01-05T21:30:05.250-0500", dt.datetime(2026, 1, 6, 2, 30, 5, 250_000, tzinfo=dt.UTC)),
        ("2026-01-05 21:30:05Z", dt.datetime(2026, 1, 5, 21, 30, 5, tzinfo=dt.UTC)),
    ],
)
def test_a_time_is_kept_in_utc_and_is_local_where_it_names_no_offset(written, meant):
    [batch] = read_contacts(table(CONTACT | {"occurred_at": written}))
    assert batch.errors.rows() == []
    assert batch.rows["occurred_at"].to_list() == [meant]
    assert batch.rows["duration_seconds"].to_list() == [42]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("channel", "pigeon", "unknown_value"),
        ("direction", "", "required_missing"),
        ("party", "nobody", "unknown_value"),
        ("outcome", "said hello", "unknown_value"),
        ("occurred_at", "2026-01-05", "impossible_time"),
        ("occurred_at", "2026-02-30 10:00", "impossible_time"),
        ("occurred_at", "2026-01-05 25:00", "impossible_time"),
        ("duration_seconds", "-1", "negative_amount"),
        ("external_ref", "13812345678", "reference_personal"),
        ("case_number", "13812345678", "case_number_personal"),
    ],
)
def test_a_bad_contact_is_named_by_field_and_code(field, value, code):
    good = CONTACT | {"external_ref": "CDR-2"}
    [batch] = read_contacts(table(CONTACT | {field: value}, good))
    assert batch.errors.rows() == [(1, field, code)]
    assert batch.rows["row"].to_list() == [2]


def test_one_event_reported_twice_in_a_file_is_refused_the_second_time():
    [batch] = read_contacts(table(CONTACT, CONTACT, CONTACT | {"external_ref": ""}, CONTACT | {"external_ref": ""}))
    assert batch.errors.rows() == [(2, "external_ref", "duplicate_reference")]


def test_a_claim_is_typed():
    [batch] = read_claims(table(CLAIM))
    assert batch.rows.to_dicts() == [
        {"row": 1, **CLAIM, "amount": Decimal("100.50"), "paid_on": dt.date(2026, 1, 5)},
    ]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("amount", "-1", "negative_amount"),
        ("amount", "0", "zero_amount"),
        ("amount", "ten", "not_a_number"),
        ("currency", "XXX", "unknown_currency"),
        ("paid_on", "2026-13-01", "impossible_date"),
        ("reference", "", "required_missing"),
        ("paid_to", "me", "unknown_value"),
    ],
)
def test_a_bad_claim_is_named_by_field_and_code(field, value, code):
    [batch] = read_claims(table(CLAIM | {field: value}))
    assert batch.errors.rows() == [(1, field, code)]
    assert batch.rows.height == 0


def test_a_file_of_nothing_is_refused():
    with pytest.raises(Invalid):
        list(read_contacts(io.BytesIO(",".join(CONTACT).encode())))


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(list(CLAIM)), st.text("-+.eE019A:/Z ", max_size=12)), max_size=6))
def test_good_and_faulty_claims_make_up_the_file(odd):
    rows = [CLAIM | {"reference": f"P-{n}"} | row for n, row in enumerate(odd)]
    [batch] = read_claims(table(*rows, CLAIM))
    numbers = [*batch.rows["row"], *batch.errors["row"].unique()]
    filled = [number for number, row in enumerate([*rows, CLAIM], start=1) if "".join(row.values()).strip()]
    assert sorted(numbers) == filled  # a blank row is none
    assert batch.rows.select(pl.all().exclude("row").is_null().any()).row(0) == (False,) * len(CLAIM_COLUMNS)


@settings(deadline=None)
@given(st.text("0123456789-/:T Z+.", max_size=26))
def test_any_text_is_a_time_or_a_fault(text):
    [batch] = read_contacts(table(CONTACT | {"occurred_at": text}, CONTACT | {"external_ref": ""}))
    assert batch.rows.height + batch.errors.height == 2
    assert [column.name for column in contact_columns()] == list(CONTACT)
