"""CSV for people's spreadsheets: streamed, and with no cell that a spreadsheet would run."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar
from uuid import UUID

from flask import Response

from models.csv_safe import csv_lines


class Identified(Protocol):
    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=Identified)


def whole(page_after: Callable[[UUID | None], list[Row]]) -> list[Row]:
    """Every row of a list that comes in pages: what a download holds."""
    rows: list[Row] = []
    while part := page_after(rows[-1].id if rows else None):
        rows += part
    return rows


def csv_download(name: str, header: tuple[str, ...], rows: Iterable[Iterable[object]]) -> Response:
    """A download of `header` and `rows`; call it with rows already read, the Work is over when it streams."""
    return text_download(name, csv_lines([header, *rows], bom=True), "text/csv")


def text_download(name: str, lines: Iterable[str], content_type: str) -> Response:
    response = Response(lines, content_type=f"{content_type}; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response
