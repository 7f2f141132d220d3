"""Orders to a lender's tool: carried out whole, or refused whole, and nothing opens that should not."""

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select

from crypto.canonical import canonical
from crypto.cobblestone import seal
from crypto.errors import Distrusted, SealBroken
from crypto.fields import FIELD_CLASSES, NOTES
from crypto.grants import WrapContext, make_grant
from crypto.secret import Secret
from crypto.strict import to_base64
from crypto.terms import lease_terms
from models.audit import OutboxEntry
from models.business_day import day_of
from models.case_document import CaseDocument
from models.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from models.ids import new_id
from models.key_order import KeyOrder
from models.lease import Lease, LeasedCase
from models.placement import ACTIVE, AWAITING_KEYS, Placement
from models.portfolio import ClassKey
from models.services.collection import contacts, promises, release_limits, releases
from models.services.collection.contacts import ContactReport
from models.services.exchange import expiries, offers, placements, recalls, retentions, tenders
from models.services.oversight import audit
from models.services.parties import lender_settings
from models.services.portfolio import cases
from models.services.sealing import custodies, key_directory, key_orders
from models.work import JOBS, Actor
from tests.conftest import Clock
from tests.own_keys import OwnKeys, confirm, own_agency, own_lender
from tests.world import Someone, World

STRANGE_NOTE = {"contact": str(uuid4()), "sealed": "AA=="}


def place(world: World, lender: OwnKeys, agency: Someone, cases: int = 2) -> Placement:
    """Accepted and waiting for its keys; the agency's key is compared and pinned."""
    portfolio, agreement = lender.upload(cases), world.agreement(lender.someone, agency)
    with world.database.work(lender.someone.actor) as work:
        offer = tenders.assign(work, portfolio.id, agreement.id)
    with world.database.work(agency.actor) as work:
        placement = offers.accept(work, offer.id)
    with world.database.work(lender.someone.actor) as work:
        keys = key_directory.get_party(work, agency.organisation.id).keys
    assert keys is not None
    lender.pin(agency, "kem", keys.kem.public_key)
    confirm(world, lender.someone, agency)
    return placement


def placed(world: World, lender: OwnKeys, agency: Someone, cases: int = 2) -> Placement:
    placement = place(world, lender, agency, cases)
    lender.carry_out(waiting(world, lender))
    with world.database.work(agency.actor) as work:
        return placements.acknowledge(work, placement.id, placement.case_count, placement.referred_amount)


def waiting(world: World, lender: OwnKeys) -> UUID:
    with world.database.work(lender.someone.actor) as work:
        (order,) = key_orders.list_own(work, state="open")
    return order.id


def document(world: World, lender: OwnKeys, order_id: UUID) -> dict[str, Any]:
    with world.database.work(lender.proved) as work:
        return custodies.document(work, order_id)


def answer(world: World, lender: OwnKeys, order_id: UUID, data: bytes) -> KeyOrder:
    with world.database.work(lender.someone.actor) as work:
        return custodies.answer(work, order_id, data)


def refusal_of(world: World, lender: OwnKeys, order_id: UUID, data: bytes) -> str:
    with pytest.raises(Invalid) as refused:
        answer(world, lender, order_id, data)
    ((_, _, code),) = refused.value.errors
    return code


def spoilt(lender: OwnKeys, data: bytes, change: Any) -> bytes:
    """The answer, changed so and signed again by its lender."""
    given = json.loads(data)
    given.pop("signature")
    change(given)
    return json.dumps(given | {"signature": to_base64(lender.keys.sign("answer", canonical(given)))}).encode()


def opened(world: World, someone: Someone, case_id: UUID, field_class: str = "identity") -> dict[str, Any]:
    # Fresh proof of who asks, so that a second class of one case opens too.
    with world.database.work(replace(someone.actor, proved_at=world.clock())) as work:
        release = releases.authorise(work, case_id, field_class, "verify_identity")
    return release.open(world.database.vault)


def left(world: World, lender: OwnKeys) -> tuple[int, int]:
    """How many leases and leased cases are stored."""
    with world.database.work(lender.someone.actor) as work:
        counts = [
            work.session.scalar(select(func.count()).where(table.lender_id == lender.id))
            for table in (Lease, LeasedCase)
        ]
    return counts[0] or 0, counts[1] or 0


