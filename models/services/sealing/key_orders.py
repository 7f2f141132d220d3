"""The book of orders: what a lender's tool is asked to do with the lender's own keys, open, done or cancelled."""

from uuid import UUID

from sqlalchemy import func, select

from models.errors import Conflict, NotFound
from models.ids import new_id
from models.key_order import CANCELLED, DONE, LEASE, OPEN, KeyOrder
from models.services import pages, tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.work import LENDER, Work


def place(work: Work, lender_id: UUID, kind: str, subject_kind: str, subject_id: UUID) -> KeyOrder:
    """A new order; one of the same kind and subject that is still open is cancelled: it asks for less or for older.

    Of two at once the second waits, then cancels the first: leases of the older would take the newer ones' place.
    """
    turns.take(work, f"orders of {subject_id}")
    cancel_open(work, lender_id, subject_id, kind)
    order = KeyOrder(
        lender_id=lender_id,
        id=new_id(),
        kind=kind,
        subject_kind=subject_kind,
        subject_id=subject_id,
        state=OPEN,
        created_by=work.actor.member_id if work.actor.side == LENDER else None,
        created_at=work.at,
    )
    work.session.add(order)
    work.session.flush()
    audit.record(work, audit.Action.KEY_ORDER_CREATE, _entry(order))
    return order


def list_own(work: Work, after: UUID | None = None, limit: int = 50, state: str | None = None) -> list[KeyOrder]:
    """Newest first."""
    query = select(KeyOrder).where(tenancy.own(work, KeyOrder))
    if state is not None:
        query = query.where(KeyOrder.state == state)
    return list(work.session.scalars(pages.newest(query, KeyOrder.id, after, limit)))


def count_open(work: Work) -> int:
    waiting = select(func.count()).where(tenancy.own(work, KeyOrder), KeyOrder.state == OPEN)
    return work.session.scalar(waiting) or 0


def get(work: Work, order_id: UUID) -> KeyOrder:
    found = work.session.scalar(select(KeyOrder).where(tenancy.own(work, KeyOrder), KeyOrder.id == order_id))
    if found is None:
        raise NotFound
    return found


def hold(work: Work, order_id: UUID) -> KeyOrder:
    """The order, open and locked until the transaction ends; Conflict `order_done` or `order_cancelled`."""
    order = get(work, order_id)
    work.session.refresh(order, with_for_update=True)
    if order.state != OPEN:
        raise Conflict("order_done" if order.state == DONE else "order_cancelled")
    return order


def close(work: Work, order: KeyOrder) -> None:
    order.state, order.done_by, order.done_at = DONE, work.actor.member_id, work.at
    work.session.flush()


def cancel(work: Work, order_id: UUID) -> KeyOrder:
    """The lender takes an order back. A placement that waits for its keys goes on waiting: order them again."""
    order = hold(work, order_id)
    _cancel(work, order)
    return order


def cancel_open(work: Work, lender_id: UUID, subject_id: UUID, kind: str | None = None) -> None:
    """Those about a subject that has changed or ended."""
    query = select(KeyOrder).where(
        tenancy.of_lender(lender_id, KeyOrder), KeyOrder.subject_id == subject_id, KeyOrder.state == OPEN
    )
    if kind is not None:
        query = query.where(KeyOrder.kind == kind)
    for order in work.session.scalars(query.order_by(KeyOrder.id).with_for_update()):
        _cancel(work, order)


def lease_serial(work: Work, order: KeyOrder) -> int:
    """Which of its placement's lease orders this is: each makes leases of a higher serial than the one before."""
    return (
        work.session.scalar(
            select(func.count()).where(
                tenancy.of_lender(order.lender_id, KeyOrder),
                KeyOrder.kind == LEASE,
                KeyOrder.subject_id == order.subject_id,
                KeyOrder.id <= order.id,
            )
        )
        or 1
    )


def _cancel(work: Work, order: KeyOrder) -> None:
    order.state, order.done_by, order.done_at = CANCELLED, work.actor.member_id, work.at
    work.session.flush()
    audit.record(work, audit.Action.KEY_ORDER_CANCEL, _entry(order))


def _entry(order: KeyOrder) -> dict[str, object]:
    return {"order": order.id, "kind": order.kind, "subject_kind": order.subject_kind, "subject": order.subject_id}
