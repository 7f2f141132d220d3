"""Corrections: a lender puts right what its file said of a person; the touched classes are sealed anew, as a version.

A changed id number makes the case another person's: it joins the household of whoever has that number. Nobody's
household is torn apart by it while an agency holds it: then only a borrower who has no other case, and whose new
number nobody has, keeps its row and gets the number.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import delete, exists, func, select

from crypto.case_columns import COLUMNS, age_band, crossed_faults
from crypto.cells import seal_cell
from crypto.fields import FIELD_CLASSES, FIELDS, MASK_KINDS
from crypto.masking import mask
from crypto.tokens import token
from models.borrower import Borrower
from models.business_day import day_of
from models.case import Case, CaseSealing, PhoneToken
from models.case_correction import CaseCorrection
from models.errors import Conflict, Forbidden, Invalid, NotFound, RowError
from models.ids import new_id
from models.portfolio import LENDER as SEALED_BY_LENDER
from models.portfolio import ClassKey, Portfolio
from models.services import tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.services.parties import organisations
from models.services.sealing import class_keys, key_paths
from models.services.sealing.class_keys import ClassKeys, SaltedCase
from models.tender import TenderedCase
from models.work import LENDER, Work

ROLE: Final = "portfolio_manager"
CLASS_OF: Final = {field: field_class for field_class, fields in FIELDS.items() for field in fields}
PHONES: Final = ("mobile", "mobile_2")
_COLUMNS: Final = {column.name: column for column in COLUMNS if column.name in CLASS_OF}

Texts: TypeAlias = dict[str, str]  # field -> its text, of those that are given


def correct(work: Work, case_id: UUID, changes: Mapping[str, str]) -> CaseCorrection:
    """Replace these fields of the case; an empty text takes an optional field away.

    Raises Invalid with the codes of the case file; NotFound; Conflict `case_erased`, `needs_own_key` where the lender
    has sealed the case itself, `nothing_changed`, `household_placed` where an id number may not change now.
    """
    if work.actor.side != LENDER or ROLE not in work.actor.roles:
        raise Forbidden
    assert work.actor.member_id is not None
    _refuse_unknown(changes)
    if changes.keys() & {"id_number", *PHONES}:
        turns.take(work, "portfolios")  # An upload may be joining a case to this borrower, or the index being changed.
    if "id_number" in changes:
        turns.take(work, "offers")  # The household may change: before the case, as every way of placing does.
    case = _hold(work, case_id)
    salted = class_keys.list_cases(work, [case_id])[case_id]
    keys = ClassKeys(work)
    before = _open(work, keys, salted)
    after = _merged(before, changes, work)
    fields = sorted(name for name in after.keys() | before.keys() if after.get(name) != before.get(name))
    if not fields:
        raise Conflict("nothing_changed")
    version = _seal(work, keys, salted, after, {CLASS_OF[name] for name in fields})
    _follow(work, case, before, after, fields)
    correction = CaseCorrection(
        lender_id=case.lender_id,
        case_id=case_id,
        version=version,
        fields=fields,
        corrected_by=work.actor.member_id,
        corrected_at=work.at,
    )
    work.session.add(correction)
    work.session.flush()
    audit.record(work, audit.Action.CASE_CORRECT, {"case": case_id, "version": version, "fields": fields})
    return correction


def list_of_case(work: Work, case_id: UUID) -> list[CaseCorrection]:
    """Newest first; for the lender and its auditor."""
    known = exists().where(tenancy.own(work, Case), Case.id == case_id)
    if not work.session.scalar(select(known)):
        raise NotFound
    return list(
        work.session.scalars(
            select(CaseCorrection)
            .where(tenancy.own(work, CaseCorrection), CaseCorrection.case_id == case_id)
            .order_by(CaseCorrection.version.desc())
        )
    )


def _refuse_unknown(changes: Mapping[str, str]) -> None:
    errors = [RowError(0, name, "unknown_value") for name in changes if name not in CLASS_OF]
    if errors or not changes:
        raise Invalid(errors=errors or [RowError(0, "changes", "required_missing")])


def _hold(work: Work, case_id: UUID) -> Case:
    """The case, locked; before it the class keys, as a re-key takes them in that order too."""
    own = select(Case).where(tenancy.own(work, Case), Case.id == case_id)
    case = work.session.scalar(own)
    if case is None:
        raise NotFound
    sealed_by = select(Portfolio.sealed_by).where(tenancy.own(work, Portfolio), Portfolio.id == case.portfolio_id)
    if work.session.scalar(sealed_by) == SEALED_BY_LENDER:
        raise Conflict("needs_own_key")
    for field_class in FIELD_CLASSES:
        key_paths.hold(work, case, field_class)
    work.session.refresh(case, with_for_update=True)
    if case.erased_at is not None:
        raise Conflict("case_erased")
    return case


def _open(work: Work, keys: ClassKeys, salted: SaltedCase) -> Texts:
    cells = class_keys.newest_cells(work, [salted.case_id])[salted.case_id]
    opened = (keys.open(salted, field_class, stored) for field_class, stored in cells.items())
    return {name: str(text) for fields in opened for name, text in fields.items()}


def _merged(before: Texts, changes: Mapping[str, str], work: Work) -> Texts:
    """What the fields say afterwards, tidy; Invalid where one of them cannot stand."""
    tidy = {name: _COLUMNS[name].tidied(text) for name, text in changes.items()}
    texts = before | tidy
    crossed = crossed_faults(texts, day_of(work.at))
    codes = {name: _COLUMNS[name].fault(texts.get(name, "")) or crossed.get(name) for name in changes}
    # A birth date that stood may contradict the id number that is new.
    codes |= {name: code for name, code in crossed.items() if name not in codes}
    errors = [RowError(0, name, code) for name, code in codes.items() if code]
    if errors:
        raise Invalid(errors=errors)
    return {name: text for name, text in texts.items() if text}


def _seal(work: Work, keys: ClassKeys, salted: SaltedCase, texts: Texts, classes: set[str]) -> int:
    """The touched classes under the newest keys, as the case's next version, which is answered."""
    mine = (tenancy.own(work, CaseSealing), CaseSealing.case_id == salted.case_id)
    version = 1 + (work.session.scalar(select(func.max(CaseSealing.version)).where(*mine)) or 0)
    of_portfolio = (tenancy.own(work, ClassKey), ClassKey.portfolio_id == salted.portfolio_id)
    epoch = work.session.scalars(select(func.max(ClassKey.epoch)).where(*of_portfolio)).one()
    cells: dict[str, Any] = {}
    for field_class in classes:
        key = salted.key(keys.get(salted.portfolio_id, field_class, epoch))
        fields = {name: texts[name] for name in FIELDS[field_class] if name in texts}
        cells[field_class] = seal_cell(key, salted.name(field_class, version), {**fields})
    work.session.add(
        CaseSealing(
            lender_id=work.tenant_id,
            case_id=salted.case_id,
            version=version,
            epoch=epoch,
            **dict.fromkeys(FIELDS) | cells,
        )
    )
    work.session.flush()
    return version


