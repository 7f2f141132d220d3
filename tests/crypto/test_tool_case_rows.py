"""The tool's reading of a case file against the platform's: the same rows stand, the others fall by the same codes."""

import datetime as dt
import io
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import case_columns
from crypto.case_rows import CaseRow, read_case_rows
from crypto.errors import CaseFileRefused, RowFault
from models import case_file
from models.errors import Invalid

ON = dt.date(2026, 1, 5)
FIGURES = ("principal", "interest", "fees", "balance", "dpd")
NAMES = [column.name for column in case_columns.COLUMNS]
GOOD = {
    "case_number": "LN-0001",
    "product": "信用卡",
    "currency": "cny",
    "balance": "1250.00",
    "dpd": "65",
    "name": "张三",
    "id_number": "11010519491231002X",
    "mobile": "13812345678",
}
# What people, spreadsheets and attackers write; each is tried in each column.
ODD = [
    "", " ", "x", "张 三", "O'Brien", "'123", "=1+1", "A" * 41, "x" * 301, "a\x00b", "a\u202eb", "\x1c1", "1\u3000",
    "１２３",     "0", "-1", "+5", "1.5", "1.005", "1E+5", "2.02501E+15", "12345678901234", "999999", "1e9", "٣", "²",
    "2025-02-30", "2019/1/2", "2026-01-06", "2026/1/5 ", "1899-12-31", "2019-1-2x", "05.01.2020",
    "CNY", "usd", "RMB", "440106", "990000", "44010", "４４０１０６",
    "11010519491231002x", "110105 19491231 002X", "110105194912310021", "110105491231002", "510105199001011000",
    "5.10105E+17", "110105209912310026", "11010519491331002X",
    "13812345678", "+86 138 1234 5678", "008613812345678", "138-1234-5678", "0086-138-1121-1114", "12812345678",
    "010-12345678", "0755-2345678#12", "(010) 1234 5678 ext.9", "call me", "1.38E+10",
    "a@b.cn", "a@b", "a b@c.cn", "a@b..cn", "nobody",
    "4716461583322103", "4716 4615 8332 2103", "4716461583322104", "6228480402564820000", "123456789012",
    "cash 13812345678", "A-11010519491231002X", "1381234 5678",
]  # fmt: skip


