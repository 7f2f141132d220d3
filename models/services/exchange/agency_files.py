"""Files in which an agency names cases it holds, over all its placements: rows at fault are named, the others done.

What comes too late, after the end of a case or of its placement, stands in the lender's log, as it does case by case.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from models.case import Case
from models.columns import Column
from models.errors import CaseClosedToWork, Conflict, Forbidden, Invalid, RowError
from models.identifiers import looks_personal
from models.placement import LIVE, PlacedCase, Placement
from models.recall_file import read
from models.services import bulk, refusals, tenancy
from models.services.exchange import ends, placed_cases
from models.services.exchange.placed_cases import LATE
from models.tabular import FileOutcome, Source, Upload
from models.work import AGENCY, Work


class Row(NamedTuple):
    """A row of a file: the case it names, and what it says of it in the file's other columns."""

    row: int
    case_id: UUID
    placement: Placement
    said: tuple[Any, ...]

    def refused(self, code: str) -> RowError:
        return RowError(self.row, "case_number", code)


# What is done with rows of one placement, which is locked with their cases and holds them: the rows that are refused.
Act = Callable[[Work, Placement, list[Row]], list[RowError]]
Lock = Callable[[Work, UUID, Sequence[UUID], Sequence[UUID]], Sequence[Placement]]  # as `ends.lock`
Late: TypeAlias = dict[Placement, Counter[str]]  # how many rows came too late, by the code they were refused with


def apply(
    work: Work,
    stream: Source,
    file_name: str,
    columns: tuple[Column, ...],
    act: Act,
    asked_for: str,
    lock: Lock = ends.lock,
) -> FileOutcome:
    """Put each row to `act`; `asked_for` is the permission, as the log names it. The first column is the case number.

    `unknown_case` for a number that the agency never held, how it ended (`case_recalled`, `case_returned`,
    `placement_expired`) for one that it held before, `ambiguous_case_number` for one that several lenders use. Raises
    Invalid where the file as a whole is refused.
    """
    if work.actor.side != AGENCY or "manager" not in work.actor.roles:
        raise Forbidden
    if looks_personal(file_name):
        raise Invalid(errors=[RowError(0, "file_name", "name_personal")])
    rows: list[tuple[Any, ...]] = []
    errors: list[RowError] = []
    for batch in read(Upload(stream), columns):
        rows += batch.rows.select("row", *(column.name for column in columns)).iter_rows()
        errors += [RowError(*error) for error in batch.errors.iter_rows()]
    numbers = {number for _, number, *_ in rows}
    held = find_held(work, numbers)
    ended = _find_ended(work, numbers - held.keys())
    named: dict[UUID, list[Row]] = {}
    late: Late = defaultdict(Counter)
    for row, number, *said in rows:
        places = held.get(number, [])
        if len(places) == 1:
            placement, case_id = places[0]
            named.setdefault(placement.lender_id, []).append(Row(row, case_id, placement, tuple(said)))
            continue
        codes = ended.get(number, {})
        for placement, code in codes.items():
            late[placement][code] += 1
        faults = set(codes.values()) or {"ambiguous_case_number" if places else "unknown_case"}
        errors += [RowError(row, "case_number", code) for code in faults]
    for _, of_lender in sorted(named.items()):
        errors += _act_for_lender(work, of_lender, act, lock, late)
    _record_late(work, late, asked_for)
    refused = {error.row for error in errors}
    accepted = sum(row not in refused for row, *_ in rows)
    return FileOutcome(accepted, 0, len(refused), sorted(errors))


def find_held(work: Work, numbers: set[str]) -> dict[str, list[tuple[Placement, UUID]]]:
    """case number → the placements and cases that it names, of those the agency holds now."""
    query = (
        select(Case.reference, Placement, Case.id)
        .join(PlacedCase, (PlacedCase.lender_id == Case.lender_id) & (PlacedCase.case_id == Case.id))
        .join(Placement, (Placement.lender_id == PlacedCase.lender_id) & (Placement.id == PlacedCase.placement_id))
        .where(
            *(tenancy.own(work, table) for table in (Case, PlacedCase, Placement)),
            Placement.state.in_(LIVE),
            PlacedCase.ended_at.is_(None),
            Case.reference == any_(literal(sorted(numbers), ARRAY(Text))),
        )
    )
    found: dict[str, list[tuple[Placement, UUID]]] = {}
    for number, placement, case_id in work.session.execute(query):
        found.setdefault(number, []).append((placement, case_id))
    return found


