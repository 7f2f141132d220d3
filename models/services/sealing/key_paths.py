"""The ways to one case's key in one field class, by who sealed the case and who holds the asker's keys.

Two ways end in this process: through the lender's class key in our custody, or through a lease to an agency whose
key is in our custody. The other three are handed out, for a key that only its holder has.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

from sqlalchemy import select

from crypto import strict
from crypto.cells import case_key
from crypto.errors import PrincipalUnknown, SealBroken
from crypto.fields import NOTES
from crypto.grants import Grant, WrapContext
from crypto.leases import LeaseName, open_lease
from crypto.secret import Secret
from crypto.terms import Terms, case_terms
from crypto.vault import Vault
from models.case import Case, CaseSalt
from models.errors import Conflict
from models.organisation import SIGNING
from models.placement import Placement
from models.portfolio import LENDER, PLATFORM, ClassKey, Portfolio
from models.services import tenancy
from models.services.sealing import class_grants, key_directory, leases
from models.services.sealing.leases import HeldLease
from models.work import Work

ASKING_LENDER, ASKING_AGENCY, ASKING_SELF = "lender", "agency", "agency in self-custody"


@runtime_checkable
class OpenPath(Protocol):
    """A way that ends here."""

    def derive(self, vault: Vault, version: int) -> Secret:
        """The case's key, for what is sealed in this version."""


@runtime_checkable
class HandedPath(Protocol):
    """A way that goes on elsewhere."""

    def hand(self, vault: Vault, version: int, digest: bytes) -> dict[str, Any]:
        """A package's `grant`, `lease` and `salt`, for exactly what has this version and digest."""


class Place(NamedTuple):
    """What every way needs to know of the case; `epoch` is the class key's."""

    case: Case
    placement: Placement | None
    field_class: str
    epoch: int


@dataclass(frozen=True, repr=False)
class CaseKeyPath:
    """Through the lender's class key, wrapped to a key in our custody, and the case's salt."""

    lender_id: UUID
    portfolio_id: UUID
    field_class: str
    epoch: int
    serial: int
    wrapped: bytes
    signature: bytes | None
    reference: bytes
    salt: bytes

    def unlock(self, vault: Vault) -> Secret:
        context = WrapContext.of_class(
            self.lender_id.bytes, self.portfolio_id.bytes, self.field_class, self.epoch, self.serial
        )
        return vault.open_key(str(self.lender_id), self.wrapped, self.signature, context)

    def derive(self, vault: Vault, version: int = 0) -> Secret:
        return case_key(self.unlock(vault), self.portfolio_id.bytes, self.reference, self.salt)


@dataclass(frozen=True, repr=False)
class LeasePath:
    """Through the lender's lease to an agency whose key is in our custody."""

    agency_id: UUID
    lease: HeldLease
    name: LeaseName
    lender_signing: bytes

    def unlock(self, vault: Vault) -> Secret:
        return vault.open_granted(str(self.agency_id), self.lease.grant, self.lender_signing)

    def derive(self, vault: Vault, version: int) -> Secret:
        leased = open_lease(self.unlock(vault), self.name, self.lease.sealed)
        if version < leased.version:
            raise SealBroken  # An older cell than the lender had leased.
        return leased.key


@dataclass(frozen=True, repr=False)
class CaseGrantPath:
    """The one case's key, wrapped to an agency that holds its own key, by a lender whose keys are in our custody."""

    path: CaseKeyPath
    case_id: UUID
    agency_id: UUID
    agency_kem: bytes
    terms: Terms
    serial: int

    def hand(self, vault: Vault, version: int, digest: bytes) -> dict[str, Any]:
        path = self.path
        terms = case_terms(self.terms, self.case_id.bytes, path.reference.decode(), version, digest)
        context = WrapContext(
            kind=path.field_class,
            granter=path.lender_id.bytes,
            grantee=self.agency_id.bytes,
            portfolio_id=path.portfolio_id.bytes,
            epoch=path.epoch,
            serial=self.serial,
        )
        key = path.derive(vault)
        grant = vault.make_case_grant(str(path.lender_id), key, self.agency_kem, context, terms)
        return {"grant": grant.to_json(), "lease": None, "salt": None}


