"""Agreements between a lender and an agency: no offer stands without one that a second person has approved.

Money terms are rate cards (`rate_cards.py`). The rest may be changed while the agreement stands: it decides what is
placed next, and never what is placed already.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import ColumnElement, and_, or_, select

from models import contact_policy, rates
from models.agency_standing import REMOVED, AgencyStanding
from models.agreement import ACTIVE, ENDED, PROPOSED, REFUSED, TRANSITIONS, Agreement
from models.buckets import BUCKETS
from models.business_day import day_of
from models.columns import PRODUCT
from models.errors import Conflict, Invalid, NotFound, OutOfRange, RowError, outside
from models.ids import new_id
from models.money import CURRENCIES, round_money
from models.organisation import AGENCY
from models.provinces import PROVINCES
from models.rate_card import INCLUSIVE
from models.services import bulk, notices, pages, second_person, tenancy
from models.services.exchange import rate_cards, standard_terms
from models.services.oversight import audit
from models.services.parties import organisations
from models.states import step
from models.work import AGENCY as AGENCY_SIDE
from models.work import LENDER, Work

# Inclusive.
RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "tier": (1, 9),
    "term_days": (1, 730),
    "open_cases_max": (0, 10_000_000),
    "collectors": (0, 100_000),
    "cases_per_collector": (0, 10_000),
}
_REQUIRED: Final = ("tier", "term_days")
_PAPERS: Final = ("processing_agreement", "impact_assessment")  # of data protection, by number
_LISTS: Final = ("provinces", "products", "buckets")
AMOUNTS: Final = ("balance_from", "balance_below")
AMOUNT_MAX: Final = Decimal("9999999999999.99")
OPERATING: Final = (*RANGES, *_LISTS, *AMOUNTS, "contact_policy")  # what `change` may change
_MONEY: Final = ("tail_days", "agency_may_receive", "settlement_floor", "tax_treatment", "tax_rate")

# How an agreement stands on a day, as lists are narrowed.
IN_FORCE, LATER, OVER = "in_force", "later", "over"
STANDINGS: Final = (PROPOSED, IN_FORCE, LATER, OVER, REFUSED)


class Terms(NamedTuple):
    """What the parties agreed; the money terms become the agreement's first rate card.

    `contingency_rate` is a fraction of what is recovered, for every case: 0.18 is 18 %. Where rates differ there are
    `cells` instead. An empty list leaves its dimension open, None among the amounts too: a case is covered whose
    balance is from `balance_from` on and below `balance_below`.
    """

    number: str
    currency: str
    term_days: int
    tail_days: int
    agency_may_receive: bool
    processing_agreement: str
    impact_assessment: str
    starts_on: dt.date
    ends_on: dt.date
    contingency_rate: Decimal | None = None
    cells: Sequence[rates.Cell] = ()
    settlement_floor: Decimal | None = None
    tax_treatment: str = INCLUSIVE
    tax_rate: Decimal = Decimal(0)
    tier: int = 1
    provinces: Sequence[str] = ()
    products: Sequence[str] = ()
    buckets: Sequence[str] = ()
    balance_from: Decimal | None = None
    balance_below: Decimal | None = None
    open_cases_max: int | None = None
    collectors: int | None = None
    cases_per_collector: int | None = None
    contact_policy: Mapping[str, Any] = {}


def create(work: Work, agency_code: str, terms: Terms) -> Agreement:
    """Propose an agreement and its first rate card; both stand once `approve` has been called by a second person."""
    assert work.actor.side == LENDER
    terms = terms._replace(**{name: getattr(terms, name).strip() for name in _PAPERS})
    if faults := _faults(terms):
        raise Invalid(errors=faults)
    agency = organisations.get_counterparty(work, agency_code, AGENCY)
    number_taken = select(Agreement.id).where(tenancy.own(work, Agreement), Agreement.number == terms.number)
    if work.session.scalar(number_taken):
        raise Conflict("agreement_number_taken")
    given = terms._asdict()
    agreement = Agreement(
        lender_id=work.tenant_id,
        id=new_id(),
        agency_id=agency.id,
        lender_name=organisations.get_own(work).name,
        agency_name=agency.name,
        state=PROPOSED,
        created_by=work.actor.member_id,
        created_at=work.at,
        **{name: _stored(value) for name, value in given.items() if name not in (*_MONEY, "contingency_rate", "cells")},
    )
    work.session.add(agreement)
    work.session.flush()
    cells = terms.cells if terms.contingency_rate is None else [rates.Cell(terms.contingency_rate)]
    money = rate_cards.Terms(cells, terms.starts_on, **{name: given[name] for name in _MONEY})
    rate_cards.propose_first(work, agreement, money)
    audit.record(work, audit.Action.AGREEMENT_CREATE, {"agreement": agreement.id, "agency": agency.id})
    return agreement


def approve(work: Work, agreement_id: UUID) -> Agreement:
    """A second person of the lender: the agreement stands, and its first rate card with it."""
    agreement = _lock(work, agreement_id)
    state = step(TRANSITIONS, agreement.state, "approve")
    second_person.require(work, agreement.created_by)
    agreement.state = state
    agreement.decided_by, agreement.decided_at = work.actor.member_id, work.at
    (first,) = rate_cards.list_of_agreement(work, agreement.id)
    rate_cards.approve(work, first.card.id)
    audit.record(work, audit.Action.AGREEMENT_APPROVE, _subject(agreement))
    _tell(work, agreement, "agreement.approved")
    return agreement


def refuse(work: Work, agreement_id: UUID) -> Agreement:
    """It never stands: a second person says no, or its maker takes it back."""
    agreement = _lock(work, agreement_id)
    agreement.state = step(TRANSITIONS, agreement.state, "refuse")
    agreement.decided_by, agreement.decided_at = work.actor.member_id, work.at
    for card in rate_cards.list_of_agreement(work, agreement.id):
        rate_cards.refuse(work, card.card.id)
    audit.record(work, audit.Action.AGREEMENT_REFUSE, _subject(agreement))
    return agreement


def change(work: Work, agreement_id: UUID, changes: Mapping[str, Any]) -> Agreement:
    """Change operating terms, for what is placed from now on; the log has each as it was and as it is.

    Invalid for a name that is none of OPERATING, a value out of range, products and buckets that a rate card in force,
    or one still to come, has no rate for, or a tier whose standard terms would move what such a card leaves to them:
    the least settlement is money, and a card that says it takes a second person.
    """
    agreement = _lock(work, agreement_id)
    agreement.state = step(TRANSITIONS, agreement.state, "change")
    changes = {name: _stored(value) for name, value in changes.items()}
    unknown = [RowError(0, name, "unknown_field") for name in changes if name not in OPERATING]
    amounts = {name: getattr(agreement, name) for name in AMOUNTS}
    if errors := unknown or _operating_faults(amounts | changes):
        raise Invalid(errors=errors)
    olds = {name: getattr(agreement, name) for name in changes}
    floors = _floors(work, agreement)
    news = {name: value for name, value in changes.items() if value != olds[name]}
    for name, value in news.items():
        setattr(agreement, name, value)
    if {"products", "buckets"} & news.keys():
        _refuse_without_rate(work, agreement, news)
    if _floors(work, agreement) != floors:
        raise Invalid(errors=[RowError(0, "tier", "tier_moves_floor")])
    for name, value in news.items():
        told = {"term": name, "old": _logged(olds[name]), "new": _logged(value)}
        audit.record(work, audit.Action.AGREEMENT_CHANGE, _subject(agreement) | told)
    if news:
        _tell(work, agreement, "agreement.changed", f"/{work.at.isoformat()}")
    return agreement


def end(work: Work, agreement_id: UUID) -> Agreement:
    """Nothing new is placed under it; what is placed runs on, on the terms frozen there."""
    agreement = _lock(work, agreement_id)
    agreement.state = step(TRANSITIONS, agreement.state, "end")
    agreement.ends_on = max(agreement.starts_on, min(agreement.ends_on, day_of(work.at)))
    audit.record(work, audit.Action.AGREEMENT_END, _subject(agreement))
    _tell(work, agreement, "agreement.ended")
    return agreement


def list_own(work: Work) -> list[Agreement]:
    """All of them, newest first: a lender's, or those in which an agency is named and which stand or stood."""
    return list(work.session.scalars(select(Agreement).where(*_seen(work)).order_by(Agreement.id.desc())))


