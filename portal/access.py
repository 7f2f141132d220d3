"""Who may ask: the one permission table, and the door every route goes through."""

import hmac
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from flask import current_app, g, request

from models.business_day import day_of
from models.database import Database
from models.errors import Conflict, Forbidden, NotFound, Unauthenticated
from models.objects import ObjectStore
from models.services.parties import mandates, members
from models.work import AGENCY, AUDITOR, DOOR, LENDER, OPERATOR, Actor

P = ParamSpec("P")
R = TypeVar("R")

COOKIE = "consign_session"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

PORTFOLIO = (LENDER, "portfolio_manager")
SETTLEMENT = (LENDER, "settlement_officer")
COMPLIANCE = (LENDER, "compliance_officer")
ADMIN = (LENDER, "administrator")
MANAGER = (AGENCY, "manager")
COLLECTOR = (AGENCY, "collector")
AUDIT = (AUDITOR, "auditor")
OPERATE = (OPERATOR, "operator")

ANY_LENDER = (PORTFOLIO, SETTLEMENT, COMPLIANCE, ADMIN)
ANY_AGENCY = (MANAGER, COLLECTOR)
EVERYONE = (*ANY_LENDER, *ANY_AGENCY, AUDIT, OPERATE)

# permission -> (the scope a program's token needs, who may).
PERMISSIONS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "self.read": ("read", EVERYONE),
    "self.password": ("person", EVERYONE),
    "self.prove": ("person", EVERYONE),
    "tokens.manage": ("person", EVERYONE),
    "organisations.create": ("directory", (OPERATE,)),
    "organisations.read": ("directory", (OPERATE,)),
    "members.create_first": ("directory", (OPERATE,)),
    "members.manage": ("directory", (ADMIN, MANAGER)),
    "mandates.grant": ("directory", (COMPLIANCE, ADMIN)),
    "mandates.read": ("read", (COMPLIANCE, ADMIN, AUDIT)),
    "mandates.choose": ("person", (AUDIT,)),
    "keys.read": ("read", (*ANY_LENDER, *ANY_AGENCY)),
    "keys.publish": ("person", (ADMIN, MANAGER)),
    "keys.confirm": ("person", (PORTFOLIO, COMPLIANCE, ADMIN)),
    "keys.rotate": ("person", (ADMIN, MANAGER)),
    "keys.rotate_index": ("person", (ADMIN,)),
    "keys.rekey": ("exchange", (PORTFOLIO, ADMIN)),
    "keys.order": ("exchange", (PORTFOLIO, COMPLIANCE, ADMIN)),
    "agreements.create": ("exchange", (PORTFOLIO, ADMIN)),
    "agreements.approve": ("exchange", (PORTFOLIO, SETTLEMENT, COMPLIANCE, ADMIN)),
    "agreements.read": ("read", (*ANY_LENDER, MANAGER)),
    "agreements.publish": ("read", ANY_LENDER),
    "standard_terms.read": ("read", ANY_LENDER),
    "agencies.read": ("read", (*ANY_LENDER, AUDIT)),
    "agencies.judge": ("exchange", (COMPLIANCE,)),
    "agencies.record": ("exchange", (PORTFOLIO, COMPLIANCE, ADMIN)),
    "papers.read": ("read", (*ANY_LENDER, MANAGER, AUDIT)),
    "papers.record": ("exchange", (PORTFOLIO, COMPLIANCE, ADMIN, MANAGER)),
    "papers.attest": ("exchange", (MANAGER,)),
    "papers.accept": ("exchange", (COMPLIANCE, ADMIN)),
    "portfolios.upload": ("portfolios", (PORTFOLIO,)),
    "portfolios.read": ("read", ANY_LENDER),
    "offers.create": ("exchange", (PORTFOLIO,)),
    "tenders.read": ("read", ANY_LENDER),
    "tenders.approve": ("exchange", (PORTFOLIO, COMPLIANCE, ADMIN)),
    "exclusions.read": ("read", ANY_LENDER),
    "exclusions.manage": ("exchange", (PORTFOLIO, COMPLIANCE)),
    "offers.read": ("read", (*ANY_LENDER, MANAGER)),
    "offers.decide": ("exchange", (MANAGER,)),
    "bids.read": ("read", (MANAGER,)),
    "awards.read": ("read", (*ANY_LENDER, AUDIT)),
    "allocations.read": ("read", ANY_LENDER),
    "allocations.plan": ("exchange", (PORTFOLIO,)),
    "allocations.commit": ("exchange", (PORTFOLIO, ADMIN)),
    "tenders.undo": ("exchange", (PORTFOLIO, ADMIN)),
    "placements.read": ("read", (*ANY_LENDER, MANAGER, AUDIT)),
    "placements.acknowledge": ("exchange", (MANAGER,)),
    "placements.recall": ("exchange", (PORTFOLIO,)),
    "placements.freeze": ("exchange", (PORTFOLIO, COMPLIANCE)),
    "placements.return": ("exchange", (MANAGER,)),
    "retentions.request": ("exchange", (MANAGER,)),
    "retentions.decide": ("exchange", (PORTFOLIO,)),
    "cases.assign": ("working", (MANAGER,)),
    "worklist.read": ("read", ANY_AGENCY),
    "cases.list": ("read", (*ANY_LENDER, AUDIT)),
    "cases.read": ("read", (*ANY_LENDER, *ANY_AGENCY, AUDIT)),
    "cases.release": ("release", (PORTFOLIO, COMPLIANCE, *ANY_AGENCY)),
    "documents.add": ("working", (PORTFOLIO, COMPLIANCE, *ANY_AGENCY)),
    "cases.correct": ("portfolios", (PORTFOLIO,)),
    "cases.corrections": ("read", (*ANY_LENDER, AUDIT)),
    "cases.search": ("release", (PORTFOLIO, COMPLIANCE, *ANY_AGENCY)),
    "contacts.record": ("working", ANY_AGENCY),
    "promises.record": ("working", ANY_AGENCY),
    "claims.record": ("working", ANY_AGENCY),
    "activity.upload": ("working", (MANAGER,)),
    "ledger.upload": ("ledger", (SETTLEMENT,)),
    "ledger.read": ("read", (SETTLEMENT, PORTFOLIO, ADMIN)),
    "breaks.read": ("read", (SETTLEMENT, PORTFOLIO, MANAGER, AUDIT)),
    "statements.read": ("read", (SETTLEMENT, PORTFOLIO, ADMIN, MANAGER, AUDIT)),
    "breaches.read": ("read", (COMPLIANCE, PORTFOLIO, ADMIN, MANAGER, AUDIT)),
    "erasures.read": ("read", (PORTFOLIO, COMPLIANCE, ADMIN, AUDIT)),
    "erasures.foresee": ("read", (PORTFOLIO, COMPLIANCE, ADMIN)),
    "erasures.carry_out": ("retention", (COMPLIANCE, ADMIN)),
    "holds.manage": ("retention", (COMPLIANCE, ADMIN)),
    "lender_settings.read": ("read", (PORTFOLIO, COMPLIANCE, ADMIN, AUDIT)),
    "lender_settings.change": ("retention", (COMPLIANCE, ADMIN)),
    "exports.read": ("read", (*ANY_LENDER, *ANY_AGENCY, AUDIT)),
    "exports.request": ("read", (*ANY_LENDER, *ANY_AGENCY, AUDIT)),
    "exports.decide": ("person", (COMPLIANCE, ADMIN, MANAGER, AUDIT)),
    "releases.read": ("read", (COMPLIANCE, ADMIN, MANAGER, AUDIT)),
    "audit.export": ("audit", (COMPLIANCE, ADMIN, AUDIT)),
    "audit.read": ("read", (COMPLIANCE, ADMIN, MANAGER, AUDIT)),
    "notices.read": ("read", (*ANY_LENDER, MANAGER)),
    "notices.mark": ("exchange", (*ANY_LENDER, MANAGER)),
    "webhooks.read": ("read", (ADMIN, MANAGER)),
    "webhooks.manage": ("directory", (ADMIN, MANAGER)),
    "jobs.read": ("read", (SETTLEMENT, PORTFOLIO, COMPLIANCE, ADMIN, OPERATE)),
    "jobs.request": ("ledger", (SETTLEMENT, COMPLIANCE)),
}


