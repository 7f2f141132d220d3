"""Workbooks are weighed before they are read: whatever a part says of itself, it opens small or is refused."""

import io
import resource
import zipfile
from collections.abc import Iterator

import openpyxl
import pytest

from models import workbook_weight
from models.errors import Invalid
from models.workbook import read_workbook

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
ONE = "<c><v>1</v></c>"
PREFIXED = "<x:c><x:v>1</x:v></x:c>"
RUN = f"<r><t>{'x' * 500}</t></r>"
ENDLESS = " ".join(f'x{number}=""' for number in range(100_000))
NAMING = '<row><c t="s"><v>{}</v></c></row>'


def workbook(rows: str, strings: str | None = None, **more: str) -> bytes:
    """A workbook of one sheet with these rows, `strings` as its shared strings, and more parts as they are."""
    parts = {
        "_rels/.rels": _relations(officeDocument="xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="s" sheetId="1" '
        'r:id="worksheet"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relations(worksheet="worksheets/s.xml", sharedStrings="sharedStrings.xml"),
        "xl/worksheets/s.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>',
        **({} if strings is None else {"xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{strings}</sst>'}),
        **more,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def _relations(**targets: str) -> str:
    lines = (f'<Relationship Id="{kind}" Type="{OFFICE}/{kind}" Target="{at}"/>' for kind, at in targets.items())
    return f'<Relationships xmlns="{RELATIONS}">{"".join(lines)}</Relationships>'


def read(content: bytes) -> list[tuple[str, ...]]:
    return read_workbook([content]).rows()


def refusal(content: bytes) -> str:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Invalid) as refused:
        read_workbook([content])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    (error,) = refused.value.errors
    assert (error.row, error.field) == (0, "*")
    return error.code


def rows_of(cells: Iterator[str] | list[str]) -> str:
    return "".join(f"<row>{cell}</row>" for cell in cells)


TOO_LARGE = {
    "cells without a name": (f"<row>{ONE * 1000}</row>" + rows_of([ONE] * 3000), None),
    "cells behind a prefix": (
        f'<x:row xmlns:x="{MAIN}">{PREFIXED * 1000}</x:row>{rows_of([ONE] * 3000)}',
        None,
    ),
    "cells after a named one": (f'<row><c r="ALL1"><v>1</v></c>{ONE * 50}</row>', None),
    "one cell far down": (f'<row r="3000001">{ONE}</row>', None),
    "a row of endless digits": (f'<row r="{"1" * 5000}">{ONE}</row>', None),
    "a cell of endless digits": (f'<row><c r="A{"1" * 5000}"><v>1</v></c></row>', None),
    "a cell of endless letters": (f'<row><c r="{"A" * 5000}1"><v>1</v></c></row>', None),
    "one long string in many cells": (NAMING.format(0) * 2000, f"<si><t>{'x' * 50_000}</t></si>"),
    "a long string that is written in short ones": (
        NAMING.format(0) * 2000,
        f"<si>{RUN * 100}</si>",
    ),
    "tags within tags": ("<x>" * 200_000, None),
    "no end of names": ("".join(f"<x{number}/>" for number in range(50_000)), None),
    "no end of a tag": (f"<row {ENDLESS}/>", None),
}


@pytest.mark.parametrize(("rows", "strings"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_grows_when_it_is_read_is_refused_before(rows: str, strings: str | None) -> None:
    assert refusal(workbook(rows, strings)) == "workbook_too_large"


def test_a_number_weighs_what_it_is_when_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_weight, "TEXT_BYTES_MAX", 5_000)
    assert refusal(workbook(rows_of(["<c><v>1e308</v></c>"] * 20))) == "workbook_too_large"
    assert len(read(workbook(rows_of(["<c><v>1e308</v></c>"] * 10)))) == 10


def test_room_for_strings_that_are_only_announced_is_never_made() -> None:
    announced = f'<sst xmlns="{MAIN}" uniqueCount="99999999999"><si><t>a</t></si></sst>'
    assert refusal(workbook(NAMING.format(0), **{"xl/sharedStrings.xml": announced})) == "workbook_too_large"


BROKEN = {
    "a row within a value": ("<row><c><v>1<row/></v></c></row>", None),
    "a cell within a cell": (f"<row><c>{ONE}</c></row>", None),
    "a string's number with a comment in it": (NAMING.format("0<!-- -->1"), "<si/><si/>"),
    "a string's number with an entity in it": (NAMING.format("1&#48;"), "<si/>" * 11),
    "a string within a string": (NAMING.format(0), "<si><si/></si><si/>"),
    "a string that is not there": (NAMING.format(1), "<si/>"),
    "a tag that does not close": ("<row>", None),
}


@pytest.mark.parametrize(("rows", "strings"), BROKEN.values(), ids=BROKEN)
def test_what_could_be_read_in_two_ways_is_refused(rows: str, strings: str | None) -> None:
    assert refusal(workbook(rows, strings)) == "broken_workbook"


@pytest.mark.parametrize("day", ["-1e18", "-1e300", "-inf"])
def test_a_day_that_no_calendar_has_is_refused_though_the_reader_fails_at_it(day: str) -> None:
    styles = f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>'
    content = workbook(f'<row><c s="1"><v>{day}</v></c></row>', **{"xl/styles.xml": styles})
    assert refusal(content) == "broken_workbook"


def test_entities_of_a_parts_own_and_a_second_list_of_strings_are_refused() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaa">]><sst/>'
    assert refusal(workbook(rows_of([ONE]), **{"xl/other.xml": bomb})) == "broken_workbook"
    assert refusal(workbook(NAMING.format(0), "<si/>", **{"XL/x.xml": "<sst><si/></sst>"})) == "broken_workbook"


def test_a_workbook_of_another_kind_is_none() -> None:
    content = '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"/>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
    assert refusal(file.getvalue()) == "broken_workbook"


def test_however_a_program_writes_its_cells_they_are_read() -> None:
    strings = '<si><t>名</t><phoneticPr fontId="1"/></si><si><r><t>a</t></r><r><t xml:space="preserve"> b</t></r></si>'
    rows = (
        '<row r="1" spans="1:3"><c r="A1" s="1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
        '<row><c t="inlineStr"><is><t>x &amp; y</t></is></c><c><f>1+1</f><v>2</v></c><c t="str"><v>1e99</v></c></row>'
        '<row r="4"><c r="B4"><v>5.1E+17</v></c><c r="XFD4" s="2"/><c/></row>'
    )
    assert read(workbook(rows, strings)) == [
        ("名", "a b", ""),
        ("x & y", "2", "1e99"),
        ("", "", ""),
        ("", "510000000000000000", ""),
    ]


def test_what_other_programs_keep_in_a_workbook_is_left_alone() -> None:
    data = '<?xml version="1.0" encoding="utf-16"?><DataMashup/>'
    more = {"customXml/item1.xml": data, "xl/media/a.png": "x", "xl/drawings/a.vml": "<br>", "xl/empty.bin": ""}
    assert read(workbook(rows_of([ONE]), **more)) == [("1",)]


def test_a_common_string_may_stand_in_every_row() -> None:
    assert read(workbook(NAMING.format(0) * 5000, f"<si><t>{'x' * 100}</t></si>")) == [("x" * 100,)] * 5000


@pytest.mark.parametrize("write_only", [False, True])
def test_a_workbook_of_openpyxl_opens(write_only: bool) -> None:
    book = openpyxl.Workbook(write_only=write_only)
    sheet = book.create_sheet("一", 0)
    for row in (["a", "b"], ["x", 1.5], [None, "y"]):
        sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    assert read(file.getvalue()) == [("a", "b"), ("x", "1.5"), ("", "y")]


def test_a_part_is_weighed_in_pieces_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_weight, "PIECE_BYTES", 200)
    strings = "".join(f"<si><t>{number}</t></si>" for number in range(40))
    expected = [(str(number),) for number in range(40)]
    assert read(workbook("".join(map(NAMING.format, range(40))), strings)) == expected
