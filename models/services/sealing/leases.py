"""Leases: what the tool of a lender in self-custody makes for a placement, and what becomes of it.

Without them an agency has a case and no way to its keys. A case's recall deletes its lease, and the placement's
end all of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import ColumnElement, Select, and_, delete, func, select

from crypto import cobblestone, strict
from crypto.fields import FIELD_CLASSES, FIELDS
from crypto.grants import Grant, WrapContext
from crypto.terms import Terms, lease_terms
from models.case import Case, CaseSalt, CaseSealing
from models.errors import Conflict
from models.key_answer import read_cases, read_classes, read_grant, refused
from models.key_order import LEASE, KeyOrder
from models.lease import Lease, LeasedCase
from models.organisation import SIGNING, OrganisationKey
from models.placement import AWAITING_KEYS, LIVE, TRANSITIONS, PlacedCase, Placement
from models.services import bulk, tenancy
from models.services.exchange import turns
from models.services.sealing import class_grants, key_directory, key_orders
from models.states import step
from models.work import Work

SUBJECT = "placement"
LEASE_BYTES = cobblestone.HEADER_BYTES + 36 + cobblestone.TAG_BYTES  # a case key and its cell's version
NO_VERSION = 0  # of notes, and of a class in which the case has no cell


class HeldLease(NamedTuple):
    """One case's lease in one class, and the grant that wraps its lease key to the agency."""

    grant: Grant
    sealed: bytes


def order(work: Work, placement: Placement) -> KeyOrder:
    """Ask the lender's tool for leases, of a placement that is new or whose keys have changed."""
    return key_orders.place(work, placement.lender_id, LEASE, SUBJECT, placement.id)


def order_for_live(work: Work, *which: ColumnElement[bool]) -> int:
    """The same for the lender's live placements of sealed portfolios that are `which`; answers how many."""
    # The rows alone: of turns the server has fewer than a lender may have placements.
    found = work.session.scalars(
        select(Placement)
        .where(tenancy.own(work, Placement), Placement.state.in_(LIVE), *which)
        .order_by(Placement.id)
        .with_for_update()
    ).all()
    for placement in found:
        order(work, placement)
    return len(found)


def document(work: Work, order: KeyOrder) -> dict[str, Any]:
    """What the tool needs: to whom, until when, the class keys it made itself, and each case's salt."""
    placement = _placement(work, order)
    agency = key_directory.require_confirmed(work, order.lender_id, placement.agency_id)
    grants = class_grants.newest(work, order.lender_id, placement.portfolio_id)
    return {
        "agency": str(placement.agency_id),
        "agency_kem": strict.to_base64(agency.kem.public_key),
        "terms_base": {
            "placement": str(placement.id),
            "portfolio": str(placement.portfolio_id),
            "expires_at": _expiry(placement),
        },
        "epoch": class_grants.epoch_of(grants),
        "serial": key_orders.lease_serial(work, order),
        "classes": class_grants.documents(grants),
        "cases": _cases(work, placement),
    }


def settle(work: Work, order: KeyOrder, answer: Mapping[str, Any]) -> None:
    """Store leases for every placed case and class, wrapped to the confirmed key on exactly the placement's terms."""
    placement = lock(work, order)
    if placement.state not in LIVE:
        raise Conflict("order_cancelled")
    lender = key_directory.of_lender(work, order.lender_id)
    grants = _read_grants(work, order, placement, answer["grants"], lender)
    cases = read_cases(answer["cases"], set(_case_ids(work, placement)))
    sealed = {case_id: _read_leases(leases) for case_id, leases in cases.items()}
    take_back(work, placement)
    _store(work, placement, grants, sealed)
    if placement.state == AWAITING_KEYS:
        placement.state = step(TRANSITIONS, placement.state, "lease")


def lock(work: Work, order: KeyOrder) -> Placement:
    """The order's placement, as whoever acted on it last has left it."""
    return work.session.scalars(turns.on_placements(work, _of_order(order))).one()


def take_back(work: Work, placement: Placement, case_ids: Sequence[UUID] | None = None) -> None:
    """Delete the leases of these cases, or all with what wraps their keys. Stands in the lender's tenant."""
    held = and_(
        tenancy.of_lender(placement.lender_id, LeasedCase),
        LeasedCase.placement_id == placement.id,
    )
    if case_ids is not None:
        held = and_(held, bulk.among(LeasedCase.case_id, case_ids))
    work.session.execute(delete(LeasedCase).where(held).execution_options(synchronize_session=False))
    if case_ids is None:
        granted = (tenancy.of_lender(placement.lender_id, Lease), Lease.placement_id == placement.id)
        work.session.execute(delete(Lease).where(*granted).execution_options(synchronize_session=False))


def end(work: Work, placement: Placement) -> None:
    """The placement is over: its leases go, and nobody is asked for more."""
    take_back(work, placement)
    key_orders.cancel_open(work, placement.lender_id, placement.id)


