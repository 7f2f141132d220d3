"""What becomes due between the nights: recalls nobody objects to, stops and counts nobody gave, agencies frozen."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final
from uuid import UUID

from jobs import nightly
from models.database import Database
from models.services.exchange import acknowledgements, recalls, stops
from models.services.parties import standings
from models.work import Work

PARTS: Final[Mapping[str, Callable[[Work], int]]] = {
    "recalls": recalls.execute_due,
    "stops": stops.flag_missing,
    "acknowledgements": acknowledgements.flag_missing,
    "freezes": standings.catch_up,
}


def carry_on(database: Database) -> int:
    """About every minute, for every lender; answers how many acts were due.

    Each part has a Work of its own: the trouble of one is not another's.
    """
    lenders = nightly.list_lenders(database)
    return sum(nightly.for_each(lenders, what, partial(_carry_on, database, part)) for what, part in PARTS.items())


def _carry_on(database: Database, part: Callable[[Work], int], lender_id: UUID) -> int:
    with database.work(nightly.actor_of("recalls", lender_id)) as work:
        return part(work)