# --- answers --------------------------------------------------------------------------------------------------------


def drop_case(given: dict[str, Any]) -> None:
    given["cases"].popitem()


def add_case(given: dict[str, Any]) -> None:
    given["cases"][str(uuid4())] = next(iter(given["cases"].values()))


def cut_lease(given: dict[str, Any]) -> None:
    next(iter(given["cases"].values()))["identity"] = to_base64(bytes(107))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (drop_case, "answer_incomplete"),
        (add_case, "answer_incomplete"),
        (cut_lease, "answer_broken"),
        (lambda given: next(iter(given["cases"].values())).pop("notes"), "answer_incomplete"),
        (lambda given: given.update(cases=[]), "answer_broken"),
        (lambda given: given["grants"].pop("notes"), "answer_incomplete"),
        (lambda given: given["grants"].update(identity=given["grants"]["contact"]), "answer_keys"),
        (lambda given: given["grants"].update(identity={}), "answer_keys"),
        (lambda given: given.update(grants=None), "answer_incomplete"),
        (lambda given: given.update(more=1), "answer_broken"),
        (lambda given: given.update(kind="rekey"), "answer_of_another_order"),
        (lambda given: given.update(order=str(uuid4())), "answer_of_another_order"),
        (lambda given: given.update(format="consign-answer/2"), "answer_broken"),
    ],
)
def test_an_answer_that_is_not_to_its_order_changes_nothing(world: World, change: Any, code: str) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = place(world, lender, agency)
    order_id = waiting(world, lender)
    good = lender.answer(document(world, lender, order_id))
    assert refusal_of(world, lender, order_id, spoilt(lender, good, change)) == code
    assert left(world, lender) == (0, 0)
    with world.database.work(agency.actor) as work:
        assert placements.get(work, placement.id).state == AWAITING_KEYS


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b'{"format":"consign-answer/1"}', b"[" * 100_000])
def test_what_is_no_answer_is_refused(world: World, data: bytes) -> None:
    lender = own_lender(world)
    place(world, lender, world.agency())
    with pytest.raises(Invalid, match="answer_refused"):
        answer(world, lender, waiting(world, lender), data)


def test_an_answer_nested_without_end_is_refused(world: World) -> None:
    lender = own_lender(world)
    place(world, lender, world.agency())
    order_id = waiting(world, lender)
    deep = json.loads("[" * 700 + "]" * 700)
    given = json.loads(lender.answer(document(world, lender, order_id))) | {"cases": deep}
    assert refusal_of(world, lender, order_id, json.dumps(given).encode()) == "answer_broken"


def test_an_answer_signed_by_somebody_else_is_refused(world: World) -> None:
    lender, other = own_lender(world), own_lender(world)
    place(world, lender, world.agency())
    order_id = waiting(world, lender)
    good = lender.answer(document(world, lender, order_id))
    assert refusal_of(world, lender, order_id, spoilt(other, good, lambda given: None)) == "answer_unsigned"
    assert refusal_of(world, lender, order_id, good.replace(b'"lease"', b'"lease" ')[:-2] + b"}") == "answer_broken"


@pytest.mark.parametrize(
    ("expires_in", "serial", "epoch", "to_agency"),
    [(1, 1, 1, True), (0, 2, 1, True), (0, 1, 2, True), (0, 1, 1, False)],
)
def test_a_lease_on_other_terms_than_the_placements_is_refused(
    world: World, expires_in: int, serial: int, epoch: int, to_agency: bool
) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = place(world, lender, agency)
    order_id = waiting(world, lender)
    order = document(world, lender, order_id)
    with world.database.work(lender.someone.actor) as work:
        keys = key_directory.get_party(work, agency.organisation.id).keys
    assert keys is not None
    kem = keys.kem.public_key if to_agency else lender.keys.public.kem
    ids = (lender.id.bytes, agency.organisation.id.bytes, placement.id.bytes, placement.portfolio_id.bytes)
    terms = lease_terms(*ids, "identity", order["terms_base"]["expires_at"] + expires_in)
    context = WrapContext("identity", *ids[:2], ids[3], epoch, serial)
    grant = make_grant(Secret.random(), kem, context, lender.keys.sign, terms)
    good = lender.answer(order)
    bad = spoilt(lender, good, lambda given: given["grants"].update(identity=grant.to_json()))
    assert refusal_of(world, lender, order_id, bad) == "answer_keys"


