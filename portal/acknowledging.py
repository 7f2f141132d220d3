"""Acknowledging a placement by either door: a count that is wrong is refused, and kept for both sides to see."""

from decimal import Decimal
from uuid import UUID

from models.errors import Conflict
from models.placement import Placement
from models.services.exchange import acknowledgements, placements
from portal.access import open_work

MISMATCH = "acknowledgement_mismatch"


def acknowledge(placement_id: UUID, case_count: int, balance: Decimal) -> Placement:
    """Raises what `placements.acknowledge` does; the break stands in a Work of its own, which the refusal outlives."""
    try:
        with open_work() as work:
            return placements.acknowledge(work, placement_id, case_count, balance)
    except Conflict as refusal:
        if refusal.code == MISMATCH:
            with open_work() as work:
                acknowledgements.record_mismatch(work, placement_id, case_count, balance)
        raise
