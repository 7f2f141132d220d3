"""Return (退案): an agency gives cases back, with a code; what follows for each code is one table."""

import datetime as dt
from collections.abc import Mapping
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Text, any_, exists, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from models.business_day import day_of
from models.case import Case
from models.errors import CaseClosedToWork, Conflict, Forbidden, Invalid, NotFound, RowError
from models.exclusion import Exclusion
from models.identifiers import looks_personal
from models.ids import new_ids
from models.notice import LENDER as TO_LENDER
from models.placement import LIVE, RETURN_CODES, TRANSITIONS, PlacedCase, Placement, reason_of_return
from models.recall_file import RETURN_COLUMNS, read
from models.services import bulk, tenancy
from models.services.exchange import ends, placements
from models.services.oversight import audit
from models.states import step
from models.tabular import FileOutcome, Source, Upload
from models.work import AGENCY, Work

BORROWER, CASE, NOTHING = "borrower", "case", "nothing"


class Treatment(NamedTuple):
    """What a return brings about: an exclusion from being placed, of the borrower or of the case, until it is lifted.

    With NOTHING excluded the case may be placed again at once.
    """

    excludes: str
    reason: str = ""


TREATMENTS: Final[Mapping[str, Treatment]] = {
    "deceased": Treatment(BORROWER, "deceased"),
    "bankrupt": Treatment(BORROWER, "bankrupt"),
    "protected": Treatment(BORROWER, "protected"),
    "hardship": Treatment(CASE, "hardship"),
    "complaint": Treatment(CASE, "complaint"),
    "dispute": Treatment(CASE, "on_hold"),  # until the lender has answered it
    "paid_already": Treatment(CASE, "on_hold"),  # until settlement has found the payment, or not
    "lost_contact": Treatment(NOTHING),
    "contact_exhausted": Treatment(NOTHING),
    "refuses_to_pay": Treatment(NOTHING),
    "outside_territory": Treatment(NOTHING),
    "capacity": Treatment(NOTHING),
}
SOURCE = "agency"
LATE = "placement_expired"


class Row(NamedTuple):
    """A row of a file, and what it names."""

    row: int
    case_id: UUID
    code: str
    placement: Placement


def give_back(work: Work, placement_id: UUID, code: str, case_ids: list[UUID]) -> int:
    """Give these cases back to the lender; answers how many. With its last case the placement ends.

    NotFound unless each is placed under this placement now; Conflict while it is frozen, or after its end;
    CaseClosedToWork once the time of one of them is over, whether a job has swept it or not.
    """
    if code not in RETURN_CODES:
        raise Invalid(errors=[RowError(0, "code", "unknown_value")])
    if not case_ids:
        raise Invalid(errors=[RowError(0, "case_ids", "required_missing")])
    placement = placements.get(work, placement_id)
    wanted = sorted(set(case_ids))
    with work.as_lender(placement):
        placements.lock(work, placement)
        _require_returning(work, placement)
        now, ends_at = work.now(), ends.ends_of(work, placement, wanted)
        if len(ends_at) != len(wanted):
            raise NotFound
        if min(ends_at.values()) <= now:
            raise CaseClosedToWork(LATE)
        _give_back(work, placement, code, wanted, now)
    return len(wanted)


def give_back_file(work: Work, stream: Source, file_name: str) -> FileOutcome:
    """The same for a file of case numbers and codes, over all placements: rows at fault are named, the others done.

    `unknown_case` for a number that the agency does not hold now, `ambiguous_case_number` for one that several lenders
    use; what comes late stands in the lender's log. Raises Invalid where the file as a whole is refused.
    """
    if work.actor.side != AGENCY or "manager" not in work.actor.roles:
        raise Forbidden
    if looks_personal(file_name):
        raise Invalid(errors=[RowError(0, "file_name", "name_personal")])
    rows: list[tuple[int, str, str]] = []
    errors: list[RowError] = []
    for batch in read(Upload(stream), RETURN_COLUMNS):
        rows += batch.rows.select("row", "case_number", "return_code").iter_rows()
        errors += [RowError(*error) for error in batch.errors.iter_rows()]
    held = _find_held(work, {number for _, number, _ in rows})
    named: dict[UUID, list[Row]] = {}
    for row, number, code in rows:
        places = held.get(number, [])
        if len(places) == 1:
            placement, case_id = places[0]
            named.setdefault(placement.lender_id, []).append(Row(row, case_id, code, placement))
        else:
            errors.append(RowError(row, "case_number", "ambiguous_case_number" if places else "unknown_case"))
    accepted = 0
    for _, of_lender in sorted(named.items()):
        refused = _give_back_of_lender(work, of_lender)
        accepted += len(of_lender) - len(refused)
        errors += refused
    return FileOutcome(accepted, 0, len({error.row for error in errors}), sorted(errors))


