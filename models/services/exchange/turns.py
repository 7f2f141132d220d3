"""One at a time: the second of two runs over the same lender waits a moment, or is told to come again."""

from uuid import UUID

from psycopg.errors import LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from models.errors import Unavailable
from models.work import Work


def of_agency(agency_id: UUID) -> str:
    """The turn at placing with an agency, or changing whether it may receive."""
    return f"agency {agency_id}"


def take(work: Work, what: str, lender_id: UUID | None = None) -> None:
    """Hold the tenant's turn at `what` until the transaction ends; Unavailable where another holds it too long.

    An agency that crossed names the lender, in whose tenant the turn is.
    """
    try:
        work.session.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
            {"name": f"{lender_id or work.tenant_id}/{what}"},
        )
    except OperationalError as refused:
        if isinstance(refused.orig, LockNotAvailable):
            raise Unavailable("busy", retry_seconds=10) from None
        raise
