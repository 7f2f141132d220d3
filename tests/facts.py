"""What happened to placed cases: a lender's files, and the claims, contacts and releases of its agencies."""

import csv
import datetime as dt
import io
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import select

from models.business_day import day_of
from models.case import Case
from models.claim import Claim
from models.contact import Contact
from models.ids import new_id
from models.ledger import Feed
from models.placement import Placement
from models.promise import Promise
from models.release import ReleaseRecord
from models.services.exchange import recalls
from models.services.settlement import ledgers
from models.work import JOBS, Actor
from tests.world import Someone, World

TODAY = dt.date(2026, 3, 10)  # the day at which a test's clock starts


class Placed(NamedTuple):
    """An agency's placement of some cases of a lender, and these cases in order."""

    lender: Someone
    agency: Someone
    placement: Placement
    cases: list[Case]

    @property
    def case(self) -> Case:
        return self.cases[0]


def placed(world: World, cases: Any = 1, lender: Someone | None = None, **terms: object) -> Placed:
    lender, agency = lender or world.lender(), world.agency()
    placement = world.placement(lender, agency, cases, **terms)
    with world.database.work(lender.actor) as work:
        rows = work.session.scalars(select(Case).where(Case.portfolio_id == placement.portfolio_id).order_by(Case.id))
        return Placed(lender, agency, placement, list(rows))


def recall(world: World, of: Placed) -> None:
    with world.database.work(of.lender.actor) as work:
        recalls.recall(work, of.placement.id, "lender_request")


def jobs(lender: Someone, name: str = "test") -> Actor:
    """The jobs at work in the lender's tenant."""
    return Actor(side=JOBS, org_id=lender.organisation.id, name=name)


def new_reference(kind: str) -> str:
    """Letters only: digits by chance may look like somebody's number."""
    return f"{kind}-" + "".join(chr(ord("A") + int(digit, 16)) for digit in uuid4().hex)


def payment(case: Case | str, amount: str, on: dt.date = TODAY, **other: str) -> dict[str, str]:
    """A row of a payment file."""
    return {
        "case_number": case if isinstance(case, str) else case.reference,
        "amount": amount,
        "currency": "CNY",
        "value_date": on.isoformat(),
        "posting_date": on.isoformat(),
        "reference": new_reference("T"),
        "paid_to": "lender",
        "reversal_of": "",
        **other,
    }


def balance(case: Case | str, amount: str, status: str = "open", currency: str = "CNY") -> dict[str, str]:
    """A row of a balance file."""
    number = case if isinstance(case, str) else case.reference
    return {"case_number": number, "balance": amount, "currency": currency, "status": status}


PAYMENT_HEADER = list(payment("", ""))
BALANCE_HEADER = list(balance("", ""))


def ledger_file(rows: Iterable[dict[str, str]], header: list[str]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, header)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def receive_payments(
    world: World, lender: Someone, *rows: dict[str, str], on: dt.date | None = None, sequence: int = 1
) -> Feed:
    with world.database.work(lender.actor) as work:
        file = ledger_file(rows, PAYMENT_HEADER)
        return ledgers.receive_payments(work, [file], on or world.clock().date(), sequence)


def receive_balances(
    world: World, lender: Someone, *rows: dict[str, str], on: dt.date | None = None, sequence: int = 1
) -> Feed:
    with world.database.work(lender.actor) as work:
        file = ledger_file(rows, BALANCE_HEADER)
        return ledgers.receive_balances(work, [file], on or world.clock().date(), sequence)


def claim(
    world: World, placed: Placed, amount: str, on: dt.date = TODAY, case: Case | None = None, **other: Any
) -> UUID:
    """A payment the agency says was made."""
    row = Claim(
        **_placed(placed, case),
        amount=Decimal(amount),
        currency="CNY",
        paid_on=on,
        reference=other.pop("reference", new_reference("C")),
        paid_to="lender",
        source="api",
        recorded_at=world.clock(),
        **other,
    )
    return _add(world, placed.agency.actor, row)


def promise(world: World, placed: Placed, *cases: Case, in_days: int = 0) -> None:
    """That each of these cases, or the first, will be paid on a day that is still to come: a ground to keep it."""
    for case in cases or (placed.case,):
        row = Promise(
            **_placed(placed, case),
            amount=Decimal("10.00"),
            currency="CNY",
            due_on=day_of(world.clock()) + dt.timedelta(days=in_days),
            recorded_at=world.clock(),
        )
        _add(world, placed.agency.actor, row)


def call(world: World, placed: Placed, at: dt.datetime, case: Case | None = None, **other: Any) -> UUID:
    """An outbound call to the debtor in which both spoke, unless told otherwise."""
    ordinary = {
        "channel": "call",
        "direction": "outbound",
        "party": "debtor",
        "outcome": "conversation",
        "duration_seconds": 60,
    }
    row = Contact(
        **_placed(placed, case),
        borrower_id=(case or placed.case).borrower_id,
        member_name="somebody",
        occurred_at=at,
        source="api",
        recorded_at=world.clock(),
        **ordinary | other,
    )
    return _add(world, placed.agency.actor, row)


def release(world: World, placed: Placed, at: dt.datetime, field_class: str = "contact") -> UUID:
    """What was opened by the agency, as the verb that opens it leaves it behind."""
    row = ReleaseRecord(
        **_placed(placed, None),
        org_id=placed.agency.organisation.id,
        borrower_id=placed.case.borrower_id,
        member_name="somebody",
        field_class=field_class,
        reason="contact_borrower",
        cell_version=1,
        cell_digest=b"",
        entry_leaf=b"",
        released_at=at,
    )
    return _add(world, placed.lender.actor, row)


def _placed(placed: Placed, case: Case | None) -> dict[str, Any]:
    return {
        "lender_id": placed.lender.organisation.id,
        "id": new_id(),
        "agency_id": placed.agency.organisation.id,
        "placement_id": placed.placement.id,
        "case_id": (case or placed.case).id,
        "member_id": placed.agency.member.id,
    }


def _add(world: World, actor: Actor, row: Any) -> UUID:
    with world.database.work(actor) as work:
        work.session.add(row)
    return row.id
