"""Recompute a statement file to the cent: standard library alone, no code shared with what made the file.

Whole cents and integers throughout, so that not even the arithmetic is shared. This file may be copied and used
elsewhere: it needs nothing else of the platform.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CENTS = r"-?(0|[1-9][0-9]{0,15})\.[0-9]{2}"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

LINE = {  # Every column of the file in its order, and what the line of a payment may hold there.
    "record": r"line",
    "number": r"[1-9][0-9]*",
    "agreement_id": _UUID,
    "period": r"[0-9]{4}-(0[1-9]|1[0-2])",
    "line_id": _UUID,
    "component": r"contingency|clawback",
    "adjusts_id": rf"({_UUID})?",
    "case_id": _UUID,
    "payment_id": _UUID,
    "original_id": rf"({_UUID})?",
    "paid_amount": _CENTS,
    "currency": r"[A-Z]{3}",
    "effective_on": _DAY,
    "posted_on": _DAY,
    "paid_to": r"lender|agency|platform",
    "placement_id": _UUID,
    "attribution": r"term|tail|none",
    "reason": r"(agency_may_not_receive|not_attributed)?",
    "terms_version": r"[0-9]+",
    "base_amount": _CENTS,
    "rate": r"0\.[0-9]{6}|1\.000000",
    "case_fee": r"",
    "entitled": _CENTS,
    "booked": _CENTS,
    "amount": _CENTS,
}
FEE = LINE | {  # The line of a fee for a case: of a placement that was acknowledged, and of no payment.
    "component": r"case_fee",
    "payment_id": r"",
    "original_id": r"",
    "paid_amount": r"",
    "paid_to": r"",
    "attribution": r"",
    "reason": r"(undone)?",
    "base_amount": r"0\.00",
    "rate": r"0\.000000",
    "case_fee": r"(?!0\.00)(0|[1-9][0-9]{0,15})\.[0-9]{2}",  # A placement without a fee has no line of one.
}
TOTAL = dict.fromkeys(LINE, "") | {
    "record": r"total",
    "number": LINE["number"],
    "currency": LINE["currency"],
    "base_amount": _CENTS,
    "amount": _CENTS,
}
_COLUMNS = list(LINE)
_COLUMNS_1 = [name for name in LINE if name != "case_fee"]  # Format 1, a statement without fees.
_SHAPES = {
    record: {name: re.compile(shape).fullmatch for name, shape in shapes.items()}
    for record, shapes in (("line", LINE), ("fee", FEE), ("total", TOTAL))
}
_PAYMENT = (  # Columns that tell the payment itself.
    "component", "case_id", "original_id", "paid_amount", "currency", "effective_on", "posted_on", "paid_to",
)  # fmt: skip
_TAKEN_BACK = ("not_attributed", "undone")  # The reasons of what was booked and is not earned any more.
_MILLIONTHS = 1_000_000


class StatementRefused(ValueError):
    """The statement does not come out as written: the line of the file, and what is wrong there."""

    def __init__(self, line: int, wrong: str) -> None:
        self.line = line
        super().__init__(f"line {line}: {wrong}")


class Verified(NamedTuple):
    lines: int
    totals: dict[str, int]  # currency → cents


class _Sum(NamedTuple):
    lines: int = 0
    base: int = 0
    amount: int = 0


def verify_statement(text: Iterable[str]) -> Verified:
    """The lines of a statement file, ends included → what it comes to; StatementRefused at the first wrong line."""
    sums: dict[str, _Sum] = {}
    claimed: dict[str, _Sum] = {}
    seen = _Seen()
    for at, record in _records(text):
        if record["record"] == "total":
            _check_total(at, record, sums, claimed)
        elif claimed:
            raise StatementRefused(at, "a line after the totals")
        else:
            seen.check(at, record)
            _check_amounts(at, record)
            lines, base, amount = sums.get(record["currency"], _Sum())
            sums[record["currency"]] = _Sum(
                lines + 1, base + _cents(record["base_amount"]), amount + _cents(record["amount"])
            )
    missing = sorted(sums.keys() - claimed.keys())
    if missing:
        raise StatementRefused(seen.lines + len(claimed) + 2, f"no total for {', '.join(missing)}")
    return Verified(seen.lines, {currency: total.amount for currency, total in sorted(claimed.items())})


def _records(text: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line of the file, record) for each line after the header; every field in the shape its column has."""
    at, columns = 0, _COLUMNS
    for at, line in enumerate(text, start=1):
        if not line.endswith("\n") or line.endswith("\r\n"):
            raise StatementRefused(at, "does not end in one LF")
        fields = line[:-1].split(",")
        if at == 1:
            if fields not in (_COLUMNS, _COLUMNS_1):
                raise StatementRefused(at, "not the header of a statement")
            columns = fields
            continue
        if len(fields) != len(columns):
            raise StatementRefused(at, f"{len(fields)} fields where {len(columns)} belong")
        record = {"case_fee": ""} | dict(zip(columns, fields, strict=True))
        for name, shape in _shapes(record).items():
            if not shape(record[name]) or record[name] == "-0.00":
                raise StatementRefused(at, f"{name} is not in its form")
        yield at, record
    if at == 0:
        raise StatementRefused(1, "the file is empty")


