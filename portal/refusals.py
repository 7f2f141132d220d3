"""What a refusal says to a person: the sentence of its code, and of its facts where they tell more."""

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _

from models.errors import Invalid, Refusal
from portal.messages import message
from portal.words import ACTS, STANDS, label


def sentence(code: str, facts: Mapping[str, Any]) -> str:
    """A wrong state says how the thing stands and what cannot be done with it, where the refusal knows both."""
    state, act = facts.get("state"), facts.get("act")
    if code == "wrong_state" and state in STANDS and act in ACTS:
        return _("It is %(state)s and cannot %(act)s.", state=label(state, "stands"), act=label(act, "act"))
    return message(code)


def sentences(refusal: Refusal) -> dict[str, str]:
    """What a form shows where: a sentence beside each wrong field, else one for the whole under `*`."""
    if isinstance(refusal, Invalid) and refusal.errors:
        return {error.field: message(error.code) for error in refusal.errors}
    return {"*": sentence(refusal.code, refusal.facts)}