def get(work: Work, placement: Placement, case_id: UUID, field_class: str, epoch: int) -> HeldLease:
    """The case's lease; Conflict `keys_awaited` where the lender's tool has not made one of this epoch yet."""
    found = work.session.execute(
        select(Lease.grant, LeasedCase.sealed)
        .join(
            LeasedCase,
            and_(
                LeasedCase.lender_id == Lease.lender_id,
                LeasedCase.placement_id == Lease.placement_id,
                LeasedCase.field_class == Lease.field_class,
                LeasedCase.epoch == Lease.epoch,
            ),
        )
        .where(
            tenancy.of_lender(placement.lender_id, Lease),
            Lease.placement_id == placement.id,
            Lease.field_class == field_class,
            Lease.epoch == epoch,
            LeasedCase.case_id == case_id,
        )
    ).one_or_none()
    if found is None:
        raise Conflict("keys_awaited")
    return HeldLease(Grant.from_json(found.grant), found.sealed)


def _placement(work: Work, order: KeyOrder) -> Placement:
    return work.session.scalars(_of_order(order)).one()


def _of_order(order: KeyOrder) -> Select[Placement]:
    return select(Placement).where(tenancy.of_lender(order.lender_id, Placement), Placement.id == order.subject_id)


def _expiry(placement: Placement) -> int:
    return int((placement.extended_until or placement.expires_at).timestamp())


def _live(placement: Placement) -> ColumnElement[bool]:
    return and_(
        tenancy.of_lender(placement.lender_id, PlacedCase),
        PlacedCase.placement_id == placement.id,
        PlacedCase.ended_at.is_(None),
    )


def _case_ids(work: Work, placement: Placement) -> Sequence[UUID]:
    return work.session.scalars(select(PlacedCase.case_id).where(_live(placement))).all()


def _cases(work: Work, placement: Placement) -> list[dict[str, Any]]:
    newest = {
        name: func.coalesce(func.max(CaseSealing.version).filter(getattr(CaseSealing, name).is_not(None)), NO_VERSION)
        for name in FIELDS
    }
    rows = work.session.execute(
        select(Case.id, Case.reference, CaseSalt.salt, *newest.values())
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .join(CaseSalt, and_(CaseSalt.lender_id == Case.lender_id, CaseSalt.case_id == Case.id))
        .join(CaseSealing, and_(CaseSealing.lender_id == Case.lender_id, CaseSealing.case_id == Case.id))
        .where(_live(placement))
        .group_by(Case.id, Case.reference, CaseSalt.salt)
        .order_by(Case.id)
    )
    return [
        {
            "case": str(case_id),
            "reference": reference,
            "salt": strict.to_base64(salt),
            "versions": {**dict(zip(newest, versions, strict=True)), "notes": NO_VERSION},
        }
        for case_id, reference, salt, *versions in rows
    ]


def _read_grants(
    work: Work, order: KeyOrder, placement: Placement, value: object, lender: list[OrganisationKey]
) -> dict[str, Grant]:
    agency = key_directory.require_confirmed(work, order.lender_id, placement.agency_id)
    epoch = class_grants.epoch_of(class_grants.newest(work, order.lender_id, placement.portfolio_id))
    serial = key_orders.lease_serial(work, order)
    signing = next(key.public_key for key in lender if key.purpose == SIGNING)
    return {
        name: read_grant(
            one,
            WrapContext(
                kind=name,
                granter=placement.lender_id.bytes,
                grantee=placement.agency_id.bytes,
                portfolio_id=placement.portfolio_id.bytes,
                epoch=epoch,
                serial=serial,
            ),
            terms_of(placement, name),
            agency.kem.public_key,
            signing,
        )
        for name, one in read_classes(value).items()
    }


def terms_of(placement: Placement, field_class: str) -> Terms:
    """The terms on which the keys of one class are leased: the placement's own."""
    return lease_terms(
        placement.lender_id.bytes,
        placement.agency_id.bytes,
        placement.id.bytes,
        placement.portfolio_id.bytes,
        field_class,
        _expiry(placement),
    )


def _read_leases(value: object) -> dict[str, bytes]:
    try:
        return {name: strict.unbase64(sealed, LEASE_BYTES) for name, sealed in read_classes(value).items()}
    except ValueError:
        raise refused("answer_broken") from None


def _store(
    work: Work, placement: Placement, grants: Mapping[str, Grant], sealed: Mapping[UUID, Mapping[str, bytes]]
) -> None:
    for name, grant in grants.items():
        work.session.add(
            Lease(
                lender_id=placement.lender_id,
                placement_id=placement.id,
                field_class=name,
                epoch=grant.context.epoch,
                agency_id=placement.agency_id,
                serial=grant.context.serial,
                grant=grant.to_json(),
                created_at=work.at,
            )
        )
    work.session.flush()
    rows = [(str(case_id), name, leases[name]) for case_id, leases in sealed.items() for name in FIELD_CLASSES]
    frame = pl.DataFrame(rows, {"case_id": pl.String, "field_class": pl.String, "sealed": pl.Binary}, orient="row")
    bulk.append(
        work,
        LeasedCase,
        frame.with_columns(
            bulk.bytes_text(pl.col("sealed")),
            lender_id=pl.lit(str(placement.lender_id)),
            placement_id=pl.lit(str(placement.id)),
            agency_id=pl.lit(str(placement.agency_id)),
            epoch=pl.lit(next(iter(grants.values())).context.epoch),
        ),
    )
