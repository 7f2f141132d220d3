"""What we say of something that went wrong."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models.database import Database
from models.failures import told

SECRET = "13800138000"


def _fail() -> None:
    raise ValueError(SECRET)


def test_a_failure_is_told_by_its_class_and_places_and_never_by_its_text() -> None:
    with pytest.raises(ValueError) as raised:
        _fail()
    lines = [_fail.__code__.co_firstlineno + 1, raised.tb.tb_lineno]
    assert told(raised.value) == "ValueError at " + " < ".join(f"test_failures.py:{line}" for line in lines)


def test_what_the_database_refused_is_told_by_its_class_too(database: Database) -> None:
    with pytest.raises(DBAPIError) as raised, database.engine.connect() as connection:
        connection.execute(text("select cast(:value as date)"), {"value": SECRET})
    assert told(raised.value).startswith("DataError(")
    assert SECRET not in told(raised.value)