def _shapes(record: dict[str, str]) -> Mapping[str, Callable[[str], object]]:
    if record["record"] == "total":
        return _SHAPES["total"]
    return _SHAPES["fee" if record["component"] == "case_fee" else "line"]


class _Seen:
    """What earlier lines of the file fix for later ones."""

    def __init__(self) -> None:
        self.lines = 0
        self.fixed: dict[tuple[str, str], str] = {}  # what, which one → its facts, as the file has them
        self.ids: set[str] = set()  # of the lines of this file, and of those in other files that it adjusts
        self.chains: dict[str, tuple[str, int]] = {}  # cause → its first line, cents booked so far

    def check(self, at: int, record: dict[str, str]) -> None:
        self.lines += 1
        _agree(at, "number", record["number"], str(self.lines))
        for what, which, names in _fixed(record):
            facts = ",".join(record[name] for name in names)
            earlier = self.fixed.setdefault((what, which), facts)
            if facts != earlier:
                raise StatementRefused(at, _differing(what, names, facts, earlier))
        self._follow(at, record)

    def _follow(self, at: int, record: dict[str, str]) -> None:
        """A cause has one first line, here or in an earlier statement, and adjustments that all name it."""
        cause, adjusts, booked = _cause(record), record["adjusts_id"], _cents(record["booked"])
        if record["line_id"] in self.ids:
            raise StatementRefused(at, "line_id is used twice")
        self.ids.add(record["line_id"])
        known = cause in self.chains
        if known and not adjusts:
            raise StatementRefused(at, "its cause has a line already, and this one adjusts none")
        first, so_far = self.chains.get(cause, (adjusts or record["line_id"], booked if adjusts else 0))
        if adjusts and (adjusts != first if known else adjusts in self.ids):
            raise StatementRefused(at, "adjusts a line that is not the first of its cause")
        _agree(at, "booked", record["booked"], _text(so_far))
        self.ids.add(first)
        self.chains[cause] = first, so_far + _cents(record["amount"])


