"""Exclusions: what may not be placed and why, one by one or from a file."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from models.exclusion import RECORDED_REASONS, SOURCES
from models.exclusion_file import EXCLUSION_COLUMNS
from models.services.portfolio import cases, exclusions, scrub
from models.work import Work
from portal import sheets
from portal.access import open_work, permit
from portal.schemas.forms import require
from portal.schemas.tenders import ExclusionForm, ExclusionListForm
from portal.sheets import Line, Sheet
from portal.web.forms import MENDABLE, Answer, Page, show
from portal.words import labels

blueprint = Blueprint("exclusions", __name__)

LIST_ROWS = 50
SHEET_ROWS = 1_000  # read at a time
FILTERS = ("reason", "standing")
COLUMNS = "case_number reason source noted_on recorded_at lifted_at borrower_case_numbers"


@blueprint.get("/exclusions")
@permit("exclusions.read")
def index() -> str:
    query = require(ExclusionListForm(), request.args)
    with open_work() as work:
        lines = exclusions.list_own(work, query["cursor"], LIST_ROWS, query["reason"], query["standing"])
        counts = exclusions.count_by_reason(work)
    next_cursor = lines[-1].exclusion.id if len(lines) == LIST_ROWS else None
    return render_template(
        "exclusions/index.html",
        lines=lines,
        counts=counts,
        reasons=RECORDED_REASONS,
        query=query,
        next_cursor=next_cursor,
    )


@blueprint.get("/exclusions.csv")
@permit("exclusions.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    """Of a whole borrower without a number of its own: those of the cases that it keeps back stand at the end."""
    query, after = require(ExclusionListForm(), subject), None
    while found := exclusions.list_own(work, after, SHEET_ROWS, query["reason"], query["standing"]):
        for one, case_number, numbers in found:
            said = (one.reason, one.source, one.noted_on, one.recorded_at, one.lifted_at)
            yield one.lender_id, (case_number, *said, " ".join(numbers.values()) if case_number is None else None)
        after = found[-1].exclusion.id


SHEET = Sheet("exclusions", "exclusions.read", tuple(COLUMNS.split()), _lines, FILTERS)


@blueprint.get("/exclusions/new")
@permit("exclusions.manage")
def new() -> str:
    words = {"reason": labels("scrub_reason"), "source": labels("exclusion_source")}
    known = {"reason": RECORDED_REASONS, "source": SOURCES}
    rules = {name: [(code, words[name].get(code)) for code in codes] for name, codes in known.items()}
    return render_template("exclusions/new.html", columns=EXCLUSION_COLUMNS, rules=rules)


@blueprint.get("/cases/<uuid:case_id>/exclusions")
@permit("exclusions.read")
def of_case(case_id: UUID) -> Page:
    return _of_case(case_id, {})


@blueprint.post("/cases/<uuid:case_id>/exclusions")
@permit("exclusions.manage")
def record(case_id: UUID) -> Answer:
    try:
        given = require(ExclusionForm(), request.form.to_dict() | {"case_id": str(case_id)})
        with open_work() as work:
            exclusions.record(work, **given)
    except MENDABLE as refusal:
        return _of_case(case_id, request.form, refusal)
    flash(_("Excluded. It has left the open tender that held it, and enters no other."), "good")
    return redirect(url_for("exclusions.of_case", case_id=case_id))


@blueprint.post("/exclusions/<uuid:exclusion_id>/lift")
@permit("exclusions.manage")
def lift(exclusion_id: UUID) -> Answer:
    with open_work() as work:
        exclusions.lift(work, exclusion_id)
    flash(_("Lifted. What it kept back may be tendered again."), "good")
    return redirect(url_for("exclusions.index"))


def _of_case(case_id: UUID, form: Any, refusal: Any = None) -> Page:
    with open_work() as work:
        lines = exclusions.list_of_case(work, case_id)
        reference = cases.references(work, [case_id])[case_id]
        standing = scrub.reasons_of(work, case_id)
        today = work.at
    return show(
        "exclusions/case.html",
        form,
        refusal,
        case_id=case_id,
        reference=reference,
        lines=lines,
        standing=standing,
        today=today,
        reasons=RECORDED_REASONS,
        sources=SOURCES,
    )
