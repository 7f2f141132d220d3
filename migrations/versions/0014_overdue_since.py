"""Every case keeps since when it is overdue, also where its file says for how many days alone."""

from alembic import op

from migrations.row_security import unprotected

revision = "0014_overdue_since"
down_revision = "0013_rules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The day of the upload, to which `dpd` belongs: `balance_on` has gone on with the ledger's balances.
    with unprotected("portfolio", "collection_case"):
        op.execute(
            """update collection_case
               set overdue_since_on = (portfolio.created_at at time zone 'Asia/Shanghai')::date - dpd
               from portfolio
               where portfolio.lender_id = collection_case.lender_id and portfolio.id = portfolio_id
                 and overdue_since_on is null"""
        )
    op.alter_column("collection_case", "overdue_since_on", nullable=False)


def downgrade() -> None:
    op.alter_column("collection_case", "overdue_since_on", nullable=True)