@dataclass(frozen=True, repr=False)
class HandedLease:
    """The lender's lease, for an agency that holds its own key."""

    lease: HeldLease

    def hand(self, vault: Vault, version: int, digest: bytes) -> dict[str, Any]:
        lease = self.lease
        return {"grant": lease.grant.to_json(), "lease": strict.to_base64(lease.sealed), "salt": None}


@dataclass(frozen=True, repr=False)
class HandedClassKey:
    """The lender's own class key, for the lender that holds its own key."""

    grant: Grant
    salt: bytes

    def hand(self, vault: Vault, version: int, digest: bytes) -> dict[str, Any]:
        return {"grant": self.grant.to_json(), "lease": None, "salt": strict.to_base64(self.salt)}


def hold(work: Work, case: Case, field_class: str) -> None:
    """Until the transaction ends no class key goes that what is sealed in this class may need; to be called first."""
    keys = select(ClassKey.epoch).where(
        tenancy.of_lender(case.lender_id, ClassKey),
        ClassKey.portfolio_id == case.portfolio_id,
        ClassKey.field_class == field_class,
    )
    work.session.execute(keys.with_for_update(read=True, key_share=True)).all()


def find(
    work: Work, case: Case, field_class: str, epoch: int | None = None, placement: Placement | None = None
) -> OpenPath | HandedPath:
    """The way for the lender, or for the agency of `placement`; to the key of this or of the newest epoch.

    Stands in the lender's tenant. Conflict `case_erased` where the salt is gone, `keys_awaited` where there is no
    lease, `agency_key_not_confirmed` where the lender's people have not compared the agency's key; `SignatureRefused`
    for a lease that a lender whose keys we hold has not signed.
    """
    key, salt = _class_key(work, case, field_class, epoch)
    way = _WAYS[_sealed_by(work, case), _asking(work, placement)]
    return way(work, Place(case, placement, field_class, key.epoch), key, salt)


def find_to_write(work: Work, case: Case, placement: Placement | None) -> tuple[OpenPath, int]:
    """The way to the newest key of class `notes`, and its epoch: for what the placement's agency adds, or the lender.

    Conflict `note_needs_own_key` where whoever could open it holds their own keys: then nobody here can seal it.
    """
    hold(work, case, NOTES)
    key, salt = _class_key(work, case, NOTES, None)
    place = Place(case, placement, NOTES, key.epoch)
    if _sealed_by(work, case) == PLATFORM:
        return _case_key_path(work, place, key, salt), key.epoch
    if _asking(work, placement) != ASKING_AGENCY:
        raise Conflict("note_needs_own_key")
    return _lease_path(work, place, key, salt), key.epoch


def _sealed_by(work: Work, case: Case) -> str:
    return work.session.scalars(
        select(Portfolio.sealed_by).where(
            tenancy.of_lender(case.lender_id, Portfolio), Portfolio.id == case.portfolio_id
        )
    ).one()


def _asking(work: Work, placement: Placement | None) -> str:
    if placement is None:
        return ASKING_LENDER
    keys = key_directory.find(work, placement.agency_id)
    return ASKING_SELF if keys and keys.in_self_custody else ASKING_AGENCY


def _class_key(work: Work, case: Case, field_class: str, epoch: int | None) -> tuple[ClassKey, bytes]:
    query = (
        select(ClassKey, CaseSalt.salt)
        .join(CaseSalt, CaseSalt.lender_id == ClassKey.lender_id)
        .where(
            tenancy.of_lender(case.lender_id, ClassKey),
            tenancy.of_lender(case.lender_id, CaseSalt),
            ClassKey.portfolio_id == case.portfolio_id,
            ClassKey.field_class == field_class,
            CaseSalt.case_id == case.id,
        )
        .order_by(ClassKey.epoch.desc())
        .limit(1)
    )
    found = work.session.execute(query if epoch is None else query.where(ClassKey.epoch == epoch)).one_or_none()
    if found is None:
        raise Conflict("case_erased")
    return found.ClassKey, found.salt


