"""What the migrations share: how a table is protected, and by which policies. Released ones rest on it: only add."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op

SELECT, INSERT, UPDATE, DELETE = "select", "insert", "update", "delete"
READ, APPEND, KEEP, ALL = (
    (SELECT,),
    (SELECT, INSERT),
    (SELECT, INSERT, UPDATE),
    (SELECT, INSERT, UPDATE, DELETE),
)

ORG = "(select nullif(current_setting('app.org_id', true), '')::uuid)"
# Whole inside the subselect: as a boolean the planner takes it for likely, as a comparison for one row in 200.
LENDER_SIDE = "(select current_setting('app.side', true) = 'lender')"
AGENCY_SIDE = "(select current_setting('app.side', true) = 'agency')"


def policy(table: str, who: str, command: str, roles: str, condition: str) -> None:
    clause = {
        SELECT: f"using ({condition})",
        DELETE: f"using ({condition})",
        INSERT: f"with check ({condition})",
        UPDATE: f"using ({condition}) with check ({condition})",
    }[command]
    op.execute(f"create policy {who}_{command} on {table} for {command} to {roles} {clause}")


def protect(table: str) -> None:
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")


def tenant_table(table: str, lender: tuple[str, ...], agency: tuple[str, ...], auditor: tuple[str, ...]) -> None:
    """A table of a lender's tenant: what the lender, the agency named in the row, an auditor under mandate may do."""
    protect(table)
    op.execute(f"grant {', '.join(c for c in ALL if c in lender or c in agency)} on {table} to consign_app")
    op.execute(f"grant {', '.join(lender)} on {table} to consign_jobs")
    for command in lender:
        policy(table, "lender", command, "consign_app, consign_jobs", f"{LENDER_SIDE} and lender_id = {ORG}")
    for command in agency:
        policy(table, "agency", command, "consign_app", f"{AGENCY_SIDE} and agency_id = {ORG}")
    if auditor:
        op.execute(f"grant {', '.join(auditor)} on {table} to consign_auditor")
    for command in auditor:
        policy(table, "auditor", command, "consign_auditor", f"lender_id = {ORG}")


@contextmanager
def unprotected(*tables: str) -> Iterator[None]:
    """For carrying rows over: forced row security hides every row from the owner too."""
    for table in tables:
        op.execute(f"alter table {table} no force row level security")
    yield
    for table in tables:
        op.execute(f"alter table {table} force row level security")
