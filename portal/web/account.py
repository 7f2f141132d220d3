"""One's own account: who one is here, the language, the password, and the tokens of one's programs."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext as _

from crypto import totp
from models.errors import Forbidden, Refusal
from models.services.parties import members
from portal.access import PERMISSIONS, own_work, permit, require_known
from portal.pictures import picture_of
from portal.schemas.conduct_forms import LocaleForm, PasswordForm, TokenForm
from portal.schemas.forms import require
from portal.schemas.proof import CodeForm, PasswordProofForm, ProofForm, ProofView
from portal.signing_in import begin_totp, change_password, confirm_totp, prove, remove_totp
from portal.web.door import LANGUAGE_COOKIE
from portal.web.forms import MENDABLE, Answer, Page, show

blueprint = Blueprint("account", __name__)


@blueprint.get("/account")
@permit("self.read")
def index() -> Page:
    return _page({"days": "90"})


@blueprint.post("/account/language")
@permit("self.read")
def choose_language() -> Answer:
    """Kept with the account, for every browser; this browser's own choice gives way."""
    locale = LocaleForm().load(request.form)["locale"]
    with own_work() as work:
        members.choose_locale(work, locale)
    response = redirect(url_for("account.index"))
    response.delete_cookie(LANGUAGE_COOKIE)
    return response


@blueprint.post("/account/password")
@permit("self.password")
def choose_password() -> Answer:
    try:
        given = require(PasswordForm(), request.form)
        change_password(given["old_password"], given["new_password"])
    except MENDABLE as refusal:
        return _page({"days": "90"}, refusal)
    flash(_("Your password is changed. Wherever else you were signed in, you are signed out."), "good")
    return redirect(url_for("account.index"))


@blueprint.post("/account/proof")
@permit("self.prove")
def prove_self() -> Response:
    """For the page's script: after it the release that asked for the proof is asked for again."""
    return jsonify(ProofView().dump({"proved_until": prove(**ProofForm().load(request.form))}))


@blueprint.post("/account/authenticator")
@permit("self.prove")
def begin_authenticator() -> Answer:
    """The seed is shown on this answer and never again."""
    known = require_known()
    try:
        seed = begin_totp(require(PasswordProofForm(), request.form)["password"])
    except (*MENDABLE, Forbidden) as refusal:
        return _page({"days": "90"}, refusal)
    address = totp.address(seed, known.member.email, f"Consign {known.organisation.name}")
    return render_template("account/authenticator.html", seed=totp.spelled(seed), picture=picture_of(address)), 201


@blueprint.post("/account/authenticator/confirm")
@permit("self.prove")
def confirm_authenticator() -> Answer:
    try:
        confirm_totp(require(CodeForm(), request.form)["code"])
    except (*MENDABLE, Forbidden) as refusal:
        return _page({"days": "90"}, refusal)
    flash(_("Your authenticator is set up: its codes prove who you are."), "good")
    return redirect(url_for("account.index"))


@blueprint.post("/account/authenticator/remove")
@permit("self.prove")
def remove_authenticator() -> Answer:
    try:
        remove_totp(require(PasswordProofForm(), request.form)["password"])
    except (*MENDABLE, Forbidden) as refusal:
        return _page({"days": "90"}, refusal)
    flash(_("Your authenticator is removed."), "good")
    return redirect(url_for("account.index"))


@blueprint.post("/account/tokens")
@permit("tokens.manage")
def create_token() -> Answer:
    """The token is shown on this answer and never again."""
    try:
        given = require(TokenForm(), request.form.to_dict() | {"scopes": request.form.getlist("scopes")})
        with own_work() as work:
            lender_id = require_known().actor.mandate_lender_id
            made = members.create_token(work, work.actor.member_id, **given, tenant_id=lender_id)
    except MENDABLE as refusal:
        return _page(request.form, refusal)
    return render_template("account/token.html", token=made.row, secret=made.secret), 201


@blueprint.post("/account/tokens/<uuid:token_id>/revoke")
@permit("tokens.manage")
def revoke_token(token_id: UUID) -> Answer:
    with own_work() as work:
        members.revoke_token(work, work.actor.member_id, token_id)
    flash(_("The token is revoked: its next request is refused."), "good")
    return redirect(url_for("account.index"))


def _page(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    known = require_known()
    with own_work() as work:
        tokens = members.list_tokens(work, known.member.id)
        now = work.at
    usable = {
        scope for scope, roles in PERMISSIONS.values() if any((known.actor.side, r) in roles for r in known.actor.roles)
    }
    return show(
        "account/index.html",
        form,
        refusal,
        me=known.member,
        organisation=known.organisation,
        tokens=tokens,
        password_length_min=members.PASSWORD_LENGTH_MIN,
        scopes=[scope for scope in members.SCOPES if scope in usable],
        chosen=request.form.getlist("scopes"),
        now=now,
    )
