"""The services' own organisation filter: beside row security, and sufficient without it.

Called as `tenancy.own(…)`, so that one test can take the whole filter away and show that row security holds alone.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement

from models.base import Base
from models.work import AGENCY, Work


def own(work: Work, table: type[Base]) -> ColumnElement[bool]:
    """Rows of the tenant at work: the lender's (for its auditor and jobs too), or those that name the agency."""
    columns: Any = table
    column = columns.agency_id if work.actor.side == AGENCY else columns.lender_id
    return equals(column, work.tenant_id)


def mine(work: Work, table: type[Base]) -> ColumnElement[bool]:
    """Rows of the actor's own organisation: its people, sign-ins and tokens."""
    columns: Any = table
    return equals(columns.org_id, work.actor.org_id)


def of_lender(lender_id: UUID, table: type[Base]) -> ColumnElement[bool]:
    """Rows of one lender, for verbs that crossed into its tenant on a placement they had loaded."""
    columns: Any = table
    return equals(columns.lender_id, lender_id)


def equals(column: Any, org_id: UUID) -> ColumnElement[bool]:
    return column == org_id  # type: ignore[no-any-return]
