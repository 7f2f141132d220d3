"""Signing in and out, and the choice of language."""

from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _

from models.errors import Forbidden, Unauthenticated
from models.services.parties import members
from portal.access import COOKIE, own_work, permit, public, require_known
from portal.schemas.forms import LanguageForm, SignInForm
from portal.signing_in import session_for

blueprint = Blueprint("door", __name__)

ORGANISATION_COOKIE, LANGUAGE_COOKIE = "organisation", "language"
YEAR_SECONDS = 365 * 24 * 3600


@blueprint.get("/sign-in")
@public
def sign_in() -> str:
    return render_template("door/sign_in.html", form={"organisation": request.cookies.get(ORGANISATION_COOKIE, "")})


@blueprint.post("/sign-in")
@public
def enter() -> Response:
    refuse_other_sites()
    form = SignInForm().load(request.form)
    try:
        secret = session_for(form["organisation"], form["email"], form["password"])
    except Unauthenticated:
        flash(_("Organisation code, e-mail or password is wrong, or the account is resting."), "error")
        kept = {"organisation": form["organisation"], "email": form["email"]}
        return make_response(render_template("door/sign_in.html", form=kept), 401)
    response = redirect(local_path(form["next"]) or url_for("overview.show"))
    secure = current_app.config["SECURE_COOKIES"]
    response.set_cookie(COOKIE, secret, httponly=True, secure=secure, samesite="Lax")
    response.set_cookie(
        ORGANISATION_COOKIE, form["organisation"], max_age=YEAR_SECONDS, httponly=True, secure=secure, samesite="Lax"
    )
    return response  # type: ignore[return-value]


@blueprint.post("/sign-out")
@permit("self.read")
def sign_out() -> Response:
    with own_work() as work:
        members.sign_out(work, require_known().row.id)
    response = redirect(url_for("door.sign_in"))
    response.delete_cookie(COOKIE)
    return response  # type: ignore[return-value]


@blueprint.post("/language")
@public
def choose_language() -> Response:
    form = LanguageForm().load(request.form)
    response = redirect(local_path(form["next"]) or url_for("overview.show"))
    response.set_cookie(LANGUAGE_COOKIE, form["language"], max_age=YEAR_SECONDS, samesite="Lax")
    return response  # type: ignore[return-value]


def refuse_other_sites() -> None:
    """Nobody is known yet, so no token guards this form: another site could sign somebody in as somebody else."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise Forbidden("csrf_token_wrong")


def local_path(target: str) -> str | None:
    """A path of this site, or None: no sign-in page sends people elsewhere."""
    parts = urlsplit(target)
    inside = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return target if inside and target.isprintable() else None
