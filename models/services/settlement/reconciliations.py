"""The agencies' claims against the lender's ledger: derive what matches and what does not, post the difference.

Every run looks at the whole open set: the placed cases with a claim or a payment that nothing matched yet, or with an
open break. A match stands once it is posted; a payment that comes late matches then, and closes the break by itself.
"""

import datetime as dt
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import Select, TableClause, exists, false, func, or_, select, union, update
from sqlalchemy.dialects.postgresql import insert as upsert

from models import reconciliation
from models.break_item import Break, Match
from models.claim import Claim
from models.ledger import LedgerPayment
from models.placement import PlacedCase
from models.services import bulk, pages, tenancy
from models.services.exchange import turns
from models.services.job_runs import Report, quietly
from models.services.oversight import audit
from models.services.settlement import attributions
from models.work import AGENCY, LENDER, Work

TOLERANCE: Final = Decimal("0.01")
DAY_WINDOW: Final = 3
OPEN, CLOSED = "open", "closed"
AUTOMATIC = MATCHED_LATER, RESTATED = "matched_later", "restated"  # the causes with which a run closes a break
# Whose turn it is to clear a break of this kind.
OWNERS: Final = {
    "missing_here": "agency",
    "missing_there": "agency",
    "amount": "agency",
    "date": "agency",
    "duplicate": "agency",
    "currency": "lender",
}
_KEY: Final = ("kind", "claim_id", "payment_id")


class Proof(NamedTuple):
    """What one side gives for its money: the day, and its reference where it is the reader's to know."""

    on: dt.date
    reference: str | None


class Proofs(NamedTuple):
    claimed: Proof | None
    booked: Proof | None


class OpenBreaks(NamedTuple):
    """How many breaks of a kind wait for one side, and since when the oldest does."""

    kind: str
    owner: str
    break_count: int
    oldest_at: dt.datetime


def run(work: Work, business_date: dt.date, report: Report = quietly) -> dict[str, int]:
    """Match what is open and bring the breaks up to date; run again, it posts nothing."""
    turns.take(work, "reconciliation")
    bulk.join_by_sets(work)
    cases = bulk.keep(work, _open_cases(work))
    claims = bulk.read(work, _claims(work, cases), reconciliation.CLAIMS)
    attributed = attributions.attribute(work, cases)
    standing = bulk.read(work, _standing_links(work, cases), reconciliation.STANDING)
    report(40)
    found = reconciliation.match(claims, attributed, TOLERANCE, DAY_WINDOW, standing)
    report(70)
    _post_matches(work, found.matches)
    opened, closed = _post_breaks(work, found.breaks)
    counts = {
        "claims": claims.height,
        "payments": attributed.height,
        "matched": found.matches["claim_id"].n_unique(),
        "breaks_opened": opened,
        "breaks_closed": closed,
    }
    if found.matches.height or opened or closed:
        audit.record(work, audit.Action.RECONCILIATION_RUN, {"business_date": business_date, **counts})
    return counts


def list_breaks(
    work: Work, state: str | None = None, after: UUID | None = None, limit: int = 50, kind: str | None = None
) -> list[Break]:
    """Newest first: a lender's, or those of the agency."""
    query = select(Break).where(tenancy.own(work, Break))
    if state:
        query = query.where(Break.state == state)
    if kind:
        query = query.where(Break.kind == kind)
    return list(work.session.scalars(pages.newest(query, Break.id, after, limit)))


def proofs(work: Work, breaks: list[Break]) -> dict[UUID, Proofs]:
    """Day and reference of each break's claim and payment. To an agency the ledger's reference is not told."""
    claim_ids = {item.claim_id for item in breaks if item.claim_id}
    query = select(Claim.id, Claim.paid_on, Claim.reference).where(tenancy.own(work, Claim), Claim.id.in_(claim_ids))
    claimed = {claim_id: Proof(on, reference) for claim_id, on, reference in work.session.execute(query)}
    booked = _booked(work, breaks)
    claimed_of = {item.id: claimed.get(item.claim_id) for item in breaks if item.claim_id}
    booked_of = {item.id: booked.get(item.payment_id) for item in breaks if item.payment_id}
    return {item.id: Proofs(claimed_of.get(item.id), booked_of.get(item.id)) for item in breaks}


def open_breaks(work: Work) -> list[OpenBreaks]:
    """What is open, by kind and by whose turn it is; the kind of which there is most comes first."""
    rows = work.session.execute(
        select(Break.kind, Break.owner, func.count(), func.min(Break.opened_at))
        .where(tenancy.own(work, Break), Break.state == OPEN)
        .group_by(Break.kind, Break.owner)
        .order_by(func.count().desc(), Break.kind, Break.owner)
    )
    return [OpenBreaks(*row) for row in rows]


def list_matches(work: Work, after: UUID | None = None, limit: int = 50) -> list[Match]:
    query = select(Match).where(tenancy.own(work, Match))
    return list(work.session.scalars(pages.newest(query, Match.id, after, limit)))


