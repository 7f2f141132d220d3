"""Allocations (分案): a portfolio's free cases divided over a panel by a plan, first as a preview, then placed at once.

A preview holds nothing: it says what would be. The commit reads all that the split was drawn from again, under the
turn that every way of placing takes, and refuses unless it is as it was: so each case goes to the same agency, at the
same rate and on the same terms, and nothing is drawn while others wait.

Of a large portfolio both are a worker's (jobs/allocation.py): the tender is `drawing` or `committing` until
`carry_out` has done it in one transaction, so a killed worker has done nothing and another begins anew. What it is
refused by stands on the tender, which is then as it was before.
"""

import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import polars as pl
from sqlalchemy import func, select, update

from models import queue
from models.agreement import Agreement
from models.allocation import pack
from models.allocation_plan import SEED_BYTES, Plan, from_json, to_json
from models.errors import Conflict, NotFound
from models.ids import new_id
from models.notice import AGENCY as TO_AGENCY
from models.offer import ACCEPTED, Offer
from models.placement import Placement
from models.services import notices, pages, second_person, tenancy
from models.services.exchange import allocation_draws, placing, tenders, turns, undone
from models.services.exchange.allocation_cases import CameBack
from models.services.exchange.allocation_draws import CHECKED, WRITTEN, Drawn
from models.services.exchange.frozen_terms import Terms
from models.services.job_runs import Report, quietly
from models.services.oversight import audit
from models.services.portfolio import portfolios, scrub
from models.states import step
from models.tender import ALLOCATION, AWAITING_APPROVAL, COMMITTING, DRAWING, PREVIEWED, TRANSITIONS, Tender
from models.work import LENDER, Work

CASES_AT_ONCE = 20_000  # a portfolio of more is a worker's
# Of a worker: how long it waits where somebody else holds a turn or a case, and what its one transaction may take.
PATIENCE: Final = {"lock_timeout": "60s", "statement_timeout": "20min", "work_mem": "64MB"}
BUSY: Final = "busy"  # the refusal of a worker that waited in vain; whoever asked may ask again
FAILED: Final = "failed"  # and of what went wrong otherwise


def preview(work: Work, portfolio_id: UUID, plan: Plan) -> Tender:
    """What the plan would come to, kept to be committed: figures and limit checks by agency, and what is left out.

    An empty seed is made. Invalid names rule, field and code; Conflict `no_cases_to_offer` where nothing is free.
    """
    assert work.actor.side == LENDER
    plan = plan if plan.seed else plan._replace(seed=secrets.token_bytes(SEED_BYTES))
    if not _is_large(work, portfolio_id):
        return propose(work, portfolio_id, allocation_draws.draw(work, portfolio_id, plan))
    panel = allocation_draws.require_sound(work, portfolio_id, plan)
    tender = _add(work, portfolio_id, plan, panel[0].currency, None)
    _hand_over(work, tender)
    audit.record(work, audit.Action.TENDER_CREATE, {"tender": tender.id, "kind": ALLOCATION, "state": DRAWING})
    return tender


def propose(work: Work, portfolio_id: UUID, drawn: Drawn, came_back: CameBack | None = None) -> Tender:
    """Keep a split as a preview."""
    tender = _add(work, portfolio_id, drawn.plan, drawn.panel[0].currency, came_back)
    return _show(work, tender, drawn)


def _add(work: Work, portfolio_id: UUID, plan: Plan, currency: str, came_back: CameBack | None) -> Tender:
    tender = Tender(
        lender_id=work.tenant_id,
        id=new_id(),
        portfolio_id=portfolio_id,
        kind=ALLOCATION,
        state=DRAWING,
        currency=currency,
        case_count=0,
        borrower_count=0,
        balance=Decimal("0.00"),
        scrubbed={},
        rules=to_json(plan) | (came_back.to_json() if came_back else {}),
        created_by=work.actor.member_id,
        created_at=work.at,
    )
    work.session.add(tender)
    return tender


