"""What a refusal says to a person: the sentence of its code, and of its facts where they tell more."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _

from models.errors import Bound, Invalid, OutOfRange, Refusal, RowError, TooFew
from portal.formats import count, day, money
from portal.messages import message
from portal.words import label
from portal.words.exchange import ACTS, STANDS


def sentence(code: str, facts: Mapping[str, Any]) -> str:
    """A wrong state says how the thing stands and what cannot be done with it, where the refusal knows both."""
    state, act = facts.get("state"), facts.get("act")
    if code == "wrong_state" and state in STANDS and act in ACTS:
        return _("It is %(state)s and cannot %(act)s.", state=label(state, "stands"), act=label(act, "act"))
    return message(code)


def fault(error: RowError) -> str:
    """What is wrong with one field; what is out of range is told the range, and too few how many there must be. Of an
    unknown column only its place is told: what stands there may be somebody's data."""
    if error.code == "unknown_column" and error.field.startswith("#"):
        return _("Column %(number)s of the header is not known.", number=error.field[1:])
    if isinstance(error, TooFew):
        return _(
            "%(said)s It has %(borrowers)s; there must be %(least)s.",
            said=message(error.code),
            borrowers=count(error.borrowers),
            least=count(error.least),
        )
    if not isinstance(error, OutOfRange):
        return message(error.code)
    is_share = isinstance(error.most, Decimal) and error.most <= 1
    least, most = (_bound(bound, is_share) for bound in (error.least, error.most))
    if error.most is None:
        return _("This must be at least %(least)s.", least=least)
    if error.least is None:
        return _("This must be at most %(most)s.", most=most)
    return _("This must be from %(least)s to %(most)s.", least=least, most=most)


def _bound(bound: Bound, is_share: bool) -> str:
    """Shares are entered and shown in per cent."""
    if isinstance(bound, dt.date):
        return day(bound)
    if isinstance(bound, Decimal):
        return f"{(bound * 100).normalize():f}%" if is_share else money(bound)
    return count(bound)


def _input(field: str) -> str:
    """The inputs of a page are flat: one of a nested object has its last name, one of a list is told as it is."""
    *_outer, name = names = field.split(".")
    return field if any(step.isdigit() for step in names) else name


def sentences(refusal: Refusal) -> dict[str, str]:
    """What a form shows where: a sentence beside each wrong field, else one for the whole under `*`."""
    if isinstance(refusal, Invalid) and refusal.errors:
        return {_input(error.field): fault(error) for error in refusal.errors}
    return {"*": sentence(refusal.code, refusal.facts)}
