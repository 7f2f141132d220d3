"""Who is who: organisations, people, tokens and mandates."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.business_day import day_of
from models.member import Member
from models.services.parties import mandates, members, organisations
from portal.access import open_work, own_work, permit, public, require_known
from portal.schemas import directory as s
from portal.schemas.base import with_facts
from portal.schemas.proof import ProofRequest, ProofView
from portal.signing_in import prove, token_for

blueprint = Blueprint("directory", __name__, description="Organisations, people, tokens, mandates")


@blueprint.get("/me")
@permit("self.read")
@blueprint.response(200, s.SelfView)
def read_self() -> dict[str, Any]:
    """Who this session or token belongs to."""
    known = require_known()
    return {
        "organisation": known.organisation,
        "member": known.member,
        "lender_id": known.actor.mandate_lender_id,
    }


@blueprint.post("/proof")
@permit("self.prove")
@blueprint.arguments(ProofRequest)
@blueprint.response(200, ProofView)
def prove_self(given: dict[str, Any]) -> dict[str, Any]:
    """Whoever is signed in proves it anew, by password or code: some releases ask for that. No token can."""
    return {"proved_until": prove(**given)}


@blueprint.post("/organisations")
@permit("organisations.create")
@blueprint.arguments(s.OrganisationRequest)
@blueprint.response(201, s.OrganisationView)
def create_organisation(given: dict[str, Any]) -> Any:
    """Bring in a lender, agency or auditor, with its keys."""
    with open_work() as work:
        return organisations.create(work, **given)


@blueprint.get("/organisations")
@permit("organisations.read")
@blueprint.response(200, s.OrganisationView(many=True))
def list_organisations() -> Any:
    """Every organisation that was brought in."""
    with open_work() as work:
        return organisations.list_all(work)


@blueprint.post("/organisations/<uuid:org_id>/members")
@permit("members.create_first")
@blueprint.arguments(s.MemberRequest)
@blueprint.response(201, s.MemberView)
def create_first_member(given: dict[str, Any], org_id: UUID) -> Member:
    """The operator adds a person to an organisation it brought in."""
    with open_work() as work:
        kind = organisations.get_any(work, org_id).kind
        return members.create(work, kind, org_id, **given)


@blueprint.post("/members")
@permit("members.manage")
@blueprint.arguments(s.MemberRequest)
@blueprint.response(201, s.MemberView)
def create_member(given: dict[str, Any]) -> Member:
    """An administrator or agency manager adds a colleague."""
    with open_work() as work:
        return members.create(work, work.actor.side, work.actor.org_id, **given)


@blueprint.get("/members")
@permit("members.manage")
@blueprint.response(200, s.MemberView(many=True))
def list_members() -> list[Member]:
    """The colleagues of one's own organisation."""
    with open_work() as work:
        return members.list_own(work)


@blueprint.post("/sign-in")
@public
@blueprint.arguments(s.SignInRequest)
@blueprint.response(201, s.NewTokenView)
def sign_in(given: dict[str, Any]) -> Any:
    """A token for a person's own program, in exchange for their password."""
    return token_for(**given)


@blueprint.post("/tokens")
@permit("tokens.manage")
@blueprint.arguments(s.TokenRequest)
@blueprint.response(201, s.NewTokenView)
def create_token(given: dict[str, Any]) -> Any:
    """A token for a program of one's own, shown in this answer only."""
    lender_id = given.pop("lender_id")
    with own_work() as work:
        if lender_id is not None:
            mandates.get_active(work, lender_id, day_of(work.at))
        made = members.create_token(work, work.actor.member_id, **given, tenant_id=lender_id)
    return with_facts(s.TokenView, made.row, token=made.secret)


@blueprint.get("/tokens")
@permit("tokens.manage")
@blueprint.response(200, s.TokenView(many=True))
def list_tokens() -> Any:
    """One's own tokens, the newest first, without their secrets."""
    with own_work() as work:
        return members.list_tokens(work, work.actor.member_id)


@blueprint.delete("/tokens/<uuid:token_id>")
@permit("tokens.manage")
@blueprint.response(204)
def revoke_token(token_id: UUID) -> None:
    """End a token of one's own: its next request is refused."""
    with own_work() as work:
        members.revoke_token(work, work.actor.member_id, token_id)


@blueprint.post("/mandates")
@permit("mandates.grant")
@blueprint.arguments(s.MandateRequest)
@blueprint.response(201, s.MandateView)
def grant_mandate(given: dict[str, Any]) -> Any:
    """Let an auditor read the lender's data between two days."""
    with open_work() as work:
        return mandates.grant(work, **given)


@blueprint.get("/mandates")
@permit("mandates.read")
@blueprint.response(200, s.MandateView(many=True))
def list_mandates() -> Any:
    """A lender's mandates, or those an auditor holds."""
    with own_work() as work:
        return mandates.list_own(work)
