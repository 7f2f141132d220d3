"""Ending the offers that nobody answered in time, so that whoever is next is asked."""

from jobs import nightly
from models.database import Database
from models.services.exchange import offers


def end_due(database: Database) -> int:
    """About every minute, for every lender; answers how many ended."""
    return nightly.each_due(database, "offers", offers.list_due, offers.end_due)
