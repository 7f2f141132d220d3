"""A page with a form: shown, and shown again as it was filled in with what is wrong beside it."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from flask import g, render_template
from werkzeug.wrappers import Response

from models.errors import Conflict, Invalid, NotFound, Refusal
from portal.errors import keep, status_of
from portal.refusals import sentences

MENDABLE = (Invalid, Conflict)  # what the person at the form can mend there; the rest is a page of its own
NAMING = (*MENDABLE, NotFound)  # where the form names somebody by a code, an unknown one too

Page: TypeAlias = str | tuple[str, int]
Answer: TypeAlias = str | tuple[str, int] | Response


def note_fault(name: str, input_id: str, text: str, said: str) -> None:
    """What a page has shown wrong beside an input, for the list on its top that leads there."""
    g.setdefault("faults", []).append({"name": name, "id": input_id, "text": text, "said": said})


def show(template: str, form: Mapping[str, Any], refusal: Refusal | None = None, **more: Any) -> Page:
    """`wrong` maps each wrong field to its sentence, and `*` to the refusal of the whole."""
    page = render_template(
        template,
        form=form,
        wrong=sentences(refusal) if refusal else {},
        facts=refusal.facts if refusal else {},
        **more,
    )
    if refusal is None:
        return page
    keep(refusal)
    return page, status_of(refusal).value