def _booked(work: Work, breaks: list[Break]) -> dict[UUID, Proof]:
    """By payment: an agency is told the days of the payments in its breaks, an auditor reads no ledger."""
    if work.actor.side == LENDER:
        return _ledger_proofs(work, breaks)
    if work.actor.side != AGENCY:
        return {}
    found: dict[UUID, Proof] = {}
    for of_lender in {item.lender_id: item for item in breaks if item.payment_id}.values():
        its = [item for item in breaks if item.lender_id == of_lender.lender_id]
        with work.as_lender(of_lender):
            told = _ledger_proofs(work, its)
        found |= {payment_id: proof._replace(reference=None) for payment_id, proof in told.items()}
    return found


def _ledger_proofs(work: Work, breaks: list[Break]) -> dict[UUID, Proof]:
    payment_ids = {item.payment_id for item in breaks if item.payment_id}
    lender_ids = {item.lender_id for item in breaks}
    query = select(LedgerPayment.id, LedgerPayment.effective_on, LedgerPayment.reference).where(
        or_(*(tenancy.of_lender(lender_id, LedgerPayment) for lender_id in lender_ids), false()),
        LedgerPayment.id.in_(payment_ids),
    )
    return {payment_id: Proof(on, reference) for payment_id, on, reference in work.session.execute(query)}


def _open_cases(work: Work) -> Select[Any]:
    """Cases where something still waits for its counterpart."""
    claim_matched = exists().where(tenancy.own(work, Match), Match.claim_id == Claim.id)
    payment_matched = exists().where(tenancy.own(work, Match), Match.payment_id == LedgerPayment.id)
    placed = exists().where(tenancy.own(work, PlacedCase), PlacedCase.case_id == LedgerPayment.case_id)
    waiting = union(
        select(Claim.case_id).where(tenancy.own(work, Claim), ~claim_matched),
        select(LedgerPayment.case_id).where(
            tenancy.own(work, LedgerPayment), LedgerPayment.amount > 0, placed, ~payment_matched
        ),
        select(Break.case_id).where(tenancy.own(work, Break), Break.state == OPEN),
    ).subquery()
    return select(waiting.c.case_id)


def _claims(work: Work, cases: Select[Any]) -> bulk.Query:
    columns = [getattr(Claim, name) for name in reconciliation.CLAIMS]
    return select(*columns).where(tenancy.own(work, Claim), Claim.case_id.in_(cases))


def _standing_links(work: Work, cases: Select[Any]) -> bulk.Query:
    return select(Match.claim_id, Match.payment_id).where(tenancy.own(work, Match), Match.case_id.in_(cases))


def _post_matches(work: Work, matches: pl.DataFrame) -> None:
    names = ("agency_id", "case_id", "claim_id", "payment_id", "rule", "amount_difference", "days_difference")
    bulk.append(work, Match, bulk.stamped(work, matches.select(names), "matched_at"))


def _post_breaks(work: Work, derived: pl.DataFrame) -> tuple[int, int]:
    """Open what is derived and does not stand, close what stands and is not derived: how many of each."""
    by_a_person = (Break.state == CLOSED) & Break.cause.not_in(AUTOMATIC)
    stands = select(Break.kind, Break.claim_id, Break.payment_id, Break.id, Break.state).where(
        tenancy.own(work, Break), (Break.state == OPEN) | by_a_person
    )
    standing = bulk.read(work, stands, dict.fromkeys((*_KEY, "id", "state"), pl.String))
    gone = standing.filter(pl.col("state") == OPEN).join(derived, on=_KEY, how="anti", nulls_equal=True)
    new = derived.join(standing, on=_KEY, how="anti", nulls_equal=True)
    if gone.height:
        _close(work, bulk.stage(work, Break, gone.select("id")))
    if new.height:
        _open(work, new)
    return new.height, gone.height


def _close(work: Work, gone: TableClause) -> None:
    unclaimed = Break.claim_id.is_(None) & (Match.payment_id == Break.payment_id)
    matched = exists().where(tenancy.own(work, Match), (Match.claim_id == Break.claim_id) | unclaimed)
    for cause, condition in ((MATCHED_LATER, matched), (RESTATED, ~matched)):
        work.session.execute(
            update(Break)
            .where(tenancy.own(work, Break), Break.id == gone.c.id, condition)
            .values(state=CLOSED, cause=cause, closed_at=work.at)
            .execution_options(synchronize_session=False)
        )


def _open(work: Work, new: pl.DataFrame) -> None:
    """One row for a break, even if it comes back after a run had closed it."""
    columns = ("agency_id", "placement_id", "case_id", *_KEY, "amount_claimed", "amount_booked", "currency")
    owner = pl.col("kind").replace_strict(OWNERS, return_dtype=pl.String)
    rows = new.select(*columns, owner.alias("owner"), pl.lit(OPEN).alias("state"))
    staged = bulk.stage(work, Break, bulk.stamped(work, rows, "opened_at"))
    insertion = upsert(Break).from_select([column.name for column in staged.c], select(staged))
    work.session.execute(
        insertion.on_conflict_do_update(
            index_elements=["lender_id", *_KEY],
            set_={
                "state": OPEN,
                "cause": None,
                "closed_at": None,
                "opened_at": insertion.excluded.opened_at,
            },
            where=Break.cause.in_(AUTOMATIC),
        )
    )
