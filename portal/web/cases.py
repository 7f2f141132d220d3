"""Cases: an agency's worklist, a lender's list, and one case with all that can be done with it now."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from werkzeug.wrappers import Response as AnyResponse

from crypto.fields import FIELDS
from models.buckets import BUCKETS
from models.business_day import ZONE
from models.case import STATUSES
from models.contact_hours import hours
from models.errors import CaseClosedToWork, Invalid, Refusal, RowError
from models.release import REASONS
from models.services.collection import assignments, claims, contacts, promises, releases, worklists
from models.services.collection.timelines import TimelineItem
from models.services.exchange import histories
from models.services.pages import LIMIT_MAX
from models.services.parties import freezes
from models.services.portfolio import cases, corrections, documents, scrub
from models.services.sealing import key_directory
from models.work import AGENCY, Work
from portal import sheets
from portal.access import open_work, permit, tenant_work
from portal.errors import status_of
from portal.formats import moment
from portal.refusals import sentences
from portal.releasing import release
from portal.requests import once
from portal.schemas import working as s
from portal.schemas.forms import Form, require
from portal.sheets import Line, Sheet
from portal.timelines import groups_of, lines_of
from portal.web.door import local_path
from portal.web.forms import MENDABLE
from portal.web.frame import may
from portal.words import label, labels

blueprint = Blueprint("cases", __name__)

# The views of the worklist that people come back to: a name, and the filters that make it.
VIEWS: tuple[tuple[Any, dict[str, str]], ...] = (
    (lazy_gettext("To do now"), {}),
    (lazy_gettext("Promises overdue"), {"reason": "promise_overdue"}),
    (lazy_gettext("Promises due today"), {"reason": "promise_due_today"}),
    (lazy_gettext("Never contacted"), {"reason": "never_contacted"}),
    (lazy_gettext("High balance"), {"reason": "balance_high"}),
    (lazy_gettext("Unassigned"), {"unassigned": "true"}),
    (lazy_gettext("On hold"), {"status": "hold"}),
)
WORKLIST_COLUMNS = (
    "case_number lender name bucket dpd balance currency status reasons last_contact_at last_outcome promise_due_on"
    " collector"
)
WORKLIST_FILTERS = ("bucket", "status", "product", "unassigned", "collector_id", "reason")
CASE_FILTERS = ("portfolio_id", "bucket", "status", "product", "agency_id", "placed")
CASE_COLUMNS = "case_number name product bucket dpd balance currency status agency"


@blueprint.get("/worklist")
@permit("worklist.read")
def worklist() -> str:
    query = s.CaseListForm().load(request.args)
    with open_work() as work:
        page = worklists.read(work, s.worklist_filter(query), query["after"], query["limit"])
        due = worklists.due_promises(work)
        collectors = assignments.collectors(work) if may("cases.assign") else []
        frozen = freezes.list_standing(work)
    now = hours(work.at)
    views = [(name, sent, _is_view(sent)) for name, sent in VIEWS if "unassigned" not in sent or collectors]
    return render_template(
        "cases/worklist.html",
        page=page,
        due=due,
        frozen=frozen,
        collectors=collectors,
        views=views,
        hours=now,
        clock=moment(now.until, ZONE)[-5:],
        query=query,
        chosen=sheets.asked(WORKLIST, request.args),
        filtered=bool(request.args),
        buckets=BUCKETS,
        statuses=STATUSES,
    )


@blueprint.get("/worklist.csv")
@permit("worklist.read")
def download_worklist() -> AnyResponse:
    return sheets.download(WORKLIST)


@blueprint.post("/worklist/assign")
@permit("cases.assign")
def assign() -> Any:
    """Give the cases that were ticked to one collector; they may be of several placements."""
    form = s.AssignForm().load(request.form.to_dict() | {"cases": request.form.getlist("cases")})
    with open_work() as work:
        count = assignments.assign_several(work, form["collector_id"], s.by_placement(form["cases"]))
    flash(ngettext("%(num)s case assigned.", "%(num)s cases assigned.", count), "good")
    return redirect(local_path(form["next"]) or url_for("cases.worklist"))


@blueprint.get("/cases")
@permit("cases.list")
def index() -> str:
    query = s.CaseListForm().load(request.args)
    with tenant_work() as work:
        lines = cases.list_own(work, s.case_filter(query), s.case_cursor(query["after"]), query["limit"])
    return render_template(
        "cases/index.html",
        lines=lines,
        next_cursor=lines[-1].case.id if len(lines) == query["limit"] else None,
        query=query,
        chosen=sheets.asked(SHEET, request.args),
        filtered=bool(request.args),
        buckets=BUCKETS,
        statuses=STATUSES,
    )


@blueprint.get("/cases.csv")
@permit("cases.list")
def download() -> AnyResponse:
    return sheets.download(SHEET)


@blueprint.post("/cases/find")
@permit("cases.read")
def find() -> Any:
    """To the case with this number; its id is in the address, never the number."""
    number = s.FindForm().load(request.form)["case_number"]
    with tenant_work() as work:
        found = cases.list_numbered(work, number)
    if len(found) == 1:
        return redirect(url_for("cases.show", case_id=found[0].id))
    if found:
        return render_template("cases/found.html", number=number, found=found)
    flash(_("No case of yours has this number."), "watch")
    return redirect(url_for("cases.worklist" if may("worklist.read") else "cases.index"))


@blueprint.get("/cases/<uuid:case_id>")
@permit("cases.read")
def show(case_id: UUID) -> str:
    return _page(case_id)


@blueprint.post("/cases/<uuid:case_id>/releases")
@permit("cases.release")
def release_fields(case_id: UUID) -> Response:
    """For the page's script, which shows the values in place for a short time."""
    given = s.ReleaseForm().load(request.form)
    return jsonify(release(case_id, **given))


