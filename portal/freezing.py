"""Freezing an agency by either door: it is frozen at once, then its placements, then what was being placed with it."""

from contextlib import suppress
from uuid import UUID

from models.agency_standing import AgencyStanding
from models.errors import Unavailable
from models.services.parties import standings
from portal.access import open_work


def freeze(agency_id: UUID, reason: str) -> AgencyStanding:
    """Raises what `standings.freeze` does. Where somebody is at it for too long, a job of every minute comes after."""
    with open_work() as work:
        frozen = standings.freeze(work, agency_id, reason)
    with suppress(Unavailable):
        for being_made in (False, True):
            with open_work() as work:
                standings.stop_placements(work, agency_id, being_made=being_made)
    return frozen
