"""Webhooks: who may make them, what they are sent, and what becomes of one that nobody answers at."""

import datetime as dt
import json
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from crypto.webhooks import parse_secret, verify
from jobs.webhooks import pass_on, purge
from models.database import Database
from models.errors import Conflict, Invalid, NotFound
from models.ids import new_id
from models.notice import AGENCY, LENDER, Notice
from models.outbound import Answer
from models.services import notices, webhook_deliveries, webhooks
from models.services.webhook_deliveries import ATTEMPTS_MAX, JITTER, SCHEDULE, Attempt
from models.services.webhooks import WEBHOOKS_MAX, NewWebhook
from models.webhook import FAILURES, Webhook, WebhookDelivery
from models.work import AGENCY as AGENCY_SIDE
from models.work import JOBS, Actor
from tests.conftest import Clock
from tests.world import Someone, World

URL = "https://hooks.example.com/consign"
GOOD, BAD = Answer(204), Answer(500)


def hook(world: World, someone: Someone, kinds: list[str] | None = None) -> NewWebhook:
    with world.database.work(someone.actor) as work:
        return webhooks.create(work, URL, kinds or [])


def tell(world: World, lender: Someone, agency: Someone, told: str = AGENCY, kind: str = "offer.made") -> UUID:
    with world.database.work(lender.actor) as work:
        subject = new_id()
        notices.tell(work, lender.organisation.id, agency.organisation.id, told, kind, "offer", subject, cases=3)
        return subject


def robot(someone: Someone) -> Actor:
    """As whom the jobs act for the organisation."""
    side = AGENCY_SIDE if someone.organisation.kind == "agency" else JOBS
    return Actor(side=side, org_id=someone.organisation.id, name="webhooks")


def deliveries(world: World, someone: Someone, hook: NewWebhook) -> list[WebhookDelivery]:
    with world.database.work(someone.actor) as work:
        return webhook_deliveries.list_own(work, hook.row.id)[::-1]


def attempt(world: World, someone: Someone, row: WebhookDelivery, number: int, answer: Answer) -> Attempt | None:
    with world.database.work(robot(someone)) as work:
        begun = webhook_deliveries.begin(work, row.id, number)
    if begun:
        with world.database.work(robot(someone)) as work:
            webhook_deliveries.finish(work, row.id, number, answer)
    return begun


def queued(world: World, someone: Someone) -> list[tuple[str, int, bool]]:
    """The attempts that wait: at which delivery, after how many, and whether its task has to wait for another."""
    waiting = text(
        "select args->'deliveries', lock is not null from procrastinate.procrastinate_jobs"
        " where queue_name = 'webhooks' and args->>'org_id' = :org order by id"
    )
    with world.database.work(robot(world.lender())) as work:
        tasks = work.session.execute(waiting, {"org": str(someone.organisation.id)}).all()
    return [(id_, attempt, in_turn) for deliveries, in_turn in tasks for id_, attempt in deliveries]


@pytest.mark.parametrize("kind", ["lender", "agency"])
def test_a_notice_goes_to_the_webhooks_of_whom_it_tells(world: World, kind: str) -> None:
    lender, agency = world.lender("administrator"), world.agency()
    told, other = (lender, agency) if kind == "lender" else (agency, lender)
    mine, others = hook(world, told), hook(world, other)
    tell(world, lender, agency, kind, "offer.expired")
    pass_on(world.database)
    (row,) = deliveries(world, told, mine)
    assert (row.kind, row.state, row.attempts) == ("offer.expired", "waiting", 0)
    assert deliveries(world, other, others) == []
    assert queued(world, told) == [(str(row.id), 0, True)]


