"""How an agency stands with a lender: watched, suspended, frozen, removed, and cleared again; and its conduct.

Frozen is the emergency: it stops whatever the agency does under its placements, and that anything new is offered to
it, bid for, claimed or placed. Every other act waits for whoever is placing with the agency: commit order decides. A
freeze waits for nobody: every act on a case that begins after its commit is refused (`placed_cases`, `placements`),
and `stop_placements`, each time in a Work of its own, stops each placement: first those that stand, then those too that
were being made.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from models.agency_standing import (
    COMPLAINTS,
    FROZEN,
    GOOD,
    RECEIVING,
    REMOVED,
    STANDING_REASONS,
    TRANSITIONS,
    AgencyStanding,
    StandingChange,
)
from models.errors import Invalid, RowError, outside
from models.ids import new_id
from models.placement import LIVE, Placement
from models.placement_freeze import FREEZE_REASONS
from models.services import notices, tenancy
from models.services.exchange import agreements, eligibility, turns
from models.services.oversight import audit
from models.services.parties import agency_records, freezes
from models.states import step
from models.work import AGENCY, LENDER, Work

FREEZE: Final = "freeze"
COMPLAINTS_MAX: Final = 100_000
_CLEARED: Final = (None,)
# act -> (what the log says, what is told, for which reasons)
_ACTS: Final[Mapping[str, tuple[audit.Action, str, Sequence[str | None]]]] = {
    "watch": (audit.Action.AGENCY_WATCH, "agency.watched", STANDING_REASONS),
    "suspend": (audit.Action.AGENCY_SUSPEND, "agency.suspended", STANDING_REASONS),
    FREEZE: (audit.Action.AGENCY_FREEZE, "agency.frozen", FREEZE_REASONS),
    "clear": (audit.Action.AGENCY_CLEAR, "agency.cleared", _CLEARED),
    "remove": (audit.Action.AGENCY_REMOVE, "agency.removed", STANDING_REASONS),
}


def watch(work: Work, agency_id: UUID, reason: str) -> AgencyStanding:
    """The lender keeps an eye on it; it receives as before."""
    return change(work, agency_id, "watch", reason)


def suspend(work: Work, agency_id: UUID, reason: str) -> AgencyStanding:
    """Nothing new is placed with it; what is placed runs on."""
    return change(work, agency_id, "suspend", reason)


def freeze(work: Work, agency_id: UUID, reason: str) -> AgencyStanding:
    """Nothing new, and no act on any case of its placements, until it is let go on. `stop_placements` comes after."""
    return change(work, agency_id, FREEZE, reason)


def stop_placements(work: Work, agency_id: UUID, *, being_made: bool = True) -> int:
    """Freeze every live placement of a frozen agency; answers how many were not frozen yet.

    With those `being_made` it waits for whoever places with the agency too; Unavailable where somebody takes too long.
    """
    turns.wait_long(work)
    with turns.unavailable_if_busy():
        if being_made:
            eligibility.take_turns(work, work.tenant_id, [agency_id])
        # Without that turn the row itself keeps the agency from being cleared before its placements have stopped.
        standing = find(work, agency_id, held=not being_made)
        if standing is None or standing.state != FROZEN:
            return 0
        return _stop(work, standing)


def catch_up(work: Work) -> int:
    """The same for every frozen agency of the lender that has a placement which goes on."""
    going_on = (
        select(AgencyStanding.agency_id)
        .join(
            Placement,
            (Placement.lender_id == AgencyStanding.lender_id) & (Placement.agency_id == AgencyStanding.agency_id),
        )
        .where(
            tenancy.own(work, AgencyStanding),
            tenancy.own(work, Placement),
            AgencyStanding.state == FROZEN,
            Placement.state.in_(LIVE),
            Placement.frozen_at.is_(None),
        )
        .distinct()
        .order_by(AgencyStanding.agency_id)
    )
    return sum(stop_placements(work, agency_id) for agency_id in work.session.scalars(going_on).all())


def remove(work: Work, agency_id: UUID, reason: str) -> AgencyStanding:
    """For good, of an agency that is suspended or frozen. What is frozen stays so; its cases are to be recalled."""
    return change(work, agency_id, "remove", reason)


def clear(work: Work, agency_id: UUID) -> AgencyStanding:
    """It stands well again; after a freeze every placement goes on that the freeze had stopped, and no other."""
    return change(work, agency_id, "clear", None)


def change(work: Work, agency_id: UUID, act: str, reason: str | None) -> AgencyStanding:
    """One of the acts above by its name; `clear` has no reason, every other has one."""
    if act not in _ACTS:
        raise Invalid(errors=[RowError(0, "act", "unknown_value")])
    action, kind, reasons = _ACTS[act]
    if reason not in reasons:
        raise Invalid(errors=[RowError(0, "reason", "unknown_value" if reason else "required_missing")])
    standing = _lock(work, agency_id, waits=act != FREEZE)
    before, standing.state = standing.state, step(TRANSITIONS, standing.state, act)
    count = 0
    if standing.state == FROZEN:
        count = freezes.count_live(work, agency_id)
    elif before == FROZEN and standing.state == REMOVED:
        _stop(work, standing)  # what the freeze has not reached yet: nobody comes after
    elif before == FROZEN:
        count = freezes.lift_all(work, agency_id)
    audit.record(work, action, {"agency": agency_id, "old": before, "reason": reason, "placements": count})
    _keep(work, standing, act, reason, count)
    _tell(work, standing, LENDER, kind, reason, count)
    # An agency is told what stops it and what lets it go on, and not that it is watched.
    if standing.state not in RECEIVING:
        _tell(work, standing, AGENCY, kind, reason, count)
    elif before not in RECEIVING:
        _tell(work, standing, AGENCY, "agency.cleared", None, count)
    return standing


def record_complaints(work: Work, agency_id: UUID, upheld: int) -> AgencyStanding:
    """How many complaints against the agency were upheld in the last twelve months, as the lender counts them."""
    if faults := outside("upheld_complaints", upheld, 0, COMPLAINTS_MAX):
        raise Invalid(errors=faults)
    old = _lock(work, agency_id)
    audit.record(
        work,
        audit.Action.AGENCY_COMPLAINTS,
        {"agency": agency_id, "old": old.upheld_complaints, "new": upheld},
    )
    old.upheld_complaints = upheld
    return _keep(work, old, COMPLAINTS, old.reason, 0)


def find(work: Work, agency_id: UUID, *, held: bool = False) -> AgencyStanding | None:
    """None: it stands well, and nothing was ever said. Where it is `held`, it stays so until this transaction ends."""
    query = select(AgencyStanding).where(tenancy.own(work, AgencyStanding), AgencyStanding.agency_id == agency_id)
    return work.session.scalar(query.with_for_update(read=True) if held else query)


def list_changes(work: Work, agency_id: UUID) -> list[StandingChange]:
    """Newest first."""
    return list(
        work.session.scalars(
            select(StandingChange)
            .where(tenancy.own(work, StandingChange), StandingChange.agency_id == agency_id)
            .order_by(StandingChange.id.desc())
        )
    )


def conduct_factor(work: Work, agency_id: UUID) -> Decimal:
    """0 to 1 with four places, as models/standing.py says."""
    return agency_records.read(work, work.tenant_id, [agency_id], work.at)[agency_id].conduct_factor


def _stop(work: Work, standing: AgencyStanding) -> int:
    """What the freeze that was said last has not stopped yet, for its reason; answers how many placements."""
    assert standing.reason is not None
    return freezes.freeze_all(work, standing.agency_id, standing.reason, standing.changed_by)


def _tell(work: Work, standing: AgencyStanding, side: str, kind: str, reason: str | None, count: int) -> None:
    agency_id, key = standing.agency_id, f"{kind}/{new_id()}"
    facts = {"reason": reason} if reason else {}
    notices.tell(
        work, standing.lender_id, agency_id, side, kind, "agency", agency_id, key=key, placements=count, **facts
    )


def _lock(work: Work, agency_id: UUID, *, waits: bool = True) -> AgencyStanding:
    """The agency's standing, while nobody places with it where it `waits`; NotFound without any agreement."""
    assert work.actor.side == LENDER
    assert work.actor.member_id is not None
    agreements.require_with(work, agency_id)
    if waits:
        eligibility.take_turns(work, work.tenant_id, [agency_id])
    work.session.execute(
        insert(AgencyStanding)
        .values(
            lender_id=work.tenant_id,
            agency_id=agency_id,
            state=GOOD,
            upheld_complaints=0,
            changed_by=work.actor.member_id,
            changed_at=work.at,
        )
        .on_conflict_do_nothing()
    )
    return work.session.scalars(
        select(AgencyStanding)
        .where(tenancy.own(work, AgencyStanding), AgencyStanding.agency_id == agency_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def _keep(work: Work, standing: AgencyStanding, act: str, reason: str | None, count: int) -> AgencyStanding:
    assert work.actor.member_id is not None
    standing.reason, standing.changed_by, standing.changed_at = reason, work.actor.member_id, work.now()
    work.session.add(
        StandingChange(
            lender_id=standing.lender_id,
            id=new_id(),
            agency_id=standing.agency_id,
            act=act,
            state=standing.state,
            reason=reason,
            upheld_complaints=standing.upheld_complaints,
            placement_count=count,
            changed_by=standing.changed_by,
            changed_at=standing.changed_at,
        )
    )
    work.session.flush()
    return standing
