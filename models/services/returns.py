"""Return (退案): an agency gives cases back, with a code; what follows for each code is one table."""

from collections.abc import Mapping
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Text, any_, exists, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from models.business_day import day_of
from models.case import Case
from models.errors import Conflict, Forbidden, Invalid, NotFound, RowError
from models.exclusion import Exclusion
from models.identifiers import looks_personal
from models.ids import new_ids
from models.notice import LENDER as TO_LENDER
from models.placement import LIVE, RETURN_CODES, TRANSITIONS, PlacedCase, Placement, reason_of_return
from models.recall_file import RETURN_COLUMNS, read
from models.services import audit, bulk, ends, placements, tenancy
from models.services.activity_files import FileOutcome
from models.states import step
from models.tabular import Source, Upload
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


def give_back(work: Work, placement_id: UUID, code: str, case_ids: list[UUID]) -> int:
    """Give these cases back to the lender; answers how many. With its last case the placement ends.

    NotFound unless each is placed under this placement now; Conflict while it is frozen, or after its end.
    """
    if code not in RETURN_CODES:
        raise Invalid(errors=[RowError(0, "code", "unknown_value")])
    if not case_ids:
        raise Invalid(errors=[RowError(0, "case_ids", "required_missing")])
    placement = placements.get(work, placement_id)
    wanted = sorted(set(case_ids))
    with work.as_lender(placement):
        placements.lock(work, placement)
        returned = step(TRANSITIONS, placement.state, "give_back")
        placements.refuse_frozen(placement)
        now, reason = work.now(), reason_of_return(code)
        if len(ends.take_back(work, placement, now, reason, wanted)) != len(wanted):
            raise NotFound
        excluded = _exclude(work, placement, wanted, TREATMENTS[code])
        ends.end_if_empty(work, placement, returned, now, reason)
        subject = {"placement": placement.id, "agency": placement.agency_id, "code": code, "count": len(wanted)}
        audit.record(work, audit.Action.CASE_RETURN, {**subject, "cases": wanted, "excluded": excluded})
        placements.tell(
            work, placement, TO_LENDER, "case.returned", key=f"{now.isoformat()}/{code}", code=code, cases=len(wanted)
        )
    return len(wanted)


def give_back_file(work: Work, stream: Source, file_name: str) -> FileOutcome:
    """The same for a file of case numbers and codes, over all placements: rows at fault are named, the others done.

    `unknown_case` for a number that the agency does not hold now, `ambiguous_case_number` for one that several lenders
    use. Raises Invalid where the file as a whole is refused.
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
    groups: dict[tuple[UUID, str], list[tuple[int, UUID]]] = {}
    for row, number, code in rows:
        places = held.get(number, [])
        if len(places) == 1:
            placement_id, case_id = places[0]
            groups.setdefault((placement_id, code), []).append((row, case_id))
        else:
            errors.append(RowError(row, "case_number", "ambiguous_case_number" if places else "unknown_case"))
    accepted = 0
    for (placement_id, code), cases in sorted(groups.items()):
        try:
            accepted += give_back(work, placement_id, code, [case_id for _, case_id in cases])
        except Conflict as refusal:  # raised before anything of the group was changed
            errors += [RowError(row, "case_number", refusal.code) for row, _ in cases]
    return FileOutcome(accepted, 0, len({error.row for error in errors}), sorted(errors))


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


def _find_held(work: Work, numbers: set[str]) -> dict[str, list[tuple[UUID, UUID]]]:
    """case number → the placements and cases that it names, of those the agency holds now."""
    query = (
        select(Case.reference, PlacedCase.placement_id, Case.id)
        .join(PlacedCase, (PlacedCase.lender_id == Case.lender_id) & (PlacedCase.case_id == Case.id))
        .join(Placement, (Placement.lender_id == PlacedCase.lender_id) & (Placement.id == PlacedCase.placement_id))
        .where(
            *(tenancy.own(work, table) for table in (Case, PlacedCase, Placement)),
            Placement.state.in_(LIVE),
            PlacedCase.ended_at.is_(None),
            Case.reference == any_(literal(sorted(numbers), ARRAY(Text))),
        )
    )
    found: dict[str, list[tuple[UUID, UUID]]] = {}
    for number, placement_id, case_id in work.session.execute(query):
        found.setdefault(number, []).append((placement_id, case_id))
    return found
