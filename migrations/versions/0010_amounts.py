"""Agreements bound what a case may owe that is placed under them."""

import sqlalchemy as sa
from alembic import op

revision = "0010_amounts"
down_revision = "0009_withdrawals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Older agreements name no bound: they go on covering every balance.
    for column in ("balance_from", "balance_below"):
        op.add_column("agreement", sa.Column(column, sa.Numeric(18, 2), nullable=True))
    op.create_check_constraint(
        op.f("ck_agreement_balance"), "agreement", "balance_from >= 0 and balance_below > coalesce(balance_from, 0)"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_agreement_balance"), "agreement", type_="check")
    for column in ("balance_below", "balance_from"):
        op.drop_column("agreement", column)
