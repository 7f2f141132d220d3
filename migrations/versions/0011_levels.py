"""A placement keeps which level set each of its terms; due diligence is asked for by every lender."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.row_security import unprotected

revision = "0011_levels"
down_revision = "0010_amounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of placements made before this was kept, nobody knows it: null.
    op.add_column("placement", sa.Column("term_levels", JSONB(), nullable=True))
    with unprotected("lender_setting"):
        op.execute(
            """update lender_setting set required_documents = required_documents || 'due_diligence'::text
               where not 'due_diligence' = any(required_documents)"""
        )


def downgrade() -> None:
    op.drop_column("placement", "term_levels")