def case_csv(*rows: dict[str, str], names: list[str] = NAMES) -> bytes:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if any(char in text for char in ',"\n\r') else text

    lines = [",".join(names), *(",".join(cell(row.get(name, "")) for name in names) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def of_the_tool(content: bytes) -> tuple[dict[int, dict[str, str]], list[RowFault]]:
    read = list(read_case_rows(io.BytesIO(content), ON))
    good = {row.row: row.texts | {"age_band": row.age_band} for row in read if isinstance(row, CaseRow)}
    return good, [fault for faults in read if isinstance(faults, list) for fault in faults]


def of_the_platform(content: bytes) -> tuple[dict[int, dict[str, str]], list[tuple[int, str, str]]]:
    batches = list(case_file.read_cases(io.BytesIO(content), ON))
    good = {
        row.pop("row"): {name: str(value) for name, value in row.items() if value is not None and name != "bucket"}
        for batch in batches
        for row in batch.rows.to_dicts()
    }
    return good, [fault for batch in batches for fault in batch.errors.rows()]


def refusal_of(read: Callable[[bytes], object], content: bytes) -> list[tuple[int, str, str]]:
    try:
        read(content)
    except CaseFileRefused as refused:
        return [tuple(fault) for fault in refused.faults]
    except Invalid as refused:
        return [tuple(fault) for fault in refused.errors]
    return []


def agree(content: bytes) -> None:
    refusal = refusal_of(of_the_platform, content)
    assert refusal_of(of_the_tool, content) == refusal
    if refusal:
        return
    (good, faults), (their_good, their_faults) = of_the_tool(content), of_the_platform(content)
    assert faults == their_faults
    assert good.keys() == their_good.keys()
    for row, texts in good.items():
        # The tool writes a figure as the lender did; the platform reads it once more.
        assert texts | {name: their_good[row][name] for name in FIGURES if name in texts} == their_good[row]


def test_the_columns_are_the_platforms_own() -> None:
    theirs = [(column.name, column.required, column.chars_max) for column in case_file.COLUMNS]
    assert [(column.name, column.required, column.chars_max) for column in case_columns.COLUMNS] == theirs


@pytest.mark.parametrize("name", NAMES)
def test_each_odd_text_in_each_column_has_the_platforms_verdict(name: str) -> None:
    rows = [GOOD | {"case_number": f"LN-{number}"} | {name: text} for number, text in enumerate(ODD)]
    agree(case_csv(*rows))


@pytest.mark.parametrize(
    "row",
    [
        {"principal": "1000", "interest": "200.5", "fees": "49.50"},
        {"principal": "1000", "interest": "200.5"},
        {"principal": "-1", "interest": "1251"},
        {"balance": "0.00"},
        {"balance": "-5", "fees": "3"},
        {"birth_date": "1949-12-31"},
        {"birth_date": "1950/1/1"},
        {"id_number": "110105200801060014"},
    ],
)
def test_fields_that_contradict_each_other_have_the_platforms_verdict(row: dict[str, str]) -> None:
    agree(case_csv(GOOD | row))


def test_the_second_of_two_case_numbers_falls() -> None:
    content = case_csv(GOOD, GOOD | {"dpd": "x"}, GOOD)
    agree(content)
    assert RowFault(3, "case_number", "duplicate_case_number") in of_the_tool(content)[1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xef\xbb\xbf",
        b"\xff\xfec\x00a\x00",
        case_csv(),
        case_csv() + b"\n ,,\n",
        case_csv(GOOD, names=[*NAMES, "cvv"]),
        case_csv(GOOD, names=[*NAMES, "有效期"]),
        case_csv(GOOD, names=[*NAMES, "13812345678"]),
        case_csv(GOOD, names=[*NAMES, "name"]),
        case_csv(GOOD, names=NAMES[1:]),
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(CaseFileRefused):
        of_the_tool(content)
    agree(content)


def test_a_workbook_is_refused_as_a_format() -> None:
    with pytest.raises(CaseFileRefused, match="unsupported_format"):
        of_the_tool(b"PK\x03\x04")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_usual_encodings_and_line_ends_are_read(encoding: str, newline: str) -> None:
    text = case_csv(GOOD, GOOD | {"case_number": "LN-2", "address": '北京市,朝阳区\n"东"街'}).decode()
    content = text.replace("\n", newline).encode(encoding)
    agree(content)
    assert of_the_tool(content)[0][1]["name"] == "张三"


@pytest.mark.parametrize(
    "line",
    [b"a,b", b"a" * (1 << 17), b"a" * (1 << 19), b"\xff\xfe\xfd", b'"open', b'x"y"z,', b",,,", b"", b'"a""b",c', b"\r"],
)
@pytest.mark.parametrize("is_last", [False, True])
def test_a_broken_line_falls_alone(line: bytes, is_last: bool) -> None:
    first, second = (case_csv(GOOD | {"case_number": f"LN-{n}"}).split(b"\n", 1)[1] for n in (1, 2))
    content = case_csv() + first + line + (b"" if is_last else b"\n" + second)
    agree(content)


# Unassigned characters are another thing in every version of Unicode.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cn"), exclude_characters="\r"), max_size=50)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(ODD) | TEXT), max_size=4))
def test_any_row_has_the_platforms_verdict(changes: list[tuple[str, str]]) -> None:
    row = GOOD | dict(changes)
    agree(case_csv(GOOD | {"case_number": "LN-0"}, row))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_below_the_header_have_the_platforms_verdict(noise: bytes) -> None:
    agree(case_csv(GOOD) + noise)
