"""Bringing in organisations: their keys and first person, and finding another by the code one was told."""

import datetime as dt
import secrets
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import distinct_on

from crypto.grants import WrapContext, suite_of
from crypto.secret import Secret
from models.errors import Conflict, Invalid, NotFound, RowError
from models.ids import new_id
from models.organisation import AGENCY, KEM, KINDS, LENDER, SELF, SIGNING, Organisation, OrganisationKey, Tenant
from models.portfolio import LenderKey
from models.services import tenancy
from models.services.oversight import audit
from models.services.sealing import key_directory, key_vouchers
from models.work import OPERATOR, Work

CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no letter that a person could misread


def create(work: Work, kind: str, name: str, self_custody: bool = False) -> Organisation:
    """A new organisation; its keys are made in the platform's custody, unless it is to hold and publish its own.

    Only the operator's role may insert it.
    """
    assert work.actor.side == OPERATOR
    if kind not in KINDS:
        raise Invalid(errors=[RowError(0, "kind", "unknown_value")])
    if self_custody and kind not in (LENDER, AGENCY):
        raise Invalid(errors=[RowError(0, "self_custody", "no_keys_to_hold")])
    org_id = new_id()
    work.session.add(Tenant(id=org_id, kind=kind))
    work.session.flush()
    custody = SELF if self_custody else work.vault.custody.kind
    organisation = Organisation(
        id=org_id,
        kind=kind,
        code=_new_code(kind),
        name=name,
        custody=custody,
        state="active",
        created_at=work.at,
    )
    work.session.add(organisation)
    work.session.flush()
    subject = {"organisation": org_id, "kind": kind, "custody": custody}
    audit.record(work, audit.Action.ORGANISATION_CREATE, subject, org_id=org_id)
    if not self_custody:
        _make_keys(work, organisation)
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
    """The lender's `index` or `ledger` key in use, made at first use. Two at once: the second waits, then finds it."""
    lender_id = work.tenant_id
    work.session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"{lender_id}/{purpose}"}
    )
    found = work.session.scalar(
        select(LenderKey)
        .where(tenancy.of_lender(lender_id, LenderKey), LenderKey.purpose == purpose, LenderKey.active_at.is_not(None))
        .order_by(LenderKey.epoch.desc(), LenderKey.serial.desc())
        .limit(1)
    )
    return found or add_lender_key(work, purpose, 1, Secret.random(), work.at)


def add_lender_key(work: Work, purpose: str, epoch: int, key: Secret, active_at: dt.datetime | None) -> LenderKey:
    """Another wrap of a lender's key, as the next serial: of one that stands, or the first of a new epoch."""
    lender_id = work.tenant_id
    serials = select(func.max(LenderKey.serial)).where(
        tenancy.of_lender(lender_id, LenderKey), LenderKey.purpose == purpose
    )
    serial = 1 + (work.session.scalar(serials) or 0)
    context = WrapContext.of_lender(f"{purpose}-key", lender_id.bytes, epoch, serial)
    made = work.vault.wrap_key(str(lender_id), key, context)
    row = LenderKey(
        lender_id=lender_id,
        purpose=purpose,
        serial=serial,
        epoch=epoch,
        wrapped=made.wrapped,
        signature=made.signature,
        created_at=work.at,
        active_at=active_at,
    )
    work.session.add(row)
    work.session.flush()
    return row


def context_of(row: LenderKey) -> WrapContext:
    return WrapContext.of_lender(f"{row.purpose}-key", row.lender_id.bytes, row.epoch, row.serial)


def open_lender_key(work: Work, purpose: str) -> Secret:
    """The key itself, for sealing or blind tokens inside this process."""
    if get_own(work).custody == SELF:
        raise Conflict("needs_own_key")
    row = lender_key(work, purpose)
    return work.vault.open_key(str(row.lender_id), row.wrapped, row.signature, context_of(row))


def _make_keys(work: Work, organisation: Organisation) -> None:
    public = work.vault.custody.create(str(organisation.id))
    kem, signing = (
        OrganisationKey(
            org_id=organisation.id,
            purpose=purpose,
            serial=1,
            suite=suite,
            public_key=key,
            custody=organisation.custody,
            created_at=work.at,
        )
        for purpose, suite, key in ((KEM, suite_of(public.kem), public.kem), (SIGNING, "ed25519", public.signing))
    )
    for key in (kem, signing):
        key_vouchers.sign(work, key)
    work.session.add_all((kem, signing))
    work.session.flush()
    audit.record(work, audit.Action.KEY_PUBLISH, key_directory.entry_of(kem, signing), org_id=organisation.id)


def open_index_keys(work: Work, lender_id: UUID) -> list[Secret]:
    """The keys a value of this lender's may be indexed under: the one in use and, while it is replaced, the next.

    In the lender's tenant, for searches: whoever asks for both misses nothing when the one takes the other's place.
    """
    rows = work.session.scalars(
        select(LenderKey)
        .where(tenancy.of_lender(lender_id, LenderKey), LenderKey.purpose == "index")
        .order_by(LenderKey.epoch.desc(), LenderKey.serial.desc())
        .ext(distinct_on(LenderKey.epoch))
    )
    keys = []
    for row in rows:
        keys.append(work.vault.open_key(str(lender_id), row.wrapped, row.signature, context_of(row)))
        if row.active_at:
            break
    return keys


def _new_code(kind: str) -> str:
    prefix = {LENDER: "L", "agency": "A", "auditor": "U", "operator": "P"}[kind]
    return f"{prefix}-" + "".join(secrets.choice(CODE_ALPHABET) for _ in range(8))