def _show(work: Work, tender: Tender, drawn: Drawn) -> Tender:
    """The tender with its preview."""
    placed = drawn.parts.drop_nulls("seat")
    tender.state = step(TRANSITIONS, tender.state, "preview")
    tender.case_count, tender.borrower_count = placed.height, placed["borrower_id"].n_unique()
    tender.balance = Decimal(placed["balance"].sum() or "0.00")
    tender.scrubbed = scrub.count(work, tender.portfolio_id)
    tender.preview, tender.preview_digest, tender.preview_seats = drawn.preview, drawn.digest, pack(drawn.parts)
    work.session.flush()
    subject = {"tender": tender.id, "kind": ALLOCATION, "cases": tender.case_count, "digest": drawn.digest.hex()}
    audit.record(work, audit.Action.TENDER_CREATE, subject)
    return tender


def commit(work: Work, tender_id: UUID) -> Tender:
    """Place every case as previewed, with all agencies at once, or none of them; a large one is `committing` first.

    Above the lender's limit whoever made the preview only asks, and a second person commits: `awaiting_approval`.
    Conflict `preview_outdated` where anything would come out otherwise now; else by an agency's first reason.
    """
    return _commit(work, tender_id, "commit")


def approve(work: Work, tender_id: UUID) -> Tender:
    """The second person's commit: Conflict `wrong_state` for what awaits nobody."""
    return _commit(work, tender_id, "approve")


def _commit(work: Work, tender_id: UUID, act: str) -> Tender:
    assert work.actor.side == LENDER
    tender = get(work, tender_id)
    large = _is_large(work, tender.portfolio_id)
    if not large:
        turns.take(work, "offers")
    tender = tenders.lock(work, work.tenant_id, tender.id)
    step(TRANSITIONS, tender.state, act)
    return _begin(work, tender) if large else settle(work, tender, allocation_draws.draw_again(work, tender))


def settle(work: Work, tender: Tender, drawn: Drawn) -> Tender:
    """Place a locked tender's split, drawn in this transaction to be placed, or wait for a second person."""
    if _may_be_placed(work, tender):
        _end(work, tender, "commit", drawn.at, _place(work, tender, drawn))
    return tender


def carry_out(work: Work, tender_id: UUID, report: Report) -> Tender:
    """What a worker does with a tender that was handed over; nothing where somebody else has done or dropped it.

    The tender is locked at the end alone, so that its progress may be written beside; two workers take turns.
    """
    _be_patient(work)
    _take_turn(work, tender_id)
    tender = get(work, tender_id)
    if tender.state == DRAWING:
        drawn = allocation_draws.draw(work, tender.portfolio_id, from_json(tender.rules), report=report)
        return _show(work, tenders.lock(work, work.tenant_id, tender.id), drawn)
    if tender.state == COMMITTING:
        return _carry_out(work, tender, report)
    return tender


def _carry_out(work: Work, tender: Tender, report: Report) -> Tender:
    turns.take(work, "offers")
    if tender.approved_by is None and tenders.needs_approval(work, tender.case_count, tender.created_by):
        return _ask(work, tenders.lock(work, work.tenant_id, tender.id))  # They have placed something else meanwhile.
    drawn = allocation_draws.draw_again(work, tender, report)
    placements = _place(work, tender, drawn, report)
    tender = tenders.lock(work, work.tenant_id, tender.id)
    _end(work, tender, "place", drawn.at, placements)
    told = ("allocation.placed", "allocation", tender.id, f"allocation.placed/{tender.id}")
    notices.tell_self(work, *told, **_facts(tender))
    return tender


def report(work: Work, tender_id: UUID, percent: int) -> None:
    """How far the worker is; nothing where somebody holds the tender, whom the work need not wait for."""
    handed_over = Tender.state.in_((DRAWING, COMMITTING))
    free = select(Tender.id).where(tenancy.own(work, Tender), Tender.id == tender_id, handed_over)
    work.session.execute(
        update(Tender)
        .where(tenancy.own(work, Tender), Tender.id.in_(free.with_for_update(key_share=True, skip_locked=True)))
        .values(progress=percent)
        .execution_options(synchronize_session=False)
    )


def stop(work: Work, tender_id: UUID, code: str, facts: Mapping[str, Any]) -> None:
    """The worker was refused: this is kept, and what was to be placed is a preview again. Nothing of it was done.

    Unavailable `busy` while another worker is at it: what that one finishes stands.
    """
    tender = _lock_handed_over(work, tender_id)
    if tender is not None:
        _stop(work, tender, code, facts)


