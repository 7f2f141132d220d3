"""A placed case keeps which rule of an allocation gave it."""

import sqlalchemy as sa
from alembic import op

revision = "0013_rules"
down_revision = "0012_histories"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of cases placed before this was kept, nobody knows it: null.
    op.add_column("placed_case", sa.Column("rule", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("placed_case", "rule")
