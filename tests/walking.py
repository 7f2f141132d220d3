"""What a walk through the exchange sees: all that stands at one lender after an act, and which transitions made it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from models import agency_standing, bid, offer, placement, recall_request, retention, tender
from models.states import Transitions
from models.work import Work

# What has no column of states of its own, told as such: how a placed case ends, a stop of work, a freeze, a break,
# an exclusion.
CASE_ENDS: Final = ("recalled", "returned", "term_over", "undone")
ENDS_OF_A_CASE: Final = {
    ("placed", "retain"): "retained",
    **{(state, end): end for state in ("placed", "retained") for end in CASE_ENDS},
}
OF_STOP: Final = {
    ("none", "order"): "ordered",
    ("ordered", "confirm"): "confirmed",
    ("ordered", "miss"): "missed",
    ("missed", "confirm"): "confirmed_late",
}
OF_FREEZE: Final = {("standing", "lift"): "lifted"}
OF_BREAK: Final = {("open", "close"): "closed"}
OF_EXCLUSION: Final = {("standing", "lift"): "lifted"}
OF_CASE: Final = {("free", "place"): "placed", ("placed", "come_back"): "free"}

TRANSITIONS: Final[Mapping[str, Transitions]] = {
    "tender": tender.TRANSITIONS,
    "offer": offer.TRANSITIONS,
    "bid": bid.TRANSITIONS,
    "placement": placement.TRANSITIONS,
    "placed_case": ENDS_OF_A_CASE,
    "recall": recall_request.TRANSITIONS,
    "recall_case": recall_request.CASE_TRANSITIONS,
    "stop": OF_STOP,
    "retention": retention.TRANSITIONS,
    "standing": agency_standing.TRANSITIONS,
    "freeze": OF_FREEZE,
    "break": OF_BREAK,
    "exclusion": OF_EXCLUSION,
    "case": OF_CASE,
}

# In which of its states a row may come into being; in any other it came by the acts between, in one transaction.
BEGINS: Final[Mapping[str, Collection[str]]] = {
    "tender": (tender.DRAWING, tender.OPEN, tender.AWAITING_APPROVAL),
    "offer": (offer.OFFERED, offer.ACCEPTED),  # accepted at once: of an allocation
    "bid": (bid.COMMITTED,),
    "placement": (placement.AWAITING_ACK,),
    "placed_case": ("placed",),
    "recall": (recall_request.REQUESTED,),
    "recall_case": (recall_request.ASKED, recall_request.RECALLED),  # recalled at once: nobody was asked
    "stop": ("none",),
    "retention": (retention.REQUESTED, retention.APPROVED),  # approved at once: by the rule for who pays
    "standing": (agency_standing.GOOD,),
    "freeze": ("standing",),
    "break": ("open",),
    "exclusion": ("standing",),
    "case": ("free",),
}

# Row security leaves the lender's own alone. `since` and `until`: the times that the row waits for.
_STANDS: Final = text("""
select 'tender' as noun, id, state, portfolio_id as of, null::uuid as agency_id, kind, case_count as size,
       case when state = 'placed' then undo_asked_by else created_by end as by, commit_until as since,
       reveal_until as until
  from tender
union all
select 'offer', o.id, o.state, o.tender_id, o.agency_id, o.kind,
       jsonb_array_length(o.terms -> 'scoring' -> 'lots'), null, t.commit_until, o.expires_at
  from offer o join tender t on t.lender_id = o.lender_id and t.id = o.tender_id
union all
select 'bid', id, state, offer_id, agency_id, null, null, committed_by, null, null from bid
union all
select 'placement', p.id, p.state, o.tender_id, p.agency_id, case when p.frozen_at is null then '' else 'frozen' end,
       p.case_count, null, p.started_at, p.expires_at
  from placement p join offer o on o.lender_id = p.lender_id and o.id = p.offer_id
union all
select 'placed_case', case_id, case when end_reason is null and retained_until is null then 'placed'
       when end_reason is null then 'retained' when end_reason in ('term_over', 'undone') then end_reason
       when end_reason like 'returned_%' then 'returned' else 'recalled' end,
       placement_id, agency_id, null, null, null, started_at, retained_until
  from placed_case
union all
select 'recall', id, state, placement_id, agency_id, reason, case_count, requested_by, null, object_until
  from recall_request
