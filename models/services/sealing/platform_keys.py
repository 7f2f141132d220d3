"""The keys of an installation: made at its first set-up, and the same ones at every later one."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from crypto.custody import PLATFORM, Custodies
from crypto.errors import KeyringRefused, NoteRefused, PrincipalUnknown
from crypto.grants import WrapContext
from crypto.notes import Checkpoint as LogState
from crypto.notes import open_note, split_note
from models.audit import Checkpoint
from models.database import Database
from models.organisation import SELF, SIGNING, OrganisationKey
from models.portfolio import ClassKey, LenderKey
from models.services import job_runs, tenancy
from models.work import JOBS, OPERATOR, Actor, Work

NOBODY = UUID(int=0)
OTHER_KEYS = "these are not the keys that this database was set up with: restore the keyring from its backup"


UNSIGNED = (
    "{count} wrapped keys are unsigned: if they are from before wraps were signed, and nobody else can have put them"
    " there, run python -m models set-up --adopt-unsigned"
)


def set_up(database: Database, adopt_unsigned: bool = False) -> int:
    """Make the platform's keys for a new database; for one that stands, `KeyringRefused` unless these are its keys.

    Wraps without a signature are refused too, all before any is touched: in a restored database somebody may have put
    them there. Only where whoever runs it says that they are from before are they signed; answers how many were.
    """
    with database.work(Actor(side=OPERATOR, org_id=NOBODY, name="set-up")) as work:
        tenants = job_runs.list_tenants(work)
        require_keys(work)
    unsigned = 0
    for tenant_id in tenants:
        with database.work(Actor(side=JOBS, org_id=tenant_id, name="set-up")) as work:
            require_log_key(work)
            unsigned += count_unsigned(work)
    if unsigned and not adopt_unsigned:
        raise KeyringRefused(UNSIGNED.format(count=unsigned))
    for tenant_id in tenants if unsigned else ():
        with database.work(Actor(side=JOBS, org_id=tenant_id, name="set-up")) as work:
            sign_wraps(work)
    return unsigned


def require_keys(work: Work) -> None:
    """Custody holds the platform's keys and every organisation's that is in its care; without any, it makes them."""
    assert work.actor.side == OPERATOR
    custody = work.vault.custody
    newest = select(OrganisationKey).where(OrganisationKey.purpose == SIGNING).order_by(OrganisationKey.serial)
    in_care = {key.org_id: key for key in work.session.scalars(newest)}
    try:
        if in_care:
            custody.public(PLATFORM)
        same = all(
            custody.public(str(org_id)).signing == key.public_key
            for org_id, key in in_care.items()
            if key.custody != SELF
        )
    except PrincipalUnknown:
        same = False
    if not same:
        raise KeyringRefused(OTHER_KEYS)
    custody.create(PLATFORM)
    if isinstance(custody, Custodies):
        custody.bring(PLATFORM)  # Nothing is wrapped to it, so there is nothing to wrap anew.


def require_log_key(work: Work) -> None:
    """The checkpoint that the tenant's log ends with bears the signature of custody's log key."""
    newest = select(Checkpoint).where(tenancy.equals(Checkpoint.org_id, work.tenant_id))
    found = work.session.scalar(newest.order_by(Checkpoint.size.desc()).limit(1))
    if found is None:
        return
    origin = LogState.parse(split_note(found.note)[0]).origin
    try:
        open_note(found.note, [work.vault.log_verifier(origin)])
    except NoteRefused:
        raise KeyringRefused(OTHER_KEYS) from None


def count_unsigned(work: Work) -> int:
    """How many of the lender's keys in use were wrapped without a signature. The verbs here write none."""
    return len(_unsigned_class_keys(work)) + len(_unsigned_lender_keys(work))


def sign_wraps(work: Work) -> None:
    """Wrap anew, and sign, whatever keys of the lender were wrapped before wraps were signed."""
    assert work.actor.side == JOBS
    for key in _unsigned_class_keys(work):
        context = WrapContext.of_class(
            key.lender_id.bytes, key.portfolio_id.bytes, key.field_class, key.epoch, key.serial
        )
        made = work.vault.adopt_key(str(key.lender_id), key.wrapped, context)
        key.serial, key.wrapped, key.signature = key.serial + 1, made.wrapped, made.signature
    work.session.add_all([_signed(work, row) for row in _unsigned_lender_keys(work)])
    work.session.flush()


def _unsigned_class_keys(work: Work) -> Sequence[ClassKey]:
    unsigned = select(ClassKey).where(tenancy.own(work, ClassKey), ClassKey.signature.is_(None))
    return work.session.scalars(unsigned.with_for_update()).all()


def _unsigned_lender_keys(work: Work) -> list[LenderKey]:
    """Those of no later serial: the rows before stay as they were."""
    newest = select(LenderKey).where(tenancy.own(work, LenderKey)).order_by(LenderKey.serial)
    rows = {row.purpose: row for row in work.session.scalars(newest)}
    return [row for row in rows.values() if row.signature is None]


def _signed(work: Work, row: LenderKey) -> LenderKey:
    """The same key as the next serial, because a row of these is never changed."""
    context = WrapContext.of_lender(f"{row.purpose}-key", row.lender_id.bytes, row.epoch, row.serial)
    made = work.vault.adopt_key(str(row.lender_id), row.wrapped, context)
    return LenderKey(
        lender_id=row.lender_id,
        purpose=row.purpose,
        serial=row.serial + 1,
        epoch=row.epoch,
        wrapped=made.wrapped,
        signature=made.signature,
        created_at=work.at,
        active_at=row.active_at,
    )
