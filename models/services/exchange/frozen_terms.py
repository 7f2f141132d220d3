"""What a placement would freeze: read once, shown to whoever is asked, and accepted or bid on by its digest."""

import datetime as dt
import json
from hashlib import sha256
from typing import Any, NamedTuple

from models.agreement import Agreement
from models.business_day import day_of
from models.errors import Conflict
from models.services.exchange import rate_cards, standard_terms
from models.services.exchange.rate_cards import Card
from models.services.exchange.standard_terms import Effective
from models.work import AGENCY, Work

_LABEL = b"consign/terms/1\x00"
_DIGITS = 32


class Terms(NamedTuple):
    """An agreement as it is, its rate card in force, and what its levels say."""

    agreement: Agreement
    card: Card
    effective: Effective

    @property
    def digest(self) -> str:
        """32 hexadecimal digits: the same for the same terms alone."""
        spelled = json.dumps(frozen(*self), sort_keys=True, separators=(",", ":"))
        return sha256(_LABEL + spelled.encode()).hexdigest()[:_DIGITS]

    @property
    def levels(self) -> dict[str, str]:
        """By the name of a term that several levels may say: the one that does."""
        policy = {name: said.level for name, said in self.effective.contact_policy.items()}
        return policy | {"settlement_floor": self.effective.settlement_floor.level}


def frozen(agreement: Agreement, card: Card | None, effective: Effective) -> list[Any]:
    """All of it beside each case's rate, as JSON takes it; a version of a card never changes."""
    own = [agreement.number, agreement.tier, agreement.term_days, card.card.version if card else 0]
    return [*own, str(effective.settlement_floor.value), effective.policy]


def require(work: Work, agreement: Agreement, at: dt.datetime, seen: str | None = None) -> Terms:
    """Conflict `no_rate_card_in_force`, or `terms_changed` where `seen` is another digest. Stands in the lender's
    tenant, and for a placement under the lock of its agreement."""
    terms = find(work, agreement, at)
    if terms is None:
        raise Conflict("no_rate_card_in_force")
    if seen is not None and seen != terms.digest:
        raise Conflict("terms_changed")
    return terms


def find(work: Work, agreement: Agreement, at: dt.datetime) -> Terms | None:
    """None where no rate card is in force."""
    card = rate_cards.find_in_force(work, agreement.lender_id, agreement.id, day_of(at))
    return Terms(agreement, card, standard_terms.effective(work, agreement, card.card)) if card else None


def explain(work: Work, agreement: Agreement, at: dt.datetime) -> Terms | None:
    """`find` for either party."""
    if work.actor.side != AGENCY:
        return find(work, agreement, at)
    with work.as_lender(agreement):
        return find(work, agreement, at)
