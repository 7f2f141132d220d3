"""A tender's plan: which cases of a portfolio, to whom and in what way, before anything is made of it."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from models.buckets import BUCKETS
from models.errors import Invalid, RowError, outside
from models.provinces import PROVINCES
from models.tender import ASSIGNED, FIRST_CLAIM

RESPOND_HOURS_MAX: Final = 30 * 24
AGREEMENTS_MAX: Final = 500
PLANNED_KINDS: Final = (ASSIGNED, FIRST_CLAIM)


class Plan(NamedTuple):
    """`agreement_ids`: the choices one after the other (assigned), or the panel of whom the first takes all
    (first claim). `buckets` and `provinces` None: all."""

    portfolio_id: UUID
    kind: str
    agreement_ids: Sequence[UUID]
    buckets: Sequence[str] | None = None
    provinces: Sequence[str] | None = None
    case_limit: int | None = None
    respond_hours: int = 72


def refuse_impossible(plan: Plan) -> None:
    """Invalid, by field, for a plan that no portfolio could fulfil."""
    ids = plan.agreement_ids
    faults = [
        *([RowError(0, "kind", "unknown_value")] if plan.kind not in PLANNED_KINDS else []),
        *([RowError(0, "agreement_ids", "required_missing")] if not ids else []),
        *([RowError(0, "agreement_ids", "duplicate")] if len(set(ids)) < len(ids) else []),
        *([RowError(0, "agreement_ids", "too_many")] if len(ids) > AGREEMENTS_MAX else []),
        *_faults("buckets", plan.buckets, BUCKETS),
        *_faults("provinces", plan.provinces, PROVINCES),
        *outside("case_limit", plan.case_limit, 1),
        *outside("respond_hours", plan.respond_hours, 1, RESPOND_HOURS_MAX),
    ]
    if faults:
        raise Invalid(errors=faults)


def _faults(field: str, chosen: Sequence[str] | None, known: Sequence[str]) -> list[RowError]:
    """None is all of them; to choose none is a slip."""
    if chosen is None:
        return []
    code = "required_missing" if not chosen else "unknown_value" if not set(chosen) <= set(known) else None
    return [RowError(0, field, code)] if code else []