def _find_ended(work: Work, numbers: set[str]) -> dict[str, dict[Placement, str]]:
    """case number → of each lender the placement that held it last, and how that ended.

    Looked up where the case lies, since the agency reads it no longer; only what was placed with it is looked at.
    """
    found: dict[str, dict[Placement, str]] = defaultdict(dict)
    for lender_id, crossing in placed_cases.crossings(work).items() if numbers else ():
        last = (
            select(Case.reference, Placement, PlacedCase.end_reason)
            .join(PlacedCase, (PlacedCase.lender_id == Case.lender_id) & (PlacedCase.case_id == Case.id))
            .join(Placement, (Placement.lender_id == PlacedCase.lender_id) & (Placement.id == PlacedCase.placement_id))
            .where(
                *(tenancy.of_lender(lender_id, table) for table in (Case, PlacedCase, Placement)),
                PlacedCase.agency_id == crossing.agency_id,
                PlacedCase.ended_at.is_not(None),
                Case.reference == any_(literal(sorted(numbers), ARRAY(Text))),
            )
            .ext(distinct_on(Case.id))
            .order_by(Case.id, PlacedCase.started_at.desc(), PlacedCase.placement_id.desc())
        )
        with work.as_lender(crossing):
            for number, placement, reason in work.session.execute(last):
                found[number][placement] = placed_cases.code_of_end(reason)
    return found


def _by_placement(rows: list[Row]) -> dict[UUID, list[Row]]:
    groups: dict[UUID, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.placement.id, []).append(row)
    return dict(sorted(groups.items()))


def _act_for_lender(work: Work, rows: list[Row], act: Act, lock: Lock, late: Late) -> list[RowError]:
    """Do what the rows ask of one lender's cases, all of them locked first; answers the rows that are refused."""
    groups, errors = _by_placement(rows), []
    with work.as_lender(rows[0].placement):
        locked = lock(work, rows[0].placement.lender_id, list(groups), sorted(row.case_id for row in rows))
        for placement in locked:
            errors += _act_for_placement(work, placement, groups[placement.id], act, late)
    return errors


def _act_for_placement(work: Work, placement: Placement, rows: list[Row], act: Act, late: Late) -> list[RowError]:
    """What became of the cases while their locks were waited for counts."""
    gone = _find_gone(work, placement, [row.case_id for row in rows])
    errors = [row.refused(gone[row.case_id]) for row in rows if row.case_id in gone]
    left, too_late = [row for row in rows if row.case_id not in gone], LATE
    try:
        errors += act(work, placement, left) if left else []
    except CaseClosedToWork as refusal:
        errors, too_late = errors + [row.refused(refusal.code) for row in left], LATE | {refusal.code}
    except Conflict as refusal:
        errors += [row.refused(refusal.code) for row in left]
    for error in errors:
        if error.code in too_late:
            late[placement][error.code] += 1
    return errors


def _find_gone(work: Work, placement: Placement, case_ids: list[UUID]) -> dict[UUID, str]:
    """Of these cases those the placement holds no longer, with what an agency is told of it."""
    ended = select(PlacedCase.case_id, PlacedCase.end_reason).where(
        tenancy.of_lender(placement.lender_id, PlacedCase),
        PlacedCase.placement_id == placement.id,
        PlacedCase.ended_at.is_not(None),
        bulk.among(PlacedCase.case_id, case_ids),
    )
    return {case_id: placed_cases.code_of_end(reason) for case_id, reason in work.session.execute(ended)}


def _record_late(work: Work, late: Late, asked_for: str) -> None:
    """After every lock and in one order, so that two files of one person do not wait for each other."""
    for placement, codes in sorted(late.items(), key=lambda of_placement: of_placement[0].id):
        with work.as_lender(placement):
            for code, count in sorted(codes.items()):
                refusals.record_rows(work, code, asked_for, count, placement.id)
