"""What we say of something that went wrong: its class and where, never its text, which could hold a value."""

import traceback
from pathlib import Path

from sqlalchemy.exc import DBAPIError


def told(failure: BaseException) -> str:
    """`Class at file:line < file:line < …`, the innermost first; where the database refused, with its class beside."""
    cause = f"({type(failure.orig).__name__})" if isinstance(failure, DBAPIError) else ""
    frames = reversed(traceback.extract_tb(failure.__traceback__))
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{type(failure).__name__}{cause} at {places}"