def test_an_order_is_carried_out_once(world: World) -> None:
    lender = own_lender(world)
    place(world, lender, world.agency())
    order_id = waiting(world, lender)
    data = lender.answer(document(world, lender, order_id))
    answer(world, lender, order_id, data)
    with pytest.raises(Conflict, match="order_done"):
        answer(world, lender, order_id, data)


def test_of_two_orders_at_once_one_stays_open(world: World) -> None:
    lender = own_lender(world)
    placement = placed(world, lender, world.agency())

    def order() -> UUID:
        with world.database.work(lender.someone.actor) as work:
            return custodies.order(work, "lease", placement.id).id

    with ThreadPoolExecutor(1) as thread, world.database.work(lender.someone.actor) as work:
        custodies.order(work, "lease", placement.id)
        second = thread.submit(order)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        work.session.commit()
        assert second.result(10) == waiting(world, lender)


def test_a_cancelled_order_takes_no_answer(world: World) -> None:
    lender = own_lender(world)
    place(world, lender, world.agency())
    order_id = waiting(world, lender)
    data = lender.answer(document(world, lender, order_id))
    with world.database.work(lender.someone.actor) as work:
        key_orders.cancel(work, order_id)
    with pytest.raises(Conflict, match="order_cancelled"):
        answer(world, lender, order_id, data)


def test_another_lenders_order_is_as_unknown_as_none(world: World) -> None:
    lender, other = own_lender(world), own_lender(world)
    place(world, lender, world.agency())
    order_id = waiting(world, lender)
    with pytest.raises(NotFound):
        document(world, other, order_id)


# --- recall, re-lease, changed keys ---------------------------------------------------------------------------------


def test_a_recalled_case_loses_its_lease_and_the_others_keep_theirs(world: World) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = placed(world, lender, agency)
    first, second = world.case_ids(placement, lender.someone)
    with world.database.work(lender.someone.actor) as work:
        recalls.recall(work, placement.id, "complaint", [first])
    assert left(world, lender) == (5, 5)
    assert opened(world, agency, second)["name"] == "张三"


def test_with_the_placement_all_leases_end_and_its_orders_too(world: World) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = placed(world, lender, agency)
    with world.database.work(lender.someone.actor) as work:
        custodies.order(work, "lease", placement.id)
        recalls.recall(work, placement.id, "complaint")
        assert key_orders.count_open(work) == 0
    assert left(world, lender) == (0, 0)


def test_a_case_recalled_after_the_order_was_taken_makes_the_answer_out_of_date(world: World) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = place(world, lender, agency)
    order_id = waiting(world, lender)
    data = lender.answer(document(world, lender, order_id))
    with world.database.work(lender.someone.actor) as work:
        recalls.recall(work, placement.id, "complaint", world.case_ids(placement, lender.someone)[:1])
    assert refusal_of(world, lender, order_id, data) == "answer_incomplete"
    lender.carry_out(order_id)


def test_the_cases_retained_beyond_a_term_await_leases_of_their_own_and_open_until_their_day(
    world: World, clock: Clock
) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = placed(world, lender, agency, 4)
    kept, gone, *_ = world.case_ids(placement, lender.someone)
    with world.database.work(lender.someone.actor) as work:
        lender_settings.change(work, {"retention_percent_max": 50})
    clock.at = placement.expires_at - dt.timedelta(days=1)
    with world.database.work(agency.actor) as work:
        promises.record(work, kept, promises.PromiseReport(Decimal(10), "CNY", day_of(work.at)))
        retentions.request(work, placement.id, [kept], "promise", 10)
    with world.database.work(lender.someone.actor) as work:
        retentions.decide(work, [line.retention.id for line in retentions.list_own(work)], approve=True)
    clock.forward(days=1, minutes=1)
    with world.database.work(Actor(side=JOBS, org_id=lender.id, name="test")) as work:
        assert expiries.expire_due(work) == 0
        work.session.execute(delete(OutboxEntry))  # as if the log had taken everything so far
    with pytest.raises(Conflict) as awaited:
        opened(world, agency, kept)
    assert awaited.value.code == "keys_awaited"
    order_id = waiting(world, lender)
    terms = document(world, lender, order_id)["terms_base"]
    assert terms["expires_at"] == int((placement.expires_at + dt.timedelta(days=10)).timestamp())
    lender.carry_out(order_id)
    assert opened(world, agency, kept)
    with pytest.raises(Conflict) as ended:
        opened(world, agency, gone)
    assert ended.value.code == "placement_expired"


