"""Totals that are kept, so that no page counts a million cases."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import APPEND, DELETE, LENDER_SIDE, ORG, READ, policy, tenant_table, unprotected

revision = "0007_kept_totals"
down_revision = "0006_placing_at_size"
branch_labels = None
depends_on = None

PLACE = "lender_id, portfolio_id, agency_id, currency, status"

# One row for each place whose count or sum a statement changed, under the policies of whoever changed it.
TALLY_NEW = f"""
create function case_tally_new() returns trigger language plpgsql as $$
begin
    insert into public.case_tally (id, {PLACE}, case_count, balance)
    select gen_random_uuid(), {PLACE}, count(*), sum(balance) from new_cases group by {PLACE};
    return null;
end $$
"""
TALLY_CHANGED = f"""
create function case_tally_changed() returns trigger language plpgsql as $$
begin
    insert into public.case_tally (id, {PLACE}, case_count, balance)
    select gen_random_uuid(), {PLACE}, sum(case_count), sum(balance)
    from (
        select {PLACE}, count(*) as case_count, sum(balance) as balance from new_cases group by {PLACE}
        union all
        select {PLACE}, -count(*), -sum(balance) from old_cases group by {PLACE}
    ) change
    group by {PLACE}
    having sum(case_count) <> 0 or sum(balance) <> 0;
    return null;
end $$
"""


def upgrade() -> None:
    _tallies()
    _products()
    op.create_index(
        "ix_collection_case_not_open",
        "collection_case",
        ["lender_id", "id"],
        postgresql_where=sa.text("status <> 'open'"),
    )


def _tallies() -> None:
    op.create_table(
        "case_tally",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("portfolio_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("case_count", sa.Integer(), nullable=False),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "portfolio_id"],
            ["portfolio.lender_id", "portfolio.id"],
            name=op.f("fk_case_tally_lender_id_portfolio_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_case_tally")),
    )
    op.create_index(op.f("ix_case_tally_lender_id_portfolio_id"), "case_tally", ["lender_id", "portfolio_id"])
    op.create_index(
        "ix_case_tally_agency", "case_tally", ["agency_id"], postgresql_where=sa.text("agency_id is not null")
    )
    with unprotected("collection_case"):
        op.execute(
            f"""insert into case_tally (id, {PLACE}, case_count, balance)
                select gen_random_uuid(), {PLACE}, count(*), sum(balance) from collection_case group by {PLACE}"""
        )
    op.execute(TALLY_NEW)
    op.execute(TALLY_CHANGED)
    op.execute(
        """create trigger case_tally_new after insert on collection_case
           referencing new table as new_cases for each statement execute function case_tally_new()"""
    )
    op.execute(
        """create trigger case_tally_changed after update on collection_case
           referencing old table as old_cases new table as new_cases
           for each statement execute function case_tally_changed()"""
    )
    tenant_table("case_tally", APPEND, READ, READ)
    # Folding is the jobs' alone.
    op.execute("grant delete on case_tally to consign_jobs")
    policy("case_tally", "lender", DELETE, "consign_jobs", f"{LENDER_SIDE} and lender_id = {ORG}")
    op.execute("grant select on case_tally to consign_backup")


def _products() -> None:
    """What a case's product is never changes, so its portfolio's products never do."""
    op.add_column("portfolio", sa.Column("products", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    with unprotected("portfolio", "collection_case"):
        op.execute(
            """update portfolio set products = array(
                   select distinct product from collection_case
                   where collection_case.lender_id = portfolio.lender_id and portfolio_id = portfolio.id
                   order by product)"""
        )
    op.alter_column("portfolio", "products", server_default=None)


def downgrade() -> None:
    op.drop_index("ix_collection_case_not_open", table_name="collection_case")
    op.drop_column("portfolio", "products")
    op.execute("drop trigger case_tally_new on collection_case")
    op.execute("drop trigger case_tally_changed on collection_case")
    op.execute("drop function case_tally_new(), case_tally_changed()")
    op.drop_table("case_tally")
