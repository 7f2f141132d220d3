"""Rotation of an encryption key, re-key of a portfolio, rotation of an index key: nothing is lost, the old key goes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from crypto.custody import Custodies, LocalKeyring
from crypto.errors import SealBroken, WrapBroken
from crypto.vault import Vault
from jobs import keys as job
from models.audit import OutboxEntry
from models.case import CaseSealing
from models.case_document import LETTER, CaseDocument
from models.clock import utc_now
from models.errors import Conflict, NotFound
from models.objects import FolderStore, ObjectStore
from models.organisation import KEM
from models.portfolio import ClassKey, LenderKey
from models.services.collection import contacts, releases
from models.services.exchange import offers, tenders
from models.services.parties import organisations
from models.services.portfolio import cases, documents, searches
from models.services.sealing import (
    class_grants,
    document_keys,
    index_keys,
    key_directory,
    key_orders,
    keys,
    portfolio_keys,
)
from models.work import JOBS, Actor
from tests.own_keys import OwnKeys, confirm, own_lender
from tests.world import Debt, Someone, World

MOBILE = "13800000001"
NO_FILES = FolderStore(Path("no-such-folder"))
PDF = b"%PDF-1.7\n" + b"page" * 40_000


def by_jobs(someone: Someone) -> Actor:
    return Actor(side=JOBS, org_id=someone.organisation.id, name="keys")


def log(world: World, someone: Someone, *actions: str) -> list[dict[str, Any]]:
    """The entries of these actions, in order."""
    with world.database.work(by_jobs(someone)) as work:
        entries = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    return [entry for entry in entries if entry["action"] in actions]


def opened(world: World, someone: Someone, case_id: UUID, field_class: str = "contact") -> dict[str, Any]:
    with world.database.work(replace(someone.actor, proved_at=world.clock())) as work:
        release = releases.authorise(work, case_id, field_class, "contact_borrower")
    return release.open(world.database.vault)


def first_case(world: World, lender: Someone) -> UUID:
    with world.database.work(lender.actor) as work:
        return min(line.case.id for line in cases.list_own(work))


def noted(world: World, agency: Someone, case_id: UUID, text: str) -> UUID:
    report = contacts.ContactReport(
        channel="call", direction="outbound", party="debtor", outcome="busy", occurred_at=world.clock(), note=text
    )
    with world.database.work(agency.actor) as work:
        return contacts.record(work, case_id, report).id


def carry_on(world: World, someone: Someone, objects: ObjectStore = NO_FILES) -> None:
    job.carry_on_one(world.database, objects, someone.organisation.id)


def rows(world: World, lender: Someone, table: Any) -> list[Any]:
    with world.database.work(by_jobs(lender)) as work:
        return list(work.session.scalars(select(table)))


# Rotation


def test_after_a_rotation_every_wrap_is_to_the_new_key_and_the_old_one_is_gone(world: World) -> None:
    lender = world.lender("administrator")
    world.portfolio(world.person(lender, "portfolio_manager"))
    before = rows(world, lender, ClassKey)
    with world.database.work(lender.actor) as work:
        keys.rotate(work)
    carry_on(world, lender)
    held = world.database.vault.custody.public(str(lender.organisation.id))
    assert (held.serial, held.older) == (2, ())
    after = rows(world, lender, ClassKey)
    assert {(row.serial, row.epoch) for row in after} == {(2, 1)}
    fresh = Vault(world.database.vault.custody, lambda: 0.0)
    for old, new in zip(sorted(before, key=name_of), sorted(after, key=name_of), strict=True):
        fresh.open_key(str(new.lender_id), new.wrapped, new.signature, class_grants.context_of(new))
        with pytest.raises(WrapBroken):
            world.database.vault.custody.unwrap(str(old.lender_id), old.wrapped, class_grants.context_of(old))
    with world.database.work(lender.actor) as work:
        assert keys.find(work) is None


def name_of(row: ClassKey) -> str:
    return row.field_class


def test_a_rotation_is_logged_from_its_beginning_to_its_end(world: World) -> None:
    lender = world.lender("administrator")
    world.portfolio(world.person(lender, "portfolio_manager"))
    with world.database.work(lender.actor) as work:
        keys.rotate(work)
    carry_on(world, lender)
    found = log(world, lender, "key.rotate", "key.rewrap", "key.retire")
    assert [entry["action"] for entry in found] == ["key.rotate", "key.rewrap", "key.retire"]
    assert found[1]["subject"]["class_keys"] == 5
    assert found[1]["subject"]["lender_keys"] == 1


def test_a_second_rotation_waits_for_the_first(world: World) -> None:
    lender = world.lender("administrator")
    with world.database.work(lender.actor) as work:
        keys.rotate(work)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict, match="rotation_running"):
        keys.rotate(work)
    carry_on(world, lender)
    with world.database.work(lender.actor) as work:
        assert keys.rotate(work).serial == 3


def test_a_rotation_that_died_before_it_was_published_is_published_by_the_next(world: World) -> None:
    lender = world.lender("administrator")
    made = world.database.vault.custody.rotate(str(lender.organisation.id))
    with world.database.work(lender.actor) as work:
        assert keys.rotate(work).public_key == made.kem
    carry_on(world, lender)
    assert world.database.vault.custody.public(str(lender.organisation.id)) == made._replace(older=())


def test_what_is_uploaded_between_the_batches_is_not_lost(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender)
    with world.database.work(lender.actor) as work:
        keys.rotate(work)
    with world.database.work(by_jobs(lender)) as work:
        assert keys.rewrap(work, limit=2) == 3  # and the index key
    with world.database.work(lender.actor) as work:
        found = keys.find(work)
        assert found is not None
        assert (found.left, found.total) == (3, 5)
    world.portfolio(lender, [Debt(9)])
    carry_on(world, lender)
    assert opened(world, lender, first_case(world, lender)) == {"mobile": MOBILE}
    assert sorted(row.serial for row in rows(world, lender, ClassKey)) == [1] * 5 + [2] * 5


def test_a_key_is_not_dropped_while_a_wrap_of_before_still_stands(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender)
    with world.database.work(lender.actor) as work:
        keys.rotate(work)
    with world.database.work(by_jobs(lender)) as work:
        assert not keys.retire(work)
    assert len(world.database.vault.custody.public(str(lender.organisation.id)).older) == 1


def test_a_row_that_says_it_is_wrapped_to_the_new_key_and_is_not_keeps_the_old_one(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender)
    with world.database.work(lender.actor) as work:
        keys.rotate(work)
    with world.database.work(by_jobs(lender)) as work:
        keys.rewrap(work)
        row = work.session.scalars(select(ClassKey).limit(1)).one()
        row.serial = 1  # as an older backup has it
    with world.database.work(by_jobs(lender)) as work, pytest.raises(Conflict, match="class_key_unsigned"):
        keys.retire(work)


def test_an_organisation_in_self_custody_rotates_with_its_own_tool(world: World) -> None:
    lender = own_lender(world)
    for verb in (keys.rotate, index_keys.rotate):
        with world.database.work(lender.someone.actor) as work, pytest.raises(Conflict, match="needs_own_key"):
            verb(work)


def leased(world: World, lender: OwnKeys, agency: Someone) -> None:
    """A case of a lender that holds its own keys, leased to the agency."""
    portfolio, agreement = lender.upload(1), world.agreement(lender.someone, agency)
    with world.database.work(lender.someone.actor) as work:
        offer = tenders.assign(work, portfolio.id, agreement.id)
    with world.database.work(agency.actor) as work:
        offers.accept(work, offer.id)
    with world.database.work(lender.someone.actor) as work:
        known = key_directory.get_party(work, agency.organisation.id).keys
        (order,) = key_orders.list_own(work, state="open")
    assert known is not None
    lender.pin(agency, "kem", known.kem.public_key)
    confirm(world, lender.someone, agency)
    lender.carry_out(order.id)


def test_an_agencys_old_key_stays_until_lenders_have_made_its_leases_anew(world: World) -> None:
    lender, agency = own_lender(world), world.agency()
    leased(world, lender, agency)
    with world.database.work(agency.actor) as work:
        keys.rotate(work)
    carry_on(world, agency)
    with world.database.work(agency.actor) as work:
        found = keys.find(work)
        assert found is not None
        assert (found.left, found.total) == (5, 5)


def test_a_rotation_brings_the_keys_to_the_custody_in_use_now(world: World, tmp_path: Any) -> None:
    lender = world.lender("administrator")
    world.portfolio(world.person(lender, "portfolio_manager"))
    old, new = world.database.vault.custody, LocalKeyring(tmp_path / "other.json")
    new.kind = "aws-kms"
    world.database.vault = Vault(Custodies(new, old), lambda: 0.0)  # type: ignore[arg-type]
    try:
        with world.database.work(lender.actor) as work:
            keys.rotate(work)
        carry_on(world, lender)
    finally:
        world.database.vault = Vault(old, lambda: 0.0)
    principal = str(lender.organisation.id)
    assert old.find(principal, newest=True) is None  # type: ignore[attr-defined]
    assert new.public(principal).older == ()
    with world.database.work(lender.actor) as work:
        assert organisations.get_own(work).custody == "aws-kms"
        assert [key.custody for key in key_directory.list_own(work) if key.purpose == KEM] == ["aws-kms", "local"]


# Re-key


def test_a_re_keyed_portfolio_opens_as_before_under_new_keys_alone(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 3)
    case_id = world.case_ids(placement, lender)[0]
    first = noted(world, agency, case_id, "will call back")
    before = {(row.case_id, row.version): row.identity for row in rows(world, lender, CaseSealing)}
    with world.database.work(lender.actor) as work:
        assert portfolio_keys.rekey(work, placement.portfolio_id) == 2
    second = noted(world, agency, case_id, "called back")
    assert opened(world, agency, case_id, "notes") == {str(first): "will call back", str(second): "called back"}
    carry_on(world, lender)
    assert opened(world, agency, case_id) == {"mobile": MOBILE}
    assert opened(world, agency, case_id, "notes") == {str(first): "will call back", str(second): "called back"}
    assert {row.epoch for row in rows(world, lender, ClassKey)} == {2}
    after = rows(world, lender, CaseSealing)
    assert {row.epoch for row in after} == {2}
    assert all(before[row.case_id, row.version] != row.identity for row in after)
    actions = [entry["action"] for entry in log(world, lender, "portfolio.rekey", "portfolio.rekeyed")]
    assert actions == ["portfolio.rekey", "portfolio.rekeyed"]


def test_an_older_copy_of_a_cell_does_not_open_after_a_re_key(world: World) -> None:
    lender = world.lender()
    portfolio = world.portfolio(lender, 1)
    (old,) = rows(world, lender, CaseSealing)
    with world.database.work(lender.actor) as work:
        portfolio_keys.rekey(work, portfolio.id)
    carry_on(world, lender)
    with world.database.work(by_jobs(lender)) as work:
        row = work.session.scalars(select(CaseSealing)).one()
        row.contact = old.contact
    with pytest.raises(SealBroken):
        opened(world, lender, old.case_id)


def test_a_re_key_that_was_cut_off_is_carried_on(world: World) -> None:
    lender = world.lender()
    portfolio = world.portfolio(lender, 5)
    with world.database.work(lender.actor) as work:
        portfolio_keys.rekey(work, portfolio.id)
    with world.database.work(by_jobs(lender)) as work:
        portfolio_keys.reseal(work, portfolio.id, limit=2)
    with world.database.work(lender.actor) as work:
        (found,) = portfolio_keys.list_running(work)
        assert (found.epoch, found.left, found.total) == (2, 3, 5)
    with world.database.work(by_jobs(lender)) as work:
        assert not portfolio_keys.finish(work, portfolio.id, limit=2)
    carry_on(world, lender)
    with world.database.work(lender.actor) as work:
        assert portfolio_keys.list_running(work) == []


def test_a_portfolio_is_not_re_keyed_twice_at_once_nor_by_another_lender(world: World) -> None:
    lender = world.lender()
    portfolio = world.portfolio(lender, 1)
    with world.database.work(lender.actor) as work:
        portfolio_keys.rekey(work, portfolio.id)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict, match="rekey_running"):
        portfolio_keys.rekey(work, portfolio.id)
    with world.database.work(world.lender().actor) as work, pytest.raises(NotFound):
        portfolio_keys.rekey(work, portfolio.id)


def test_what_a_lender_sealed_itself_is_re_keyed_by_its_own_tool(world: World) -> None:
    lender = own_lender(world)
    portfolio = lender.upload(1)
    with world.database.work(lender.someone.actor) as work, pytest.raises(Conflict, match="needs_own_key"):
        portfolio_keys.rekey(work, portfolio.id)


# Files


def filed(world: World, agency: Someone, case_id: UUID, objects: ObjectStore) -> UUID:
    with world.database.work(agency.actor) as work:
        upload = documents.begin(work, case_id, LETTER)
    stored = documents.store(upload, [PDF], objects)
    with world.database.work(agency.actor) as work:
        return documents.add(work, upload, stored).id


def ticket(world: World, agency: Someone, document_id: UUID) -> UUID:
    with world.database.work(replace(agency.actor, proved_at=world.clock())) as work:
        return documents.authorise(work, document_id, "verify_identity").id


def read(world: World, agency: Someone, document_id: UUID, objects: ObjectStore) -> bytes:
    release_id = ticket(world, agency, document_id)
    with world.database.work(agency.actor) as work:
        content = documents.content(work, document_id, release_id)
    return b"".join(documents.read(content, objects, 0, len(PDF)))


@pytest.fixture
def placed_case(world: World) -> tuple[Someone, Someone, UUID]:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 1)
    return lender, agency, world.case_ids(placement, lender)[0]


def rekeyed(world: World, lender: Someone) -> UUID:
    with world.database.work(lender.actor) as work:
        portfolio_id = cases.list_own(work)[0].case.portfolio_id
        portfolio_keys.rekey(work, portfolio_id)
    return portfolio_id


def test_a_file_is_sealed_anew_with_its_portfolio(
    world: World, placed_case: tuple[Someone, Someone, UUID], tmp_path: Path
) -> None:
    (lender, agency, case_id), objects = placed_case, FolderStore(tmp_path)
    document_id = filed(world, agency, case_id, objects)
    (before,) = rows(world, lender, CaseDocument)
    rekeyed(world, lender)
    assert read(world, agency, document_id, objects) == PDF
    carry_on(world, lender, objects)
    assert read(world, agency, document_id, objects) == PDF
    (after,) = rows(world, lender, CaseDocument)
    assert (before.epoch, after.epoch) == (1, 2)
    assert before.sealed_digest != after.sealed_digest
    assert {row.epoch for row in rows(world, lender, ClassKey)} == {2}
    (entry,) = log(world, lender, "document.reseal")
    assert entry["subject"]["sealed_digest"] == after.sealed_digest.hex()


def test_the_older_object_is_swept_and_the_newer_one_stays(
    world: World, placed_case: tuple[Someone, Someone, UUID], tmp_path: Path
) -> None:
    (lender, agency, case_id), objects = placed_case, FolderStore(tmp_path)
    document_id = filed(world, agency, case_id, objects)
    rekeyed(world, lender)
    carry_on(world, lender, objects)
    assert len(list(objects.list())) == 2
    with world.database.work(by_jobs(lender)) as work:
        work.at = utc_now() + 2 * documents.ORPHAN_AFTER  # ids are of the real time
        assert documents.sweep(work, objects) == 1
    assert read(world, agency, document_id, objects) == PDF


def test_a_file_that_was_altered_keeps_the_key_of_its_class_and_holds_up_no_other(
    world: World, placed_case: tuple[Someone, Someone, UUID], tmp_path: Path
) -> None:
    (lender, agency, case_id), objects = placed_case, FolderStore(tmp_path)
    filed(world, agency, case_id, objects)
    (broken,) = objects.list()
    objects.put(broken, objects.get(broken)[:-1] + b"x")
    whole = filed(world, agency, case_id, objects)
    rekeyed(world, lender)
    carry_on(world, lender, objects)
    assert read(world, agency, whole, objects) == PDF
    assert {(row.field_class, row.epoch) for row in rows(world, lender, ClassKey) if row.epoch == 1} == {("notes", 1)}
    with world.database.work(lender.actor) as work:
        (running,) = portfolio_keys.list_running(work)
    assert (running.left, running.total) == (1, 1)


def test_a_file_erased_while_it_is_sealed_anew_stays_erased(
    world: World, placed_case: tuple[Someone, Someone, UUID], tmp_path: Path
) -> None:
    (lender, agency, case_id), objects = placed_case, FolderStore(tmp_path)
    filed(world, agency, case_id, objects)
    portfolio_id = rekeyed(world, lender)
    with world.database.work(by_jobs(lender)) as work:
        move = document_keys.begin(work, portfolio_id)
    assert move is not None
    digest = document_keys.copy(move, objects)
    with world.database.work(by_jobs(lender)) as work:
        work.session.scalars(select(CaseDocument)).one().erased_at = work.at
    with world.database.work(by_jobs(lender)) as work:
        assert not document_keys.finish(work, move, digest)
        assert document_keys.begin(work, portfolio_id) is None


# The index key


def found(world: World, lender: Someone) -> int:
    with world.database.work(lender.actor) as work:
        return len(searches.find(work, "mobile", MOBILE, "contact_borrower").cases)


def borrower_of(world: World, lender: Someone) -> set[UUID]:
    with world.database.work(lender.actor) as work:
        return {line.case.borrower_id for line in cases.list_own(work)}


def test_search_and_upload_find_the_same_borrower_before_during_and_after(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender, [Debt(1)])
    assert found(world, lender) == 1
    with world.database.work(lender.actor) as work:
        index_keys.rotate(work)
    world.portfolio(lender, [Debt(1)])
    assert found(world, lender) == 2
    with world.database.work(by_jobs(lender)) as work:
        index_keys.fill(work, limit=1)
    world.portfolio(lender, [Debt(1)])
    assert found(world, lender) == 3
    carry_on(world, lender)
    world.portfolio(lender, [Debt(1)])
    assert found(world, lender) == 4
    assert len(borrower_of(world, lender)) == 1
    with world.database.work(lender.actor) as work:
        assert organisations.lender_key(work, "index").epoch == 2
        assert index_keys.find(work) is None
    opening, done = log(world, lender, "index.rotate", "index.activate")
    assert (opening["subject"]["cases"], done["subject"]["cases"]) == (1, 3)


def test_the_index_is_not_rebuilt_twice_at_once(world: World) -> None:
    lender = world.lender()
    with world.database.work(lender.actor) as work:
        index_keys.rotate(work)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict, match="reindex_running"):
        index_keys.rotate(work)


def test_an_encryption_key_and_an_index_key_rotate_at_the_same_time(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender, [Debt(1)])
    with world.database.work(lender.actor) as work:
        index_keys.rotate(work)
        keys.rotate(work)
    carry_on(world, lender)
    assert found(world, lender) == 1
    newest = max(rows(world, lender, LenderKey), key=lambda row: row.serial)
    assert (newest.epoch, newest.active_at is not None) == (2, True)
