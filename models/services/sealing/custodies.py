"""What an organisation in self-custody and its counterparties do about keys: publish, compare, order, answer.

The platform writes down what has to be done and checks what comes back. It never has the keys to do it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import exists

from crypto import strict
from crypto.canonical import canonical
from crypto.errors import ValueRefused
from models.errors import Conflict, Forbidden, Invalid, RowError
from models.key_answer import read_answer, refused
from models.key_order import ERASE, LEASE, REKEY, REWRAP, KeyOrder
from models.organisation import SELF
from models.placement import LIVE, Placement
from models.portfolio import LENDER as SEALED_BY_LENDER
from models.portfolio import Portfolio
from models.services import tenancy
from models.services.collection import release_limits
from models.services.exchange import placements
from models.services.oversight import audit
from models.services.parties import organisations
from models.services.portfolio import erasure_grounds, erasure_records, erasures, portfolios
from models.services.portfolio.erasure_records import SignedRecord
from models.services.sealing import key_directory, key_orders, leases, rekeys
from models.services.sealing.key_directory import Keys, PartyKeys
from models.work import LENDER, Work

ORDER_FORMAT: Final = "consign-order/1"
PROVED_KINDS: Final = frozenset({REKEY, REWRAP})
ERASER_ROLES: Final = frozenset({"compliance_officer", "administrator"})


class Kind(NamedTuple):
    """What an order of a kind asks for, and what is done with an answer whose signature stands."""

    document: Callable[[Work, KeyOrder], dict[str, Any]]
    settle: Callable[[Work, KeyOrder, Mapping[str, Any]], None]


def publish(work: Work, data: bytes) -> Keys:
    """`key_directory.publish`, and orders for what the lender's older keys had wrapped or signed."""
    before = key_directory.find_own(work)
    published = key_directory.publish(work, data)
    if before is not None and work.actor.side == LENDER:
        rekeys.order_rewrap(work)
        if published.signing.serial != before.signing.serial:
            # Nobody pins the old signing key any more, and what it signed is refused.
            leases.order_for_live(work, _of_sealed_portfolio(work))
    return published


def confirm_key(work: Work, agency_id: UUID, fingerprint: str) -> PartyKeys:
    """`key_directory.confirm`; the approval that makes a key the agency's later one orders leases of its own."""
    party = key_directory.confirm(work, agency_id, fingerprint)
    if party.needs == key_directory.APPROVALS_LATER and len(party.approvals) == party.needs:
        leases.order_for_live(work, _of_sealed_portfolio(work), Placement.agency_id == agency_id)
    return party


def order(work: Work, kind: str, subject_id: UUID, subject_kind: str | None = None) -> KeyOrder:
    """Ask the lender's tool for the leases of a placement, new keys of a portfolio, or the record of an erasure.

    Forbidden for an erasure by whoever may not erase. Conflict `not_sealed_by_you` where the platform has the keys
    and does it without being asked; for an erasure whatever stands in its way.
    """
    if kind == LEASE:
        return _order_leases(work, subject_id)
    if kind == REKEY:
        return rekeys.order_rekey(work, subject_id)
    if kind != ERASE or subject_kind is None:
        raise Invalid(errors=[RowError(0, "subject_kind", "required_missing")])
    _require_eraser(work)
    if organisations.get_own(work).custody != SELF:
        raise Conflict("not_sealed_by_you")
    erasure_grounds.lock_free_cases(work, subject_kind, subject_id)
    return key_orders.place(work, work.tenant_id, ERASE, subject_kind, subject_id)


def may_take(work: Work, order: KeyOrder) -> bool:
    """Whether the order's document would not ask this person for a proof first."""
    return order.kind not in PROVED_KINDS or release_limits.is_proved(work.actor.proved_at, work.at)


def document(work: Work, order_id: UUID) -> dict[str, Any]:
    """The order as the lender's tool reads it (`consign-order/1`). That it was taken is logged.

    One for new keys or wraps holds what whole portfolios are opened with, but for the lender's own key: Forbidden to
    programs, and to people without a proof as for a second release; Unavailable `log_down` while no log runs.
    """
    order = key_orders.hold(work, order_id)
    if order.kind in PROVED_KINDS:
        release_limits.require_proved(work, work.now())
        audit.require_running(work)
    body = KINDS[order.kind].document(work, order)
    subject = {"order": order.id, "kind": order.kind, "cases": len(body.get("cases", []))}
    audit.record(work, audit.Action.KEY_ORDER_DOWNLOAD, subject)
    head = {"format": ORDER_FORMAT, "order": str(order.id), "kind": order.kind, "lender": str(order.lender_id)}
    return head | body


def answer(work: Work, order_id: UUID, data: bytes) -> KeyOrder:
    """Carry out what the lender's tool answers, all of it or nothing.

    Raises Conflict for an order that is done or cancelled; Invalid `answer_refused` for an answer that is malformed,
    of another order, not signed by the lender's newest key, not complete, or not of the keys and terms ordered.
    """
    order = key_orders.get(work, order_id)
    if order.kind == LEASE:
        leases.lock(work, order)  # The placement before its orders, as whoever recalls it does.
    order = key_orders.hold(work, order_id)
    keys = key_directory.find_own(work)
    if keys is None:
        raise Conflict("key_not_published")
    KINDS[order.kind].settle(work, order, read_answer(data, order.id, order.kind, keys.signing.public_key))
    key_orders.close(work, order)
    subject = {"order": order.id, "kind": order.kind, "subject": order.subject_id}
    audit.record(work, audit.Action.KEY_ORDER_ANSWER, subject)
    return order


def _order_leases(work: Work, placement_id: UUID) -> KeyOrder:
    placement = placements.get(work, placement_id)
    if placement.state not in LIVE:
        raise Conflict("placement_not_active")
    if portfolios.get(work, placement.portfolio_id).sealed_by != SEALED_BY_LENDER:
        raise Conflict("not_sealed_by_you")
    return leases.order(work, placement)


def _erase_document(work: Work, order: KeyOrder) -> dict[str, Any]:
    case_ids = erasure_grounds.lock_free_cases(work, order.subject_kind, order.subject_id)
    said = erasure_records.statement(work, order.subject_kind, order.subject_id, case_ids)
    return {name: said[name] for name in ("subject_kind", "subject", "cases", "salt_digests")}


def _require_eraser(work: Work) -> None:
    """What a tool signs is erased by the same people as what we sign."""
    if not ERASER_ROLES & work.actor.roles:
        raise Forbidden


def _settle_erase(work: Work, order: KeyOrder, answer: Mapping[str, Any]) -> None:
    _require_eraser(work)
    try:
        record = canonical({**strict.mapping(answer["record"])})
        signed = SignedRecord(record, strict.unbase64(answer["record_signature"], 64))
    except (ValueError, ValueRefused):
        raise refused("answer_broken") from None
    erasures.erase(work, order.subject_kind, order.subject_id, signed)


def _of_sealed_portfolio(work: Work) -> Any:
    """Of a `Placement`: the lender itself has sealed its portfolio."""
    return exists().where(
        tenancy.own(work, Portfolio), Portfolio.id == Placement.portfolio_id, Portfolio.sealed_by == SEALED_BY_LENDER
    )


KINDS: Final[Mapping[str, Kind]] = {
    LEASE: Kind(leases.document, leases.settle),
    REKEY: Kind(rekeys.rekey_document, rekeys.settle_rekey),
    REWRAP: Kind(rekeys.rewrap_document, rekeys.settle_rewrap),
    ERASE: Kind(_erase_document, _settle_erase),
}
