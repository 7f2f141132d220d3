"""The command `seal`: a case file becomes a sealed portfolio, without leaving the lender's machine in the clear."""

import argparse
import csv
import datetime as dt
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from crypto.case_rows import CaseRow, read_case_rows
from crypto.errors import CaseFileRefused, FileRefused
from crypto.private_file import create_private_stream
from crypto.sealed_file import new_portfolio_id, seal_portfolio
from crypto.tool import terminal

BUSINESS_ZONE = dt.timezone(dt.timedelta(hours=8))  # Asia/Shanghai, which keeps no summer time
DONE, REFUSED = 0, 1


def run(options: argparse.Namespace) -> int:
    """Read the file twice: to judge every row, then, if that is well, to seal the good ones."""
    terminal.require_absent(options.out)
    on = dt.datetime.fromtimestamp(options.now, BUSINESS_ZONE).date()
    good, bad = _judge(options.cases, on)
    if not good or (bad and not options.skip_bad):
        print(f"nothing was sealed: {bad} bad rows, {good} good ones", file=sys.stderr)
        return REFUSED
    keys = terminal.read_keys(options.key)
    portfolio_id = new_portfolio_id(options.now)
    try:
        lines = seal_portfolio(_good_rows(options.cases, on), good, keys, portfolio_id, on)
        create_private_stream(options.out, lines)
    except ValueError:
        raise FileRefused(f"{options.cases} was changed while it was sealed: try again") from None
    print(f"sealed {good} cases, left out {bad} rows, portfolio {UUID(bytes=portfolio_id)}")
    return DONE


def _judge(path: Path, on: dt.date) -> tuple[int, int]:
    """Counts of good and bad rows; the faults go to stderr as CSV: row, field, code, never a value."""
    report = csv.writer(sys.stderr, lineterminator="\n")
    good = bad = 0
    with path.open("rb") as file:
        try:
            for row in read_case_rows(file, on):
                if isinstance(row, CaseRow):
                    good += 1
                    continue
                if not bad:
                    report.writerow(("row", "field", "code"))
                bad += 1
                report.writerows(row)
        except CaseFileRefused as refused:
            report.writerows([("row", "field", "code"), *refused.faults])
            return 0, 0
    return good, bad


def _good_rows(path: Path, on: dt.date) -> Iterator[CaseRow]:
    with path.open("rb") as file:
        yield from (row for row in read_case_rows(file, on) if isinstance(row, CaseRow))


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("seal", help="seal a case file (CSV) into one file to upload")
    command.add_argument("cases", type=Path, metavar="CASES.csv")
    command.add_argument("--key", type=Path, required=True, metavar="FILE", help="the lender's key file")
    command.add_argument("-o", "--out", type=Path, required=True, metavar="FILE")
    command.add_argument("--skip-bad", action="store_true", help="seal the good rows where others are bad")
    command.set_defaults(run=run)
