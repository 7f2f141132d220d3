"""Retentions by file: case numbers, grounds and days, one row a case. Rows at fault are named, the others asked for."""

from uuid import UUID

from models.errors import RowError, outside
from models.placement import Placement
from models.recall_file import RETENTION_COLUMNS
from models.services.exchange import agency_files, retentions
from models.services.exchange.agency_files import Row
from models.tabular import FileOutcome, Source
from models.work import Work


def request(work: Work, stream: Source, file_name: str) -> FileOutcome:
    """Ask to keep every case of the file, as `retentions.request` does and `agency_files.apply` reads it."""
    return agency_files.apply(work, stream, file_name, RETENTION_COLUMNS, _ask_rows, "retentions.request")


def _ask_rows(work: Work, placement: Placement, rows: list[Row]) -> list[RowError]:
    days_max = retentions.require_window(work, placement).days_max
    case_ids = [row.case_id for row in rows]
    asked = retentions.asked_of(work, placement, case_ids)
    grounds = {ground for ground, _ in (row.said for row in rows)}
    shown = {ground: retentions.shown(work, placement, case_ids, ground) for ground in grounds}
    groups: dict[tuple[str, int], list[UUID]] = {}
    errors: list[RowError] = []
    for row in rows:
        ground, days = row.said
        if faults := outside("days", days, 1, days_max, row.row):
            errors += faults
        elif row.case_id in asked:
            errors.append(row.refused("retention_stands"))
        elif row.case_id not in shown[ground]:
            errors.append(RowError(row.row, "ground", "ground_missing"))
        else:
            groups.setdefault((ground, days), []).append(row.case_id)
    for (ground, days), of_group in sorted(groups.items()):
        retentions.ask(work, placement, sorted(of_group), ground, days)
    return errors
