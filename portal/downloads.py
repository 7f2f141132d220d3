"""CSV for people's spreadsheets: streamed, and with no cell that a spreadsheet would run."""

from collections.abc import Iterable

from flask import Response

from models.csv_safe import csv_lines


def csv_download(name: str, header: tuple[str, ...], rows: Iterable[Iterable[object]]) -> Response:
    """A download of `header` and `rows`; call it with rows already read, the Work is over when it streams.

    For what holds no case: the faults of a file just uploaded, the operator's organisations. Lists are `portal.sheets`.
    """
    return text_download(name, csv_lines([header, *rows], bom=True), "text/csv")


def text_download(name: str, lines: Iterable[str], content_type: str) -> Response:
    return _attached(name, Response(lines, content_type=f"{content_type}; charset=utf-8"))


def file_download(name: str, content: bytes, content_type: str) -> Response:
    """A file that was made whole, because its digest was logged before it leaves."""
    return _attached(name, Response(content, content_type=f"{content_type}; charset=utf-8"))


def _attached(name: str, response: Response) -> Response:
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response
