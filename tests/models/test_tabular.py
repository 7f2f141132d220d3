"""Uploaded tables: every encoding, cut and quote, in bounded memory, and never a word of their content in a fault."""

import csv
import hashlib
import io
import subprocess
import sys
import zipfile

import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import tabular
from models.errors import Invalid
from models.tabular import Header, Upload, read_table

HEADER = Header(known=["a", "b", "c"], required=["a", "b"], forbidden=["cvv"])


def read(content: bytes, **options) -> tuple[list[tuple], list[tuple]]:
    batches = list(read_table(io.BytesIO(content), HEADER, **options))
    return pl.concat([b.rows for b in batches]).rows(), pl.concat([b.errors for b in batches]).rows()


def refusal(content: bytes) -> list[tuple]:
    with pytest.raises(Invalid) as caught:
        list(read_table(io.BytesIO(content), HEADER))
    return [tuple(error) for error in caught.value.errors]


def workbook(*rows: list[object]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_both_encodings_and_line_ends_are_read(encoding, end):
    content = end.join(["a,b", "1,张三", "2,李四𠮷"]).encode(encoding)
    assert read(content) == ([(1, "1", "张三"), (2, "2", "李四𠮷")], [])


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_broken_bytes_are_named_by_their_row(encoding):
    rows = [f"{n},张三".encode(encoding) for n in range(1, 6)]
    rows[2] = b"3,\xff\xff"
    good, errors = read(b"a,b\n" + b"\n".join(rows))
    assert errors == [(3, "*", "encoding")]
    assert {row[2] for row in good} == {"张三"}


def test_an_encoding_that_shows_late_is_still_found(monkeypatch):
    monkeypatch.setattr(tabular, "BLOCK_BYTES", 64)
    content = b"a,b\n" + b"1,x\n" * 100 + "2,张三\n".encode("gb18030") * 3
    chunks = [content[at : at + 10] for at in range(0, len(content), 10)]
    rows = pl.concat([batch.rows for batch in read_table(chunks, HEADER)])
    assert rows["row"].to_list() == list(range(1, 104))
    assert rows["b"].to_list()[-1] == "张三"


@pytest.mark.parametrize(
    ("content", "errors"),
    [
        (b"", [(0, "*", "empty_file")]),
        (b"\xef\xbb\xbf", [(0, "*", "empty_file")]),
        (b" \n\n", [(0, "*", "empty_file")]),
        (b"a,b\n", [(0, "*", "header_only")]),
        (b"a,b\n,\n\n", [(0, "*", "header_only")]),
        (b"a,c\n1,2\n", [(0, "b", "missing_column")]),
        (b"a,b,a\n1,2,3\n", [(0, "a", "duplicate_column")]),
        (b"a,b,CVV\n1,2,3\n", [(0, "cvv", "forbidden_column")]),
        (b"a,b,13812345678\n1,2,3\n", [(0, "#3", "unknown_column")]),
        ("a,b\n1,2\n".encode("utf-16"), [(0, "*", "encoding")]),
        (b"\xd0\xcf\x11\xe0rest", [(0, "*", "unsupported_format")]),
        (b"PK\x03\x04rest", [(0, "*", "broken_workbook")]),
        (b'"a,b\n1,2\n', [(0, "*", "broken_quotes")]),
    ],
)
def test_a_file_is_refused_as_a_whole_for_a_stated_reason(content, errors):
    assert refusal(content) == errors


def test_a_header_alone_is_an_empty_table_where_that_is_allowed():
    assert read(b"a,b\n", may_be_empty=True) == ([], [])


def test_rows_of_the_wrong_width_are_named():
    good, errors = read(b"a,b\n1\n1,2,3\n1,2\n")
    assert [row[0] for row in good] == [3]
    assert errors == [(1, "*", "too_few_fields"), (2, "*", "too_many_fields")]


@pytest.mark.parametrize("tail", [b"5", b'5,"cut of', b'"cut of'])
def test_a_file_cut_in_the_middle_is_noticed(tail):
    good, errors = read(b"a,b\n1,2\n3,4\n" + tail)
    assert [row[0] for row in good] == [1, 2]
    assert errors == [(3, "*", "truncated_row")]


def test_a_stray_quote_does_not_swallow_the_rows_below():
    good, errors = read(b'a,b\n1,2\n3,"open\n5,6\n7,"x"y\n8,5" pipe\n9,0\n')
    assert [row[0] for row in good] == [1, 3, 5, 6]
    assert errors == [(2, "*", "broken_quotes"), (4, "*", "broken_quotes")]


def test_a_quoted_field_may_run_over_lines_and_blocks(monkeypatch):
    monkeypatch.setattr(tabular, "BLOCK_BYTES", 8)
    content = b'a,b\n1,"x\ny ""z"", w"\n2,v\n'
    rows = pl.concat([batch.rows for batch in read_table([content[:9], content[9:16], content[16:]], HEADER)])
    assert rows.rows() == [(1, "1", 'x\ny "z", w'), (2, "2", "v")]


def test_blank_rows_count_but_yield_nothing():
    assert read(b"a,b\n1,2\n\n,\n3,4\n\n")[0] == [(1, "1", "2"), (4, "3", "4")]


def test_an_endless_line_is_refused_and_the_next_one_read(monkeypatch):
    monkeypatch.setattr(tabular, "LINE_BYTES_MAX", 1 << 17)
    chunks = [b"a,b\n1,2\n3,", *[b"x" * (1 << 16)] * 40, b"y\n5,6\n"]
    batches = list(read_table(chunks, HEADER))
    assert pl.concat([batch.rows for batch in batches])["row"].to_list() == [1, 3]
    assert pl.concat([batch.errors for batch in batches]).rows() == [(2, "*", "row_too_long")]


def test_the_digest_is_that_of_the_whole_file():
    content = b"a,b\n" + b"1,2\n" * 1000
    upload = Upload(content[at : at + 7] for at in range(0, len(content), 7))
    list(read_table(upload, HEADER))
    assert upload.digest() == hashlib.sha256(content).digest()
    assert upload.size == len(content)


def test_a_workbook_is_read_as_the_text_it_shows():
    content = workbook(["a", "b"], ["x", 30], [None, None], ["y", 12.5], ["510105199001011234", "z"])
    assert read(content) == (
        [(1, "x", "30"), (3, "y", "12.5"), (4, "510105199001011234", "z")],
        [],
    )


def test_a_cell_beside_the_table_of_a_workbook_is_named():
    assert read(workbook(["a", "b"], ["x", 1], ["y", 2, "stray"]))[1] == [(2, "*", "too_many_fields")]


def test_an_unknown_column_of_a_workbook_is_counted_with_the_empty_ones_before_it():
    assert refusal(workbook(["a", None, "b", "13812345678"], ["x", None, 1, 2])) == [(0, "#4", "unknown_column")]


def test_a_workbook_with_one_far_cell_is_refused_before_it_is_laid_out():
    book = openpyxl.Workbook()
    book.active["XFD1048576"] = 1
    file = io.BytesIO()
    book.save(file)
    assert refusal(file.getvalue()) == [(0, "*", "workbook_too_large")]


def test_a_zip_bomb_is_refused_whatever_size_it_declares():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(100 << 20))
    content = bytearray(file.getvalue())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (10).to_bytes(4, "little")
    assert refusal(bytes(content)) == [(0, "*", "workbook_too_large")]


