"""CSV exports: readable by every parser, harmless in every spreadsheet."""

import csv
import datetime as dt
import io
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.csv_safe import csv_line, csv_lines


@pytest.mark.parametrize("text", ["=1+1", "+86138", "-5", "@SUM(A1)", "\tx", "\rx", " =1", "＝1", "-12.50", "\n=1"])
def test_a_cell_that_starts_a_formula_is_made_text(text):
    assert next(csv.reader(io.StringIO(csv_line([text]), newline=""))) == ["'" + text]


def test_numbers_and_days_stay_what_they_are():
    assert csv_line([-5, Decimal("-1E+2"), None, True, dt.date(2026, 1, 5), "a"]) == "-5,-100,,true,2026-01-05,a\r\n"


def test_a_byte_order_mark_comes_once_and_first():
    assert list(csv_lines([["a"], ["b"]], bom=True)) == ["\ufeffa\r\n", "b\r\n"]


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2))
def test_what_is_written_reads_back(values):
    [read] = csv.reader(io.StringIO(csv_line(values), newline=""))
    assert [cell.removeprefix("'") for cell in read] == [value.removeprefix("'") for value in values]
