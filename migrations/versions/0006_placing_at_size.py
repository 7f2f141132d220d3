"""Placing a million cases: what the database need not keep while they are written."""

import sqlalchemy as sa
from alembic import op

revision = "0006_placing_at_size"
down_revision = "0005_exchange"
branch_labels = None
depends_on = None

# An update that changes no indexed column and finds room beside the row leaves every index alone: room for all.
FILL = 50


def upgrade() -> None:
    op.add_column("tender", sa.Column("preview_seats", sa.LargeBinary(), nullable=True))
    op.drop_index("ix_collection_case_agency", table_name="collection_case")
    _turn("lender_id", "reference", into=("reference", "lender_id"))
    op.execute(f"alter table collection_case set (fillfactor = {FILL})")


def downgrade() -> None:
    op.execute("alter table collection_case reset (fillfactor)")
    _turn("reference", "lender_id", into=("lender_id", "reference"))
    op.create_index(
        "ix_collection_case_agency",
        "collection_case",
        ["agency_id", "reference"],
        postgresql_where=sa.text("agency_id is not null"),
    )
    op.drop_column("tender", "preview_seats")


def _turn(*columns: str, into: tuple[str, ...]) -> None:
    """The same key in another order: an agency, which names no lender, looks a case number up by its beginning."""
    op.create_unique_constraint(op.f(f"uq_collection_case_{'_'.join(into)}"), "collection_case", list(into))
    op.drop_constraint(op.f(f"uq_collection_case_{'_'.join(columns)}"), "collection_case", type_="unique")
