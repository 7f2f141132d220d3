"""Breaks: where the agency's claims and the lender's ledger differ, whose turn it is and since when."""

from collections.abc import Iterator, Mapping

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from models.reconciliation import KINDS
from models.services.exchange import acknowledgements, agreements
from models.services.portfolio import cases
from models.services.settlement import reconciliations
from models.work import AGENCY, Work
from portal import sheets
from portal.access import permit, tenant_work
from portal.schemas.base import page
from portal.schemas.exchange_forms import BreakQuery
from portal.schemas.forms import require
from portal.sheets import Line, Sheet, bounded, whole

blueprint = Blueprint("breaks", __name__)

LIST_ROWS = 50
NO_COUNT = (None,) * 4  # what only a break before work starts has


@blueprint.get("/breaks")
@permit("breaks.read")
def index() -> str:
    query = require(BreakQuery(), request.args)
    state = None if query["state"] == "all" else query["state"]
    with tenant_work() as work:
        found = reconciliations.list_breaks(work, state, query["cursor"], LIST_ROWS, query["kind"])
        standing = reconciliations.open_breaks(work)
        proofs = reconciliations.proofs(work, found)
        numbers = cases.references(work, (item.case_id for item in found))
        parties = {agreement.agency_id: agreement for agreement in agreements.list_own(work)}
        unstarted = acknowledgements.list_open(work)
        side, now = work.actor.side, work.at
    return render_template(
        "breaks/index.html",
        list=page(found, LIST_ROWS),
        standing=standing,
        proofs=proofs,
        numbers=numbers,
        parties=parties,
        unstarted=unstarted,
        unstarted_shown=unstarted and query["state"] != "closed" and not query["kind"] and not query["cursor"],
        kinds=KINDS,
        query=query,
        side=side,
        now=now,
    )


@blueprint.get("/breaks.csv")
@permit("breaks.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    """Breaks before work starts, then those between claims and ledger: both have their counted and placed amounts."""
    for broken in whole(lambda after: acknowledgements.list_own(work, after)):
        yield broken.row.lender_id, _unstarted(broken)
    yield from _reconciled(work)


def _unstarted(broken: acknowledgements.Broken) -> tuple[object, ...]:
    row, placement = broken
    amounts = (row.balance, row.balance_expected, placement.currency)
    state = "open" if row.closed_at is None else "closed"
    course = (AGENCY, state, row.cause, row.noted_at, row.closed_at)
    return (
        None,
        row.kind,
        *amounts,
        *course,
        placement.agreement_number,
        row.placement_id,
        row.case_count,
        row.case_count_expected,
    )


def _reconciled(work: Work) -> Iterator[Line]:
    found = bounded(lambda after: reconciliations.list_breaks(work, after=after))
    numbers = cases.references(work, (item.case_id for item in found))
    for b in found:
        amounts = (b.amount_claimed, b.amount_booked, b.currency)
        yield (
            b.lender_id,
            (numbers.get(b.case_id), b.kind, *amounts, b.owner, b.state, b.cause, b.opened_at, b.closed_at, *NO_COUNT),
        )


SHEET = Sheet(
    "breaks",
    "breaks.read",
    (
        "case_number",
        "kind",
        "claimed",
        "booked",
        "currency",
        "owner",
        "state",
        "cause",
        "opened",
        "closed",
        "agreement_number",
        "placement_id",
        "cases_counted",
        "cases_placed",
    ),
    _lines,
    placed=True,
)
