"""A new encryption key for an organisation in our custody: all is wrapped to it online, and the old one goes.

`rotate` makes the key and publishes it. From then on both open, and whatever is made is wrapped to the new one.
`rewrap` brings over what stands, batch by batch; `retire` proves that nothing is left and drops the old key. A
rotation that is cut off anywhere is carried on by calling the next of them again. It is also how an organisation
moves to another custody: the new key is made where keys are made now.
"""

import datetime as dt
from typing import Final, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from crypto.custody import PublicKeys
from crypto.errors import SignatureRefused
from crypto.grants import WrapContext, check_grant, fingerprint, suite_of
from models.errors import Conflict
from models.lease import Lease
from models.organisation import KEM, SELF, OrganisationKey
from models.portfolio import ClassKey, LenderKey
from models.services import tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.services.parties import organisations
from models.services.sealing import class_grants, key_directory, key_vouchers
from models.work import AGENCY, Work

WRAPS_PER_BATCH: Final = 500
TURN: Final = "keys"
# Under these turns keys are made and wrapped. Whoever holds all of them knows that no wrap is on its way.
MAKING: Final = (TURN, "portfolios", "index", "ledger")


class Rotation(NamedTuple):
    """One under way: of `total` wraps `left` are not known yet to be to the new key, published at `since`."""

    left: int
    total: int
    since: dt.datetime


def rotate(work: Work) -> OrganisationKey:
    """Make and publish a new encryption key; one that an earlier call made and died with is published instead.

    Conflict `needs_own_key` for an organisation in self-custody, `rotation_running` until the last one has ended.
    """
    organisation = organisations.get_own(work)
    if organisation.custody == SELF:
        raise Conflict("needs_own_key")
    turns.take(work, TURN)
    keys = key_directory.find_own(work)
    assert keys is not None, "keys in our custody are published when they are made"
    if _replaced(work):
        raise Conflict("rotation_running")
    custody, principal = work.vault.custody, str(organisation.id)
    held = custody.public(principal)
    if held.kem == keys.kem.public_key:
        held = custody.rotate(principal)
    published = OrganisationKey(
        org_id=organisation.id,
        purpose=KEM,
        serial=keys.kem.serial + 1,
        suite=suite_of(held.kem),
        public_key=held.kem,
        custody=custody.kind,
        created_at=work.at,
    )
    key_vouchers.sign(work, published)
    work.session.add(published)
    organisation.custody = custody.kind
    work.session.flush()
    audit.record(work, audit.Action.KEY_PUBLISH, key_directory.entry_of(published, keys.signing))
    subject = {"serial": published.serial, "fingerprint": fingerprint(held.kem), "custody": custody.kind}
    audit.record(work, audit.Action.KEY_ROTATE, subject)
    return published


def find(work: Work) -> Rotation | None:
    """How far the rotation is that is under way; asks the database alone."""
    keys = key_directory.find_own(work)
    if keys is None or not _replaced(work):
        return None
    newest = fingerprint(keys.kem.public_key)
    left, total = _count_leases(work, newest) if work.actor.side == AGENCY else _count_keys(work, newest)
    return Rotation(left, total, keys.kem.created_at)


def rewrap(work: Work, limit: int = WRAPS_PER_BATCH) -> int:
    """Wrap so many class keys to the newest key, and the lender's other keys with them; answers how many it took up.

    Zero means that nothing is left; of an agency it is always zero, for what it has was wrapped by lenders.
    """
    if work.actor.side == AGENCY:
        return 0
    turns.take(work, TURN)
    recipient = work.vault.custody.public(str(work.tenant_id))
    rows = work.session.scalars(
        select(ClassKey)
        .where(tenancy.own(work, ClassKey), ClassKey.recipient.is_distinct_from(fingerprint(recipient.kem)))
        .order_by(ClassKey.portfolio_id, ClassKey.field_class, ClassKey.epoch)
        .limit(limit)
        .with_for_update(key_share=True)  # releases go on
    ).all()
    class_keys = sum(_rewrap_class_key(work, row, recipient) for row in rows)
    lender_keys = sum(_rewrap_lender_key(work, row, recipient) for row in _lender_keys(work))
    work.session.flush()
    if class_keys or lender_keys:
        subject = {"fingerprint": fingerprint(recipient.kem), "class_keys": class_keys, "lender_keys": lender_keys}
        audit.record(work, audit.Action.KEY_REWRAP, subject)
    return len(rows) + lender_keys


