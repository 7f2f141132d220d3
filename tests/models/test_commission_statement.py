"""The statement file verifies to the cent, by code that shares nothing with the engine, and no altered file does."""

import ast
import csv
import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias
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

Line: TypeAlias = dict[str, str]
Payment: TypeAlias = tuple[str, dict[str, Any]]  # amount, what else is not as usual

ROOT = Path(__file__).parent.parent.parent
AGREEMENT, PLACEMENT, CASE, AGENCY, LATER, DOLLARS = (str(UUID(int=n)) for n in range(1, 7))


def uuid(kind: int, number: int) -> str:
    return str(UUID(int=kind << 64 | number))


def attributed(*paid: Payment, **of_all: Any) -> pl.DataFrame:
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
    paid: list[Payment] = [
        ("1000.00", {}),
        ("-400.10", {"original": uuid(1, 1)}),
        ("70.00", {"commissionable": False, "reason": "agency_may_not_receive", "paid_to": "agency"}),
        ("100.04", {"currency": "USD", "attribution": "tail", "placement_id": DOLLARS}),
        ("12.34", {}),
    ]
    first = booked(difference(derive(attributed(*paid), terms("0.125")), NOTHING, "2026-01"))
    moved = [(amount, {"placement_id": LATER} | other) for amount, other in paid[:-1]]
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
    # 150.00 − 60.02 (60.015) + 0.00 + 0.00 = 89.98 CNY; 12.51 (12.505) USD
    assert summary(check(statement)) == "verified: 8 lines, total 89.98 CNY, 12.51 USD"


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
        StatementRefused, match=r"^line 4: case_fee is 12\.50, earlier of the same placement's fees 13\.00$"
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


def forged(text: str, forge: Callable[[list[Line]], object]) -> str:
    """The file with its lines changed, and then their numbers and the totals to fit."""
    header, *records = csv.reader(text.splitlines())
    lines = [dict(zip(header, record, strict=True)) for record in records if record[0] == "line"]
    forge(lines)
    totals = []
    for currency in sorted({line["currency"] for line in lines}):
        of_it = [line for line in lines if line["currency"] == currency]
        sums = {name: str(sum(Decimal(line[name]) for line in of_it)) for name in ("base_amount", "amount")}
        totals.append({"record": "total", "number": str(len(of_it)), "currency": currency, **sums})
    numbered = [line | {"number": str(number)} for number, line in enumerate(lines, start=1)]
    rows = [header, *([record.get(name, "") for name in header] for record in (*numbered, *totals))]
    return "".join(",".join(row) + "\n" for row in rows)


def amended(at: int, **columns: str) -> Callable[[list[Line]], object]:
    return lambda lines: lines[at - 2].update(columns)


def repeated(at: int, **columns: str) -> Callable[[list[Line]], object]:
    """The line once more, right after itself, with these columns changed."""
    return lambda lines: lines.insert(at - 1, lines[at - 2] | {"line_id": uuid(8, at)} | columns)


def alone(at: int, **columns: str) -> Callable[[list[Line]], object]:
    """The adjustment, without the line before that it adjusts."""

    def forge(lines: list[Line]) -> None:
        lines[at - 2].update(columns)
        del lines[at - 3]

    return forge


def test_a_file_forged_in_nothing_is_the_file(statement: str, with_fees: str) -> None:
    for text in (statement, with_fees):
        assert forged(text, lambda lines: None) == text


UNDONE = {"reason": "undone", "booked": "12.50", "entitled": "0.00", "amount": "-12.50"}
OF_NOTHING = {"base_amount": "0.00", "entitled": "0.00", "amount": "0.00"}
NOT_FIRST = "adjusts a line that is not the first of its cause"


# Lines 3 to 5 are the fees of three cases, line 6 takes the third back.
@pytest.mark.parametrize(
    ("forge", "at", "wrong"),
    [
        (repeated(3, currency="USD"), 4, "currency is USD, earlier of the same placement CNY"),
        (repeated(3), 4, "its cause has a line already, and this one adjusts none"),
        (repeated(3, adjusts_id=uuid(2, 2)), 4, "booked is 0.00, recomputed 12.50"),
        (amended(4, terms_version="2"), 4, "terms_version is 2, earlier of the same placement 1"),
        (amended(3, adjusts_id=uuid(2, 2), **UNDONE), 3, NOT_FIRST),
        (amended(6, adjusts_id=uuid(2, 2)), 6, NOT_FIRST),
        (alone(6, adjusts_id=uuid(2, 2)), 5, NOT_FIRST),
        (alone(6, booked="99.00", amount="-99.00"), 5, "booked is 99.00, recomputed 12.50"),
        (amended(3, booked="2.50", amount="10.00"), 3, "booked is 2.50, recomputed 0.00"),
        (amended(3, **UNDONE), 3, "booked is 12.50, recomputed 0.00"),
        (amended(3, **UNDONE | OF_NOTHING | {"booked": "0.00"}), 3, "takes back what no line has booked"),
        (repeated(6), 7, "booked is 12.50, recomputed 0.00"),
        (repeated(6, booked="0.00", amount="0.00"), 7, "booked is 0.00, recomputed 12.50"),
        (
            repeated(6, reason="", booked="0.00", entitled="12.50", amount="12.50"),
            7,
            "adjusts a fee that was not undone",
        ),
        (amended(3, case_fee="0.00", entitled="0.00", amount="0.00"), 3, "case_fee is not in its form"),
        (amended(3, case_fee="-12.50", entitled="-12.50", amount="-12.50"), 3, "case_fee is not in its form"),
        (amended(3, base_amount="100.00"), 3, "base_amount is not in its form"),
        (
            amended(4, effective_on="2026-01-21", posted_on="2026-01-21"),
            4,
            "posted_on is 2026-01-21, earlier of the same placement's fees 2026-01-20",
        ),
    ],
)
def test_a_fee_that_the_engine_cannot_write_is_refused_though_the_totals_fit(
    with_fees: str, forge: Callable[[list[Line]], object], at: int, wrong: str
) -> None:
    with pytest.raises(StatementRefused) as refused:
        check(forged(with_fees, forge))
    assert str(refused.value) == f"line {at}: {wrong}"


