"""Sheets: the lists that leave as CSV, each traceable. Read, allowed, made, logged and committed before it is sent.

The last column, `export`, names the export on every row, so that rows cut out of a file can be traced as well.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar
from uuid import UUID

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from models.csv_safe import csv_lines
from models.errors import Conflict, NotFound
from models.services.exchange import placed_cases
from models.services.oversight import exports
from models.work import AGENCY, Work
from portal.access import tenant_work
from portal.downloads import file_download
from portal.errors import wants_problem

EXPORT_COLUMN = "export"

Line: TypeAlias = tuple[UUID, Iterable[object]]  # whose row it is, and its values


class Sheet(NamedTuple):
    """One kind of list: who may take it, its columns, and its lines as the filters choose them."""

    kind: str
    permission: str
    header: tuple[str, ...]
    read: Callable[[Work, Mapping[str, str]], Iterable[Line]]
    filters: tuple[str, ...] = ()
    placed: bool = False  # of what is placed: an agency takes away nothing of a lender that froze it


class Identified(Protocol):
    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=Identified)


def whole(page_after: Callable[[UUID | None], list[Row]]) -> Iterator[Row]:
    """Every row of a list that comes in pages, a page at a time."""
    part = page_after(None)
    while part:
        yield from part
        part = page_after(part[-1].id)


def bounded(page_after: Callable[[UUID | None], list[Row]]) -> list[Row]:
    """The same at once, and at most one more than a file may hold."""
    return list(islice(whole(page_after), exports.ROWS_MAX + 1))


def download(sheet: Sheet, **ids: UUID) -> AnyResponse:
    """The sheet as this request filters it; a person is shown how to ask for one that needs a second person."""
    subject = asked(sheet, request.args) | {name: str(id_) for name, id_ in ids.items()}
    try:
        return send(sheet, subject)
    except Conflict as refusal:
        if refusal.code != "export_needs_second_person" or wants_problem():
            raise
    address: dict[str, Any] = {"kind": sheet.kind} | subject
    return redirect(url_for("exports.new", **address))


def send(sheet: Sheet, subject: Mapping[str, str], export_id: UUID | None = None) -> Response:
    """The file, under what was approved as `export_id` if it is given."""
    with tenant_work() as work:
        approved = exports.claim(work, export_id) if export_id else None
        lines = read(work, sheet, subject)

        def write(id_: UUID) -> bytes:
            rows = ((*values, id_) for _, values in lines)
            return "".join(csv_lines([(*sheet.header, EXPORT_COLUMN), *rows], bom=True)).encode()

        file = exports.take(work, sheet.kind, subject, count(lines), write, approved)
    # Committed: what is not in the log has not left.
    return file_download(f"{sheet.kind.replace('_', '-')}-{file.export.id}.csv", file.content, "text/csv")


def read(work: Work, sheet: Sheet, subject: Mapping[str, str]) -> list[Line]:
    """Its lines, and at most one more than a file may hold."""
    frozen: set[UUID] = set()
    if sheet.placed and work.actor.side == AGENCY:
        frozen = placed_cases.find_frozen_by(work)
    lines = (line for line in sheet.read(work, subject) if line[0] not in frozen)
    return list(islice(lines, exports.ROWS_MAX + 1))


def count(lines: Iterable[Line]) -> Counter[UUID]:
    """How many are whose."""
    return Counter(lender_id for lender_id, _ in lines)


def id_of(subject: Mapping[str, str], name: str) -> UUID:
    """The id that a sheet is about. NotFound for none."""
    try:
        return UUID(subject[name])
    except (KeyError, ValueError):
        raise NotFound from None


def asked(sheet: Sheet, given: Mapping[str, str]) -> dict[str, str]:
    """The sheet's own filters among what was given."""
    return {name: given[name] for name in sheet.filters if given.get(name)}
