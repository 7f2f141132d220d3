"""Carrying on what was begun about keys: wraps made anew, portfolios re-keyed, indexes rebuilt, old keys dropped.

Each batch is a transaction of its own, and what is left is read from the database: a killed process is carried on by
any other. Two at once do no harm.
"""

import logging
from uuid import UUID

from crypto.errors import SealBroken
from jobs import nightly
from models.database import Database
from models.errors import NotFound, Unavailable
from models.objects import ObjectStore
from models.organisation import AGENCY
from models.services import job_runs
from models.services.parties import organisations
from models.services.sealing import document_keys, index_keys, keys, portfolio_keys
from models.work import AGENCY as AGENCY_SIDE
from models.work import JOBS, OPERATOR, Actor

logger = logging.getLogger(__name__)


def carry_on(database: Database, objects: ObjectStore) -> int:
    """For every organisation; answers for how many. What another process holds just now waits for the next time."""
    with database.work(nightly.actor_of("clock", nightly.NOBODY, OPERATOR)) as work:
        tenants = job_runs.list_tenants(work)

    def carry_on_if_free(org_id: UUID) -> int:
        try:
            carry_on_one(database, objects, org_id)
        except Unavailable:
            return 0
        return 1

    return nightly.for_each(tenants, "keys", carry_on_if_free)


def carry_on_one(database: Database, objects: ObjectStore, org_id: UUID) -> None:
    """All that one organisation has begun, to its end or to where it has to wait."""
    with database.work(nightly.actor_of("keys", org_id)) as work:
        kind = organisations.get_own(work).kind
    actor = nightly.actor_of("keys", org_id, AGENCY_SIDE if kind == AGENCY else JOBS)
    _rotate(database, actor)
    if kind != AGENCY:
        _rekey(database, objects, actor)
        _reindex(database, actor)


def _rotate(database: Database, actor: Actor) -> None:
    with database.work(actor) as work:
        running = keys.find(work)
    if running is None:
        return
    count = 1
    while count:
        with database.work(actor) as work:
            count = keys.rewrap(work)
    with database.work(actor) as work:
        keys.retire(work)


def _rekey(database: Database, objects: ObjectStore, actor: Actor) -> None:
    with database.work(actor) as work:
        running = portfolio_keys.list_running(work)
    for rekey in running:
        after, more = None, rekey.left > 0
        while more:
            with database.work(actor) as work:
                after = portfolio_keys.reseal(work, rekey.portfolio_id, after)
            more = after is not None
        _move_documents(database, objects, actor, rekey.portfolio_id)
        with database.work(actor) as work:
            portfolio_keys.finish(work, rekey.portfolio_id)


def _move_documents(database: Database, objects: ObjectStore, actor: Actor, portfolio_id: UUID) -> None:
    """One that cannot be read keeps the old key of its class, and holds up no other."""
    after = None
    while True:
        with database.work(actor) as work:
            move = document_keys.begin(work, portfolio_id, after)
        if move is None:
            return
        after = move.opened.document.id
        try:
            digest = document_keys.copy(move, objects)
        except (SealBroken, NotFound) as failure:
            logger.error("the document %s cannot be sealed anew: %s", after, type(failure).__name__)
            continue
        with database.work(actor) as work:
            document_keys.finish(work, move, digest)


def _reindex(database: Database, actor: Actor) -> None:
    with database.work(actor) as work:
        running = index_keys.find(work)
    if running is None:
        return
    after, more = None, running.left > 0
    while more:
        with database.work(actor) as work:
            after = index_keys.fill(work, after)
        more = after is not None
    with database.work(actor) as work:
        index_keys.activate(work)