@settings(deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"a,b\n", b"a,b,c\r\n", b""]))
def test_arbitrary_bytes_are_rows_or_faults_and_never_a_crash(content, head):
    try:
        batches = list(read_table([head, content], HEADER))
    except Invalid:
        return
    numbers = [number for batch in batches for part in batch for number in part["row"].to_list()]
    assert len(numbers) == len(set(numbers))
    assert set(pl.concat([batch.errors for batch in batches])["field"]) <= {"*"}


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="gb18030", exclude_categories=["Cs", "Cc"]), max_size=8),
            st.text('xy,"\n', max_size=6),
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 40),
    st.sampled_from(tabular.ENCODINGS),
)
def test_any_table_written_by_the_rules_reads_back(pairs, size, encoding):
    pairs = [("k" + key, value) for key, value in pairs]
    file = io.StringIO()
    csv.writer(file).writerows([("a", "b"), *pairs])
    content = file.getvalue().encode(encoding)
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    batches = list(read_table(chunks, HEADER))
    assert sum(batch.errors.height for batch in batches) == 0
    if encoding == "utf-8":
        assert [row[1:] for batch in batches for row in batch.rows.iter_rows()] == pairs


MEMORY_PROBE = """
import resource
from models.tabular import Header, read_table

row = b"C-%09d," + b"x" * 180 + b"\\n"

def file(rows):
    yield b"a,b\\n"
    for start in range(0, rows, 5000):
        yield b"".join(row % number for number in range(start, start + 5000))

def read(rows):
    return sum(batch.rows.height for batch in read_table(file(rows), Header(["a", "b"], ["a"])))

read(100_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert read(1_050_000) == 1_050_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_file_of_200_megabytes_needs_no_more_memory_than_a_small_one():
    probe = subprocess.run([sys.executable, "-c", MEMORY_PROBE], capture_output=True, text=True, check=True)
    assert int(probe.stdout) < 100 * 1024
