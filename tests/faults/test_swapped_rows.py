"""Whoever can write the database's rows and has no keys: nothing is sealed or granted to a key of theirs."""

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import make_transient

from crypto.errors import SignatureRefused
from crypto.fields import FIELD_CLASSES
from crypto.grants import WrapContext, fingerprint, make_grant
from crypto.keyfile import PrivateKeys, make_keys
from crypto.leases import LeaseName, seal_lease
from crypto.secret import Secret
from crypto.terms import lease_terms
from models.errors import Conflict
from models.lease import Lease, LeasedCase
from models.organisation import KEM, LOCAL, SELF, SIGNING, KeyApproval, OrganisationKey
from models.placement import Placement
from models.portfolio import LENDER, Portfolio
from models.services.collection import contacts, releases
from models.services.collection.contacts import ContactReport
from models.services.sealing import key_directory, key_vouchers
from tests.own_keys import own_agency
from tests.world import Someone, World


@pytest.fixture
def parties(world: World) -> tuple[Someone, Someone, Placement]:
    """A lender, an agency and what is placed; the keys of both are in our custody."""
    lender, agency = world.lender(), world.agency()
    return lender, agency, world.placement(lender, agency)


def published(owner: Someone, purpose: str, public: bytes, at: dt.datetime, custody: str = SELF) -> OrganisationKey:
    return OrganisationKey(
        org_id=owner.organisation.id,
        purpose=purpose,
        serial=9,
        suite="x25519" if purpose == KEM else "ed25519",
        public_key=public,
        custody=custody,
        created_at=at,
    )


def lease_of_their_own(
    world: World, lender: Someone, agency: Someone, placement: Placement, thief: PrivateKeys
) -> list[object]:
    """Rows by which the lender seems to have sealed and leased a case under keys that the thief knows."""
    with world.database.work(lender.actor) as work:
        keys = key_directory.get_party(work, agency.organisation.id).keys
    assert keys is not None
    (case_id, *_) = world.case_ids(placement, lender)
    rows: list[object] = [published(lender, SIGNING, thief.public.signing, world.clock())]
    ids = (lender.organisation.id, agency.organisation.id, placement.id, placement.portfolio_id)
    known: dict[str, Any] = {"lender_id": ids[0], "placement_id": ids[2], "epoch": 1, "agency_id": ids[1]}
    for name in FIELD_CLASSES:
        terms = lease_terms(
            ids[0].bytes, ids[1].bytes, ids[2].bytes, ids[3].bytes, name, int(placement.expires_at.timestamp())
        )
        context = WrapContext(name, ids[0].bytes, ids[1].bytes, ids[3].bytes, 1, 1)
        grant = make_grant(Secret(bytes(32)), keys.kem.public_key, context, thief.sign, terms)
        rows.append(Lease(**known, field_class=name, serial=1, grant=grant.to_json(), created_at=world.clock()))
        leased = LeaseName(placement.id.bytes, case_id.bytes, name, 1)
        sealed = seal_lease(Secret(bytes(32)), leased, Secret(bytes(32)), 0)
        rows.append(LeasedCase(**known, case_id=case_id, field_class=name, sealed=sealed))
    return rows


def test_no_note_is_sealed_under_a_lease_that_the_lender_did_not_sign(
    world: World, parties: tuple[Someone, Someone, Placement]
) -> None:
    lender, agency, placement = parties
    thief = make_keys(lender.organisation.id.bytes)
    rows = lease_of_their_own(world, lender, agency, placement, thief)
    with world.database.work(lender.actor) as work:
        work.session.execute(update(Portfolio).values(sealed_by=LENDER))
        work.session.add_all(rows)
    (case_id, *_) = world.case_ids(placement, lender)
    report = ContactReport("call", "outbound", "debtor", "conversation", world.clock(), note="本人称下周还款")
    with pytest.raises(SignatureRefused), world.database.work(agency.actor) as work:
        contacts.record(work, case_id, report)
    with pytest.raises(SignatureRefused), world.database.work(agency.actor) as work:
        releases.authorise(work, case_id, "identity", "verify_identity")