def permit(permission: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The door of one route. A guard test walks every route and asks for this mark."""
    scope, allowed = PERMISSIONS[permission]

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            known = require_known()
            if not any((known.actor.side, role) in allowed for role in known.actor.roles):
                raise Forbidden
            if known.actor.scopes is not None and scope not in known.actor.scopes:
                raise Forbidden("scope_missing", scope=scope)
            if known.actor.scopes is None:
                refuse_forged()
            return view(*args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        return guarded

    return decorate


def public(view: Callable[P, R]) -> Callable[P, R]:
    """A route that asks for nobody: the sign-in page, the static files, health."""
    view.permission = None  # type: ignore[attr-defined]
    return view


def database() -> Database:
    found: Database = current_app.extensions["consign.database"]
    return found


def objects() -> ObjectStore:
    """The object store, opened when first asked for: pages that need none do without one that does not answer."""
    found: ObjectStore = current_app.extensions["consign.objects"]()
    return found


def open_work() -> Any:
    """The Work of this request's actor. An auditor first chooses in whose mandate to work."""
    return database().work(require_known().actor)


def own_work() -> Any:
    """The same in the actor's own organisation: for an auditor's sessions, tokens and mandates."""
    return database().work(replace(require_known().actor, mandate_lender_id=None))


def tenant_work() -> Any:
    """`open_work` for a lender's data: refused where an auditor has chosen no mandate yet."""
    actor = require_known().actor
    if actor.side == AUDITOR and actor.mandate_lender_id is None:
        raise Conflict("choose_mandate")
    return database().work(actor)


def require_known() -> members.Known:
    known = find_known()
    if known is None:
        raise Unauthenticated
    return known


def find_known() -> members.Known | None:
    """Whoever the session cookie or the bearer token names; looked up once a request."""
    if "known" not in g:
        g.known = _by_token() or _by_cookie()
    known: members.Known | None = g.known
    return known


def door(org_id: UUID) -> Actor:
    return Actor(side=DOOR, org_id=org_id)


def refuse_forged() -> None:
    """A page of another site can make the browser send the cookie, and cannot know the token."""
    if request.method in SAFE_METHODS:
        return
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token", "")
    if not hmac.compare_digest(given.encode(), csrf_token().encode()):
        raise Forbidden("csrf_token_wrong")


def csrf_token() -> str:
    known = find_known()
    return getattr(known.row, "csrf_token", "") if known else ""


def _by_token() -> members.Known | None:
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    prefix, _, rest = credential.partition("_")
    org, _, secret = rest.partition("_")
    if prefix != "csg":
        raise Unauthenticated("token_invalid")
    return _know(org, secret, members.know_token, "token_invalid")


def _by_cookie() -> members.Known | None:
    org, _, secret = request.cookies.get(COOKIE, "").partition(".")
    if not secret:
        return None
    try:
        return _know(org, secret, members.know_session, "session_ended")
    except Unauthenticated:
        return None  # An ended session is nobody: the page asks to sign in again.


def _know(org: str, secret: str, know: Callable[..., members.Known], code: str) -> members.Known:
    try:
        org_id = UUID(hex=org)
    except ValueError:
        raise Unauthenticated(code) from None
    try:
        with database().work(door(org_id)) as work:
            known = know(work, secret)
    except Unauthenticated:
        raise Unauthenticated(code) from None
    return _under_mandate(known)


def _under_mandate(known: members.Known) -> members.Known:
    """An ended mandate ends with this request, whatever the session remembers."""
    actor = known.actor
    if actor.side != AUDITOR or actor.mandate_lender_id is None:
        return known
    alone = replace(actor, mandate_lender_id=None)
    try:
        with database().work(alone) as work:
            mandates.get_active(work, actor.mandate_lender_id, day_of(work.at))
    except NotFound:
        return known._replace(actor=alone)
    return known
