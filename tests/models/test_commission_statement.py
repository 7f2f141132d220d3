"""The statement file verifies to the cent, by code that shares nothing with the engine, and no altered file does."""

import ast
import datetime as dt
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.attribution import ATTRIBUTED
from models.commission import verify
from models.commission.__main__ import main
from models.commission.engine import BOOKED, FEES, TERMS, derive, derive_fees, difference
from models.commission.statement_file import statement_file
from models.commission.verify import StatementRefused, summary, verify_statement

ROOT = Path(__file__).parent.parent.parent
AGREEMENT, PLACEMENT, CASE, AGENCY, LATER, DOLLARS = (str(UUID(int=n)) for n in range(1, 7))


def uuid(kind: int, number: int) -> str:
    return str(UUID(int=kind << 64 | number))


def attributed(*paid: tuple[str, dict[str, Any]], **of_all: Any) -> pl.DataFrame:
    rows = [
        {
            "id": uuid(1, number),
            "case_id": CASE,
            "amount": Decimal(amount),
            "currency": "CNY",
            "effective_on": dt.date(2026, 1, 15),
            "posted_on": dt.date(2026, 1, 16),
            "paid_to": "lender",
            "placement_id": PLACEMENT,
            "agency_id": AGENCY,
            "attribution": "term",
            "commissionable": True,
            **other,
            **of_all,
        }
        for number, (amount, other) in enumerate(paid, start=1)
    ]
    return pl.DataFrame(rows, schema=ATTRIBUTED)


def terms(rate: str, later: str = "0") -> pl.DataFrame:
    """Of three placements: the case's first, the one after it at the `later` rate of a newer card, and its dollars'."""
    rates = ((PLACEMENT, 1, rate), (LATER, 2, later), (DOLLARS, 1, rate))
    rows = [(placement, CASE, AGREEMENT, version, Decimal(of_it)) for placement, version, of_it in rates]
    return pl.DataFrame(rows, schema=TERMS, orient="row")


def fees(*cases: int, case_fee: str = "12.50", placement: str = PLACEMENT) -> pl.DataFrame:
    day = dt.date(2026, 1, 20)
    rows = [(AGENCY, AGREEMENT, placement, uuid(3, case), 1, Decimal(case_fee), "CNY", day) for case in cases]
    return pl.DataFrame(rows, schema=FEES, orient="row")


def booked(posted: pl.DataFrame, start: int = 1) -> pl.DataFrame:
    ids = pl.Series("id", [uuid(2, start + n) for n in range(posted.height)], dtype=pl.String)
    return posted.insert_column(0, ids)


NOTHING = pl.DataFrame(schema=BOOKED)


@pytest.fixture(scope="module")
def statement() -> str:
    """Two currencies, a clawback, money the agency may not receive, a taken-back line, and adjustments of payments
    that a later placement at another rate turned out to earn.
    """
    paid = [
        ("1000.00", {}),
        ("-400.10", {"original": uuid(1, 1)}),
        ("70.00", {"commissionable": False, "reason": "agency_may_not_receive", "paid_to": "agency"}),
        ("100.04", {"currency": "USD", "attribution": "tail", "placement_id": DOLLARS}),
        ("12.34", {}),
    ]
    first = booked(difference(derive(attributed(*paid), terms("0.125")), NOTHING, "2026-01"))
    moved = [(amount, other | {"placement_id": LATER}) for amount, other in paid[:-1]]
    late = derive(attributed(*moved), terms("0.125", "0.15"))
    second = booked(difference(late, first, "2026-01"), start=100)
    return "".join(statement_file(pl.concat([first, second])))


@pytest.fixture(scope="module")
def with_fees() -> str:
    """A payment, the fees of three cases, and one of them taken back."""
    shares = derive(attributed(("1000.05", {})), terms("0.1"))
    first = booked(difference(pl.concat([shares, derive_fees(fees(1, 2, 3))]), NOTHING, "2026-01"))
    undone = pl.concat([shares, derive_fees(fees(1, 2))])
    return "".join(statement_file(pl.concat([first, booked(difference(undone, first, "2026-01"), start=100)])))


def check(text: str) -> verify.Verified:
    return verify_statement(text.splitlines(keepends=True))


