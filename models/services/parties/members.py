"""Staff accounts, sign-ins and tokens: who is at the door."""

import datetime as dt
import secrets
from hashlib import sha256
from typing import NamedTuple, NoReturn, TypeVar
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from psycopg.errors import UniqueViolation
from sqlalchemy import and_, or_, select, update
from sqlalchemy.exc import IntegrityError

from crypto import totp
from models.errors import Conflict, Forbidden, Invalid, NotFound, RowError, Unauthenticated, outside
from models.ids import new_id
from models.member import ROLES, ApiToken, Member, SignIn
from models.organisation import Organisation, Tenant
from models.services import tenancy
from models.services.oversight import audit
from models.work import Actor, Work

SIGN_IN_HOURS_MAX = 12
FAILED_SIGN_INS_MAX = 5
LOCKED_MINUTES = 15
TOKEN_DAYS_MAX = 365
PASSWORD_LENGTH_MIN = 12
SCOPES = ("read", "portfolios", "exchange", "working", "ledger", "release", "audit", "directory", "retention")

_hasher = PasswordHasher()
# Verified where nobody has that e-mail, so that the answer takes as long as for a wrong password.
_NOBODY = _hasher.hash("nobody has this password")

Bearer = TypeVar("Bearer", SignIn, ApiToken)


class NewSecret(NamedTuple):
    """A bearer secret, shown once; the row knows its hash only."""

    row: SignIn | ApiToken
    secret: str

    def __repr__(self) -> str:
        return "NewSecret(…)"


class Known(NamedTuple):
    """Who a session or token belongs to."""

    actor: Actor
    member: Member
    organisation: Organisation
    row: SignIn | ApiToken


def create(
    work: Work, kind: str, org_id: UUID, email: str, name: str, roles: list[str], password: str, locale: str = ""
) -> Member:
    """A staff account: by the operator for any organisation's first person, else in one's own.

    Without a `locale` its pages come as each browser asks.
    """
    faults = [
        *([RowError(0, "roles", "unknown_value")] if not roles or not set(roles) <= set(ROLES[kind]) else []),
        *_password_faults("password", password),
    ]
    if faults:
        raise Invalid(errors=faults)
    member = Member(
        org_id=org_id,
        id=new_id(),
        email=email.strip().lower(),
        name=name,
        roles=sorted(set(roles)),
        password_hash=_hasher.hash(password),
        locale=locale,
        state="active",
        failed_sign_ins=0,
        created_at=work.at,
    )
    work.session.add(member)
    try:
        work.session.flush()
    except IntegrityError as error:
        # The operator may add people and not list them: only the unique key can tell of a second one.
        if isinstance(error.orig, UniqueViolation):
            raise Conflict("email_taken") from None
        raise
    audit_subject = {"member": member.id, "roles": member.roles}
    audit.record(work, audit.Action.MEMBER_CREATE, audit_subject, org_id=org_id)
    return member


def list_own(work: Work) -> list[Member]:
    return list(work.session.scalars(select(Member).where(tenancy.mine(work, Member)).order_by(Member.name, Member.id)))


def get(work: Work, member_id: UUID) -> Member:
    found = work.session.get(Member, (work.actor.org_id, member_id))
    if found is None:
        raise NotFound
    return found


def choose_locale(work: Work, locale: str) -> None:
    """In which language the actor's pages come, unless a browser's own switch says otherwise; "" as browsers ask."""
    assert work.actor.member_id is not None
    get(work, work.actor.member_id).locale = locale


def change_password(work: Work, member_id: UUID, old: str, new: str, keep: UUID | None = None) -> None:
    """The member's own act: Unauthenticated unless `old` is proven, Invalid where `new` is too short.

    Ends every sign-in of the member but `keep`; tokens are no passwords and go on until they are revoked.
    """
    member = prove(work, get(work, member_id).email, old)
    if faults := _password_faults("new_password", new):
        raise Invalid(errors=faults)
    member.password_hash = _hasher.hash(new)
    others = (tenancy.mine(work, SignIn), SignIn.member_id == member_id, SignIn.id.is_distinct_from(keep))
    work.session.execute(update(SignIn).where(*others, SignIn.revoked_at.is_(None)).values(revoked_at=work.at))
    audit.record(work, audit.Action.MEMBER_PASSWORD, {"member": member_id}, org_id=work.actor.org_id)


def prove(work: Work, email: str, password: str) -> Member:
    """The member whose password this is. Every failure is the same Unauthenticated, after the same time."""
    member = work.session.scalar(
        select(Member).where(tenancy.mine(work, Member), Member.email == email.strip().lower())
    )
    matches = _matches(member.password_hash if member else _NOBODY, password)
    if member is None or not matches or member.state != "active":
        raise Unauthenticated("sign_in_failed")
    if work.session.get_one(Organisation, work.actor.org_id).state != "active":
        raise Unauthenticated("sign_in_failed")
    _wake(member)
    return member


