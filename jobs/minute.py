"""What becomes due between the nights: one verb a line, each for every lender."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final
from uuid import UUID

from jobs import nightly
from models.database import Database
from models.services.exchange import acknowledgements, recalls, stops
from models.services.parties import standings
from models.work import Work

VERBS: Final[Mapping[str, Callable[[Work], int]]] = {
    "recalls": recalls.execute_due,
    "stops": stops.flag_missing,
    "acknowledgements": acknowledgements.flag_missing,
    "freezes": standings.catch_up,
}


def carry_on(database: Database) -> int:
    """About every minute; answers how many acts were due.

    Each verb has a Work of its own for each lender: the trouble of one is not another's.
    """
    lenders = nightly.list_lenders(database)
    return sum(nightly.for_each(lenders, name, partial(_carry_on, database, name)) for name in VERBS)


def _carry_on(database: Database, name: str, lender_id: UUID) -> int:
    with database.work(nightly.actor_of(name, lender_id)) as work:
        return VERBS[name](work)