@blueprint.post("/cases/<uuid:case_id>/contacts")
@permit("contacts.record")
def record_contact(case_id: UUID) -> Any:
    def act(work: Work, given: dict[str, Any]) -> None:
        report = contacts.ContactReport(**given, source="page")
        once(work, lambda: contacts.record(work, case_id, report), lambda made: contacts.get(work, made))

    return _record(case_id, "contact", s.ContactForm(), act, _("Contact logged."))


@blueprint.post("/cases/<uuid:case_id>/promises")
@permit("promises.record")
def record_promise(case_id: UUID) -> Any:
    def act(work: Work, given: dict[str, Any]) -> None:
        report = promises.PromiseReport(**given)
        once(work, lambda: promises.record(work, case_id, report), lambda made: promises.get(work, made))

    return _record(case_id, "promise", s.PromiseForm(), act, _("Promise recorded."))


@blueprint.post("/cases/<uuid:case_id>/claims")
@permit("claims.record")
def record_claim(case_id: UUID) -> Any:
    def act(work: Work, given: dict[str, Any]) -> None:
        report = claims.ClaimReport(**given, source="page")
        once(work, lambda: claims.record(work, case_id, report), lambda made: claims.get(work, made))

    return _record(case_id, "claim", s.ClaimForm(), act, _("Payment claimed. The lender's ledger will confirm it."))


@blueprint.post("/cases/<uuid:case_id>/corrections")
@permit("cases.correct")
def correct(case_id: UUID) -> Any:
    def act(work: Work, given: dict[str, Any]) -> None:
        try:
            corrections.correct(work, case_id, {given["field"]: given["value"]})
        except Invalid as refusal:  # All of it is about the one value: the form has no inputs of other names.
            raise Invalid(errors=[RowError(0, "value", error.code) for error in refusal.errors]) from None

    return _record(case_id, "correction", s.CorrectionForm(), act, _("Corrected: the new value is sealed."))


def _record(case_id: UUID, noun: str, form: Form, act: Callable[[Work, dict[str, Any]], None], done: str) -> Any:
    """Back to the case with the report on its timeline, or the form again with what is wrong beside its input."""
    try:
        given = require(form, request.form)
        with open_work() as work:
            act(work, given)
    except CaseClosedToWork:
        raise  # Whoever has lost the case cannot be shown its page.
    except MENDABLE as refusal:
        return _page(case_id, noun, refusal), status_of(refusal).value
    flash(done, "good")
    return redirect(url_for("cases.show", case_id=case_id))