def list_lost(work: Work) -> list[UUID]:
    """What is handed over and no worker has the task of any more: one that was taken for dead may live on, and end
    when the task of its successor has."""
    handed_over = select(Tender.id).where(tenancy.own(work, Tender), Tender.state.in_((DRAWING, COMMITTING)))
    waiting = work.session.scalars(handed_over.order_by(Tender.id))
    return [tender_id for tender_id in waiting.all() if _is_lost(work, tender_id)]


def stop_lost(work: Work, tender_id: UUID) -> bool:
    """Stop one of these, unless it went on meanwhile; Unavailable `busy` as `stop`."""
    tender = _lock_handed_over(work, tender_id)
    if tender is None or not _is_lost(work, tender_id):
        return False
    _stop(work, tender, FAILED, {})
    return True


def _is_lost(work: Work, tender_id: UUID) -> bool:
    return not queue.has(work, queue.ALLOCATION, **_ids(work, tender_id))


def _lock_handed_over(work: Work, tender_id: UUID) -> Tender | None:
    """Under its turn; None where nothing of it is left to do."""
    _take_turn(work, tender_id)
    tender = tenders.lock(work, work.tenant_id, get(work, tender_id).id)
    return tender if tender.state in (DRAWING, COMMITTING) else None


def _stop(work: Work, tender: Tender, code: str, facts: Mapping[str, Any]) -> None:
    tender.refusal = {"code": code, **facts}
    tender.approved_by = tender.approved_at = None
    if tender.state == DRAWING:
        tender.decided_at = work.at
    tender.state = step(TRANSITIONS, tender.state, "fail" if tender.state == DRAWING else "stop")
    audit.record(work, audit.Action.TENDER_REFUSE, {"tender": tender.id, "state": tender.state, "reason": code})
    key = f"allocation.refused/{tender.id}/{work.at.isoformat()}"
    notices.tell_self(work, "allocation.refused", "allocation", tender.id, key, code=code, **_facts(tender))


def withdraw(work: Work, tender_id: UUID) -> Tender:
    """Drop what has not been committed; Unavailable `busy` while somebody commits something large."""
    tender = get(work, tender_id)
    turns.take(work, "offers")
    return tenders.withdraw(work, tender.id)


def get(work: Work, tender_id: UUID) -> Tender:
    """NotFound for a tender that is no allocation."""
    tender = tenders.get(work, tender_id)
    if tender.kind != ALLOCATION:
        raise NotFound
    return tender


def list_own(work: Work, after: UUID | None = None, limit: int = 50, state: str | None = None) -> list[Tender]:
    """Newest first."""
    query = select(Tender).where(tenancy.own(work, Tender), Tender.kind == ALLOCATION)
    if state is not None:
        query = query.where(Tender.state == state)
    found = list(work.session.scalars(pages.newest(query, Tender.id, after, limit)))
    undone.date(work, found)
    return found


def _is_large(work: Work, portfolio_id: UUID) -> bool:
    return portfolios.get(work, portfolio_id).case_count > CASES_AT_ONCE


def _be_patient(work: Work) -> None:
    """For the rest of the transaction: nobody waits for a worker, and what it does is large."""
    for name, value in PATIENCE.items():
        work.session.execute(select(func.set_config(name, value, True)))


def _take_turn(work: Work, tender_id: UUID) -> None:
    """Of the worker that is at a tender: comes before every other turn and lock."""
    turns.take(work, f"allocation {tender_id}")


def _begin(work: Work, tender: Tender) -> Tender:
    """A worker commits a locked tender, unless a second person is asked first."""
    step(TRANSITIONS, tender.state, "begin")
    if _may_be_placed(work, tender):
        tender.state = step(TRANSITIONS, tender.state, "begin")
        _hand_over(work, tender)
        audit.record(work, audit.Action.TENDER_COMMIT, {"tender": tender.id, "state": COMMITTING})
    return tender


def _hand_over(work: Work, tender: Tender) -> None:
    tender.progress, tender.refusal = 0, None
    work.session.flush()
    queue.enqueue(work, queue.ALLOCATION, **_ids(work, tender.id))


