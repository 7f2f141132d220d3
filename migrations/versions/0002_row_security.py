"""Who may touch which row: grants, then one policy per table, command and side."""

from alembic import op

revision = "0002_row_security"
down_revision = "0001_tables"
branch_labels = None
depends_on = None

SELECT, INSERT, UPDATE, DELETE = "select", "insert", "update", "delete"
READ, APPEND, KEEP, ALL = (
    (SELECT,),
    (SELECT, INSERT),
    (SELECT, INSERT, UPDATE),
    (SELECT, INSERT, UPDATE, DELETE),
)

# Tables of a lender's tenant: what the lender may do, what the agency named in the row may do, what an
# auditor under mandate may do. Facts have no UPDATE and no DELETE for anyone.
TENANT_TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "agreement": (KEEP, READ, READ),
    "portfolio": (KEEP, (), READ),
    "portfolio_error": (APPEND, (), ()),
    "class_key": (ALL, (), ()),
    "lender_key": (APPEND, (), ()),
    "borrower": (KEEP, (), READ),
    "collection_case": (KEEP, READ, READ),
    "case_salt": (ALL, (), ()),
    "case_sealing": (ALL, (), ()),
    "phone_token": (ALL, (), ()),
    "offer": (KEEP, READ, ()),
    "offered_case": (KEEP, (), ()),
    "placement": (KEEP, READ, READ),
    "placed_case": (KEEP, READ, READ),
    "assignment": (READ, ALL, READ),
    "work_item": ((SELECT, INSERT, DELETE), (SELECT, UPDATE), ()),
    "contact": (READ, APPEND, READ),
    "promise": (READ, APPEND, READ),
    "payment_claim": (READ, APPEND, READ),
    "ledger_feed": (APPEND, (), ()),
    "ledger_feed_error": (APPEND, (), ()),
    "ledger_payment": (APPEND, (), ()),
    "case_balance": (APPEND, (), ()),
    "release": (APPEND, READ, READ),
    "payment_match": (APPEND, READ, READ),
    "break_item": (KEEP, READ, READ),
    "commission_line": (APPEND, READ, READ),
    "breach": (KEEP, READ, READ),
    "breach_evidence": (ALL, (), READ),
}

# Tables of whichever organisation is at work: for all its people.
OWN_TABLES: dict[str, tuple[str, ...]] = {
    "member": KEEP,
    "sign_in": KEEP,
    "api_token": KEEP,
    "idempotency": ALL,
}

ORG = "(select nullif(current_setting('app.org_id', true), '')::uuid)"
# Whole inside the subselect: as a boolean the planner takes it for likely, as a comparison for one row in 200.
LENDER_SIDE = "(select current_setting('app.side', true) = 'lender')"
AGENCY_SIDE = "(select current_setting('app.side', true) = 'agency')"
NAMED_CODE = "(select nullif(current_setting('app.org_code', true), ''))"


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


def upgrade() -> None:
    op.execute("revoke all on schema public from public")
    op.execute(
        "grant usage on schema public to consign_app, consign_jobs, consign_operator, consign_auditor, consign_backup"
    )
    op.execute("grant select on all tables in schema public to consign_backup")
    op.execute("grant select on tenant to consign_app, consign_jobs, consign_operator, consign_auditor")
    for table, (lender, agency, auditor) in TENANT_TABLES.items():
        _tenant_table(table, lender, agency, auditor)
    for table, commands in OWN_TABLES.items():
        protect(table)
        op.execute(f"grant {', '.join(commands)} on {table} to consign_app, consign_auditor, consign_operator")
        for command in commands:
            policy(table, "own", command, "consign_app, consign_auditor, consign_operator", f"org_id = {ORG}")
    _organisations()
    _mandates()
    _audit_log()
    _job_runs()


def _tenant_table(table: str, lender: tuple[str, ...], agency: tuple[str, ...], auditor: tuple[str, ...]) -> None:
    protect(table)
    commands = [c for c in ALL if c in lender or c in agency]
    op.execute(f"grant {', '.join(commands)} on {table} to consign_app")
    op.execute(f"grant {', '.join(lender)} on {table} to consign_jobs")
    for command in lender:
        policy(table, "lender", command, "consign_app, consign_jobs", f"{LENDER_SIDE} and lender_id = {ORG}")
    for command in agency:
        policy(table, "agency", command, "consign_app", f"{AGENCY_SIDE} and agency_id = {ORG}")
    if auditor:
        op.execute(f"grant {', '.join(auditor)} on {table} to consign_auditor")
    for command in auditor:
        policy(table, "auditor", command, "consign_auditor", f"lender_id = {ORG}")