def test_a_lease_made_once_more_has_a_higher_serial(world: World) -> None:
    lender, agency = own_lender(world), own_agency(world)
    placement = placed(world, lender, agency.someone)
    with world.database.work(lender.someone.actor) as work:
        order = custodies.order(work, "lease", placement.id)
    lender.carry_out(order.id)
    (case_id, _) = world.case_ids(placement, lender.someone)
    package = opened(world, agency.someone, case_id)
    assert package["grant"]["serial"] == 2
    assert agency.open(package, (lender.someone, lender.keys.public.signing))["name"] == "张三"


def test_an_agencys_changed_key_gets_its_leases_when_two_people_have_compared_it(world: World) -> None:
    lender, agency = own_lender(world), own_agency(world)
    placement = placed(world, lender, agency.someone)
    agency.change_keys()
    agency.publish()
    confirm(world, lender.someone, agency.someone)
    with world.database.work(lender.someone.actor) as work:
        assert key_orders.count_open(work) == 0
    confirm(world, world.person(lender.someone, "administrator"), agency.someone)
    order_id = waiting(world, lender)
    with pytest.raises(Distrusted, match="pinned"):  # The lender's tool compares for itself.
        lender.answer(document(world, lender, order_id))
    lender.pin(agency.someone, "kem", agency.keys.public.kem)
    lender.carry_out(order_id)
    (case_id, _) = world.case_ids(placement, lender.someone)
    package = opened(world, agency.someone, case_id)
    assert agency.open(package, (lender.someone, lender.keys.public.signing))["name"] == "张三"
    confirm(world, world.person(lender.someone, "administrator"), agency.someone)
    with world.database.work(lender.someone.actor) as work:
        assert key_orders.count_open(work) == 0  # A third person's comparison changes nothing.


def test_a_lenders_new_key_opens_what_the_old_one_had_sealed_once_its_tool_has_wrapped_it(world: World) -> None:
    lender = own_lender(world)
    lender.upload(1)
    old = lender.change_keys()
    lender.publish()
    lender.carry_out(waiting(world, lender), old)
    with world.database.work(lender.someone.actor) as work:
        (line,) = cases.list_own(work)
    assert lender.open(opened(world, lender.someone, line.case.id))["name"] == "张三"


def test_wraps_of_another_key_or_order_are_refused_whole(world: World) -> None:
    lender = own_lender(world)
    lender.upload(1)
    old = lender.change_keys()
    lender.publish()
    order_id = waiting(world, lender)
    good = lender.answer(document(world, lender, order_id), old)
    for change, code in (
        (lambda given: given["grants"].reverse(), "answer_keys"),
        (lambda given: given["grants"].pop(), "answer_incomplete"),
        (lambda given: given.update(grants="x"), "answer_incomplete"),
    ):
        assert refusal_of(world, lender, order_id, spoilt(lender, good, change)) == code
    answer(world, lender, order_id, good)


# --- new keys for a portfolio ---------------------------------------------------------------------------------------


def note(world: World, agency: Someone, case_id: UUID, text: str | None = "本人称下周还款") -> UUID:
    report = ContactReport("call", "outbound", "debtor", "conversation", world.clock(), note=text)
    with world.database.work(agency.actor) as work:
        return contacts.record(work, case_id, report).id


def test_an_agency_whose_key_we_hold_seals_its_notes_through_its_lease(world: World) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = placed(world, lender, agency)
    (case_id, _) = world.case_ids(placement, lender.someone)
    contact_id = note(world, agency, case_id)
    assert opened(world, agency, case_id, "notes") == {str(contact_id): "本人称下周还款"}
    assert lender.open(opened(world, lender.someone, case_id, "notes")) == {str(contact_id): "本人称下周还款"}