def _page(case_id: UUID, noun: str = "", refusal: Refusal | None = None) -> str:
    """The case; `noun` names the form that is shown again as it was filled in, with what is wrong in it."""
    with tenant_work() as work:
        view = cases.get(work, case_id)
        items = cases.timeline(work, case_id)
        opened = releases.list_of_case(work, case_id) if may("releases.read") else None
        collectors = assignments.collectors(work) if may("cases.assign") else []
        papers = documents.list_of_case(work, case_id)
        can_note = key_directory.somebody_here_can_seal(work, view.case.lender_id)
        corrected = corrections.list_of_case(work, case_id) if may("cases.corrections") else []
        history = histories.of_case(work, case_id) if may("cases.list") else []
        scrubbed = scrub.reasons_of(work, case_id) if may("exclusions.read") else []
    lines = lines_of(items, view.case.currency, with_agency=may("cases.list"))
    today = moment(work.at, ZONE)[:10]
    blank = {
        "contact": {"occurred_at": moment(work.at, ZONE).replace(" ", "T"), "party": "debtor"},
        "promise": {},
        "claim": {"paid_on": today, "paid_to": "lender"},
    }
    return render_template(
        "cases/show.html",
        view=view,
        sealed=_sealed(view.case.masks, items),
        can_note=can_note,
        reasons=[(code, label(code, "release_reason")) for code in _reasons(work)],
        lines=lines,
        groups=groups_of(lines),
        opened=opened,
        collectors=collectors,
        corrected=corrected,
        history=history,
        scrubbed=scrubbed,
        papers=papers,
        paper_kinds=list(labels("document_kind").items()),
        # What somebody typed of a person is not repeated on a page.
        correctable=[(field, label(field, "field")) for field in s.PERSONAL_FIELDS],
        hours=hours(work.at),
        today=today,
        options={
            table: list(labels(table).items()) for table in ("channel", "direction", "party", "outcome", "paid_to")
        },
        shown=noun or "contact",
        typed=blank | ({noun: request.form} if noun else {}),
        wrong={noun: sentences(refusal)} if refusal else {},
        once=uuid4().hex,
    )


def _sealed(masks: Mapping[str, str], items: list[TimelineItem]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Class -> its fields, each with its mask and name; a note is named by when its contact was."""
    classes = [
        (field_class, [(field, masks[field], label(field, "field")) for field in fields if field in masks])
        for field_class, fields in FIELDS.items()
    ]
    noted = [item for item in items if item.kind == "contact" and item.facts["noted"]]
    classes.append(("notes", [(str(item.id), "*****", moment(item.at, ZONE)) for item in noted]))
    return [(field_class, fields) for field_class, fields in classes if fields]


def _reasons(work: Work) -> tuple[str, ...]:
    return releases.AGENCY_REASONS if work.actor.side == AGENCY else REASONS


def _is_view(sent: dict[str, str]) -> bool:
    return request.args.to_dict() == sent


def _worklist(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    filters = s.worklist_filter(s.CaseListForm().load(subject))
    for item in worklists.export(work, filters):
        yield item.case.lender_id, _worklist_row(item)


def _cases(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    filters = s.case_filter(s.CaseListForm().load(subject))
    lines = cases.list_own(work, filters, None, LIMIT_MAX)
    while lines:
        yield from ((line.case.lender_id, _case_row(line)) for line in lines)
        lines = cases.list_own(work, filters, lines[-1].case.id, LIMIT_MAX)


def _worklist_row(item: worklists.Item) -> tuple[object, ...]:
    case = item.case
    return (
        case.reference,
        item.lender_name,
        case.masks.get("name", ""),
        case.bucket,
        case.dpd,
        case.balance,
        case.currency,
        case.status,
        " ".join(item.reasons),
        moment(item.last_contact_at, ZONE) if item.last_contact_at else "",
        item.last_outcome or "",
        item.promise_due_on or "",
        item.collector_name or "",
    )


def _case_row(line: cases.CaseLine) -> tuple[object, ...]:
    case = line.case
    figures = (case.bucket, case.dpd, case.balance, case.currency, case.status)
    return (case.reference, case.masks.get("name", ""), case.product, *figures, line.agency_name or "")


WORKLIST = Sheet("worklist", "worklist.read", tuple(WORKLIST_COLUMNS.split()), _worklist, WORKLIST_FILTERS)
SHEET = Sheet("cases", "cases.list", tuple(CASE_COLUMNS.split()), _cases, CASE_FILTERS)
