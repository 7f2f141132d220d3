"""The texts of a request's language, found once: a page asks for hundreds, and finding them takes longer than any."""

from typing import Any

from flask import Flask, g
from flask_babel import get_translations


def install(app: Flask) -> None:
    """For templates; what stands in code asks Flask-Babel."""
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        gettext=translated,
        ngettext=lambda one, many, count: _texts().ungettext(one, many, count),
        newstyle=True,
    )


def translated(text: str) -> str:
    found: str = _texts().ugettext(text)
    return found


def _texts() -> Any:
    if "texts" not in g:
        g.texts = get_translations()
    return g.texts