def find(
    work: Work, standing: str | None = None, search: str | None = None, after: UUID | None = None, limit: int = 50
) -> list[Agreement]:
    """A page of them, newest first; `search` is part of the number or of the other party's name."""
    query = select(Agreement).where(*_seen(work))
    if standing is not None:
        query = query.where(_stands(standing, day_of(work.at)))
    if search:
        other = Agreement.lender_name if work.actor.side == AGENCY_SIDE else Agreement.agency_name
        query = query.where(
            or_(
                Agreement.number.icontains(search, autoescape=True),
                other.icontains(search, autoescape=True),
            )
        )
    return list(work.session.scalars(pages.newest(query, Agreement.id, after, limit)))


def list_entrusted(work: Work, after: UUID | None = None, limit: int = 50) -> list[Agreement]:
    """What the lender publishes, newest first: those in force, but of agencies that it has removed."""
    assert work.actor.side == LENDER
    removed = select(AgencyStanding.agency_id).where(tenancy.own(work, AgencyStanding), AgencyStanding.state == REMOVED)
    query = select(Agreement).where(
        tenancy.own(work, Agreement), _stands(IN_FORCE, day_of(work.at)), Agreement.agency_id.not_in(removed)
    )
    return list(work.session.scalars(pages.newest(query, Agreement.id, after, limit)))


