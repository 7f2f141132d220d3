"""Placing a million cases: what the database need not keep while they are written."""

revision = "0006_placing_at_size"
down_revision = "0005_exchange"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