def test_where_both_hold_their_keys_a_note_cannot_be_sealed_here_and_the_contact_can_be_logged(world: World) -> None:
    lender, agency = own_lender(world), own_agency(world)
    placement = placed(world, lender, agency.someone)
    (case_id, _) = world.case_ids(placement, lender.someone)
    with pytest.raises(Conflict, match="note_needs_own_key"):
        note(world, agency.someone, case_id)
    note(world, agency.someone, case_id, text=None)


def test_an_agency_that_holds_its_key_writes_notes_for_a_lender_whose_keys_we_hold(world: World) -> None:
    lender, agency = world.lender(), own_agency(world)
    placement = world.placement(lender, agency.someone)
    confirm(world, lender, agency.someone)
    (case_id, *_) = world.case_ids(placement, lender)
    contact_id = note(world, agency.someone, case_id)
    package = opened(world, agency.someone, case_id, "notes")
    with world.database.work(lender.actor) as work:
        keys = key_directory.find_own(work)
    assert keys is not None
    assert agency.open(package, (lender, keys.signing.public_key)) == {str(contact_id): "本人称下周还款"}


def rekeyed(world: World, lender: OwnKeys, placement: Placement) -> UUID:
    with world.database.work(lender.someone.actor) as work:
        return custodies.order(work, "rekey", placement.portfolio_id).id


def test_after_new_keys_the_lender_opens_with_them_and_the_agency_awaits_its_leases(world: World) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = placed(world, lender, agency)
    (case_id, _) = world.case_ids(placement, lender.someone)
    contact_id = note(world, agency, case_id)
    before = opened(world, lender.someone, case_id)
    lender.carry_out(rekeyed(world, lender, placement))
    after = opened(world, lender.someone, case_id)
    assert (before["epoch"], after["epoch"]) == (1, 2)
    assert before["cell"] != after["cell"]
    assert lender.open(after)["name"] == "张三"
    with pytest.raises(Conflict, match="keys_awaited"):
        opened(world, agency, case_id)
    with world.database.work(agency.actor) as work:
        assert placements.get(work, placement.id).state == ACTIVE
    lender.carry_out(waiting(world, lender))
    assert opened(world, agency, case_id)["name"] == "张三"
    assert opened(world, agency, case_id, "notes") == {str(contact_id): "本人称下周还款"}


def test_a_cell_under_the_new_key_does_not_open_with_the_old_one(world: World) -> None:
    lender = own_lender(world)
    placement = placed(world, lender, world.agency())
    (case_id, _) = world.case_ids(placement, lender.someone)
    before = opened(world, lender.someone, case_id)
    lender.carry_out(rekeyed(world, lender, placement))
    after = opened(world, lender.someone, case_id)
    with pytest.raises(SealBroken):
        lender.open(before | {"cell": after["cell"]})


def test_the_old_keys_go_with_the_answer(world: World) -> None:
    lender = own_lender(world)
    placement = placed(world, lender, world.agency())
    lender.carry_out(rekeyed(world, lender, placement))
    assert class_keys_of(world, lender) == {(name, 2) for name in FIELD_CLASSES}


def test_the_old_key_under_which_a_file_is_sealed_stays(world: World) -> None:
    lender = own_lender(world)
    placement = placed(world, lender, world.agency())
    (case_id, _) = world.case_ids(placement, lender.someone)
    with world.database.work(lender.someone.actor) as work:
        work.session.add(file_of(world, lender.someone, case_id))
    lender.carry_out(rekeyed(world, lender, placement))
    assert class_keys_of(world, lender) == {*((name, 2) for name in FIELD_CLASSES), (NOTES, 1)}


def test_a_key_under_which_a_file_is_sealed_moves_to_the_new_key_file_too(world: World) -> None:
    lender = own_lender(world)
    placement = placed(world, lender, world.agency())
    (case_id, _) = world.case_ids(placement, lender.someone)
    with world.database.work(lender.someone.actor) as work:
        work.session.add(file_of(world, lender.someone, case_id))
    lender.carry_out(rekeyed(world, lender, placement))
    old = lender.change_keys()
    lender.publish()
    with world.database.work(lender.someone.actor) as work:
        (order_id,) = (order.id for order in key_orders.list_own(work, state="open") if order.kind == "rewrap")
    lender.carry_out(order_id, old)
    with world.database.work(lender.someone.actor) as work:
        assert {row.serial for row in work.session.scalars(select(ClassKey))} == {2}
    assert (NOTES, 1) in class_keys_of(world, lender)


