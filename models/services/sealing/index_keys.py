"""The rotation of a lender's index key: every token of an id or mobile number made anew, while both keys find them.

A token cannot be turned into another: the numbers themselves are opened, in this process, case by case. That is an
opening of everything by the platform, and the log says so before the first and after the last of it. `rotate` makes
the key, `fill` prepares the tokens beside those in use, `activate` exchanges them, all in one transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update

from crypto.secret import Secret
from crypto.tokens import token
from models.borrower import Borrower
from models.case import Case, PhoneToken
from models.errors import Conflict
from models.organisation import SELF
from models.portfolio import LenderKey
from models.services import bulk, tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.services.parties import organisations
from models.services.sealing import class_keys
from models.services.sealing.class_keys import ClassKeys
from models.work import Work

CASES_PER_BATCH: Final = 500
INDEX: Final = "index"
PHONES: Final = ("mobile", "mobile_2")


class Reindexing(NamedTuple):
    """One under way: `left` of `total` cases have tokens to be made."""

    left: int
    total: int


class Prepared(NamedTuple):
    """What a case's tokens become: its borrower's, and of each phone token in use its successor."""

    borrower_id: UUID
    id_token: bytes
    phones: Mapping[bytes, bytes]


def rotate(work: Work) -> LenderKey:
    """Make the next index key. Conflict `needs_own_key`, `reindex_running`."""
    if organisations.get_own(work).custody == SELF:
        raise Conflict("needs_own_key")
    for turn in ("keys", INDEX):
        turns.take(work, turn)
    standing = organisations.lender_key(work, INDEX)
    if _pending(work):
        raise Conflict("reindex_running")
    made = organisations.add_lender_key(work, INDEX, standing.epoch + 1, Secret.random(), None)
    audit.record(work, audit.Action.INDEX_ROTATE, {"epoch": made.epoch, "cases": _count(work).total})
    return made


def find(work: Work) -> Reindexing | None:
    return _count(work) if _pending(work) else None


def fill(work: Work, after: UUID | None = None, limit: int = CASES_PER_BATCH) -> UUID | None:
    """Make the next tokens of the cases after `after` that lack them; answers the last of these, None at the end."""
    query = select(Case.id).where(_is_left(work))
    if after is not None:
        query = query.where(Case.id > after)
    case_ids = work.session.scalars(query.order_by(Case.id).limit(limit)).all()
    if not case_ids:
        return None
    _fill(work, case_ids)
    return case_ids[-1]


def activate(work: Work, limit: int = CASES_PER_BATCH) -> bool:
    """Put the next key in use, if no more than `limit` cases are left, whose tokens are made first.

    It takes the turns of uploads and corrections: nothing comes in meanwhile.
    """
    for turn in ("keys", "portfolios", INDEX):
        turns.take(work, turn)
    pending = _pending(work)
    if pending is None:
        return False
    left = work.session.scalars(select(Case.id).where(_is_left(work)).order_by(Case.id).limit(limit + 1)).all()
    if len(left) > limit:
        return False
    _fill(work, left)
    _exchange(work)
    organisations.add_lender_key(work, INDEX, pending.epoch, _open(work, pending), work.at)
    audit.record(work, audit.Action.INDEX_ACTIVATE, {"epoch": pending.epoch, "cases": _count(work).total})
    return True


def _pending(work: Work) -> LenderKey | None:
    """The newest wrap of the key of the newest epoch, unless that is in use."""
    newest = work.session.scalar(
        select(LenderKey)
        .where(tenancy.own(work, LenderKey), LenderKey.purpose == INDEX)
        .order_by(LenderKey.epoch.desc(), LenderKey.serial.desc())
        .limit(1)
    )
    return newest if newest and newest.active_at is None else None


def _open(work: Work, row: LenderKey) -> Secret:
    return work.vault.open_key(str(row.lender_id), row.wrapped, row.signature, organisations.context_of(row))


def _is_left(work: Work) -> ColumnElement[bool]:
    """Of a `Case`: it can be read, and a token of it has no successor yet."""
    borrower = exists().where(
        tenancy.own(work, Borrower), Borrower.id == Case.borrower_id, Borrower.next_id_token.is_(None)
    )
    phone = exists().where(
        tenancy.own(work, PhoneToken), PhoneToken.case_id == Case.id, PhoneToken.next_token.is_(None)
    )
    return and_(tenancy.own(work, Case), Case.erased_at.is_(None), or_(borrower, phone))


def _count(work: Work) -> Reindexing:
    total = func.count().filter(Case.erased_at.is_(None))
    row = work.session.execute(select(func.count().filter(_is_left(work)), total).where(tenancy.own(work, Case))).one()
    return Reindexing(*row)


def _fill(work: Work, case_ids: Sequence[UUID]) -> None:
    then, now = organisations.open_index_keys(work, work.tenant_id)
    cases = class_keys.list_cases(work, case_ids)
    cells, keys = class_keys.newest_cells(work, list(cases)), ClassKeys(work)
    borrowers = dict(
        work.session.execute(
            select(Case.id, Case.borrower_id).where(tenancy.own(work, Case), bulk.among(Case.id, list(cases)))
        ).all()
    )
    prepared: dict[UUID, Prepared] = {}
    for case_id, case in cases.items():
        identity, contact = (keys.open(case, name, cells[case_id][name]) for name in ("identity", "contact"))
        phones = [contact[name] for name in PHONES if name in contact]
        prepared[case_id] = Prepared(
            borrowers[case_id],
            token(then, "id_cn", identity["id_number"]),
            {token(now, "mobile", phone): token(then, "mobile", phone) for phone in phones},
        )
    _keep_id_tokens(work, prepared)
    _keep_phone_tokens(work, prepared)


def _keep_id_tokens(work: Work, prepared: Mapping[UUID, Prepared]) -> None:
    tokens = {str(one.borrower_id): one.id_token for one in prepared.values()}
    frame = pl.DataFrame({"id": list(tokens), "next_id_token": list(tokens.values())}, _bytes("id", "next_id_token"))
    fresh = bulk.stage(work, Borrower, frame.with_columns(bulk.bytes_text(pl.col("next_id_token"))))
    _carry_out(
        work,
        update(Borrower)
        .where(tenancy.own(work, Borrower), Borrower.id == fresh.c.id)
        .values(next_id_token=fresh.c.next_id_token),
    )


def _keep_phone_tokens(work: Work, prepared: Mapping[UUID, Prepared]) -> None:
    rows = [(str(case_id), *pair) for case_id, one in prepared.items() for pair in one.phones.items()]
    frame = pl.DataFrame(rows, _bytes("case_id", "token", "next_token"), orient="row")
    as_text = [bulk.bytes_text(pl.col(name)).alias(name) for name in ("token", "next_token")]
    fresh = bulk.stage(work, PhoneToken, frame.with_columns(as_text))
    _carry_out(
        work,
        update(PhoneToken)
        .where(tenancy.own(work, PhoneToken), PhoneToken.case_id == fresh.c.case_id, PhoneToken.token == fresh.c.token)
        .values(next_token=fresh.c.next_token),
    )


def _exchange(work: Work) -> None:
    """Every token by its successor. A borrower of whom nothing can be read any more is found by no number again."""
    random_bytes = func.uuid_send(func.gen_random_uuid()).op("||")(func.uuid_send(func.gen_random_uuid()))
    _carry_out(
        work,
        update(Borrower)
        .where(tenancy.own(work, Borrower))
        .values(id_token=func.coalesce(Borrower.next_id_token, random_bytes), next_id_token=None),
    )
    _carry_out(
        work,
        update(PhoneToken).where(tenancy.own(work, PhoneToken)).values(token=PhoneToken.next_token, next_token=None),
    )


def _bytes(id_name: str, *names: str) -> dict[str, Any]:
    return {id_name: pl.String, **dict.fromkeys(names, pl.Binary)}


def _carry_out(work: Work, change: Any) -> None:
    work.session.execute(change.execution_options(synchronize_session=False))
