"""Bringing in organisations: their keys and first person, and finding another by the code one was told."""

import secrets
from uuid import UUID

from sqlalchemy import select, text

from crypto.grants import WrapContext, suite_of
from crypto.secret import Secret
from models.errors import Conflict, Invalid, NotFound, RowError
from models.ids import new_id
from models.organisation import KINDS, LENDER, Organisation, OrganisationKey, Tenant
from models.portfolio import LenderKey
from models.services import audit, tenancy
from models.work import OPERATOR, Work

CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no letter that a person could misread


def create(work: Work, kind: str, name: str) -> Organisation:
    """A new organisation with its keys in local custody. Only the operator's role may insert it."""
    assert work.actor.side == OPERATOR
    if kind not in KINDS:
        raise Invalid(errors=[RowError(0, "kind", "unknown_value")])
    org_id = new_id()
    work.session.add(Tenant(id=org_id, kind=kind))
    work.session.flush()
    organisation = Organisation(
        id=org_id, kind=kind, code=_new_code(kind), name=name, custody="local", state="active", created_at=work.at
    )
    work.session.add(organisation)
    work.session.flush()
    public = work.vault.custody.create(str(org_id))
    for purpose, suite, key in (("kem", suite_of(public.kem), public.kem), ("signing", "ed25519", public.signing)):
        work.session.add(
            OrganisationKey(org_id=org_id, purpose=purpose, serial=1, suite=suite, public_key=key, created_at=work.at)
        )
    audit.record(work, audit.Action.ORGANISATION_CREATE, {"organisation": org_id, "kind": kind}, org_id=org_id)
    return organisation


def list_all(work: Work) -> list[Organisation]:
    """For the operator: every organisation, newest first."""
    assert work.actor.side == OPERATOR
    return list(work.session.scalars(select(Organisation).order_by(Organisation.id.desc())))


def get_any(work: Work, org_id: UUID) -> Organisation:
    """For the operator."""
    assert work.actor.side == OPERATOR
    found = work.session.get(Organisation, org_id)
    if found is None:
        raise NotFound
    return found


def get_own(work: Work) -> Organisation:
    found = work.session.get(Organisation, work.actor.org_id)
    if found is None:
        raise NotFound
    return found


def find_by_code(work: Work, code: str) -> Organisation | None:
    """The organisation whose code one was told: row security shows exactly that one row besides one's own."""
    code = code.strip().upper()
    work.session.execute(text("select set_config('app.org_code', :code, true)"), {"code": code})
    found = work.session.scalar(select(Organisation).where(Organisation.code == code))
    work.session.execute(text("select set_config('app.org_code', '', true)"))
    return found


def get_counterparty(work: Work, code: str, kind: str) -> Organisation:
    """The active organisation of `kind` with this code, for naming it in a contract."""
    found = find_by_code(work, code)
    if found is None or found.kind != kind:
        raise NotFound("unknown_organisation_code")
    if found.state != "active":
        raise Conflict("organisation_not_active")
    return found


def lender_key(work: Work, purpose: str) -> LenderKey:
    """The lender's `index` or `ledger` key, made at first use. Two at once: the second waits, then finds it."""
    lender_id = work.tenant_id
    work.session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"{lender_id}/{purpose}"}
    )
    found = work.session.scalar(
        select(LenderKey)
        .where(tenancy.of_lender(lender_id, LenderKey), LenderKey.purpose == purpose)
        .order_by(LenderKey.serial.desc())
        .limit(1)
    )
    if found is None:
        made = work.vault.make_key(str(lender_id), WrapContext(f"{purpose}-key", lender_id.bytes))
        found = LenderKey(lender_id=lender_id, purpose=purpose, serial=1, wrapped=made.wrapped, created_at=work.at)
        work.session.add(found)
        work.session.flush()
    return found


def open_lender_key(work: Work, purpose: str) -> Secret:
    """The key itself, for sealing or blind tokens inside this process."""
    row = lender_key(work, purpose)
    context = WrapContext(f"{purpose}-key", row.lender_id.bytes, serial=row.serial)
    return work.vault.open_key(str(row.lender_id), row.wrapped, context)


def _new_code(kind: str) -> str:
    prefix = {LENDER: "L", "agency": "A", "auditor": "U", "operator": "P"}[kind]
    return f"{prefix}-" + "".join(secrets.choice(CODE_ALPHABET) for _ in range(8))