def test_a_statement_verifies_with_its_totals_in_each_currency(statement: str) -> None:
    # 150.00 − 60.02 (60.015) + 0.00 + 0.00 = 89.98 CNY; 15.01 (15.006) USD
    assert summary(check(statement)) == "verified: 9 lines, total 89.98 CNY, 15.01 USD"


def test_a_line_of_the_file_shows_its_whole_derivation(statement: str) -> None:
    header, first = (line.split(",") for line in statement.splitlines()[:2])
    line = dict(zip(header, first, strict=True))
    facts = "paid_amount", "attribution", "terms_version", "base_amount", "rate", "entitled", "booked", "amount"
    assert [line[fact] for fact in facts] == ["1000.00", "term", "1", "1000.00", "0.125000", "125.00", "0.00", "125.00"]


def test_fees_verify_beside_payments(with_fees: str) -> None:
    # 100.01 (100.005) + 3 × 12.50 − 12.50
    assert summary(check(with_fees)) == "verified: 5 lines, total 125.01 CNY"


def test_a_fee_line_shows_the_fee_and_no_payment(with_fees: str) -> None:
    at = next(
        at for at, column in cells(with_fees) if column == "component" and field(with_fees, at, column)[:4] == "case"
    )
    facts = "payment_id", "paid_amount", "paid_to", "reason", "base_amount", "rate", "case_fee", "entitled", "amount"
    assert [field(with_fees, at, fact) for fact in facts] == [
        "", "", "", "", "0.00", "0.000000", "12.50", "12.50", "12.50",
    ]  # fmt: skip


@pytest.mark.parametrize("column", ["case_fee", "base_amount", "entitled", "booked", "amount"])
def test_a_changed_fee_is_refused_wherever_it_stands(with_fees: str, column: str) -> None:
    for at, name in cells(with_fees):
        if name == column:
            changed = str(Decimal(field(with_fees, at, column)) + Decimal("0.01"))
            with pytest.raises(StatementRefused):
                check(altered(with_fees, at, column, changed))


def test_a_fee_raised_with_all_that_follows_from_it_differs_from_the_others_of_its_placement(with_fees: str) -> None:
    raised = with_fees
    for column in ("case_fee", "entitled", "amount"):
        raised = altered(raised, 3, column, "13.00")
    raised = altered(raised, 7, "amount", "125.51")
    with pytest.raises(
        StatementRefused, match=r"^line 4: case_fee is 12\.50, in an earlier line of the same placement's fees 13\.00$"
    ):
        check(raised)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("payment_id", uuid(1, 1)),
        ("paid_amount", "12.50"),
        ("attribution", "term"),
        ("reason", "not_attributed"),
        ("reason", "undone"),
        ("rate", "0.100000"),
        ("case_fee", ""),
        ("case_fee", "-12.50"),
        ("component", "contingency"),
        ("effective_on", "2026-01-19"),
        ("case_id", uuid(3, 2)),
    ],
)
def test_what_is_no_fee_of_a_case_is_refused(with_fees: str, column: str, value: str) -> None:
    with pytest.raises(StatementRefused):
        check(altered(with_fees, 3, column, value))


def test_a_payment_has_no_fee(with_fees: str) -> None:
    with pytest.raises(StatementRefused, match=r"^line 2: case_fee is not in its form$"):
        check(altered(with_fees, 2, "case_fee", "12.50"))


def test_a_statement_without_fees_is_the_file_it_was_before_there_were_any(statement: str) -> None:
    assert "case_fee" not in statement
    lines = booked(difference(derive(attributed(("1000.00", {})), terms("0.125")), NOTHING, "2026-01"))
    assert "".join(statement_file(lines)) == FORMAT_1
    check(FORMAT_1)


FORMAT_1 = (
    "record,number,agreement_id,period,line_id,component,adjusts_id,case_id,payment_id,original_id,paid_amount,"
    "currency,effective_on,posted_on,paid_to,placement_id,attribution,reason,terms_version,base_amount,rate,entitled,"
    "booked,amount\n"
    f"line,1,{AGREEMENT},2026-01,{uuid(2, 1)},contingency,,{CASE},{uuid(1, 1)},,1000.00,"
    f"CNY,2026-01-15,2026-01-16,lender,{PLACEMENT},term,,1,1000.00,0.125000,125.00,0.00,125.00\n"
    "total,1,,,,,,,,,,CNY,,,,,,,,1000.00,,,,125.00\n"
)