def test_what_was_passed_on_is_not_passed_on_again(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    for _ in range(2):
        pass_on(world.database)
    assert len(deliveries(world, agency, mine)) == 1


def test_a_webhook_hears_of_its_kinds_and_of_nothing_before_it(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    tell(world, lender, agency)
    clock.forward(seconds=1)
    offers, everything = hook(world, agency, ["offer.made"]), hook(world, agency)
    tell(world, lender, agency, kind="placement.recalled")
    tell(world, lender, agency)
    pass_on(world.database)
    assert [row.kind for row in deliveries(world, agency, offers)] == ["offer.made"]
    assert [row.kind for row in deliveries(world, agency, everything)] == ["placement.recalled", "offer.made"]


def test_more_than_one_transaction_takes_is_passed_on_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_deliveries, "NOTICES_MAX", 2)
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    for _ in range(5):
        tell(world, lender, agency)
    pass_on(world.database)
    assert len(deliveries(world, agency, mine)) == 5


def test_an_attempt_carries_the_event_signed(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    offer = tell(world, lender, agency)
    pass_on(world.database)
    (row,) = deliveries(world, agency, mine)
    sent = attempt(world, agency, row, 0, GOOD)
    assert sent is not None
    assert sent.url == URL
    event = json.loads(sent.body)
    assert event["type"] == "offer.made"
    assert event["timestamp"] == "2026-03-10T02:00:00.000000+00:00"
    assert event["data"]["subject"] == {"kind": "offer", "id": str(offer)}
    assert event["data"]["facts"] == {"cases": 3}
    assert event["data"]["lender_id"] == str(lender.organisation.id)
    head = (sent.headers["webhook-id"], int(sent.headers["webhook-timestamp"]))
    assert head == (str(row.id), int(clock().timestamp()))
    assert verify(parse_secret(mine.secret), *head, sent.body, sent.headers["webhook-signature"])


def test_a_retry_is_the_same_event_signed_anew(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    (row,) = deliveries(world, agency, mine)
    first = attempt(world, agency, row, 0, BAD)
    clock.forward(seconds=6)
    second = attempt(world, agency, row, 1, GOOD)
    assert first is not None
    assert second is not None
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 6
    assert [(r.state, r.attempts, r.status) for r in deliveries(world, agency, mine)] == [("delivered", 2, 204)]


def test_an_attempt_that_was_made_is_not_made_again(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    (row,) = deliveries(world, agency, mine)
    assert attempt(world, agency, row, 0, BAD)
    assert attempt(world, agency, row, 0, GOOD) is None
    assert attempt(world, agency, row, 1, GOOD)
    assert attempt(world, agency, row, 2, GOOD) is None


def test_where_nobody_answers_the_first_nobody_is_asked_about_the_rest(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    for _ in range(3):
        tell(world, lender, agency)
    pass_on(world.database)
    first, second, third = deliveries(world, agency, mine)
    with world.database.work(robot(agency)) as work:
        answer = Answer(None, "refused")
        webhook_deliveries.finish(work, first.id, 0, answer, [(second.id, 0), (third.id, 7)])
    rows = deliveries(world, agency, mine)
    assert [(row.attempts, row.failure) for row in rows] == [(1, "refused"), (1, "refused"), (0, None)]
    assert queued(world, agency)[3:] == [(str(first.id), 1, False), (str(second.id), 1, False)]


def test_what_happens_later_does_not_wait_for_what_nobody_answered_before(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    (first,) = deliveries(world, agency, mine)
    assert attempt(world, agency, first, 0, Answer(None, "refused"))
    clock.forward(seconds=1)
    tell(world, lender, agency)
    pass_on(world.database)
    first, second = deliveries(world, agency, mine)
    assert attempt(world, agency, second, 0, GOOD)
    assert first.due_at is not None
    assert first.due_at > clock()


def test_of_two_answers_to_one_attempt_the_first_is_kept(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    (row,) = deliveries(world, agency, mine)
    for answer in (GOOD, BAD):
        with world.database.work(robot(agency)) as work:
            webhook_deliveries.finish(work, row.id, 0, answer)
    assert [(r.state, r.status) for r in deliveries(world, agency, mine)] == [("delivered", 204)]


def test_the_waits_are_those_of_the_schedule_and_then_it_is_given_up(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    (row,) = deliveries(world, agency, mine)
    for number, wait in enumerate(SCHEDULE):
        attempt(world, agency, row, number, Answer(None, "timeout"))
        (row,) = deliveries(world, agency, mine)
        assert row.due_at is not None
        assert wait <= (row.due_at - clock()).total_seconds() <= wait * (1 + JITTER)
        assert (str(row.id), number + 1, False) in queued(world, agency)
        clock.at = row.due_at
    attempt(world, agency, row, ATTEMPTS_MAX - 1, Answer(None, "timeout"))
    (row,) = deliveries(world, agency, mine)
    assert (row.state, row.failure, row.due_at, row.attempts) == ("failed", "timeout", None, ATTEMPTS_MAX)


def test_nothing_got_through_for_days_pauses_and_says_so(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    (row,) = deliveries(world, agency, mine)
    for number in range(ATTEMPTS_MAX):
        attempt(world, agency, row, number, BAD)
    with world.database.work(agency.actor) as work:
        assert (webhooks.get(work, mine.row.id).state, webhooks.get(work, mine.row.id).pause_reason) == (
            "paused",
            "failing",
        )
        (said,) = notices.list_own(work, kind="webhook.paused")
    assert (said.subject_id, said.facts) == (mine.row.id, {"reason": "failing"})


def test_one_event_that_is_never_taken_pauses_nothing(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    bad, good = deliveries(world, agency, mine)
    attempt(world, agency, good, 0, GOOD)
    for number in range(ATTEMPTS_MAX):
        attempt(world, agency, bad, number, BAD)
    with world.database.work(agency.actor) as work:
        assert webhooks.get(work, mine.row.id).state == "active"
    assert [row.state for row in deliveries(world, agency, mine)] == ["failed", "delivered"]


def test_gone_pauses_at_once_and_says_so(world: World) -> None:
    lender, agency = world.lender("administrator"), world.agency()
    mine = hook(world, lender)
    tell(world, lender, agency, LENDER, "offer.declined")
    pass_on(world.database)
    (row,) = deliveries(world, lender, mine)
    attempt(world, lender, row, 0, Answer(410))
    with world.database.work(lender.actor) as work:
        assert webhooks.get(work, mine.row.id).pause_reason == "gone"
        assert [n.facts for n in notices.list_own(work, kind="webhook.paused")] == [{"reason": "gone"}]


def test_whoever_asks_to_come_later_is_asked_later_and_not_for_ever(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    (row,) = deliveries(world, agency, mine)
    attempt(world, agency, row, 0, Answer(429, None, 100))
    attempt(world, agency, row, 1, Answer(503, None, 999_999))
    (row,) = deliveries(world, agency, mine)
    assert row.due_at is not None
    assert SCHEDULE[-1] <= (row.due_at - clock()).total_seconds() <= SCHEDULE[-1] * (1 + JITTER)


def test_what_happens_in_a_pause_waits_and_is_sent_in_order(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    with world.database.work(agency.actor) as work:
        webhooks.pause(work, mine.row.id)
    for _ in range(3):
        tell(world, lender, agency)
    pass_on(world.database)
    rows = deliveries(world, agency, mine)
    assert queued(world, agency) == []
    assert attempt(world, agency, rows[0], 0, GOOD) is None
    with world.database.work(agency.actor) as work:
        webhooks.resume(work, mine.row.id)
    assert queued(world, agency) == [(str(row.id), 0, True) for row in rows]


def test_a_pause_twice_and_a_resumption_of_what_runs_are_refused(world: World) -> None:
    agency = world.agency()
    mine = hook(world, agency)
    with world.database.work(agency.actor) as work, pytest.raises(Conflict):
        webhooks.resume(work, mine.row.id)
    with world.database.work(agency.actor) as work:
        webhooks.pause(work, mine.row.id)
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        webhooks.pause(work, mine.row.id)
    assert refused.value.code == "wrong_state"


def test_a_deleted_webhook_sends_nothing_and_keeps_no_secret(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    (row,) = deliveries(world, agency, mine)
    with world.database.work(agency.actor) as work:
        webhooks.delete(work, mine.row.id)
    assert attempt(world, agency, row, 0, GOOD) is None
    with world.database.work(robot(agency)) as work:
        webhook_deliveries.finish(work, row.id, 0, GOOD)
    with world.database.work(agency.actor) as work:
        kept = work.session.scalars(select(Webhook).where(Webhook.id == mine.row.id)).one()
        left = work.session.scalars(select(WebhookDelivery).where(WebhookDelivery.id == row.id)).one()
        assert (kept.secret, kept.old_secret, left.state) == (b"", None, "failed")
        assert webhooks.list_own(work) == []
        with pytest.raises(NotFound):
            webhooks.get(work, mine.row.id)


def test_after_a_rotation_both_secrets_sign_for_a_day(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    old = hook(world, agency)
    with world.database.work(agency.actor) as work:
        new = webhooks.rotate(work, old.row.id)
    assert new.secret != old.secret

    def signed_by() -> list[bool]:
        tell(world, lender, agency)
        pass_on(world.database)
        row = deliveries(world, agency, old)[-1]
        sent = attempt(world, agency, row, 0, GOOD)
        assert sent is not None
        told = (sent.headers["webhook-id"], int(sent.headers["webhook-timestamp"]), sent.body)
        return [verify(parse_secret(made.secret), *told, sent.headers["webhook-signature"]) for made in (old, new)]

    assert signed_by() == [True, True]
    clock.forward(days=1)
    assert signed_by() == [False, True]


def test_a_secret_is_sealed_and_shows_itself_once(world: World) -> None:
    agency = world.agency()
    mine = hook(world, agency)
    raw = parse_secret(mine.secret).reveal()
    with world.database.work(agency.actor) as work:
        kept = webhooks.get(work, mine.row.id).secret
    assert raw not in kept
    assert mine.secret not in repr(mine)
    assert mine.secret not in str(vars(mine.row))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://hooks.example.com/", "url_not_https"),
        ("https://user:secret@hooks.example.com/", "url_not_plain"),
        ("https://10.0.0.7/", "address_refused"),
    ],
)
def test_an_address_we_would_never_call_is_refused_with_its_reason(world: World, url: str, code: str) -> None:
    with world.database.work(world.agency().actor) as work, pytest.raises(Invalid) as refused:
        webhooks.create(work, url, [])
    assert [(e.field, e.code) for e in refused.value.errors] == [("url", code)]


def test_http_is_for_development_alone(world: World) -> None:
    with world.database.work(world.agency().actor) as work:
        assert webhooks.create(work, "http://127.0.0.1:8080/", [], local=True).row.state == "active"


def test_a_kind_that_nobody_is_told_is_refused(world: World) -> None:
    with world.database.work(world.agency().actor) as work, pytest.raises(Invalid) as refused:
        webhooks.create(work, URL, ["everything.happens"])
    assert [(e.field, e.code) for e in refused.value.errors] == [("kinds", "unknown_value")]


def test_there_are_so_many_and_no_more(world: World) -> None:
    agency = world.agency()
    for _ in range(WEBHOOKS_MAX):
        hook(world, agency)
    with pytest.raises(Conflict) as refused:
        hook(world, agency)
    assert refused.value.code == "too_many_webhooks"


def test_a_test_event_is_delivered_like_any_other(world: World) -> None:
    agency = world.agency()
    mine = hook(world, agency)
    with world.database.work(agency.actor) as work:
        row = webhook_deliveries.send_test(work, mine.row.id)
    sent = attempt(world, agency, row, 0, GOOD)
    assert sent is not None
    assert json.loads(sent.body)["data"] == {"webhook_id": str(mine.row.id)}
    assert [(r.kind, r.state) for r in deliveries(world, agency, mine)] == [("webhook.test", "delivered")]


def test_what_failed_or_was_delivered_is_sent_again_when_asked_for(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    (row,) = deliveries(world, agency, mine)
    with world.database.work(agency.actor) as work, pytest.raises(Conflict) as refused:
        webhook_deliveries.redeliver(work, row.id)
    assert refused.value.code == "wrong_state"
    first = attempt(world, agency, row, 0, GOOD)
    with world.database.work(agency.actor) as work:
        webhook_deliveries.redeliver(work, row.id)
    again = attempt(world, agency, row, 0, GOOD)
    assert first is not None
    assert again is not None
    assert first.headers["webhook-id"] == again.headers["webhook-id"]


@pytest.mark.parametrize("kind", ["lender", "agency"])
def test_what_ended_long_ago_is_taken_away_batch_by_batch_and_what_waits_stays(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(webhook_deliveries, "PURGED_MAX", 2)
    lender, agency = world.lender("administrator"), world.agency()
    someone, other = (lender, agency) if kind == "lender" else (agency, lender)
    mine, gone = hook(world, someone), hook(world, someone, ["offer.made"])
    for _ in range(6):
        tell(world, lender, agency, kind, "offer.expired")
    pass_on(world.database)
    rows = deliveries(world, someone, mine)
    for row in rows[:5]:
        attempt(world, someone, row, 0, GOOD)
    with world.database.work(someone.actor) as work:
        test = webhook_deliveries.send_test(work, gone.row.id)
        webhooks.delete(work, gone.row.id)
    clock.forward(days=89)
    attempt(world, someone, rows[5], 0, BAD)
    with world.database.work(someone.actor) as work:
        webhook_deliveries.redeliver(work, rows[4].id)
    purge(world.database)
    assert len(deliveries(world, someone, mine)) == 6
    clock.forward(days=2)
    assert purge(world.database) >= 5
    assert [row.id for row in deliveries(world, someone, mine)] == [rows[4].id, rows[5].id]
    with world.database.work(someone.actor) as work:
        assert work.session.get(WebhookDelivery, (someone.organisation.id, test.id)) is None
    with world.database.work(someone.actor) as work, pytest.raises(ProgrammingError):
        work.session.execute(text("delete from webhook_delivery"))
    assert deliveries(world, other, hook(world, other)) == []


def test_what_lost_its_task_is_queued_again_after_an_hour(world: World, clock: Clock) -> None:
    lender, agency = world.lender(), world.agency()
    mine = hook(world, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    (row,) = deliveries(world, agency, mine)
    for minutes, tasks in ((59, 1), (2, 2), (30, 2)):
        clock.forward(minutes=minutes)
        pass_on(world.database)
        assert queued(world, agency) == [(str(row.id), 0, True)] * tasks


def test_another_organisations_webhook_is_as_unknown_as_nobodys(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    others = [world.agency(), world.lender("administrator")]
    mine = hook(world, agency)
    tell(world, lender, agency)
    pass_on(world.database)
    (row,) = deliveries(world, agency, mine)
    verbs = (webhooks.get, webhooks.rotate, webhooks.pause, webhooks.resume, webhooks.delete)
    more = (webhook_deliveries.send_test, webhook_deliveries.list_own)
    for someone in others:
        hook(world, someone)
        for id_ in (mine.row.id, uuid4()):
            for verb in (*verbs, *more):
                with world.database.work(someone.actor) as work, pytest.raises(NotFound):
                    verb(work, id_)
        for id_ in (row.id, uuid4()):
            with world.database.work(someone.actor) as work, pytest.raises(NotFound):
                webhook_deliveries.redeliver(work, id_)
        with world.database.work(robot(someone)) as work:
            assert webhook_deliveries.begin(work, row.id, 0) is None


def test_the_operator_learns_whose_webhooks_there_are_and_not_where_they_lead(world: World) -> None:
    agency = world.agency()
    hook(world, agency)
    with world.database.work(world.operator) as work:
        assert (agency.organisation.id, "agency") in webhook_deliveries.list_organisations(work)
        with pytest.raises(ProgrammingError, match="permission denied"):
            work.session.execute(select(Webhook.url)).all()


def test_changes_are_in_the_log_of_the_organisation(world: World) -> None:
    agency = world.agency()
    mine = hook(world, agency)
    with world.database.work(agency.actor) as work:
        webhooks.rotate(work, mine.row.id)
        webhooks.pause(work, mine.row.id)
        webhooks.resume(work, mine.row.id)
        webhooks.delete(work, mine.row.id)
    with world.database.work(Actor(side=JOBS, org_id=agency.organisation.id)) as work:
        entries = work.session.scalars(text("select convert_from(entry, 'UTF8') from audit_outbox order by id")).all()
    done = [json.loads(entry)["action"] for entry in entries if "webhook." in entry]
    assert done == [f"webhook.{act}" for act in ("create", "rotate", "pause", "resume", "delete")]
    assert URL not in str(entries)


def test_every_way_to_fail_has_its_code() -> None:
    assert len(set(FAILURES)) == len(FAILURES)
    assert dt.timedelta(seconds=sum(SCHEDULE)) > dt.timedelta(days=3)


def test_marks_of_a_notice_are_all_that_may_change_of_it(world: World, database: Database) -> None:
    lender, agency = world.lender(), world.agency()
    tell(world, lender, agency)
    with database.work(agency.actor) as work:
        work.session.execute(text("update notice set passed_on_at = now()"))
        assert work.session.scalars(select(Notice.kind)).one() == "offer.made"
    with database.work(agency.actor) as work, pytest.raises(ProgrammingError, match="permission denied"):
        work.session.execute(text("update notice set kind = 'offer.withdrawn'"))