def _fixed(record: dict[str, str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(what, which one, columns): facts of a payment or frozen with a placement, so the same in each line of it."""
    placement = record["placement_id"]
    yield "statement", "", ("agreement_id", "period")
    yield "placement", placement, ("currency", "terms_version")
    if record["component"] == "case_fee":
        yield "placement's fees", placement, ("case_fee", "posted_on")
        return
    yield "payment", record["payment_id"], _PAYMENT
    yield "placed case", f"{placement}/{record['case_id']}", ("rate",)
    if record["paid_to"] == "agency" and record["component"] == "contingency" and record["attribution"] != "none":
        yield "placement's payments to the agency", placement, ("reason",)


def _differing(what: str, names: Iterable[str], facts: str, earlier: str) -> str:
    triples = zip(names, facts.split(","), earlier.split(","), strict=True)
    name, fact, before = next(triple for triple in triples if triple[1] != triple[2])
    return f"{name} is {fact or 'empty'}, earlier of the same {what} {before or 'empty'}"


def _cause(record: dict[str, str]) -> str:
    """The payment; of a fee the case as it was placed."""
    return record["payment_id"] or f"{record['placement_id']}/{record['case_id']}"


def _check_amounts(at: int, record: dict[str, str]) -> None:
    for name in ("effective_on", "posted_on"):
        _check_day(at, name, record[name])
    if record["period"] < record["posted_on"][:7]:
        raise StatementRefused(at, "booked in a period before its posting date")
    if record["reason"] in _TAKEN_BACK and not record["adjusts_id"]:
        raise StatementRefused(at, "takes back what no line has booked")
    base, entitled = _fee(at, record) if record["component"] == "case_fee" else _share(at, record)
    _agree(at, "base_amount", record["base_amount"], _text(base))
    _agree(at, "entitled", record["entitled"], _text(entitled))
    _agree(at, "amount", record["amount"], _text(entitled - _cents(record["booked"])))
    if record["adjusts_id"] and record["amount"] == "0.00":
        raise StatementRefused(at, "adjusts a line by nothing")


def _share(at: int, record: dict[str, str]) -> tuple[int, int]:
    """Base and entitlement, in cents, of a payment."""
    paid, booked, is_clawback = _cents(record["paid_amount"]), _cents(record["booked"]), bool(record["original_id"])
    if (record["component"] == "clawback") != is_clawback:
        raise StatementRefused(at, "a clawback names an original payment, a contingency fee none")
    if paid and (paid < 0) != is_clawback:
        raise StatementRefused(at, "a clawback is of money taken back, a contingency fee of money paid")
    if (record["attribution"] == "none") != (record["reason"] == "not_attributed"):
        raise StatementRefused(at, "attribution and reason contradict each other")
    # Whether a reversal earns was decided with its original, whoever gave the money back.
    if record["reason"] == "agency_may_not_receive" and record["paid_to"] != "agency" and not is_clawback:
        raise StatementRefused(at, "paid_to and reason contradict each other")
    if not min(paid, 0) <= booked <= max(paid, 0):
        raise StatementRefused(at, "more was booked than was paid")
    base = 0 if record["reason"] else paid
    return base, _rounded(base * int(record["rate"].replace(".", "")))


def _fee(at: int, record: dict[str, str]) -> tuple[int, int]:
    """The same of a case: earned on the day the placement was acknowledged, lost if the distribution was undone."""
    _agree(at, "effective_on", record["effective_on"], record["posted_on"])
    if record["adjusts_id"] and not record["reason"]:
        raise StatementRefused(at, "adjusts a fee that was not undone")
    _agree(at, "booked", record["booked"], record["case_fee"] if record["reason"] else "0.00")
    return 0, 0 if record["reason"] else _cents(record["case_fee"])


def _check_total(at: int, record: dict[str, str], sums: dict[str, _Sum], claimed: dict[str, _Sum]) -> None:
    currency = record["currency"]
    if currency not in sums or currency in claimed:
        raise StatementRefused(at, f"a total for {currency} does not belong here")
    total = claimed[currency] = sums[currency]
    _agree(at, "number", record["number"], str(total.lines))
    _agree(at, "base_amount", record["base_amount"], _text(total.base))
    _agree(at, "amount", record["amount"], _text(total.amount))


def _check_day(at: int, name: str, text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise StatementRefused(at, f"{name} is no day") from None


def _agree(at: int, name: str, written: str, recomputed: str) -> None:
    if written != recomputed:
        raise StatementRefused(at, f"{name} is {written}, recomputed {recomputed}")


def _cents(text: str) -> int:
    return int(text.replace(".", ""))


def _text(cents: int) -> str:
    whole, part = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole}.{part:02}"


def _rounded(millionths: int) -> int:
    """Millionths of a cent to whole cents, half away from zero."""
    cents = (2 * abs(millionths) + _MILLIONTHS) // (2 * _MILLIONTHS)
    return -cents if millionths < 0 else cents


def summary(verified: Verified) -> str:
    totals = ", ".join(f"{_text(cents)} {currency}" for currency, cents in verified.totals.items()) or "0.00"
    return f"verified: {verified.lines} lines, total {totals}"


def verify_file(path: Path) -> int:
    """Say whether the file is right. Exit code 0: verified; 1: wrong, naming the first wrong line; 2: unreadable."""
    try:
        with path.open(encoding="ascii", newline="") as text:
            print(summary(verify_statement(text)))
    except UnicodeDecodeError:
        print("refused: the file is not plain ASCII text", file=sys.stderr)
        return 1
    except StatementRefused as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot read {path}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 verify.py STATEMENT.csv")
    sys.exit(verify_file(Path(sys.argv[1])))