def test_the_order_of_the_lines_does_not_change_the_file() -> None:
    shares = derive(attributed(("10.00", {}), ("20.00", {})), terms("0.1"))
    lines = booked(difference(pl.concat([shares, derive_fees(fees(2, 1))]), NOTHING, "2026-01"))
    assert "".join(statement_file(lines)) == "".join(statement_file(lines.reverse()))


def test_a_statement_of_nothing_verifies() -> None:
    assert summary(check("".join(statement_file(NOTHING)))) == "verified: 0 lines, total 0.00"


def cells(text: str) -> list[tuple[int, str]]:
    """(line, column) of every field of the file that holds something."""
    header, *lines = text.splitlines()
    names = header.split(",")
    return [
        (at, name)
        for at, line in enumerate(lines, start=2)
        for name, value in zip(names, line.split(","), strict=True)
        if value
    ]


def altered(text: str, at: int, column: str, value: str) -> str:
    lines = text.splitlines(keepends=True)
    names, fields = lines[0].rstrip("\n").split(","), lines[at - 1].rstrip("\n").split(",")
    fields[names.index(column)] = value
    lines[at - 1] = ",".join(fields) + "\n"
    return "".join(lines)


def field(text: str, at: int, column: str) -> str:
    lines = text.splitlines()
    return lines[at - 1].split(",")[lines[0].split(",").index(column)]


@pytest.mark.parametrize("column", ["paid_amount", "base_amount", "entitled", "booked", "amount"])
@pytest.mark.parametrize("cent", ["0.01", "-0.01", "1.00"])
def test_a_changed_cent_is_refused_wherever_it_stands(statement: str, column: str, cent: str) -> None:
    for at, name in cells(statement):
        reason_hides_it = name == "paid_amount" and field(statement, at, "reason")
        if name == column and not reason_hides_it:
            changed = str(Decimal(field(statement, at, column)) + Decimal(cent))
            with pytest.raises(StatementRefused) as refused:
                check(altered(statement, at, column, changed))
            assert refused.value.line <= len(statement.splitlines())


def test_the_first_wrong_line_is_named_with_what_it_should_be(statement: str) -> None:
    with pytest.raises(StatementRefused, match=r"^line 2: amount is 125\.01, recomputed 125\.00$"):
        check(altered(statement, 2, "amount", "125.01"))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("record", "note"),
        ("number", "2"),
        ("agreement_id", uuid(9, 9)),
        ("period", "2025-12"),
        ("period", "2026-13"),
        ("line_id", "1"),
        ("component", "clawback"),
        ("component", "bonus"),
        ("original_id", uuid(9, 9)),
        ("currency", "EUR"),
        ("currency", "cny"),
        ("effective_on", "2026-02-30"),
        ("paid_to", "me"),
        ("attribution", "none"),
        ("reason", "not_attributed"),
        ("reason", "agency_may_not_receive"),
        ("rate", "0.125010"),
        ("rate", "0.125"),
        ("rate", "-0.125000"),
        ("amount", "125"),
        ("amount", "+125.00"),
        ("amount", "1e2"),
        ("amount", "0125.00"),
        ("amount", "\uff11\uff12\uff15.00"),
        ("booked", "-0.00"),
        ("adjusts_id", "=1+1"),
    ],
)
def test_a_field_that_is_wrong_or_out_of_its_form_is_refused(statement: str, column: str, value: str) -> None:
    with pytest.raises(StatementRefused):
        check(altered(statement, 2, column, value))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: [],
        lambda lines: lines[1:],
        lambda lines: lines[:1] + lines[2:],
        lambda lines: lines[:-1],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines, lines[1]],
        lambda lines: [*lines, "\n"],
        lambda lines: [*lines[:-1], lines[-1].rstrip("\n")],
        lambda lines: [line.replace("\n", "\r\n") for line in lines],
        lambda lines: ["\ufeff" + lines[0], *lines[1:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [lines[0], lines[1].rstrip("\n") + ",\n", *lines[2:]],
    ],
    ids=[
        "empty", "no header", "a line gone", "a total gone", "a total twice", "a line after the totals",
        "an empty line", "cut short", "other line ends", "a byte order mark", "two lines swapped", "a field too many",
    ],
)  # fmt: skip
def test_a_file_that_is_not_whole_is_refused(statement: str, spoil: Any) -> None:
    with pytest.raises(StatementRefused):
        verify_statement(spoil(statement.splitlines(keepends=True)))


