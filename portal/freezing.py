"""Freezing an agency by either door: what it has in hand stands still first, whoever is placing with it."""

from uuid import UUID

from models.agency_standing import AgencyStanding
from models.services import standings
from portal.access import open_work


def freeze(agency_id: UUID, reason: str) -> AgencyStanding:
    """Raises what `standings.freeze` does; the placements already stopped stay so, and a second try finishes it."""
    with open_work() as work:
        standings.stop_work(work, agency_id, reason)
    with open_work() as work:
        return standings.freeze(work, agency_id, reason)
