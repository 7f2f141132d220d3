"""Sealed bids on parts of a tender."""

revision = "0008_lots"
down_revision = "0007_kept_totals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