def class_keys_of(world: World, lender: OwnKeys) -> set[tuple[str, int]]:
    with world.database.work(lender.someone.actor) as work:
        return {(row.field_class, row.epoch) for row in work.session.scalars(select(ClassKey))}


def file_of(world: World, lender: Someone, case_id: UUID) -> CaseDocument:
    return CaseDocument(
        lender_id=lender.organisation.id,
        id=new_id(),
        object_id=new_id(),
        case_id=case_id,
        kind="letter",
        media_type="application/pdf",
        byte_count=1,
        sealed_digest=bytes(32),
        epoch=1,
        added_by=lender.member.id,
        member_name=lender.member.name,
        added_at=world.clock(),
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda given: given["cases"].pop(), "answer_incomplete"),
        (lambda given: given["cases"].append(given["cases"][0]), "answer_broken"),
        (lambda given: given["cases"][0]["cells"].pop("contact"), "answer_incomplete"),
        (lambda given: given["cases"][0]["cells"].update(contact=to_base64(bytes(99))), "answer_broken"),
        (lambda given: given["cases"][0]["notes"].append(STRANGE_NOTE), "answer_incomplete"),
        (lambda given: given["cases"][0].update(notes=3), "answer_broken"),
        (lambda given: given.update(epoch=3), "answer_incomplete"),
        (lambda given: given.update(cases=7), "answer_incomplete"),
        (lambda given: given["classes"].update(identity=given["classes"]["contact"]), "answer_keys"),
    ],
)
def test_new_keys_that_are_not_complete_change_nothing(world: World, change: Any, code: str) -> None:
    lender = own_lender(world)
    placement = placed(world, lender, world.agency())
    order_id = rekeyed(world, lender, placement)
    good = lender.answer(document(world, lender, order_id))
    assert refusal_of(world, lender, order_id, spoilt(lender, good, change)) == code
    (case_id, _) = world.case_ids(placement, lender.someone)
    assert opened(world, lender.someone, case_id)["epoch"] == 1


def refused_document(world: World, lender: OwnKeys, order_id: UUID, **actor: object) -> str:
    with (
        pytest.raises((Forbidden, Unavailable)) as refused,
        world.database.work(replace(lender.proved, **actor)) as work,
    ):
        custodies.document(work, order_id)
    return refused.value.code


def test_an_order_that_holds_a_whole_portfolio_goes_to_a_person_who_has_just_proved_it(
    world: World, clock: Clock
) -> None:
    lender = own_lender(world)
    placement = placed(world, lender, world.agency())
    old = lender.change_keys()
    lender.publish()
    with world.database.work(lender.someone.actor) as work:
        orders = {order.kind: order.id for order in key_orders.list_own(work, state="open")}
    lender.keys = old
    for order_id in (orders["rewrap"], rekeyed(world, lender, placement)):
        assert refused_document(world, lender, order_id, scopes=frozenset({"exchange"})) == "step_up_needs_person"
        assert refused_document(world, lender, order_id, proved_at=None) == "step_up_required"
        long_ago = clock() - release_limits.PROOF_LASTS
        assert refused_document(world, lender, order_id, proved_at=long_ago) == "step_up_required"
        assert document(world, lender, order_id)


def test_no_portfolio_leaves_in_an_order_while_the_log_does_not_run(world: World, clock: Clock) -> None:
    lender = own_lender(world)
    order_id = rekeyed(world, lender, placed(world, lender, world.agency()))
    clock.forward(seconds=audit.OUTBOX_AGE_SECONDS_MAX + 1)
    assert refused_document(world, lender, order_id) == "log_down"


def test_a_portfolio_that_we_sealed_is_not_for_the_lenders_tool(world: World) -> None:
    lender = world.lender()
    portfolio = world.portfolio(lender, 1)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict, match="not_sealed_by_you"):
        custodies.order(work, "rekey", portfolio.id)


# --- erasure --------------------------------------------------------------------------------------------------------


def by_administrator(world: World, lender: OwnKeys) -> OwnKeys:
    """The same organisation's keys in the hands of somebody who may erase."""
    return OwnKeys(world, world.person(lender.someone, "administrator"), lender.keys)