def _give_back_of_lender(work: Work, rows: list[Row]) -> list[RowError]:
    """Give back what the rows name of one lender's cases; answers the rows that are refused."""
    by_placement: dict[UUID, list[Row]] = {}
    for row in rows:
        by_placement.setdefault(row.placement.id, []).append(row)
    errors = []
    with work.as_lender(rows[0].placement):
        lender_id, case_ids = rows[0].placement.lender_id, sorted(row.case_id for row in rows)
        locked = ends.lock(work, lender_id, sorted(by_placement), case_ids)
        now = work.now()
        for placement in locked:
            errors += _give_back_rows(work, placement, by_placement[placement.id], now)
    return errors


def _give_back_rows(work: Work, placement: Placement, rows: list[Row], now: dt.datetime) -> list[RowError]:
    """The same of one placement, locked with the cases: what became of them while they were waited for counts."""
    try:
        _require_returning(work, placement)
    except Conflict as refusal:
        return [RowError(row.row, "case_number", refusal.code) for row in rows]
    ends_at = ends.ends_of(work, placement, [row.case_id for row in rows])
    gone = [row for row in rows if row.case_id not in ends_at]
    late = [row for row in rows if row.case_id in ends_at and ends_at[row.case_id] <= now]
    groups: dict[str, list[UUID]] = {}
    for row in rows:
        if row.case_id in ends_at and ends_at[row.case_id] > now:
            groups.setdefault(row.code, []).append(row.case_id)
    for code, case_ids in sorted(groups.items()):
        _give_back(work, placement, code, sorted(case_ids), now)
    if late:
        subject = {"placement": placement.id, "agency": placement.agency_id, "count": len(late)}
        audit.record(work, audit.Action.ACCESS_REFUSED, {"code": LATE, "asked_for": "placements.return", **subject})
    return [
        *(RowError(row.row, "case_number", "unknown_case") for row in gone),
        *(RowError(row.row, "case_number", LATE) for row in late),
    ]


def _require_returning(work: Work, placement: Placement) -> None:
    step(TRANSITIONS, placement.state, "give_back")
    placements.refuse_frozen(work, placement)


def _give_back(work: Work, placement: Placement, code: str, case_ids: list[UUID], now: dt.datetime) -> None:
    """Take back these cases of the locked placement, which holds each of them."""
    returned, reason = step(TRANSITIONS, placement.state, "give_back"), reason_of_return(code)
    ends.take_back(work, placement, now, reason, case_ids)
    excluded = _exclude(work, placement, case_ids, TREATMENTS[code])
    ends.end_if_empty(work, placement, returned, now, reason)
    subject = {"placement": placement.id, "agency": placement.agency_id, "code": code, "count": len(case_ids)}
    audit.record(work, audit.Action.CASE_RETURN, {**subject, "cases": case_ids, "excluded": excluded})
    placements.tell(
        work, placement, TO_LENDER, "case.returned", key=f"{now.isoformat()}/{code}", code=code, cases=len(case_ids)
    )


def _exclude(work: Work, placement: Placement, case_ids: list[UUID], treatment: Treatment) -> int:
    """Record the exclusions that do not stand already; answers how many."""
    if treatment.excludes == NOTHING:
        return 0
    of_case = treatment.excludes == CASE
    standing = exists().where(
        Exclusion.lender_id == Case.lender_id,
        Exclusion.borrower_id == Case.borrower_id,
        Exclusion.case_id == Case.id if of_case else Exclusion.case_id.is_(None),
        Exclusion.reason == treatment.reason,
        Exclusion.lifted_at.is_(None),
    )
    named = (tenancy.of_lender(placement.lender_id, Case), bulk.among(Case.id, case_ids), ~standing)
    found = work.session.execute(select(Case.borrower_id, Case.id).where(*named).order_by(Case.id)).all()
    whom = sorted({(row.borrower_id, row.id if of_case else None) for row in found}, key=str)
    shared = {
        "lender_id": placement.lender_id,
        "reason": treatment.reason,
        "source": SOURCE,
        "noted_on": day_of(work.at),
        "recorded_by": None,
        "recorded_at": work.at,
    }
    rows = [
        shared | {"id": id_, "borrower_id": borrower_id, "case_id": case_id}
        for id_, (borrower_id, case_id) in zip(new_ids(len(whom)), whom, strict=True)
    ]
    if rows:
        work.session.execute(insert(Exclusion), rows)
    return len(rows)


def _find_held(work: Work, numbers: set[str]) -> dict[str, list[tuple[Placement, UUID]]]:
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
