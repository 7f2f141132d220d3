"""Commission statements: what was recovered, what it earns, and how each cent came about."""

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

from flask import Blueprint, Response, render_template, request
from flask_babel import get_locale
from flask_babel import gettext as _
from markupsafe import Markup

from models.commission.engine import CASE_FEE
from models.services.portfolio import cases
from models.services.settlement import statements
from models.services.settlement.statements import Breakdown
from portal.access import permit, tenant_work
from portal.charts import Step, waterfall
from portal.downloads import text_download
from portal.formats import short_money
from portal.schemas.exchange_forms import StatementQuery
from portal.schemas.forms import require

blueprint = Blueprint("statements", __name__)

LINE_ROWS = 50


@blueprint.get("/statements")
@permit("statements.read")
def index() -> str:
    with tenant_work() as work:
        found = statements.list_own(work)
        side = work.actor.side
    return render_template("statements/index.html", statements=found, side=side)


@blueprint.get("/statements/<uuid:agreement_id>/<period>")
@permit("statements.read")
def show_one(agreement_id: UUID, period: str) -> str:
    query = require(StatementQuery(), request.args)
    with tenant_work() as work:
        groups = statements.rate_groups(work, agreement_id, period)
        rate, component = query["rate"], query["component"]
        if rate is None and component is None and groups:
            rate = groups[0].rate
            component = None if rate is not None else CASE_FEE
        head, lines = statements.get(work, agreement_id, period, query["cursor"], LINE_ROWS, rate, component)
        parts = statements.breakdown(work, agreement_id, period)
        numbers = cases.references(work, (line.case_id for line in lines))
        side = work.actor.side
    return render_template(
        "statements/show.html",
        head=head,
        lines=lines,
        next_after=lines[-1].id if len(lines) == LINE_ROWS else None,
        groups=groups,
        rate=rate,
        parts=[(part, steps_of(part), chart_of(part)) for part in parts],
        numbers=numbers,
        side=side,
        file_name=file_name(head.agreement_number, period),
    )


@blueprint.get("/statements/<uuid:agreement_id>/<period>/statement.csv")
@permit("statements.read")
def download(agreement_id: UUID, period: str) -> Response:
    """The proof file, which anyone may recompute; see models/commission/verify.py."""
    with tenant_work() as work:
        number = statements.get(work, agreement_id, period, limit=0).head.agreement_number
        pieces = statements.csv_lines(work, agreement_id, period)
    return text_download(file_name(number, period), pieces, "text/csv")


def steps_of(part: Breakdown) -> list[Step]:
    """From what borrowers paid to what is owed to the agency; a step that changes nothing is left out."""
    changes = [
        Step(_("Earns nothing"), part.base_amount - part.recovered, "share"),
        Step(_("Stays with the lender"), part.commission - part.base_amount, "share"),
        Step(_("Fees for cases"), part.case_fees),
        Step(_("Clawed back"), part.clawback),
        Step(_("Adjusted"), part.adjustment),
    ]
    return [
        Step(_("Recovered"), part.recovered, "total"),
        *(step for step in changes if step.amount),
        Step(_("Payable"), part.payable, "total"),
    ]


def chart_of(part: Breakdown) -> Markup:
    write: Callable[[Decimal], str] = lambda amount: short_money(amount, part.currency, str(get_locale()))
    return waterfall(
        steps_of(part),
        title=_("From recovered to payable"),
        description=_(
            "Of %(recovered)s recovered, %(payable)s is payable to the agency.",
            recovered=write(part.recovered),
            payable=write(part.payable),
        ),
        write=write,
    )


def file_name(agreement_number: str, period: str) -> str:
    """The agreement's number in letters that any file system and any shell takes."""
    plain = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in agreement_number)
    return f"statement-{plain}-{period}.csv"
