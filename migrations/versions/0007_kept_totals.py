"""Totals that are kept, so that no page counts a million cases."""

revision = "0007_kept_totals"
down_revision = "0006_placing_at_size"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