def _follow(work: Work, case: Case, before: Texts, after: Texts, fields: Sequence[str]) -> None:
    """Masks, the band of ages, blind tokens and the borrower follow what has changed."""
    changed = {name: mask(MASK_KINDS[name], after[name]) for name in fields if name in after}
    case.masks = {name: shown for name, shown in case.masks.items() if name not in fields} | changed
    if "id_number" in fields:
        case.age_band = age_band(after["id_number"], day_of(work.at))
        _rejoin(work, case, after["id_number"])
    if set(PHONES) & set(fields):
        _index_phones(work, case, after)
    work.session.flush()


def _index_phones(work: Work, case: Case, texts: Texts) -> None:
    index_key = organisations.open_lender_key(work, "index")
    mine = (tenancy.own(work, PhoneToken), PhoneToken.case_id == case.id)
    work.session.execute(delete(PhoneToken).where(*mine).execution_options(synchronize_session=False))
    tokens = {token(index_key, "mobile", texts[name]) for name in PHONES if name in texts}
    work.session.add_all(PhoneToken(lender_id=case.lender_id, token=one, case_id=case.id) for one in tokens)


def _rejoin(work: Work, case: Case, id_number: str) -> None:
    wanted = token(organisations.open_lender_key(work, "index"), "id_cn", id_number)
    borrower = work.session.get_one(Borrower, (case.lender_id, case.borrower_id))
    if borrower.id_token == wanted:
        return  # The same person, spelt in the older form.
    known = work.session.scalar(select(Borrower).where(tenancy.own(work, Borrower), Borrower.id_token == wanted))
    others = select(Case.id).where(tenancy.own(work, Case), Case.borrower_id == borrower.id, Case.id != case.id)
    if known is None and work.session.scalar(others.limit(1)) is None:
        borrower.id_token, borrower.next_id_token = wanted, None
        return
    _require_free(work, case)
    if known is None:
        known = Borrower(lender_id=case.lender_id, id=new_id(), id_token=wanted, created_at=work.at)
        work.session.add(known)
        work.session.flush()
    case.borrower_id = known.id


def _require_free(work: Work, case: Case) -> None:
    """Neither placed nor offered: an agency gets a household whole, or none of it. Under the turn at offers."""
    offered = exists().where(tenancy.own(work, TenderedCase), TenderedCase.case_id == case.id, TenderedCase.open)
    if case.agency_id is not None or work.session.scalar(select(offered)):
        raise Conflict("household_placed")