union all
select 'recall_case', case_id, state, request_id, agency_id, null, null, null, null, null from recall_case
union all
select 'stop', id, case when executed_at is null then 'none'
       when stop_missed_at is not null and stop_confirmed_at is not null then 'confirmed_late'
       when stop_missed_at is not null then 'missed' when stop_confirmed_at is not null then 'confirmed'
       else 'ordered' end, placement_id, agency_id, null, case_count, null, null, stop_due_at
  from recall_request
union all
select 'retention', id, state, placement_id, agency_id, ground, null, case_id, null, null from retention
union all
select 'standing', agency_id, state, null, agency_id, null, null, null, null, null from agency_standing
union all
select 'freeze', id, case when lifted_at is null then 'standing' else 'lifted' end, placement_id, agency_id,
       case when whole_agency then 'agency' else 'placement' end, null, null, null, null
  from placement_freeze
union all
select 'break', id, case when closed_at is null then 'open' else 'closed' end, placement_id, agency_id, kind, null,
       null, null, null
  from acknowledgement_break
union all
select 'exclusion', id, case when lifted_at is null then 'standing' else 'lifted' end, case_id, null, reason, null,
       borrower_id, null, null
  from exclusion
union all
select 'case', id, case when agency_id is null then 'free' else 'placed' end, borrower_id, agency_id, reference, null,
       null, null, null
  from collection_case
order by 1, 2, 4
""")


class Row(NamedTuple):
    """One thing that stands. `of`: what it belongs to; `by`: whoever made it, or asked to undo it, and of a
    retention its case, of an exclusion its borrower. `size`: its cases, of an offer its lots. None: it has no such
    thing."""

    noun: str
    id: UUID
    state: str
    of: Any
    agency_id: UUID | None
    kind: Any
    size: Any
    by: Any
    since: Any
    until: Any

    @property
    def key(self) -> tuple[str, UUID, UUID | None]:
        """A case is in many placements, and in many recalls."""
        return self.noun, self.id, self.of


def look(work: Work) -> list[Row]:
    """All that stands, in order of noun and id."""
    return [Row(*row) for row in work.session.execute(_STANDS)]


def steps(before: Sequence[Row], after: Sequence[Row], by_agency: bool) -> Iterable[tuple[str, str, str]]:
    """The (noun, state, act) by which each row came from how it stood to how it stands.

    AssertionError where no way leads there: something is in no state of its own, or jumped, or is gone.
    """
    stood = {row.key: row.state for row in before}
    assert stood.keys() <= {row.key for row in after}
    for row in after:
        if row.key not in stood and row.state in BEGINS[row.noun]:
            continue
        starts = [stood[row.key]] if row.key in stood else list(BEGINS[row.noun])
        way = next(filter(None, (_way(TRANSITIONS[row.noun], start, row.state) for start in starts)), None)
        assert way is not None, f"{row.noun}: no way from {starts} to {row.state}"
        for state, next_ in pairwise(way):
            yield row.noun, state, _act(row.noun, state, next_, by_agency)


def listed(*but: tuple[str, str, str]) -> list[tuple[str, str, str]]:
    """Every transition there is, without those named."""
    return [
        (noun, state, act)
        for noun, table in TRANSITIONS.items()
        for state, act in table
        if (noun, state, act) not in but
    ]


def told(walked: Counter[tuple[str, str, str]], wanted: Iterable[tuple[str, str, str]]) -> list[str]:
    """Those of the wanted that nobody walked, by name."""
    return [f"{noun}: {act} while {state}" for noun, state, act in wanted if not walked[noun, state, act]]


def _way(table: Transitions, start: str, end: str) -> list[str] | None:
    """The shortest: the states from one to the other, both included."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        if way[-1] == end:
            return way
        for (state, _), next_ in table.items():
            if state == way[-1] and next_ not in seen:
                seen.add(next_)
                ways.append([*way, next_])
    return None


def _act(noun: str, state: str, next_: str, by_agency: bool) -> str:
    """One act leads there, or, as with a bid that is withdrawn, first the agency's and then the lender's."""
    acts = [act for (of, act), end in TRANSITIONS[noun].items() if (of, end) == (state, next_)]
    return acts[0] if by_agency else acts[-1]


def pick_of(rows: Sequence[Any], pick: int) -> Any:
    return rows[pick % len(rows)]