def retire(work: Work) -> bool:
    """Drop the older keys from custody where no wrap needs them any more, which each wrap's signature proves.

    False where one is left: to rewrap first, or, of an agency, leases that their lender has not made anew yet.
    Conflict `class_key_unsigned` where a row says that it is wrapped to the newest key and its signature does not.
    """
    for made in MAKING:
        turns.take(work, made)
    replaced = _replaced(work)
    if not replaced:
        return False
    principal = str(work.actor.org_id)
    recipient = work.vault.custody.public(principal)
    if work.actor.side == AGENCY:
        if _count_leases(work, fingerprint(recipient.kem))[0]:
            return False
    elif not _all_rewrapped(work, recipient):
        return False
    serials = [key.serial for key in replaced]
    mine = (tenancy.mine(work, OrganisationKey), OrganisationKey.purpose == KEM, OrganisationKey.serial.in_(serials))
    work.session.execute(update(OrganisationKey).where(*mine).values(retired_at=work.at))
    audit.record(work, audit.Action.KEY_RETIRE, {"serials": serials, "fingerprint": fingerprint(recipient.kem)})
    work.vault.custody.retire(principal)  # Last: if this is not committed, the next call finds nothing to drop.
    return True


def _replaced(work: Work) -> list[OrganisationKey]:
    """The older encryption keys that custody still holds, the newest first."""
    known = [key for key in key_directory.list_own(work) if key.purpose == KEM]
    return [key for key in known[1:] if key.custody != SELF and key.retired_at is None]


def _count_keys(work: Work, recipient: bytes) -> tuple[int, int]:
    left = func.count().filter(ClassKey.recipient.is_distinct_from(recipient))
    row = work.session.execute(select(left, func.count()).where(tenancy.own(work, ClassKey))).one()
    return row[0], row[1]


def _count_leases(work: Work, recipient: bytes) -> tuple[int, int]:
    left = func.count().filter(Lease.grant["recipient"].astext != recipient.hex())
    row = work.session.execute(select(left, func.count()).where(tenancy.own(work, Lease))).one()
    return row[0], row[1]


def _lender_keys(work: Work) -> list[LenderKey]:
    """Of each key of the lender's own its newest wrap."""
    newest = (
        select(LenderKey)
        .ext(distinct_on(LenderKey.purpose, LenderKey.epoch))
        .where(tenancy.own(work, LenderKey))
        .order_by(LenderKey.purpose, LenderKey.epoch, LenderKey.serial.desc())
    )
    return list(work.session.scalars(newest))


def _rewrap_class_key(work: Work, row: ClassKey, recipient: PublicKeys) -> bool:
    """Whether it had to be wrapped anew: what was made since the rotation is to the newest key already."""
    context, principal = class_grants.context_of(row), str(row.lender_id)
    stale = not _is_to(row.wrapped, row.signature, context, recipient)
    if stale:
        key = work.vault.open_key(principal, row.wrapped, row.signature, context)
        made = work.vault.wrap_key(principal, key, context._replace(serial=row.serial + 1))
        row.serial, row.wrapped, row.signature = row.serial + 1, made.wrapped, made.signature
    row.recipient = fingerprint(recipient.kem)
    return stale


def _rewrap_lender_key(work: Work, row: LenderKey, recipient: PublicKeys) -> bool:
    context, principal = organisations.context_of(row), str(row.lender_id)
    stale = not _is_to(row.wrapped, row.signature, context, recipient)
    if stale:
        key = work.vault.open_key(principal, row.wrapped, row.signature, context)
        organisations.add_lender_key(work, row.purpose, row.epoch, key, row.active_at)
    return stale


def _all_rewrapped(work: Work, recipient: PublicKeys) -> bool:
    if _count_keys(work, fingerprint(recipient.kem))[0]:
        return False
    if not all(
        _is_to(row.wrapped, row.signature, organisations.context_of(row), recipient) for row in _lender_keys(work)
    ):
        return False
    rows = select(ClassKey).where(tenancy.own(work, ClassKey)).execution_options(yield_per=WRAPS_PER_BATCH)
    with work.session.scalars(rows) as standing:
        proved = all(_is_to(row.wrapped, row.signature, class_grants.context_of(row), recipient) for row in standing)
    if not proved:
        raise Conflict("class_key_unsigned")
    return True


def _is_to(wrapped: bytes, signature: bytes | None, context: WrapContext, recipient: PublicKeys) -> bool:
    """Whether the lender signed this wrap as one to this key of its own."""
    try:
        check_grant(wrapped, signature or b"", recipient.kem, context, recipient.signing)
    except SignatureRefused:
        return False
    return True