def _case_key_path(work: Work, place: Place, key: ClassKey, salt: bytes) -> CaseKeyPath:
    path = CaseKeyPath(
        lender_id=key.lender_id,
        portfolio_id=key.portfolio_id,
        field_class=key.field_class,
        epoch=key.epoch,
        serial=key.serial,
        wrapped=key.wrapped,
        signature=key.signature,
        reference=place.case.reference.encode(),
        salt=salt,
    )
    path.unlock(work.vault)  # Where custody does not answer, nothing is logged and no quota used.
    return path


def _case_grant_path(work: Work, place: Place, key: ClassKey, salt: bytes) -> CaseGrantPath:
    placement = place.placement
    assert placement is not None
    agency = key_directory.require_confirmed(work, key.lender_id, placement.agency_id)
    if _custody_signing(work, placement.agency_id) is not None:
        raise Conflict("agency_key_not_confirmed")  # No row makes a key of the agency's own of what custody holds.
    return CaseGrantPath(
        path=_case_key_path(work, place, key, salt),
        case_id=place.case.id,
        agency_id=placement.agency_id,
        agency_kem=agency.kem.public_key,
        terms=leases.terms_of(placement, place.field_class),
        serial=round(work.now().timestamp() * 1_000_000),
    )


def _held_lease(work: Work, place: Place) -> HeldLease:
    """On exactly the placement's terms, as they are now."""
    placement = place.placement
    assert placement is not None
    held = leases.get(work, placement, place.case.id, place.field_class, place.epoch)
    if held.grant.terms != leases.terms_of(placement, place.field_class):
        raise Conflict("keys_awaited")
    return held


def _lease_path(work: Work, place: Place, key: ClassKey, salt: bytes) -> LeasePath:
    placement, keys = place.placement, key_directory.of_lender(work, key.lender_id)
    assert placement is not None
    published = next(found.public_key for found in keys if found.purpose == SIGNING)
    path = LeasePath(
        agency_id=placement.agency_id,
        lease=_held_lease(work, place),
        name=LeaseName(placement.id.bytes, place.case.id.bytes, place.field_class, place.epoch),
        lender_signing=_custody_signing(work, key.lender_id) or published,
    )
    path.unlock(work.vault)  # As above.
    return path


def _custody_signing(work: Work, org_id: UUID) -> bytes | None:
    """The signing key of an organisation whose keys we hold, None for any other: never one read beside what it signed.

    Whoever can write rows could else make a lender, or an agency, seem to hold its own keys, and give it theirs.
    """
    try:
        return work.vault.custody.public(str(org_id)).signing
    except PrincipalUnknown:
        return None


def _handed_lease(work: Work, place: Place, key: ClassKey, salt: bytes) -> HandedLease:
    return HandedLease(_held_lease(work, place))


def _handed_class_key(work: Work, place: Place, key: ClassKey, salt: bytes) -> HandedClassKey:
    return HandedClassKey(class_grants.of_row(key_directory.of_lender(work, key.lender_id), key), salt)


# (who sealed the case, who asks) -> the way
_WAYS: Final[Mapping[tuple[str, str], Callable[[Work, Place, ClassKey, bytes], OpenPath | HandedPath]]] = {
    (PLATFORM, ASKING_LENDER): _case_key_path,
    (PLATFORM, ASKING_AGENCY): _case_key_path,
    (PLATFORM, ASKING_SELF): _case_grant_path,
    (LENDER, ASKING_LENDER): _handed_class_key,
    (LENDER, ASKING_AGENCY): _lease_path,
    (LENDER, ASKING_SELF): _handed_lease,
}
