"""Webhooks, end to end: a notice, the clock, the queue's real worker, and a server at the far side that checks."""

import asyncio
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from crypto.webhooks import parse_secret, verify
from jobs import webhooks as webhook_jobs
from jobs import worker
from jobs.nightly import JobFailed
from models.database import Database
from models.ids import new_id
from models.notice import AGENCY
from models.outbound import Courier
from models.services import notices, webhook_deliveries, webhooks
from models.services.webhooks import NewWebhook
from models.webhook import WebhookDelivery
from models.work import JOBS, Actor, Work
from tests.receiver import Receiver, listening
from tests.world import Someone, World

PLAIN = Courier(local=True)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as found:
        yield found


def subscribe(world: World, someone: Someone, receiver: Receiver) -> NewWebhook:
    with world.database.work(someone.actor) as work:
        return webhooks.create(work, receiver.url(), [], local=True)


def tell(world: World, lender: Someone, agency: Someone, *kinds: str) -> None:
    for kind in kinds:
        with world.database.work(lender.actor) as work:
            notices.tell(work, lender.organisation.id, agency.organisation.id, AGENCY, kind, "offer", new_id())
    webhook_jobs.pass_on(world.database)


def work_off(database: Database, courier: Courier = PLAIN) -> None:
    """A worker that ends when nothing is due any more."""

    async def run() -> None:
        app = worker.make_app(database, database.engine.url.render_as_string(hide_password=False), courier)
        async with app.open_async():
            await app.run_worker_async(wait=False, concurrency=4, install_signal_handlers=False)

    while due(database):
        asyncio.run(run())


def due(database: Database) -> bool:
    """Whether anything waits whose time has come; of tasks that follow each other only the first can be taken."""
    waiting = text(
        "select exists (select from procrastinate.procrastinate_jobs where queue_name = 'webhooks'"
        " and status = 'todo' and scheduled_at <= now())"
    )
    with database.work(Actor(side=JOBS, org_id=uuid4())) as work:
        return bool(work.session.scalar(waiting))


def deliveries(world: World, someone: Someone, hook: NewWebhook) -> list[WebhookDelivery]:
    with world.database.work(someone.actor) as work:
        return webhook_deliveries.list_own(work, hook.row.id)[::-1]


def test_what_is_told_arrives_signed_and_in_order(world: World, receiver: Receiver) -> None:
    lender, agency = world.lender(), world.agency()
    hook = subscribe(world, agency, receiver)
    kinds = ["offer.made", "offer.withdrawn", "offer.made", "placement.recalled"]
    tell(world, lender, agency, *kinds)
    work_off(world.database)
    assert receiver.events() == kinds
    for received in receiver.received:
        head = (received.headers["webhook-id"], int(received.headers["webhook-timestamp"]))
        assert verify(parse_secret(hook.secret), *head, received.body, received.headers["webhook-signature"])
    assert [row.state for row in deliveries(world, agency, hook)] == ["delivered"] * 4


def test_an_agency_of_two_lenders_hears_of_both_at_one_address(world: World, receiver: Receiver) -> None:
    lenders, agency = (world.lender(), world.lender()), world.agency()
    subscribe(world, agency, receiver)
    for lender in lenders:
        tell(world, lender, agency, "offer.made")
    work_off(world.database)
    assert {one.event["data"]["lender_id"] for one in receiver.received} == {
        str(lender.organisation.id) for lender in lenders
    }


def test_one_that_is_not_taken_holds_up_no_other_and_waits_for_its_turn(world: World, receiver: Receiver) -> None:
    lender, agency = world.lender(), world.agency()
    hook = subscribe(world, agency, receiver)
    receiver.answers = [500]
    tell(world, lender, agency, "offer.made", "placement.recalled")
    work_off(world.database)
    assert [(r.state, r.attempts, r.status) for r in deliveries(world, agency, hook)] == [
        ("waiting", 1, 500),
        ("delivered", 1, 204),
    ]


