"""The history of a case as a sheet; the case's page shows the same."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from flask import Blueprint
from werkzeug.wrappers import Response as AnyResponse

from models.services.exchange import histories
from models.services.exchange.histories import Placed, Proposal, Stage
from models.work import Work
from portal import sheets
from portal.access import permit
from portal.sheets import Line, Sheet, id_of

blueprint = Blueprint("histories", __name__)

MADE = "placement tender kind state made made_by approved_by seed proposed"
PLACED = "agency agreement tier rule shares currency balance_at_start balance_at_end rate began ends ended why retained"
NOT_PLACED = (None,) * len(PLACED.split())
COLUMNS = (*MADE.split(), *PLACED.split())


@blueprint.get("/cases/<uuid:case_id>/history.csv")
@permit("cases.list")
def download(case_id: UUID) -> AnyResponse:
    return sheets.download(SHEET, case_id=case_id)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    for stage in histories.of_case(work, id_of(subject, "case_id")):
        yield work.tenant_id, (*_made(stage), *(_placed(stage.placed, stage.currency) if stage.placed else NOT_PLACED))


def _made(stage: Stage) -> tuple[object, ...]:
    proposed = "; ".join(map(_proposal, stage.proposals))
    who = (stage.made_at, stage.made_by, stage.approved_by, stage.seed)
    return (stage.number, stage.tender_id, stage.kind, stage.state, *who, proposed)


def _proposal(asked: Proposal) -> str:
    return " ".join((asked.agency_name, asked.state, *asked.reasons))


def _placed(placed: Placed, currency: str) -> tuple[object, ...]:
    shares = " ".join(f"{share.rule}:{share.per_cent}" for share in placed.shares)
    who = (placed.agency_name, placed.agreement_number, placed.tier, placed.rule, shares)
    figures = (currency, placed.balance_at_start, placed.balance_at_end, placed.contingency_rate)
    when = (placed.started_at, placed.ends_at, placed.ended_at, placed.end_reason)
    return (*who, *figures, *when, placed.retained.ground if placed.retained else None)


SHEET = Sheet("case_history", "cases.list", COLUMNS, _lines, ("case_id",))