def _ids(work: Work, tender_id: UUID) -> dict[str, UUID]:
    """What the worker's task names."""
    return {"org_id": work.tenant_id, "tender_id": tender_id}


def _may_be_placed(work: Work, tender: Tender) -> bool:
    """Whether a locked tender is within what one person may place, or this is the second; else it waits for one."""
    if not tender.case_count:
        raise Conflict("plan_places_nothing")
    if tender.state != AWAITING_APPROVAL and not tenders.needs_approval(work, tender.case_count, tender.created_by):
        return True
    if tender.state == PREVIEWED and second_person.may_not(work, tender.created_by):
        _ask(work, tender)
        return False
    second_person.require(work, tender.created_by)
    tender.approved_by, tender.approved_at = work.actor.member_id, work.at
    return True


def _ask(work: Work, tender: Tender) -> Tender:
    tender.state = step(TRANSITIONS, tender.state, "ask_approval")
    audit.record(work, audit.Action.TENDER_COMMIT, {"tender": tender.id, "state": AWAITING_APPROVAL})
    return tender


def _place(work: Work, tender: Tender, drawn: Drawn, report: Report = quietly) -> list[Placement]:
    """One accepted offer and one placement for each agency that gets anything."""
    allocation_draws.require_eligible(drawn)
    report(CHECKED)
    placed = drawn.parts.drop_nulls("seat")
    offers = {
        seat: _accepted(tender, drawn.panel[seat], part, drawn.at)
        for (seat,), part in sorted(placed.partition_by("seat", as_dict=True).items())
    }
    work.session.add_all(offers.values())
    work.session.flush()
    seats = {seat: _seat(drawn, offer, drawn.panel[seat]) for seat, offer in offers.items()}
    as_read = placed.select("case_id", "balance", "bucket", "product", "placement_seq", "seat", "rule")
    made = placing.place_many(replace(work, at=drawn.at), as_read, seats, drawn.at)
    report(WRITTEN)
    return made


def _seat(drawn: Drawn, offer: Offer, agreement: Agreement) -> placing.Seat:
    """As drawn; without a card the gate has refused."""
    card = drawn.cards[agreement.id]
    assert card is not None
    return placing.Seat(offer, Terms(agreement, card, drawn.effective[agreement.id]))


def _accepted(tender: Tender, agreement: Agreement, part: pl.DataFrame, now: dt.datetime) -> Offer:
    """Nobody is asked, so nothing is shown: the agency sees its placement."""
    return Offer(
        lender_id=tender.lender_id,
        id=new_id(),
        agency_id=agreement.agency_id,
        agreement_id=agreement.id,
        tender_id=tender.id,
        portfolio_id=tender.portfolio_id,
        kind=ALLOCATION,
        state=ACCEPTED,
        currency=tender.currency,
        case_count=part.height,
        borrower_count=part["borrower_id"].n_unique(),
        balance=part["balance"].sum(),
        strata={"k": 0, "currencies": []},
        terms={},
        created_at=now,
        expires_at=now,
        decided_at=now,
    )


def _end(work: Work, tender: Tender, act: str, at: dt.datetime, placements: Sequence[Placement]) -> None:
    """A locked tender is placed; what each case was to get has become its placing."""
    tenders.close(work, tender, act, at)
    tender.preview_seats = None
    _tell(work, tender, placements)


def _facts(tender: Tender) -> dict[str, Any]:
    """For a notice; a preview that was never drawn has no figures."""
    return {"cases": tender.case_count} if tender.case_count else {}


def _tell(work: Work, tender: Tender, placements: Sequence[Placement]) -> None:
    placed = [{"placement": one.id, "agency": one.agency_id, "cases": one.case_count} for one in placements]
    digest_hex = (tender.preview_digest or b"").hex()
    audit.record(work, audit.Action.TENDER_COMMIT, {"tender": tender.id, "digest": digest_hex, "placements": placed})
    for one in placements:
        notices.tell(
            work,
            one.lender_id,
            one.agency_id,
            TO_AGENCY,
            "placement.allocated",
            "placement",
            one.id,
            cases=one.case_count,
            amount=one.referred_amount,
            currency=one.currency,
        )
