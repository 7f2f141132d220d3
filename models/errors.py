"""Every refusal, one tree, named by what the caller learns.

Refusal                     the request was understood and is refused
├── NotFound                no such thing here (unknown and foreign look alike)
├── Forbidden               your role does not allow it
├── Unauthenticated         sign in first
├── Invalid                 the input is wrong; names row, field and code, never a value
├── Conflict                the state does not allow it
│   ├── AlreadyUploaded     the same file stands already
│   ├── Stale               decided on an older state than the one that stands
│   ├── CaseClosedToWork    paid off, cured, on hold, stopped or no longer placed
│   └── KeyReused           the idempotency key was used for another request, or is in flight
├── TooMany                 a quota is used up
└── Unavailable             a part that must not be skipped does not answer (the log, the keys)
"""

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple, Self, TypeAlias
from uuid import UUID

Bound: TypeAlias = int | Decimal | dt.date | None  # None: there is none


class RowError(NamedTuple):
    """One fault of an uploaded file or body: row 1 is the first data row, 0 the file as a whole."""

    row: int
    field: str
    code: str

    def at(self, row: int, field: str) -> "RowError":
        """The same fault of another place."""
        return RowError(row, field, self.code)


class OutOfRange(RowError):
    """A value beyond its bounds, and the bounds: both are allowed. It equals the plain fault of its place."""

    least: Bound
    most: Bound

    def __new__(cls, row: int, field: str, least: Bound, most: Bound) -> Self:
        fault = super().__new__(cls, row, field, "out_of_range")
        fault.least, fault.most = least, most
        return fault

    def at(self, row: int, field: str) -> RowError:
        return OutOfRange(row, field, self.least, self.most)


class TooFew(RowError):
    """Fewer borrowers than figures may be told of, and both numbers. It equals the plain fault of its place."""

    borrowers: int
    least: int

    def __new__(cls, row: int, field: str, code: str, borrowers: int, least: int) -> Self:
        fault = super().__new__(cls, row, field, code)
        fault.borrowers, fault.least = borrowers, least
        return fault


def outside(field: str, value: Any, least: Bound, most: Bound = None, row: int = 0) -> list[RowError]:
    """The fault of a value beyond its bounds; a value that is not given has none."""
    within = value is None or ((least is None or least <= value) and (most is None or value <= most))
    return [] if within else [OutOfRange(row, field, least, most)]


class Refusal(Exception):
    """A stable `code` (snake_case, translated at the edge) and facts that are safe to show.

    `placement_id`: under which an agency asked, where the verb knows it. The log of its lender has the refusal.
    """

    code = "refused"
    placement_id: UUID | None = None

    def __init__(self, code: str | None = None, **facts: Any) -> None:
        self.code = code or type(self).code
        self.facts = facts
        super().__init__(self.code)


class NotFound(Refusal):
    code = "not_found"

    def __init__(self, code: str | None = None, placement_id: UUID | None = None, **facts: Any) -> None:
        super().__init__(code, **facts)
        self.placement_id = placement_id


class Forbidden(Refusal):
    code = "forbidden"


class Unauthenticated(Refusal):
    code = "unauthenticated"


class Invalid(Refusal):
    code = "invalid"

    def __init__(self, code: str | None = None, errors: list[RowError] | None = None, **facts: Any) -> None:
        super().__init__(code, **facts)
        self.errors = errors or []


class Conflict(Refusal):
    code = "conflict"


class AlreadyUploaded(Conflict):
    code = "already_uploaded"


class Stale(Conflict):
    code = "stale"


class CaseClosedToWork(Conflict):
    """What comes too late is itself recorded: the verb that refuses names its placement."""

    code = "case_closed_to_work"

    def __init__(self, code: str | None = None, placement_id: UUID | None = None, **facts: Any) -> None:
        super().__init__(code, **facts)
        self.placement_id = placement_id


class KeyReused(Refusal):
    code = "idempotency_key_reused"


class TooMany(Refusal):
    code = "too_many"


class Unavailable(Refusal):
    code = "unavailable"
