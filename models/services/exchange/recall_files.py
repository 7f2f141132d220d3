"""Recalls by file: case numbers and reasons, one row a case. Rows at fault are named, the others recalled."""

from uuid import UUID

from sqlalchemy import Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from models.case import Case
from models.errors import Invalid, RowError
from models.identifiers import looks_personal
from models.recall_file import RECALL_COLUMNS, read
from models.services import tenancy
from models.services.exchange import recall_cases, recalls
from models.services.exchange.recalls import AT_ONCE
from models.tabular import FileOutcome, Source, Upload
from models.work import LENDER, Work


def request(work: Work, stream: Source, file_name: str, *, immediate: bool = False) -> FileOutcome:
    """Ask for every case of the file, a recall for each placement and reason.

    `unknown_case` for a number that is unknown or another lender's, `not_placed` for a case that no agency has. A case
    that is asked for already counts as repeated. Raises Invalid where the file as a whole is refused.
    """
    assert work.actor.side == LENDER
    if looks_personal(file_name):
        raise Invalid(errors=[RowError(0, "file_name", "name_personal")])
    rows: list[tuple[int, str, str]] = []
    errors: list[RowError] = []
    for batch in read(Upload(stream), RECALL_COLUMNS):
        rows += batch.rows.select("row", "case_number", "reason").iter_rows()
        errors += [RowError(*error) for error in batch.errors.iter_rows()]
    found = _find_numbered(work, {number for _, number, _ in rows})
    placed = recall_cases.lock_placed(work, set(found.values()))
    asked = recall_cases.asked_of(work, list(placed))
    groups: dict[tuple[UUID, str], list[UUID]] = {}
    repeated = 0
    for row, number, reason in rows:
        case_id = found.get(number)
        if case_id is None or case_id not in placed:
            errors.append(RowError(row, "case_number", "unknown_case" if case_id is None else "not_placed"))
        elif case_id in asked and reason not in AT_ONCE and not immediate:
            repeated += 1
        else:
            groups.setdefault((placed[case_id], reason), []).append(case_id)
    for (placement_id, reason), case_ids in sorted(groups.items()):
        recalls.request(work, placement_id, reason, case_ids, immediate=immediate)
    accepted = sum(map(len, groups.values()))
    return FileOutcome(accepted, repeated, len({error.row for error in errors}), sorted(errors))


def _find_numbered(work: Work, numbers: set[str]) -> dict[str, UUID]:
    """case number → the lender's case."""
    named = Case.reference == any_(literal(sorted(numbers), ARRAY(Text)))
    return dict(work.session.execute(select(Case.reference, Case.id).where(tenancy.own(work, Case), named)).all())
