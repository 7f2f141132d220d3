"""Mandates: a lender lets an auditor read its conduct data for a time."""

import datetime as dt
from uuid import UUID

from sqlalchemy import select

from models.errors import Conflict, Invalid, NotFound, RowError
from models.ids import new_id
from models.mandate import Mandate
from models.organisation import AUDITOR
from models.services import tenancy
from models.services.oversight import audit
from models.services.parties import organisations
from models.work import Work


def grant(work: Work, auditor_code: str, starts_on: dt.date, ends_on: dt.date) -> Mandate:
    if ends_on < starts_on:
        raise Invalid(errors=[RowError(0, "ends_on", "dates_reversed")])
    auditor = organisations.get_counterparty(work, auditor_code, AUDITOR)
    if find_active(work, work.tenant_id, auditor.id, starts_on):
        raise Conflict("mandate_stands")
    mandate = Mandate(
        lender_id=work.tenant_id,
        id=new_id(),
        auditor_id=auditor.id,
        lender_name=organisations.get_own(work).name,
        auditor_name=auditor.name,
        starts_on=starts_on,
        ends_on=ends_on,
        created_at=work.at,
    )
    work.session.add(mandate)
    work.session.flush()
    audit.record(work, audit.Action.MANDATE_GRANT, {"mandate": mandate.id, "auditor": auditor.id})
    return mandate


def list_own(work: Work) -> list[Mandate]:
    """A lender's mandates, or those an auditor holds."""
    party = Mandate.auditor_id if work.actor.side == AUDITOR else Mandate.lender_id
    return list(
        work.session.scalars(
            select(Mandate).where(tenancy.equals(party, work.actor.org_id)).order_by(Mandate.id.desc())
        )
    )


def get_active(work: Work, lender_id: UUID, day: dt.date) -> Mandate:
    """The mandate under which this auditor may work for the lender today; else the lender is unknown."""
    found = find_active(work, lender_id, work.actor.org_id, day)
    if found is None:
        raise NotFound
    return found


def find_active(work: Work, lender_id: UUID, auditor_id: UUID, day: dt.date) -> Mandate | None:
    return work.session.scalar(
        select(Mandate)
        .where(
            Mandate.lender_id == lender_id,
            Mandate.auditor_id == auditor_id,
            Mandate.starts_on <= day,
            Mandate.ends_on >= day,
            Mandate.revoked_at.is_(None),
        )
        .limit(1)
    )
