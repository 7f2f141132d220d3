"""An auditor may know which tenders held a case: its history has those that nobody took, too."""

from alembic import op

from migrations.row_security import ORG, SELECT, policy

revision = "0012_histories"
down_revision = "0011_levels"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("grant select on tendered_case to consign_auditor")
    policy("tendered_case", "auditor", SELECT, "consign_auditor", f"lender_id = {ORG}")


def downgrade() -> None:
    op.execute("drop policy auditor_select on tendered_case")
    op.execute("revoke select on tendered_case from consign_auditor")
