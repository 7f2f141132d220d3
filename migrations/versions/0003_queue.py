"""The queue's own schema (Procrastinate): the portal may enqueue and read nothing."""

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0003_queue"
down_revision = "0002_row_security"
branch_labels = None
depends_on = None

DEFER = "procrastinate.procrastinate_defer_jobs_v1(procrastinate.procrastinate_job_to_defer_v1[])"


def upgrade() -> None:
    op.execute("create schema procrastinate")
    op.execute("set local search_path = procrastinate, public")
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
    # The library names its tables without a schema: every function must find them wherever it is called from.
    op.execute(
        """do $$ declare found record; begin
            for found in
                select oid::regprocedure as name from pg_proc where pronamespace = 'procrastinate'::regnamespace
            loop
                execute format('alter function %s set search_path = procrastinate, pg_temp', found.name);
            end loop; end $$"""
    )
    op.execute("set local search_path = public")
    op.execute("revoke all on all functions in schema procrastinate from public")
    # Enqueueing runs as the owner, so that who may enqueue needs no right to read what others enqueued.
    op.execute(f"alter function {DEFER} security definer")
    op.execute("grant usage on schema procrastinate to consign_app, consign_jobs, consign_backup")
    op.execute(f"grant execute on function {DEFER} to consign_app")
    op.execute("grant execute on all functions in schema procrastinate to consign_jobs")
    op.execute("grant all on all tables in schema procrastinate to consign_jobs")
    op.execute("grant all on all sequences in schema procrastinate to consign_jobs")
    op.execute("grant select on all tables in schema procrastinate to consign_backup")


def downgrade() -> None:
    op.execute("drop schema procrastinate cascade")
