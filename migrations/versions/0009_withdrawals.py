"""Rate cards withdrawn before they begin; old webhook deliveries taken away."""

import sqlalchemy as sa
from alembic import op

from migrations.row_security import DELETE, ORG, policy, unprotected

revision = "0009_withdrawals"
down_revision = "0008_lots"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of cards that were ended before this was kept, nobody knows whether they would go on: they do not.
    op.add_column("rate_card", sa.Column("followed_by", sa.Uuid(), nullable=True))
    op.add_column("rate_card", sa.Column("withdrawal_by", sa.Uuid(), nullable=True))
    op.add_column("rate_card", sa.Column("withdrawal_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("grant delete on webhook_delivery to consign_jobs")
    policy("webhook_delivery", "own", DELETE, "consign_jobs", f"org_id = {ORG} and state <> 'waiting'")


def downgrade() -> None:
    op.execute("drop policy own_delete on webhook_delivery")
    op.execute("revoke delete on webhook_delivery from consign_jobs")
    with unprotected("rate_card"):
        op.execute("update rate_card set state = 'refused' where state = 'withdrawn'")
    for column in ("withdrawal_at", "withdrawal_by", "followed_by"):
        op.drop_column("rate_card", column)