def approved(lender: Someone, agency: Someone, public: bytes, at: dt.datetime, serial: int = 9) -> KeyApproval:
    return KeyApproval(
        lender_id=lender.organisation.id,
        agency_id=agency.organisation.id,
        purpose=KEM,
        serial=serial,
        member_id=lender.member.id,
        fingerprint=fingerprint(public),
        approved_at=at,
    )


def test_nothing_is_granted_to_another_key_of_an_agency_whose_keys_we_hold(
    world: World, parties: tuple[Someone, Someone, Placement]
) -> None:
    """Not even where the platform itself was brought to sign the rows."""
    lender, agency, placement = parties
    thief = make_keys(agency.organisation.id.bytes, "x25519")
    key = published(agency, KEM, thief.public.kem, world.clock())
    approval = approved(lender, agency, thief.public.kem, world.clock())
    with world.database.work(agency.actor) as work:
        key_vouchers.sign(work, key)
        work.session.add(key)
    with world.database.work(lender.actor) as work:
        key_vouchers.sign(work, approval)
        work.session.add(approval)
    (case_id, *_) = world.case_ids(placement, lender)
    with (
        pytest.raises(Conflict, match="agency_key_not_confirmed"),
        world.database.work(agency.actor) as work,
    ):
        releases.authorise(work, case_id, "identity", "verify_identity")


@pytest.mark.parametrize("custody", [SELF, LOCAL])
@pytest.mark.parametrize("purpose", [KEM, SIGNING])
def test_a_key_that_somebody_wrote_beside_an_organisations_own_does_not_count(
    world: World, purpose: str, custody: str
) -> None:
    agency = own_agency(world)
    thief = make_keys(agency.id.bytes, "x25519").public
    public = thief.kem if purpose == KEM else thief.signing
    row = published(agency.someone, purpose, public, world.clock(), custody)
    with world.database.work(agency.someone.actor) as work:
        row.signature = work.session.scalars(select(OrganisationKey.signature)).first()  # of another row
        work.session.add(row)
    with world.database.work(agency.someone.actor) as work:
        keys = key_directory.find_own(work)
    assert keys is not None
    assert (keys.kem.public_key, keys.signing.public_key) == (agency.keys.public.kem, agency.keys.public.signing)


def test_an_unsigned_key_counts_only_where_custody_holds_it(
    world: World, parties: tuple[Someone, Someone, Placement]
) -> None:
    """As those are that were made before keys were signed."""
    _, agency, _ = parties
    thief = make_keys(agency.organisation.id.bytes, "x25519")
    with world.database.work(agency.actor) as work:
        before = key_directory.list_own(work)
        work.session.add(published(agency, KEM, thief.public.kem, world.clock(), LOCAL))
        for key in before:
            make_transient(key)
            key.signature = None
        assert all(key_vouchers.stands(work, key) for key in before)
        assert {key.serial for key in key_directory.list_own(work)} == {1}


def test_an_approval_that_nobody_gave_does_not_count(world: World) -> None:
    lender, agency = world.lender(), own_agency(world)
    placement = world.placement(lender, agency.someone)
    with world.database.work(lender.actor) as work:
        work.session.add(approved(lender, agency.someone, agency.keys.public.kem, world.clock(), serial=1))
    (case_id, *_) = world.case_ids(placement, lender)
    with (
        pytest.raises(Conflict, match="agency_key_not_confirmed"),
        world.database.work(agency.someone.actor) as work,
    ):
        releases.authorise(work, case_id, "identity", "verify_identity")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lender_id", UUID(int=1)),
        ("agency_id", UUID(int=1)),
        ("purpose", SIGNING),
        ("serial", 2),
        ("member_id", UUID(int=1)),
        ("fingerprint", bytes(32)),
        ("approved_at", dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
    ],
)
def test_an_approval_stands_as_it_was_signed_or_not_at_all(
    world: World, parties: tuple[Someone, Someone, Placement], name: str, value: object
) -> None:
    lender, agency, _ = parties
    row = approved(lender, agency, bytes(33), world.clock())
    with world.database.work(lender.actor) as work:
        key_vouchers.sign(work, row)
        assert key_vouchers.stands(work, row)
        setattr(row, name, value)
        assert not key_vouchers.stands(work, row)
