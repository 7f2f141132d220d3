"""What waits for somebody, as the first page tells it: a sentence, and the page where it is done."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flask_babel import ngettext

from portal.formats import count


class Counted(int):
    """A number that its sentence tells with its thousands mark."""

    def __str__(self) -> str:
        return count(self)


class Task(NamedTuple):
    """A need as the page tells it: what to open, and the sentence."""

    endpoint: str
    icon: str
    permission: str
    sentence: Callable[[int], str]
    query: dict[str, Any] = {}  # noqa: RUF012 (never changed)


TASKS = {
    "breaches_flagged": Task(
        "breaches.index",
        "shield",
        "breaches.read",
        lambda n: ngettext("%(num)s breach is flagged", "%(num)s breaches are flagged", n),
        {"state": "flagged"},
    ),
    "breaks_ours": Task(
        "breaks.index",
        "warning",
        "breaks.read",
        lambda n: ngettext("%(num)s break stands on our side", "%(num)s breaks stand on our side", n),
    ),
    "breaks_stalled": Task(
        "breaks.index",
        "warning",
        "breaks.read",
        lambda n: ngettext("%(num)s break over 5 days with an agency", "%(num)s breaks over 5 days with agencies", n),
    ),
    "payments_in_suspense": Task(
        "ledger.index",
        "money",
        "ledger.read",
        lambda n: ngettext("%(num)s payment is in suspense", "%(num)s payments are in suspense", n),
    ),
    "agreements_proposed": Task(
        "parties.index",
        "shield",
        "agreements.approve",
        lambda n: ngettext(
            "%(num)s agreement waits for a second person", "%(num)s agreements wait for a second person", n
        ),
    ),
    "rate_cards_proposed": Task(
        "parties.index",
        "money",
        "agreements.approve",
        lambda n: ngettext(
            "%(num)s rate card waits for a second person", "%(num)s rate cards wait for a second person", n
        ),
    ),
    "tenders_unapproved": Task(
        "tenders.index",
        "offer",
        "tenders.approve",
        lambda n: ngettext("%(num)s tender waits for a second person", "%(num)s tenders wait for a second person", n),
        {"state": "awaiting_approval"},
    ),
    "own_tenders_unapproved": Task(
        "tenders.index",
        "clock",
        "offers.create",
        lambda n: ngettext(
            "%(num)s tender of yours waits for a second person", "%(num)s tenders of yours wait for a second person", n
        ),
        {"state": "awaiting_approval"},
    ),
    "undoings_unconfirmed": Task(
        "tenders.index",
        "back",
        "tenders.undo",
        lambda n: ngettext("%(num)s undoing waits for a second person", "%(num)s undoings wait for a second person", n),
        {"state": "placed"},
    ),
    "tenders_unanswered": Task(
        "tenders.index",
        "offer",
        "offers.create",
        lambda n: ngettext(
            "%(num)s tender found nobody: its cases are free again",
            "%(num)s tenders found nobody: their cases are free again",
            n,
        ),
        {"state": "unanswered"},
    ),
    "placements_ended": Task(
        "portfolios.index",
        "back",
        "offers.create",
        lambda n: ngettext(
            "%(num)s placement has ended: what is left of it is free again",
            "%(num)s placements have ended: what is left of them is free again",
            n,
        ),
    ),
    "standards_proposed": Task(
        "agreements.standards",
        "shield",
        "agreements.approve",
        lambda n: ngettext(
            "%(num)s version of the standard terms waits for a second person",
            "%(num)s versions of the standard terms wait for a second person",
            n,
        ),
    ),
    "papers_attested": Task(
        "agencies.index",
        "file",
        "papers.accept",
        lambda n: ngettext(
            "%(num)s paper of an agency waits to be accepted", "%(num)s papers of agencies wait to be accepted", n
        ),
    ),
    "papers_short": Task(
        "agencies.list_papers",
        "file",
        "papers.attest",
        lambda n: ngettext(
            "%(num)s paper is missing, over or waits for you", "%(num)s papers are missing, over or wait for you", n
        ),
    ),
    "exports_unapproved": Task(
        "exports.index",
        "download",
        "exports.decide",
        lambda n: ngettext("%(num)s download waits for your approval", "%(num)s downloads wait for your approval", n),
    ),
    "retentions_requested": Task(
        "retentions.index",
        "calendar",
        "retentions.decide",
        lambda n: ngettext("%(num)s request to keep a case", "%(num)s requests to keep cases", n),
        {"state": "requested"},
    ),
    "recalls_objected": Task(
        "recalls.index",
        "warning",
        "placements.recall",
        lambda n: ngettext("%(num)s recall is objected to", "%(num)s recalls are objected to", n),
        {"state": "requested"},
    ),
    "acknowledgements_broken": Task(
        "placements.index",
        "warning",
        "placements.read",
        lambda n: ngettext("%(num)s acknowledgement is wrong or late", "%(num)s acknowledgements are wrong or late", n),
        {"state": "awaiting_acknowledgement"},
    ),
    "stops_awaited": Task(
        "recalls.index",
        "clock",
        "placements.read",
        lambda n: ngettext(
            "%(num)s recall: the agency has not confirmed yet that work has stopped",
            "%(num)s recalls: the agency has not confirmed yet that work has stopped",
            n,
        ),
        {"unconfirmed": "true"},
    ),
    "stops_unconfirmed": Task(
        "recalls.index",
        "clock",
        "placements.acknowledge",
        lambda n: ngettext(
            "%(num)s recall: confirm that work has stopped", "%(num)s recalls: confirm that work has stopped", n
        ),
        {"unconfirmed": "true"},
    ),
    "stops_overdue": Task(
        "recalls.index",
        "warning",
        "placements.read",
        lambda n: ngettext(
            "%(num)s confirmation of stopped work is overdue", "%(num)s confirmations of stopped work are overdue", n
        ),
        {"unconfirmed": "true"},
    ),
    "freezes_lifted": Task(
        "placements.index",
        "check",
        "placements.acknowledge",
        lambda n: ngettext(
            "%(num)s placement is no longer frozen: go on", "%(num)s placements are no longer frozen: go on", n
        ),
        {"state": "active"},
    ),
    "orders_waiting": Task(
        "keys.orders",
        "key",
        "keys.order",
        lambda n: ngettext("%(num)s order waits for your tool", "%(num)s orders wait for your tool", n),
    ),
    "portfolios_unoffered": Task(
        "portfolios.index",
        "file",
        "portfolios.read",
        lambda n: ngettext("%(num)s portfolio has not been offered", "%(num)s portfolios have not been offered", n),
    ),
    "runs_failed": Task(
        "jobs.index",
        "clock",
        "jobs.read",
        lambda n: ngettext("%(num)s job run failed", "%(num)s job runs failed", n),
        {"state": "failed"},
    ),
    "offers_unanswered": Task(
        "offers.index",
        "offer",
        "offers.decide",
        lambda n: ngettext("%(num)s offer waits for your answer", "%(num)s offers wait for your answer", n),
    ),
    "placements_unacknowledged": Task(
        "placements.index",
        "link",
        "placements.acknowledge",
        lambda n: ngettext("%(num)s placement to acknowledge", "%(num)s placements to acknowledge", n),
    ),
    "cases_unassigned": Task(
        "cases.worklist",
        "people",
        "cases.assign",
        lambda n: ngettext("%(num)s case has no collector", "%(num)s cases have no collector", n),
        {"unassigned": "true"},
    ),
    "promises_due": Task(
        "cases.worklist",
        "calendar",
        "worklist.read",
        lambda n: ngettext("%(num)s promise is due or overdue", "%(num)s promises are due or overdue", n),
    ),
    "never_contacted": Task(
        "cases.worklist",
        "phone",
        "worklist.read",
        lambda n: ngettext("%(num)s case was never contacted", "%(num)s cases were never contacted", n),
        {"reason": "never_contacted"},
    ),
}
