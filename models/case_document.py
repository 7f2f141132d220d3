"""Documents of a case: recordings and letters, sealed in class `notes` by whoever adds them."""

import datetime as dt
from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Key, refers

RECORDING, LETTER, PROOF = "recording", "letter", "proof"
KINDS = (RECORDING, LETTER, PROOF)


class CaseDocument(Base):
    """What is known of a sealed file. Its name is not kept: people put names into names of files."""

    __tablename__ = "case_document"
    __table_args__ = (
        refers("lender_id", "case_id", to="collection_case"),
        Index(None, "lender_id", "case_id"),
        Index(None, "agency_id", "case_id"),
    )
    lender_id: Mapped[Key]
    id: Mapped[Key]
    case_id: Mapped[UUID]
    agency_id: Mapped[UUID | None]  # whose person added it; None: the lender's
    placement_id: Mapped[UUID | None]
    kind: Mapped[str]
    media_type: Mapped[str]
    byte_count: Mapped[int] = mapped_column(BigInteger)  # in the clear
    object_id: Mapped[UUID]  # names the object; another one when the file is sealed anew
    sealed_digest: Mapped[bytes]  # SHA-256 of the object
    epoch: Mapped[int]
    added_by: Mapped[UUID]
    member_name: Mapped[str]
    added_at: Mapped[dt.datetime]
    erased_at: Mapped[dt.datetime | None]
