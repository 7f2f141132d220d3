"""Lists come in pages, newest first: an id is the cursor, because ids grow with time."""

from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select

LIMIT_MAX = 200


Q = TypeVar("Q", bound=Select[*tuple[Any, ...]])


def newest(query: Q, id_column: Any, after: UUID | None, limit: int) -> Q:
    """The page of `query` that follows the row `after`, at most LIMIT_MAX rows."""
    if after is not None:
        query = query.where(id_column < after)
    return query.order_by(id_column.desc()).limit(clamped(limit))


def clamped(limit: int) -> int:
    return max(1, min(limit, LIMIT_MAX))