def test_an_erasure_is_carried_out_under_the_lenders_own_signature(world: World) -> None:
    lender = own_lender(world)
    lender.upload(2)
    eraser = by_administrator(world, lender)
    with world.database.work(eraser.someone.actor) as work:
        first, second = (line.case.id for line in cases.list_own(work))
        order = custodies.order(work, "erase", first, "case")
    eraser.carry_out(order.id)
    with pytest.raises(Conflict, match="case_erased"):
        opened(world, lender.someone, first)
    assert lender.open(opened(world, lender.someone, second))["name"] == "张三"


def test_who_may_not_erase_neither_orders_nor_answers_an_erasure(world: World) -> None:
    lender = own_lender(world)
    lender.upload(1)
    with world.database.work(lender.someone.actor) as work:
        (line,) = cases.list_own(work)
    with pytest.raises(Forbidden), world.database.work(lender.someone.actor) as work:
        custodies.order(work, "erase", line.case.id, "case")
    eraser = by_administrator(world, lender)
    with world.database.work(eraser.someone.actor) as work:
        order = custodies.order(work, "erase", line.case.id, "case")
    with pytest.raises(Forbidden):
        lender.carry_out(order.id)


def test_new_keys_that_meet_an_erasure_leave_nothing_of_the_erased_case(world: World) -> None:
    lender = own_lender(world)
    portfolio = lender.upload(2)
    eraser = by_administrator(world, lender)
    with world.database.work(eraser.someone.actor) as work:
        first, _ = (line.case.id for line in cases.list_own(work))
        erasing = custodies.order(work, "erase", first, "case").id
        rekeying = custodies.order(work, "rekey", portfolio.id).id
    record = eraser.answer(document(world, eraser, erasing))
    data = lender.answer(document(world, lender, rekeying))
    with ThreadPoolExecutor(1) as thread, world.database.work(eraser.someone.actor) as work:
        custodies.answer(work, erasing, record)
        answering = thread.submit(refusal_of, world, lender, rekeying, data)
        with pytest.raises(TimeoutError):
            answering.result(0.3)  # It waits for the case, which the erasure has locked.
        work.session.commit()
        assert answering.result(10) == "answer_incomplete"


def test_the_record_of_another_erasure_erases_nothing(world: World) -> None:
    lender = own_lender(world)
    lender.upload(2)
    eraser = by_administrator(world, lender)
    with world.database.work(eraser.someone.actor) as work:
        first, second = (line.case.id for line in cases.list_own(work))
        orders = [custodies.order(work, "erase", case_id, "case").id for case_id in (first, second)]
    of_first, of_second = (json.loads(eraser.answer(document(world, eraser, order_id))) for order_id in orders)
    swapped = {name: of_second[name] for name in ("record", "record_signature")}
    bad = spoilt(lender, json.dumps(of_first).encode(), lambda given: given.update(swapped))
    with pytest.raises(Conflict, match="erasure_record_wrong"):
        answer(world, eraser, orders[0], bad)
    assert lender.open(opened(world, lender.someone, first))["name"] == "张三"


def test_a_lease_of_another_case_does_not_open_this_one(world: World) -> None:
    lender, agency = own_lender(world), own_agency(world)
    placement = placed(world, lender, agency.someone)
    first, second = (opened(world, agency.someone, case_id) for case_id in world.case_ids(placement, lender.someone))
    with pytest.raises(SealBroken):
        agency.open(first | {"lease": second["lease"]}, (lender.someone, lender.keys.public.signing))
    garbage = to_base64(seal(bytes(32), b"", bytes(36)))
    with pytest.raises(SealBroken):
        agency.open(first | {"lease": garbage}, (lender.someone, lender.keys.public.signing))


def test_a_recall_that_came_first_cancels_the_order_under_its_answer(world: World) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = place(world, lender, agency)
    order_id = waiting(world, lender)
    data = lender.answer(document(world, lender, order_id))
    with ThreadPoolExecutor(1) as thread, world.database.work(lender.someone.actor) as work:
        recalls.recall(work, placement.id, "complaint")
        answering = thread.submit(answer, world, lender, order_id, data)
        with pytest.raises(TimeoutError):
            answering.result(0.3)  # It waits for the placement, which the recall has locked.
        work.session.commit()
        with pytest.raises(Conflict, match="order_cancelled"):
            answering.result(10)
    assert left(world, lender) == (0, 0)