def prove_nobody(password: str) -> NoReturn:
    """What `prove` answers, and how long it takes, where there is not even an organisation of that code."""
    _matches(_NOBODY, password)
    raise Unauthenticated("sign_in_failed")


def sign_in(work: Work, email: str, password: str) -> NewSecret:
    """A new session for whoever proves to be a member."""
    member = prove(work, email, password)
    secret = secrets.token_urlsafe(32)
    row = SignIn(
        org_id=member.org_id,
        id=new_id(),
        member_id=member.id,
        token_hash=_digest(secret),
        csrf_token=secrets.token_urlsafe(24),
        created_at=work.at,
        expires_at=work.at + dt.timedelta(hours=SIGN_IN_HOURS_MAX),
    )
    work.session.add(row)
    work.session.flush()
    audit.record(work, audit.Action.MEMBER_SIGN_IN, {"member": member.id})
    return NewSecret(row, f"{member.org_id.hex}.{secret}")


def count_attempt(work: Work, email: str) -> None:
    """Count a sign-in before its password is looked at, so that many at once are counted too.

    The last one allowed rests the account; whichever proves to be right wakes it (`prove`). Commit before proving.
    """
    member = work.session.scalar(
        select(Member).where(tenancy.mine(work, Member), Member.email == email.strip().lower()).with_for_update()
    )
    if member is None:
        return
    if member.locked_until and member.locked_until > work.now():
        raise Unauthenticated("sign_in_failed")
    member.failed_sign_ins = member.failed_sign_ins + 1 if member.locked_until is None else 1
    member.locked_until = None
    if member.failed_sign_ins >= FAILED_SIGN_INS_MAX:
        member.locked_until = work.now() + dt.timedelta(minutes=LOCKED_MINUTES)


def proofs(work: Work) -> list[str]:
    """By what the actor can prove who they are: a password, and a code where an authenticator was confirmed."""
    assert work.actor.member_id is not None
    member = get(work, work.actor.member_id)
    return ["password", "code"] if member.totp_confirmed_at else ["password"]


def step_up(work: Work, sign_in_id: UUID, password: str | None = None, code: str | None = None) -> dt.datetime:
    """Whoever is signed in proves anew who they are, by one of the two; answers when.

    Forbidden `proof_wrong` for every failure. Count the attempt and commit that before, as for signing in.
    """
    assert work.actor.member_id is not None
    member = get(work, work.actor.member_id)
    if code is None:
        _prove_own(work, member, password or "")
    elif member.totp_confirmed_at is None:
        raise Forbidden("proof_wrong")
    else:
        _take_code(work, member, code)
        _wake(member)
    proved_at = work.now()
    work.session.execute(
        update(SignIn).where(tenancy.mine(work, SignIn), SignIn.id == sign_in_id).values(proved_at=proved_at)
    )
    by = "password" if code is None else "code"
    audit.record(work, audit.Action.MEMBER_PROOF, {"member": member.id, "by": by}, org_id=work.actor.org_id)
    return proved_at


def begin_totp(work: Work, password: str) -> bytes:
    """A new seed for the actor's authenticator, to be shown once; it counts when a code of it was given.

    Takes the password, so that a borrowed session cannot make itself a second way to prove.
    """
    assert work.actor.member_id is not None
    member = get(work, work.actor.member_id)
    _prove_own(work, member, password)
    if member.totp_confirmed_at:
        raise Conflict("totp_stands")
    seed = totp.new_seed()
    member.totp_seed = work.vault.seal_secret(_seed_purpose(member), seed)
    member.totp_step = None
    return seed


def confirm_totp(work: Work, code: str) -> None:
    """The authenticator shows the right codes: from now on they prove. Forbidden `proof_wrong` where it does not."""
    assert work.actor.member_id is not None
    member = get(work, work.actor.member_id)
    if member.totp_confirmed_at:
        raise Conflict("totp_stands")
    _take_code(work, member, code)
    member.totp_confirmed_at = work.at
    audit.record(work, audit.Action.MEMBER_TOTP_ADD, {"member": member.id}, org_id=work.actor.org_id)


def remove_totp(work: Work, password: str) -> None:
    assert work.actor.member_id is not None
    member = get(work, work.actor.member_id)
    _prove_own(work, member, password)
    if member.totp_seed is None:
        raise Conflict("totp_missing")
    member.totp_seed = member.totp_confirmed_at = member.totp_step = None
    audit.record(work, audit.Action.MEMBER_TOTP_REMOVE, {"member": member.id}, org_id=work.actor.org_id)


def sign_out(work: Work, sign_in_id: UUID) -> None:
    work.session.execute(
        update(SignIn)
        .where(tenancy.mine(work, SignIn), SignIn.id == sign_in_id, SignIn.revoked_at.is_(None))
        .values(revoked_at=work.at)
    )


