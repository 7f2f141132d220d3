"""Return (退案): an agency gives cases back, with a code; what follows for each code is a table of `treatments`."""

import datetime as dt
from uuid import UUID

from models.errors import CaseClosedToWork, Invalid, NotFound, RowError
from models.notice import LENDER as TO_LENDER
from models.placement import RETURN_CODES, TRANSITIONS, Placement, reason_of_return
from models.recall_file import RETURN_COLUMNS
from models.services.exchange import agency_files, ends, placements, treatments
from models.services.exchange.agency_files import Row
from models.services.oversight import audit
from models.states import step
from models.tabular import FileOutcome, Source
from models.work import Work

SOURCE = "agency"
LATE = "placement_expired"


def give_back(work: Work, placement_id: UUID, code: str, case_ids: list[UUID]) -> int:
    """Give these cases back to the lender; answers how many. With its last case the placement ends.

    NotFound unless each is placed under this placement now; CaseClosedToWork while it is frozen, after its end, and
    once the time of one of them is over, whether a job has swept it or not.
    """
    if code not in RETURN_CODES:
        raise Invalid(errors=[RowError(0, "code", "unknown_value")])
    if not case_ids:
        raise Invalid(errors=[RowError(0, "case_ids", "required_missing")])
    placement = placements.get(work, placement_id)
    wanted = sorted(set(case_ids))
    with work.as_lender(placement):
        treatments.lock(work, placement.lender_id, [placement.id], wanted)
        _require_returning(work, placement)
        now, ends_at = work.now(), ends.ends_of(work, placement, wanted)
        if len(ends_at) != len(wanted):
            raise NotFound
        if min(ends_at.values()) <= now:
            raise CaseClosedToWork(LATE, placement.id)
        _give_back(work, placement, code, wanted, now)
    return len(wanted)


def give_back_file(work: Work, stream: Source, file_name: str) -> FileOutcome:
    """The same for a file of case numbers and codes, as `agency_files.apply` does it."""
    asked_for = "placements.return"
    return agency_files.apply(work, stream, file_name, RETURN_COLUMNS, _give_back_rows, asked_for, treatments.lock)


def _give_back_rows(work: Work, placement: Placement, rows: list[Row]) -> list[RowError]:
    _require_returning(work, placement)
    now, ends_at = work.now(), ends.ends_of(work, placement, [row.case_id for row in rows])
    groups: dict[str, list[UUID]] = {}
    for row in rows:
        if ends_at[row.case_id] > now:
            (code,) = row.said
            groups.setdefault(code, []).append(row.case_id)
    for code, case_ids in sorted(groups.items()):
        _give_back(work, placement, code, sorted(case_ids), now)
    return [row.refused(LATE) for row in rows if ends_at[row.case_id] <= now]


def _require_returning(work: Work, placement: Placement) -> None:
    ends.refuse_ended(placement, "give_back")
    step(TRANSITIONS, placement.state, "give_back")
    placements.refuse_frozen(work, placement)


def _give_back(work: Work, placement: Placement, code: str, case_ids: list[UUID], now: dt.datetime) -> None:
    """Take back these cases of the locked placement, which holds each of them."""
    returned, reason = step(TRANSITIONS, placement.state, "give_back"), reason_of_return(code)
    ends.take_back(work, placement, now, reason, case_ids)
    excluded = treatments.exclude(work, placement, case_ids, treatments.RETURNS[code], SOURCE)
    ends.end_if_empty(work, placement, returned, now, reason)
    subject = {"placement": placement.id, "agency": placement.agency_id, "code": code, "count": len(case_ids)}
    audit.record(work, audit.Action.CASE_RETURN, {**subject, "cases": audit.named(case_ids), "excluded": excluded})
    placements.tell(
        work, placement, TO_LENDER, "case.returned", key=f"{now.isoformat()}/{code}", code=code, cases=len(case_ids)
    )
