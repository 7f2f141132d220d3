"""The papers an agency is entrusted by: licence, insurance, due diligence, training. One row for each version."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key
from models.errors import RowError
from models.provinces import PROVINCES

LICENCE, INSURANCE, DUE_DILIGENCE, TRAINING = "licence", "insurance", "due_diligence", "training"
DOCUMENT_KINDS = (LICENCE, INSURANCE, DUE_DILIGENCE, TRAINING)

RECORDED, ATTESTED, ACCEPTED, WITHDRAWN = "recorded", "attested", "accepted", "withdrawn"
TRANSITIONS = {
    (RECORDED, "attest"): ATTESTED,  # by a manager of the agency: so it is
    (ATTESTED, "accept"): ACCEPTED,  # by the lender: seen, and good enough
    (RECORDED, "withdraw"): WITHDRAWN,
    (ATTESTED, "withdraw"): WITHDRAWN,
    (ACCEPTED, "withdraw"): WITHDRAWN,
}
DIGEST_BYTES = 32
REQUIRED_ALWAYS = (DUE_DILIGENCE,)  # whatever else a lender asks for
# An agency is evaluated each year, and before a further agreement with it begins.
EVALUATION_DAYS_MAX = 366
RENEWAL_EVALUATION_DAYS = 90


class Paper(NamedTuple):
    """What a document says; `provinces` of a licence, where empty means everywhere."""

    kind: str
    number: str
    issuer: str
    issued_on: dt.date
    expires_on: dt.date
    provinces: Sequence[str] = ()
    file_digest: bytes | None = None


def faults(paper: Paper, today: dt.date) -> list[RowError]:
    """What is wrong with a paper that is recorded today."""
    return [
        *([RowError(0, "kind", "unknown_value")] if paper.kind not in DOCUMENT_KINDS else []),
        *(RowError(0, name, "required_missing") for name in ("number", "issuer") if not getattr(paper, name).strip()),
        *([RowError(0, "issued_on", "in_future")] if paper.issued_on > today else []),
        *([RowError(0, "expires_on", "dates_reversed")] if paper.expires_on < paper.issued_on else []),
        *([RowError(0, "expires_on", "expired_already")] if paper.issued_on <= paper.expires_on < today else []),
        *([RowError(0, "expires_on", "evaluation_too_long")] if _is_beyond_a_year(paper) else []),
        *([RowError(0, "provinces", "unknown_region")] if not set(paper.provinces) <= set(PROVINCES) else []),
        *([RowError(0, "provinces", "of_licences_only")] if paper.provinces and paper.kind != LICENCE else []),
        *(
            [RowError(0, "file_digest", "invalid_length")]
            if paper.file_digest is not None and len(paper.file_digest) != DIGEST_BYTES
            else []
        ),
    ]


def _is_beyond_a_year(paper: Paper) -> bool:
    return paper.kind == DUE_DILIGENCE and (paper.expires_on - paper.issued_on).days > EVALUATION_DAYS_MAX


def missing(
    required: Iterable[str],
    counting: Mapping[str, Sequence["AgencyDocument"]],
    on: dt.date,
    follows_on: dt.date | None = None,
) -> list[str]:
    """Codes: what keeps an agency with these counting papers, by kind, from receiving cases on a day.

    A kind asked for is missing. What counted and has expired is in the way of whoever asked for it or not, until it is
    renewed or withdrawn. An agreement that begins after another with the agency, on the day `follows_on`, needs an
    evaluation of no more than RENEWAL_EVALUATION_DAYS before that day, or a later one.
    """
    kinds = [kind for kind in DOCUMENT_KINDS if kind in required or kind in REQUIRED_ALWAYS]
    found = [f"{kind}_missing" for kind in kinds if kind not in counting]
    found += [f"{kind}_expired" for kind in DOCUMENT_KINDS if kind in counting and counting[kind][0].expires_on < on]
    evaluated = [document.issued_on for document in counting.get(DUE_DILIGENCE, ())]
    if follows_on and evaluated and max(evaluated) < follows_on - dt.timedelta(days=RENEWAL_EVALUATION_DAYS):
        found.append("renewal_evaluation_missing")
    return found


def counting(confirmed: Iterable["AgencyDocument"], on: dt.date) -> list["AgencyDocument"]:
    """Of one kind's versions that both sides have confirmed, newest first: those that count, the last to end first.

    A version takes the place of the older ones that end no later than it; one that ends later counts on beside it.
    Where all have expired it is the last that did, alone; empty: nothing was confirmed.
    """
    standing: list[AgencyDocument] = []
    for document in confirmed:
        if not standing or document.expires_on > standing[0].expires_on:
            standing.insert(0, document)
    return [document for document in standing if document.expires_on >= on] or standing[:1]


class AgencyDocument(Base):
    """It counts from the day on which the agency has attested it and the lender has accepted it: see `counting`."""

    __tablename__ = "agency_document"
    __table_args__ = (
        CheckConstraint("expires_on >= issued_on", name="term"),
        Index(None, "lender_id", "agency_id", "kind"),
        Index(None, "agency_id"),
    )
    lender_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    id: Mapped[Key]
    agency_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id"))
    kind: Mapped[str]
    number: Mapped[str]
    issuer: Mapped[str]
    provinces: Mapped[list[str]]  # of a licence: where it holds; empty: everywhere
    issued_on: Mapped[dt.date]
    expires_on: Mapped[dt.date]
    file_digest: Mapped[bytes | None]  # SHA-256 of the paper itself, which stays with the parties
    recorded_at: Mapped[dt.datetime]
    attested_by: Mapped[UUID | None]  # of the agency
    attested_at: Mapped[dt.datetime | None]
    accepted_by: Mapped[UUID | None]  # of the lender
    accepted_at: Mapped[dt.datetime | None]
    withdrawn_at: Mapped[dt.datetime | None]

    @property
    def state(self) -> str:
        if self.withdrawn_at:
            return WITHDRAWN
        if self.accepted_at:
            return ACCEPTED
        return ATTESTED if self.attested_at else RECORDED