def get(work: Work, agreement_id: UUID) -> Agreement:
    found = work.session.scalar(select(Agreement).where(*_seen(work), Agreement.id == agreement_id))
    if found is None:
        raise NotFound
    return found


def get_each(work: Work, agreement_ids: Sequence[UUID]) -> list[Agreement]:
    """The same of several at once, in their order."""
    found = work.session.scalars(select(Agreement).where(*_seen(work), bulk.among(Agreement.id, agreement_ids)))
    by_id = {agreement.id: agreement for agreement in found}
    if not by_id.keys() >= set(agreement_ids):
        raise NotFound
    return [by_id[agreement_id] for agreement_id in agreement_ids]


def standing_on(agreement: Agreement, on: dt.date) -> str:
    """One of STANDINGS."""
    if agreement.state in (PROPOSED, REFUSED):
        return agreement.state
    if agreement.state == ENDED or agreement.ends_on < on:
        return OVER
    return LATER if agreement.starts_on > on else IN_FORCE


def require_with(work: Work, agency_id: UUID) -> None:
    """NotFound for an agency with which the lender never had an agreement."""
    with_it = select(Agreement.id).where(tenancy.own(work, Agreement), Agreement.agency_id == agency_id)
    if work.session.scalar(with_it.limit(1)) is None:
        raise NotFound


def _seen(work: Work) -> list[ColumnElement[bool]]:
    seen = [tenancy.own(work, Agreement)]
    if work.actor.side == AGENCY_SIDE:
        seen.append(Agreement.state.in_((ACTIVE, ENDED)))
    return seen


def _stands(standing: str, on: dt.date) -> ColumnElement[bool]:
    """As `standing_on`, in SQL."""
    if standing == OVER:
        return or_(Agreement.state == ENDED, and_(Agreement.state == ACTIVE, Agreement.ends_on < on))
    if standing == LATER:
        return and_(Agreement.state == ACTIVE, Agreement.ends_on >= on, Agreement.starts_on > on)
    if standing == IN_FORCE:
        return and_(Agreement.state == ACTIVE, Agreement.ends_on >= on, Agreement.starts_on <= on)
    return Agreement.state == standing