def work_for(work: Work, sign_in_id: UUID, lender_id: UUID) -> None:
    """An auditor's choice of mandate, kept with the session."""
    row = work.session.get_one(SignIn, (work.actor.org_id, sign_in_id))
    row.tenant_id = lender_id


def create_token(
    work: Work, member_id: UUID, name: str, scopes: list[str], days: int, tenant_id: UUID | None = None
) -> NewSecret:
    faults = [
        *([RowError(0, "scopes", "unknown_value")] if not scopes or not set(scopes) <= set(SCOPES) else []),
        *outside("days", days, 1, TOKEN_DAYS_MAX),
    ]
    if faults:
        raise Invalid(errors=faults)
    secret = secrets.token_urlsafe(32)
    row = ApiToken(
        org_id=work.actor.org_id,
        id=new_id(),
        member_id=member_id,
        name=name,
        token_hash=_digest(secret),
        scopes=sorted(set(scopes)),
        tenant_id=tenant_id,
        created_at=work.at,
        expires_at=work.at + dt.timedelta(days=days),
    )
    work.session.add(row)
    work.session.flush()
    audit.record(work, audit.Action.TOKEN_CREATE, {"token": row.id, "scopes": row.scopes}, org_id=work.actor.org_id)
    return NewSecret(row, f"csg_{row.org_id.hex}_{secret}")


def list_tokens(work: Work, member_id: UUID) -> list[ApiToken]:
    return list(
        work.session.scalars(
            select(ApiToken)
            .where(tenancy.mine(work, ApiToken), ApiToken.member_id == member_id)
            .order_by(ApiToken.id.desc())
        )
    )


def revoke_token(work: Work, member_id: UUID, token_id: UUID) -> None:
    row = work.session.get(ApiToken, (work.actor.org_id, token_id))
    if row is None or row.member_id != member_id:
        raise NotFound
    if row.revoked_at:
        raise Conflict("already_revoked")
    row.revoked_at = work.at
    audit.record(work, audit.Action.TOKEN_REVOKE, {"token": row.id}, org_id=work.actor.org_id)


def know_session(work: Work, secret: str) -> Known:
    return _known(work, SignIn, secret)


def know_token(work: Work, secret: str) -> Known:
    return _known(work, ApiToken, secret)


def _known(work: Work, table: type[Bearer], secret: str) -> Known:
    """In one query, for every request begins with it."""
    found = work.session.execute(
        select(table, Member, Organisation, Tenant.kind)
        .join(Member, and_(Member.org_id == table.org_id, Member.id == table.member_id))
        .join(Organisation, Organisation.id == table.org_id)
        .join(Tenant, Tenant.id == table.org_id)
        .where(tenancy.mine(work, table), table.token_hash == _digest(secret))
    ).one_or_none()
    if found is None:
        raise Unauthenticated
    row, member, organisation, kind = found
    if row.revoked_at or row.expires_at <= work.at or member.state != "active" or organisation.state != "active":
        raise Unauthenticated
    actor = Actor(
        side=kind,
        org_id=row.org_id,
        member_id=member.id,
        name=member.name,
        roles=frozenset(member.roles),
        scopes=frozenset(row.scopes) if isinstance(row, ApiToken) else None,
        mandate_lender_id=row.tenant_id,
        proved_at=row.proved_at if isinstance(row, SignIn) else None,
    )
    return Known(actor, member, organisation, row)


def _prove_own(work: Work, member: Member, password: str) -> None:
    try:
        prove(work, member.email, password)
    except Unauthenticated:
        raise Forbidden("proof_wrong") from None  # Who asks is known: they are not to be signed out.


def _take_code(work: Work, member: Member, code: str) -> None:
    """No code is taken twice: the step moves on in the statement that takes it, also when two come at once."""
    if member.totp_seed is None:
        raise Forbidden("proof_wrong")
    seed = work.vault.open_secret(_seed_purpose(member), member.totp_seed)
    step = totp.find_step(seed, code, work.now().timestamp())
    if step is None:
        raise Forbidden("proof_wrong")
    taken = work.session.scalar(
        update(Member)
        .where(
            tenancy.mine(work, Member),
            Member.id == member.id,
            or_(Member.totp_step.is_(None), Member.totp_step < step),
        )
        .values(totp_step=step)
        .returning(Member.id)
    )
    if taken is None:
        raise Forbidden("proof_wrong")


def _seed_purpose(member: Member) -> str:
    """A seed opens for its own member alone."""
    return f"totp/{member.id}"


def _wake(member: Member) -> None:
    member.failed_sign_ins = 0
    member.locked_until = None


def _password_faults(field: str, password: str) -> list[RowError]:
    return [RowError(0, field, "too_short")] if len(password) < PASSWORD_LENGTH_MIN else []


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