def _organisations() -> None:
    """An organisation sees itself, and one other whose code it was told; the operator brings them in."""
    op.execute("grant insert on tenant to consign_operator")
    for table, key in (("organisation", "id"), ("organisation_key", "org_id")):
        protect(table)
        op.execute(f"grant select on {table} to consign_app, consign_auditor, consign_jobs")
        op.execute(f"grant select, insert on {table} to consign_operator")
        policy(table, "own", SELECT, "consign_app, consign_auditor, consign_jobs", f"{key} = {ORG}")
        policy(table, "operator", SELECT, "consign_operator", "true")
        policy(table, "operator", INSERT, "consign_operator", "true")
    policy("organisation", "told", SELECT, "consign_app, consign_auditor", f"code = {NAMED_CODE}")
    policy("member", "operator", INSERT, "consign_operator", "true")


def _mandates() -> None:
    protect("mandate")
    op.execute("grant select, insert, update on mandate to consign_app")
    op.execute("grant select on mandate to consign_auditor")
    for command in KEEP:
        policy("mandate", "lender", command, "consign_app", f"{LENDER_SIDE} and lender_id = {ORG}")
    policy("mandate", "auditor", SELECT, "consign_auditor", f"auditor_id = {ORG} or lender_id = {ORG}")


def _audit_log() -> None:
    """Acts append to the outbox of the organisation whose data they touch; only the jobs build the tree."""
    everyone = "consign_app, consign_jobs, consign_auditor"
    protect("audit_outbox")
    op.execute(f"grant insert on audit_outbox to {everyone}, consign_operator")
    op.execute(f"grant select (id, org_id, recorded_at) on audit_outbox to {everyone}, consign_operator")
    op.execute("grant select, delete on audit_outbox to consign_jobs")
    policy("audit_outbox", "own", INSERT, everyone, f"org_id = {ORG}")
    policy("audit_outbox", "own", SELECT, everyone, f"org_id = {ORG}")
    policy("audit_outbox", "jobs", DELETE, "consign_jobs", f"org_id = {ORG}")
    policy("audit_outbox", "operator", INSERT, "consign_operator", "true")
    policy("audit_outbox", "operator", SELECT, "consign_operator", "true")
    for table, kept in (("log_head", KEEP), ("log_leaf", APPEND), ("log_checkpoint", APPEND)):
        protect(table)
        op.execute(f"grant select on {table} to consign_app, consign_auditor")
        op.execute(f"grant {', '.join(kept)} on {table} to consign_jobs")
        policy(table, "own", SELECT, "consign_app, consign_auditor, consign_jobs", f"org_id = {ORG}")
        for command in kept[1:]:
            policy(table, "jobs", command, "consign_jobs", f"org_id = {ORG}")


def _job_runs() -> None:
    protect("job_run")
    op.execute("grant select, insert, update on job_run to consign_app")
    op.execute("grant select, insert, update on job_run to consign_jobs")
    op.execute("grant select on job_run to consign_operator")
    for command in KEEP:
        policy("job_run", "own", command, "consign_app", f"org_id = {ORG}")
    for command in KEEP:
        policy("job_run", "jobs", command, "consign_jobs", f"org_id = {ORG}")
    policy("job_run", "operator", SELECT, "consign_operator", "true")


def downgrade() -> None:
    own = [
        "organisation",
        "organisation_key",
        "mandate",
        "audit_outbox",
        "log_head",
        "log_leaf",
        "log_checkpoint",
        "job_run",
    ]
    roles = "consign_app, consign_jobs, consign_operator, consign_auditor, consign_backup"
    for table in (*TENANT_TABLES, *OWN_TABLES, *own):
        op.execute(
            f"""do $$ declare found record; begin
                for found in
                    select policyname from pg_policies where schemaname = 'public' and tablename = '{table}'
                loop
                    execute format('drop policy %I on {table}', found.policyname);
                end loop; end $$"""
        )
        op.execute(f"alter table {table} no force row level security")
        op.execute(f"alter table {table} disable row level security")
    op.execute(f"revoke all on all tables in schema public from {roles}")
    op.execute(f"revoke all on schema public from {roles}")