def _lock(work: Work, agreement_id: UUID) -> Agreement:
    assert work.actor.side == LENDER
    agreement = get(work, agreement_id)
    work.session.refresh(agreement, with_for_update=True)
    return agreement


def _refuse_without_rate(work: Work, agreement: Agreement, news: Mapping[str, Any]) -> None:
    cards = rate_cards.list_standing(work, agreement.id, day_of(work.at))
    buckets = agreement.buckets or BUCKETS
    if not all(rates.is_complete(rate_cards.cells_of(card), agreement.products, buckets) for card in cards):
        raise Invalid(errors=[RowError(0, name, "rate_missing") for name in ("products", "buckets") if name in news])


def _floors(work: Work, agreement: Agreement) -> list[Decimal]:
    """The least settlement that each card in force, or still to come, would freeze into a placement."""
    cards = rate_cards.list_standing(work, agreement.id, day_of(work.at))
    return [standard_terms.effective(work, agreement, card.card).settlement_floor.value for card in cards]


def _faults(terms: Terms) -> list[RowError]:
    rate = terms.contingency_rate
    wrong = {
        ("ends_on", "dates_reversed"): terms.ends_on < terms.starts_on,
        ("currency", "unknown_currency"): terms.currency not in CURRENCIES,
        ("contingency_rate", "one_expected"): rate is not None and bool(terms.cells),
        ("contingency_rate", "required_missing"): rate is None and not terms.cells,
        **{(name, "required_missing"): not getattr(terms, name) for name in _PAPERS},
    }
    faults = [RowError(0, field, code) for (field, code), told in wrong.items() if told]
    shares = outside("contingency_rate", rate, Decimal(0), Decimal(1))
    return [*shares, *faults, *_operating_faults({name: getattr(terms, name) for name in OPERATING})]


def _operating_faults(terms: Mapping[str, Any]) -> list[RowError]:
    return [
        *(OutOfRange(0, name, *RANGES[name]) for name in RANGES if name in terms and not _in_range(name, terms[name])),
        *(RowError(0, name, code) for name in _LISTS if (code := _list_fault(name, terms.get(name, ())))),
        *_amount_faults(*(terms.get(name) for name in AMOUNTS)),
        *contact_policy.faults(terms.get("contact_policy", {})),
    ]


def _amount_faults(least: Decimal | None, below: Decimal | None) -> list[RowError]:
    wrong = {
        (name, "too_many_decimals"): amount is not None and amount != round_money(amount)
        for name, amount in zip(AMOUNTS, (least, below), strict=True)
    }
    wrong["balance_below", "range_reversed"] = below is not None and below <= (least or 0)
    return [
        *outside("balance_from", least, 0, AMOUNT_MAX),
        *outside("balance_below", below, None, AMOUNT_MAX),
        *(RowError(0, field, code) for (field, code), told in wrong.items() if told),
    ]


def _in_range(name: str, value: int | None) -> bool:
    low, high = RANGES[name]
    return name not in _REQUIRED if value is None else low <= value <= high


def _list_fault(name: str, values: Sequence[str]) -> str | None:
    if name == "provinces":
        return None if set(values) <= set(PROVINCES) else "invalid_region"
    if name == "buckets":
        return None if set(values) <= set(BUCKETS) else "unknown_value"
    words = pl.DataFrame({"product": list(values)}, schema={"product": pl.String})
    return None if words.select(PRODUCT.holds(pl.col("product")).all()).item() else "product_shape"


def _stored(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


def _logged(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


def _subject(agreement: Agreement) -> dict[str, Any]:
    return {"agreement": agreement.id, "agency": agreement.agency_id}


def _tell(work: Work, agreement: Agreement, kind: str, occasion: str = "") -> None:
    """Tell the agency; `occasion` tells one change from the next."""
    notices.tell(
        work,
        agreement.lender_id,
        agreement.agency_id,
        AGENCY_SIDE,
        kind,
        "agreement",
        agreement.id,
        key=f"{kind}/{agreement.id}{occasion}",
        number=agreement.number,
    )
