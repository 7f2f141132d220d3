"""What must hold of a lender's exchange after every act of a walk, however it came there."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import text

from models.agency_standing import FROZEN
from models.offer import ACCEPTED, OFFERED, WON
from models.placement import AWAITING_ACK, LIVE
from models.recall_request import ASKED, OBJECTED, REQUESTED
from models.retention import REQUESTED as RETENTION_REQUESTED
from models.tender import ASSIGNED, AWAITING_APPROVAL, OPEN
from models.work import Work
from tests.walking import Row

HELD = ("placed", "retained")  # of a placed case that has not ended

# Each answers what is wrong: no row at all.
_WRONG = {
    "a case of two live placements": """
        select case_id from placed_case where ended_at is null group by case_id having count(*) > 1""",
    "a case that names another agency than the one that holds it": """
        select c.id from collection_case c left join placed_case p on p.case_id = c.id and p.ended_at is null
        where c.agency_id is distinct from p.agency_id""",
    "a borrower with two agencies": """
        select borrower_id from collection_case group by borrower_id having count(distinct agency_id) > 1""",
    "a placement whose counts or amounts are not those of its cases": """
        select p.id from placement p left join placed_case c on c.placement_id = p.id group by p.lender_id, p.id
        having p.held_count <> count(c.case_id) filter (where c.ended_at is null)
            or p.case_count <> count(c.case_id) or p.referred_amount <> sum(c.referred_amount)
            or p.lowest_rate <> min(c.contingency_rate) or p.highest_rate <> max(c.contingency_rate)""",
    "a placement that has ended and holds a case, or holds none and has not": """
        select id from placement
        where (held_count > 0) <> (ended_at is null) or (ended_at is null) <> (state = any(:live))
            or (end_reason is null) <> (ended_at is null)""",
    "a placed case that ended without a reason or a balance, or that was owed otherwise": """
        select p.case_id from placed_case p join collection_case c on c.id = p.case_id
        where (p.ended_at is null) <> (p.end_reason is null) or (p.ended_at is null) <> (p.end_balance is null)
            or p.referred_amount <> c.balance or p.end_balance <> c.balance""",
    "a case held after the end of its time": """
        select c.case_id from placed_case c join placement p on p.id = c.placement_id
        where coalesce(c.ended_at, :now) > coalesce(c.retained_until, p.expires_at)""",
    "work on a case that is not held and acknowledged, or a held one without work": """
        select coalesce(w.case_id, h.case_id) from work_item w full join (
            select c.placement_id, c.case_id from placed_case c join placement p on p.id = c.placement_id
            where c.ended_at is null and p.state = 'active') h using (placement_id, case_id)
        where w.case_id is null or h.case_id is null""",
    "a tally that counting does not bear out": """
        select 1 from (
            select portfolio_id, agency_id, currency, status, case_count, balance from case_tally
            union all
            select portfolio_id, agency_id, currency, status, -1, -balance from collection_case) kept
        group by portfolio_id, agency_id, currency, status having sum(case_count) <> 0 or sum(balance) <> 0""",
    "a tender that holds cases after its end, or holds others than it counts": """
        select t.id from tender t left join tendered_case c on c.tender_id = t.id group by t.lender_id, t.id
        having t.kind <> 'allocation' and t.case_count <> count(c.case_id)
            or t.state <> all(:holding) and count(*) filter (where c.open) > 0""",
    "a tendered case that is placed": """
        select t.case_id from tendered_case t join collection_case c on c.id = t.case_id
        where t.open and c.agency_id is not null""",
    "a case that an open tender holds although it is excluded": """
        select t.case_id from tendered_case t join collection_case c on c.id = t.case_id
        join exclusion e on e.borrower_id = c.borrower_id and (e.case_id is null or e.case_id = c.id)
        where t.open and e.lifted_at is null""",
    "more retained than the lender lets be": """
        select p.id from placement p join retention r on r.placement_id = p.id
        where r.state = 'approved' and r.requested_by is not null
        group by p.lender_id, p.id having count(*) > p.case_count * :percent / 100""",
    "a bid that is read before it is decided, or placed at another rate": """
        select b.id from bid b left join placement p on p.offer_id = b.offer_id
        where b.state in ('committed', 'revealed', 'withdrawn') and (b.rate is not null or b.score is not null)
            or b.state <> 'withdrawn' and (b.state = 'won') <> (p.id is not null)
            or b.state = 'won' and p.highest_rate <> b.rate""",
    "more cases with an agency than were agreed": """
        select c.agency_id from collection_case c join agreement a on a.agency_id = c.agency_id
        group by c.agency_id, a.open_cases_max having count(*) > a.open_cases_max""",
}
_COUNTED = (f"select '{what}', count(*) from ({sql}) w{at}" for at, (what, sql) in enumerate(_WRONG.items()))
_ALL = text("\nunion all\n".join(_COUNTED))


def require_sound(work: Work, seen: Sequence[Row], percent: int) -> None:
    """`percent`: of its cases, how many of a placement the lender lets retain."""
    known = {"live": list(LIVE), "holding": [OPEN, AWAITING_APPROVAL], "percent": percent, "now": work.at}
    assert {what: found for what, found in work.session.execute(_ALL, known) if found} == {}
    by_noun: defaultdict[str, list[Row]] = defaultdict(list)
    for row in seen:
        by_noun[row.noun].append(row)
    _require_answered(by_noun)
    _require_nothing_asked_of_what_is_gone(by_noun)
    _require_standstill(by_noun)


def require_placed_rightly(before: Sequence[Row], after: Sequence[Row], jumped: bool) -> None:
    """Nothing was placed that was excluded, or with an agency that might not receive; where time passed, and much was
    done in between, that cannot be told from the two ends of it."""
    known = {(row.id, row.of) for row in before if row.noun == "placed_case"}
    new = [row for row in after if row.noun == "placed_case" and (row.id, row.of) not in known]
    if not new or jumped:
        return
    borrowers = {row.id: row.of for row in before if row.noun == "case"}
    standing = [row for row in before if row.noun == "exclusion" and row.state == "standing"]
    excluded = {row.of for row in standing if row.of} | {row.by for row in standing if row.of is None}
    assert not [row for row in new if row.id in excluded or borrowers[row.id] in excluded]
    shut = {row.id for row in before if row.noun == "standing" and row.state in ("suspended", "frozen", "removed")}
    assert not [row for row in new if row.agency_id in shut]


def _require_answered(by_noun: dict[str, list[Row]]) -> None:
    """Offers wait under open tenders alone, one at a time where one is asked after the other; what was accepted or won
    is a placement, and nothing else is."""
    tenders = {row.id: row for row in by_noun["tender"]}
    waiting = Counter(row.of for row in by_noun["offer"] if row.state == OFFERED)
    assert all(tenders[tender_id].state == OPEN for tender_id in waiting if tender_id)
    assert all(n == 1 for tender_id, n in waiting.items() if tender_id and tenders[tender_id].kind == ASSIGNED)
    taken = Counter(row.of for row in by_noun["offer"] if row.state in (ACCEPTED, WON))
    assert taken == Counter(row.of for row in by_noun["placement"])
    assert all((row.id in taken) == (row.state in ("placed", "undone")) for row in tenders.values())
    bids = Counter(row.of for row in by_noun["bid"] if row.state != "withdrawn")
    assert all(count == 1 for count in bids.values())


def _require_nothing_asked_of_what_is_gone(by_noun: dict[str, list[Row]]) -> None:
    """No recall, retention or break waits on a case or a placement that has ended."""
    held = {(row.of, row.id) for row in by_noun["placed_case"] if row.state in HELD}
    placement_of = {row.id: row.of for row in by_noun["recall"]}
    waiting = [row for row in by_noun["recall_case"] if row.state in (ASKED, OBJECTED)]
    assert {(placement_of[row.of], row.id) for row in waiting} <= held
    assert len({row.id for row in waiting}) == len(waiting)
    requested = {row.id for row in by_noun["recall"] if row.state == REQUESTED}
    assert requested == {row.of for row in waiting}
    stops = {row.id: row.state for row in by_noun["stop"]}
    assert all((stops[row.id] != "none") == (row.state == "executed") for row in by_noun["recall"])
    live = {row.of for row in by_noun["placed_case"] if row.state in HELD}
    assert {row.of for row in by_noun["retention"] if row.state == RETENTION_REQUESTED} <= live
    states = {row.id: row.state for row in by_noun["placement"]}
    assert all(states[row.of] == AWAITING_ACK for row in by_noun["break"] if row.state == "open")


def _require_standstill(by_noun: dict[str, list[Row]]) -> None:
    """A live placement stands still as long as its freeze stands, and with a frozen agency everyone of its own does."""
    frozen = {row.of for row in by_noun["freeze"] if row.state == "standing"}
    stands = {row.id: row.state for row in by_noun["standing"]}
    for row in by_noun["placement"]:
        assert (row.kind == "frozen") == (row.id in frozen)
        if row.state in LIVE and stands.get(row.agency_id or row.id) == FROZEN:
            assert row.id in frozen
