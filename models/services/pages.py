"""Lists come in pages, newest first: an id is the cursor, because ids grow with time."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select

LIMIT_MAX = 200


def newest(query: Select[Any], id_column: Any, after: UUID | None, limit: int) -> Select[Any]:
    """The page of `query` that follows the row `after`, at most LIMIT_MAX rows."""
    if after is not None:
        query = query.where(id_column < after)
    return query.order_by(id_column.desc()).limit(clamped(limit))


def clamped(limit: int) -> int:
    return max(1, min(limit, LIMIT_MAX))
