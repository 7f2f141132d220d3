"""Telling the organisations' own programs: notices are made into deliveries, and attempts are tasks."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from jobs import nightly
from models import failures
from models.database import Database
from models.organisation import AGENCY
from models.outbound import Courier
from models.services import webhook_deliveries
from models.services.parties import organisations
from models.work import AGENCY as AGENCY_SIDE
from models.work import JOBS, OPERATOR, Actor

logger = logging.getLogger(__name__)


def pass_on(database: Database) -> int:
    """About every two seconds, for whoever has webhooks, in their own context; answers how many notices went on."""
    with database.work(nightly.actor_of("clock", nightly.NOBODY, OPERATOR)) as work:
        kinds = dict(webhook_deliveries.list_organisations(work))
    return nightly.for_each(kinds, "webhooks", lambda org_id: _pass_on_one(database, _actor(org_id, kinds[org_id])))


def purge(database: Database) -> int:
    """Once a night, for whoever has or had webhooks: the deliveries that nobody asks for any more."""
    with database.work(nightly.actor_of("clock", nightly.NOBODY, OPERATOR)) as work:
        org_ids = [org_id for org_id, _ in webhook_deliveries.list_organisations(work, had=True)]
    return nightly.for_each(org_ids, "old deliveries", lambda org_id: _purge_one(database, org_id))


def deliver(database: Database, courier: Courier, org_id: UUID, deliveries: Sequence[tuple[UUID, int]]) -> None:
    """One attempt at each, in order, up to the first that nobody answers.

    No transaction is open while the receiver is asked; what it answered is kept in a second one. `JobFailed` where it
    could not be kept, after the others have had their turn.
    """
    with _told_by_its_class(org_id), database.work(nightly.actor_of("webhooks", org_id)) as work:
        actor = _actor(org_id, organisations.get_own(work).kind)
    broken: nightly.JobFailed | None = None
    for place, (delivery_id, attempt) in enumerate(deliveries, 1):
        try:
            with _told_by_its_class(org_id):
                if not _deliver_one(database, courier, actor, delivery_id, attempt, deliveries[place:]):
                    break
        except nightly.JobFailed as failure:
            broken = failure
    if broken:
        raise broken


@contextmanager
def _told_by_its_class(org_id: UUID) -> Iterator[None]:
    """Whatever goes wrong leaves as `JobFailed`: its text could hold an address."""
    try:
        yield
    except Exception as failure:  # noqa: BLE001 (like the worker: whatever went wrong, its text stays here)
        logger.error("webhooks of %s: %s", org_id, failures.told(failure))
        raise nightly.JobFailed(type(failure).__name__) from None


def _deliver_one(
    database: Database,
    courier: Courier,
    actor: Actor,
    delivery_id: UUID,
    attempt: int,
    following: Sequence[tuple[UUID, int]],
) -> bool:
    """Whether the next may be tried: somebody answered, or nobody had to be asked."""
    with database.work(actor) as work:
        begun = webhook_deliveries.begin(work, delivery_id, attempt)
    if begun is None:
        return True
    answer = courier.post(begun.url, begun.headers, begun.body)
    silent = answer.status is None
    with database.work(actor) as work:
        webhook_deliveries.finish(work, delivery_id, attempt, answer, following if silent else ())
    return not silent


def _pass_on_one(database: Database, actor: Actor) -> int:
    total, more = 0, True
    while more:
        with database.work(actor) as work:
            count = webhook_deliveries.pass_on(work)
        total, more = total + count, count == webhook_deliveries.NOTICES_MAX
    with database.work(actor) as work:
        webhook_deliveries.requeue_overdue(work)
    return total


def _purge_one(database: Database, org_id: UUID) -> int:
    total, more = 0, True
    while more:
        with database.work(nightly.actor_of("webhooks", org_id)) as work:
            count = webhook_deliveries.purge(work)
        total, more = total + count, count == webhook_deliveries.PURGED_MAX
    return total


def _actor(org_id: UUID, kind: str) -> Actor:
    """An agency's notices are read in its own context, a lender's in the jobs'."""
    return nightly.actor_of("webhooks", org_id, AGENCY_SIDE if kind == AGENCY else JOBS)