def test_the_next_attempt_comes_by_itself_under_the_same_id(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_deliveries, "SCHEDULE", (0, 0, 0))
    lender, agency = world.lender(), world.agency()
    hook = subscribe(world, agency, receiver)
    receiver.answers = [500, 503]
    tell(world, lender, agency, "offer.made")
    work_off(world.database)
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
    assert len(receiver.received) == 3
    assert [(r.state, r.attempts) for r in deliveries(world, agency, hook)] == [("delivered", 3)]


def test_gone_means_gone(world: World, receiver: Receiver) -> None:
    lender, agency = world.lender(), world.agency()
    hook = subscribe(world, agency, receiver)
    receiver.answers = [410]
    tell(world, lender, agency, "offer.made", "offer.made")
    work_off(world.database)
    assert len(receiver.received) == 1
    with world.database.work(agency.actor) as work:
        assert webhooks.get(work, hook.row.id).pause_reason == "gone"
    assert [(r.state, r.status) for r in deliveries(world, agency, hook)] == [("failed", 410), ("waiting", None)]


def test_without_the_setting_for_development_this_machine_is_not_called(world: World, receiver: Receiver) -> None:
    lender, agency = world.lender(), world.agency()
    hook = subscribe(world, agency, receiver)
    tell(world, lender, agency, "offer.made")
    work_off(world.database, Courier())
    assert receiver.received == []
    assert [(r.failure, r.status) for r in deliveries(world, agency, hook)] == [("address_refused", None)]


def test_one_slow_receiver_keeps_nobody_else_waiting(world: World, receiver: Receiver) -> None:
    lender, slow, quick = world.lender(), world.agency(), world.agency()
    with listening() as stuck:
        stuck.gate.clear()
        waiting = subscribe(world, slow, stuck)
        subscribe(world, quick, receiver)
        tell(world, lender, slow, "offer.made", "offer.made")
        tell(world, lender, quick, "offer.made", "offer.made")
        work_off(world.database, Courier(local=True, seconds_max=0.5))
    assert receiver.events() == ["offer.made", "offer.made"]
    assert len(stuck.received) == 1
    assert [r.failure for r in deliveries(world, slow, waiting)] == ["timeout", "timeout"]


def test_what_goes_wrong_here_is_told_by_its_class_alone(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(receiver.url())

    lender, agency = world.lender(), world.agency()
    hook = subscribe(world, agency, receiver)
    tell(world, lender, agency, "offer.made")
    (row,) = deliveries(world, agency, hook)
    monkeypatch.setattr(webhook_deliveries, "finish", broken)
    with pytest.raises(JobFailed) as failed:
        webhook_jobs.deliver(world.database, PLAIN, agency.organisation.id, [(row.id, 0)])
    assert str(failed.value) == "RuntimeError"
    assert receiver.url() not in caplog.text
    assert [(r.state, r.attempts) for r in deliveries(world, agency, hook)] == [("waiting", 0)]


def test_one_that_breaks_here_holds_up_no_other(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    lender, agency = world.lender(), world.agency()
    hook = subscribe(world, agency, receiver)
    tell(world, lender, agency, "offer.made", "offer.withdrawn")
    bad, good = deliveries(world, agency, hook)
    begin = webhook_deliveries.begin

    def breaking(work: Work, delivery_id: UUID, attempt: int) -> webhook_deliveries.Attempt | None:
        if delivery_id == bad.id:
            raise RuntimeError
        return begin(work, delivery_id, attempt)

    monkeypatch.setattr(webhook_deliveries, "begin", breaking)
    with pytest.raises(JobFailed):
        webhook_jobs.deliver(world.database, PLAIN, agency.organisation.id, [(bad.id, 0), (good.id, 0)])
    assert [r.state for r in deliveries(world, agency, hook)] == ["waiting", "delivered"]
