"""What every table shares: the metadata, the naming convention and the column kinds."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import DateTime, ForeignKeyConstraint, LargeBinary, MetaData, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

Key = Annotated[UUID, mapped_column(primary_key=True)]
Money = Annotated[Decimal, mapped_column(Numeric(18, 2))]
Rate = Annotated[Decimal, mapped_column(Numeric(9, 6))]
Day = Annotated[dt.date, mapped_column()]


class Base(DeclarativeBase):
    """Rows say which row they are and nothing else, so that a traceback shows no data."""

    metadata = metadata
    type_annotation_map: ClassVar = {
        str: Text,
        bytes: LargeBinary,
        dt.datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        list[bytes]: ARRAY(LargeBinary),
        list[UUID]: ARRAY(Uuid),
    }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self, 'id', '')}>"


def refers(*columns: str, to: str, target: tuple[str, ...] = ("lender_id", "id")) -> ForeignKeyConstraint:
    """A composite reference: the tenant is part of it, because foreign keys are checked past row security."""
    return ForeignKeyConstraint(columns, [f"{to}.{name}" for name in target])