# Lines 2 and 3: a payment and its adjustment; 4 and 5: what was taken back of it; 6: paid to the agency; 7: dollars.
@pytest.mark.parametrize(
    ("forge", "at", "wrong"),
    [
        (repeated(2, currency="USD"), 3, "currency is USD, earlier of the same placement CNY"),
        (repeated(2), 3, "its cause has a line already, and this one adjusts none"),
        (repeated(2, line_id=uuid(2, 2), payment_id=uuid(7, 1)), 3, "line_id is used twice"),
        (amended(8, terms_version="2"), 8, "terms_version is 2, earlier of the same placement 1"),
        (
            amended(8, rate="1.000000", entitled="12.34", amount="12.34"),
            8,
            "rate is 1.000000, earlier of the same placed case 0.125000",
        ),
        (amended(2, rate="9.000000", entitled="9000.00", amount="9000.00"), 2, "rate is not in its form"),
        (amended(2, adjusts_id=uuid(2, 2), booked="25.00", amount="100.00"), 2, NOT_FIRST),
        (amended(2, booked="25.00", amount="100.00"), 2, "booked is 25.00, recomputed 0.00"),
        (amended(5, adjusts_id=uuid(2, 2)), 5, NOT_FIRST),
        (alone(5, adjusts_id=uuid(2, 2)), 4, NOT_FIRST),
        (alone(3, line_id=uuid(2, 2)), 2, NOT_FIRST),
        (alone(3, adjusts_id=uuid(2, 1)), 3, "line_id is used twice"),
        (alone(3, booked="-850.00", amount="1000.00"), 2, "more was booked than was paid"),
        (alone(3, booked="1000.01", amount="-850.01"), 2, "more was booked than was paid"),
        (repeated(3, booked="150.00", amount="0.00"), 4, "adjusts a line by nothing"),
        (
            amended(3, paid_amount="2000.00", base_amount="2000.00", entitled="300.00", amount="175.00"),
            3,
            "paid_amount is 2000.00, earlier of the same payment 1000.00",
        ),
        (
            amended(2, component="clawback", original_id=uuid(7, 1)),
            2,
            "a clawback is of money taken back, a contingency fee of money paid",
        ),
        (
            amended(4, component="contingency", original_id=""),
            4,
            "a clawback is of money taken back, a contingency fee of money paid",
        ),
        (
            amended(8, attribution="none", reason="not_attributed", **OF_NOTHING),
            8,
            "takes back what no line has booked",
        ),
        (amended(8, reason="agency_may_not_receive", **OF_NOTHING), 8, "paid_to and reason contradict each other"),
        (
            repeated(6, payment_id=uuid(7, 1), reason="", base_amount="70.00", entitled="8.75", amount="8.75"),
            7,
            "reason is empty, earlier of the same placement's payments to the agency agency_may_not_receive",
        ),
    ],
)
def test_a_payment_that_the_engine_cannot_write_is_refused_though_the_totals_fit(
    statement: str, forge: Callable[[list[Line]], object], at: int, wrong: str
) -> None:
    with pytest.raises(StatementRefused) as refused:
        check(forged(statement, forge))
    assert str(refused.value) == f"line {at}: {wrong}"


def test_a_statement_holds_placements_of_several_cards_and_a_bid() -> None:
    bid = derive_fees(fees(1, placement=LATER).with_columns(terms_version=pl.lit(0, pl.Int32)))
    card = derive(attributed(("1000.00", {})), terms("0.1"))
    text = "".join(statement_file(booked(difference(pl.concat([card, bid]), NOTHING, "2026-01"))))
    assert {field(text, at, "terms_version") for at in (2, 3)} == {"0", "1"}
    assert check(text).totals == {"CNY": 11250}


def test_a_payment_that_goes_to_a_later_placement_and_back_verifies() -> None:
    rates = terms("0.1", "0.2")
    paid: Payment = ("1000.00", {})
    there, back = derive(attributed(paid, placement_id=LATER), rates), derive(attributed(paid), rates)
    lines = booked(difference(back, NOTHING, "2026-01"))
    for start, derived in ((50, there), (60, derive(attributed(), rates)), (70, back)):
        lines = pl.concat([lines, booked(difference(derived, lines, "2026-01"), start=start)])
    assert check("".join(statement_file(lines))) == (4, {"CNY": 10000})


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
    assert capsys.readouterr().out == "verified: 8 lines, total 89.98 CNY, 12.51 USD\n"


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
    assert (ran.returncode, ran.stdout) == (0, "verified: 8 lines, total 89.98 CNY, 12.51 USD\n")


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
