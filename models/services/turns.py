"""One at a time: the second of two runs over the same lender waits a moment, or is told to come again."""

from psycopg.errors import LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from models.errors import Unavailable
from models.work import Work


def take(work: Work, what: str) -> None:
    """Hold the tenant's turn at `what` until the transaction ends; Unavailable where another holds it too long."""
    try:
        work.session.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"{work.tenant_id}/{what}"}
        )
    except OperationalError as refused:
        if isinstance(refused.orig, LockNotAvailable):
            raise Unavailable("busy", retry_seconds=10) from None
        raise