def adjusted(period: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A payment booked in January, and its adjustment by a placement at twice the rate."""
    rates = terms("0.1", "0.2")
    first = booked(difference(derive(attributed(("1000.00", {})), rates), NOTHING, "2026-01"))
    moved = derive(attributed(("1000.00", {}), placement_id=LATER), rates)
    return first, booked(difference(moved, first, period), start=50)


def test_an_adjustment_must_follow_what_the_file_has_booked_before() -> None:
    whole = "".join(statement_file(pl.concat(adjusted("2026-01"))))
    assert check(whole).totals == {"CNY": 20000}
    shifted = altered(altered(whole, 3, "booked", "90.00"), 3, "amount", "110.00")
    with pytest.raises(StatementRefused, match=r"^line 3: booked is 90\.00, recomputed 100\.00$"):
        check(shifted)


def test_an_adjustment_of_an_earlier_statement_verifies_by_itself() -> None:
    _, second = adjusted("2026-02")
    assert check("".join(statement_file(second))).totals == {"CNY": 10000}


amounts = st.integers(-(10**15), 10**15) | st.integers(-300, 300)


@settings(deadline=None, max_examples=50)
@given(st.lists(amounts, max_size=6), st.integers(0, 10**6), st.integers(0, 10**6), st.sets(st.integers(1, 3)))
def test_what_the_engine_books_the_verifier_recomputes(paid: list[int], rate: int, later: int, kept: set[int]) -> None:
    amounts = [
        (str(Decimal(cents).scaleb(-2)), {"original": uuid(9, number)} if cents < 0 else {})
        for number, cents in enumerate(paid)
    ]
    rates = terms(*(str(Decimal(millionths).scaleb(-6)) for millionths in (rate, later)))
    shares = derive(attributed(*amounts), rates)
    first = booked(difference(pl.concat([shares, derive_fees(fees(1, 2))]), NOTHING, "2026-01"))
    changed = pl.concat([derive(attributed(*amounts, placement_id=LATER), rates), derive_fees(fees(*kept))])
    second = booked(difference(changed, first, "2026-01"), start=100)
    verified = check("".join(statement_file(pl.concat([first, second]))))
    assert verified.lines == first.height + second.height
    assert sum(verified.totals.values()) == int(sum(changed["amount"], start=Decimal(0)) * 100)


@given(st.text())
def test_any_other_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(StatementRefused):
        check(text)


def test_the_command_says_verified_and_exits_0(
    statement: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "statement.csv"
    file.write_text(statement, newline="")
    assert main(["verify", str(file)]) == 0
    assert capsys.readouterr().out == "verified: 9 lines, total 89.98 CNY, 15.01 USD\n"


def test_the_command_names_the_first_wrong_line_and_exits_1(
    statement: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "statement.csv"
    file.write_text(altered(statement, 4, "amount", "0.01"), newline="")
    assert main(["verify", str(file)]) == 1
    assert capsys.readouterr().err == "refused: line 4: " + "amount is 0.01, recomputed " + (
        field(statement, 4, "amount") + "\n"
    )


@pytest.mark.parametrize(("content", "code"), [(b"\xff\xfe", 1), (b"", 1), (None, 2)])
def test_the_command_refuses_what_is_no_statement(content: bytes | None, code: int, tmp_path: Path) -> None:
    file = tmp_path / "statement.csv"
    if content is not None:
        file.write_bytes(content)
    assert main(["verify", str(file)]) == code


def test_the_verifier_runs_from_the_command_line(statement: str, tmp_path: Path) -> None:
    file = tmp_path / "statement.csv"
    file.write_text(statement, newline="")
    ran = subprocess.run(
        [sys.executable, "-m", "models.commission", "verify", str(file)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, "verified: 9 lines, total 89.98 CNY, 15.01 USD\n")


def test_the_verifier_imports_the_standard_library_alone() -> None:
    tree = ast.parse(Path(verify.__file__).read_text())
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
