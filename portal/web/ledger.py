"""The lender's ledger: what came in each day, what was refused, and what waits for its case."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from flask import Blueprint, render_template, request
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from models.activity_file import PAID_TO
from models.business_day import day_of
from models.errors import NotFound
from models.ledger_file import BALANCE_COLUMNS, PAYMENT_COLUMNS, STATUSES
from models.services.settlement import ledgers
from models.services.settlement.ledgers import BALANCES, PAYMENTS
from models.work import Work
from portal import sheets
from portal.access import open_work, permit
from portal.formats import state
from portal.schemas.base import page
from portal.schemas.forms import ListQuery, require
from portal.sheets import Line, Sheet, whole
from portal.words import label

blueprint = Blueprint("ledger", __name__)

LIST_ROWS = 50
ERRORS_SHOWN = 50
COLUMNS = {PAYMENTS: PAYMENT_COLUMNS, BALANCES: BALANCE_COLUMNS}


@blueprint.get("/ledger")
@permit("ledger.read")
def index() -> str:
    query = require(ListQuery(), request.args)
    with open_work() as work:
        found = ledgers.list_feeds(work, query["cursor"], LIST_ROWS)
        suspense = ledgers.suspense_totals(work)
        today = day_of(work.at)
    return render_template("ledger/index.html", list=page(found, LIST_ROWS), suspense=suspense, today=today)


@blueprint.get("/ledger/upload/<kind>")
@permit("ledger.upload")
def new(kind: str) -> str:
    if kind not in COLUMNS:
        raise NotFound
    with open_work() as work:
        today = day_of(work.at)
        sequence = ledgers.next_sequence(work, kind, today)
    return render_template(
        "ledger/new.html",
        kind=kind,
        columns=COLUMNS[kind],
        choices={
            "paid_to": [(code, label(code, "paid_to")) for code in PAID_TO],
            "status": [(code, gettext(state(code).label)) for code in STATUSES],
        },
        form={"business_date": today.isoformat(), "sequence": sequence},
        latest=today,
    )


@blueprint.get("/ledger/feeds/<uuid:feed_id>")
@permit("ledger.read")
def show_feed(feed_id: UUID) -> str:
    with open_work() as work:
        feed, errors = ledgers.get_feed(work, feed_id), ledgers.list_feed_errors(work, feed_id)
    return render_template("ledger/feed.html", feed=feed, errors=errors, shown=ERRORS_SHOWN)


@blueprint.get("/ledger/suspense")
@permit("ledger.read")
def list_suspense() -> str:
    query = require(ListQuery(), request.args)
    with open_work() as work:
        found = ledgers.list_suspense(work, query["cursor"], LIST_ROWS)
        totals = ledgers.suspense_totals(work)
    return render_template("ledger/suspense.html", list=page(found, LIST_ROWS), totals=totals)


@blueprint.get("/ledger/suspense.csv")
@permit("ledger.read")
def download_suspense() -> AnyResponse:
    return sheets.download(SUSPENSE)


def _suspense(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    for payment in whole(lambda after: ledgers.list_suspense(work, after)):
        yield payment.lender_id, [getattr(payment, name) for name in SUSPENSE.header]


SUSPENSE = Sheet(
    "suspense",
    "ledger.read",
    (
        "reference",
        "suspense_reference",
        "amount",
        "currency",
        "effective_on",
        "posted_on",
        "paid_to",
        "reversal_of",
    ),
    _suspense,
)
