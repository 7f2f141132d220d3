"""Sealed bids on lots of a tender: in which lot a case is, and what each package of a bid came to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008_lots"
down_revision = "0007_kept_totals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tendered_case", sa.Column("lot", sa.SmallInteger(), nullable=True))
    op.add_column("bid", sa.Column("packages", JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("bid", "packages")
    op.drop_column("tendered_case", "lot")
