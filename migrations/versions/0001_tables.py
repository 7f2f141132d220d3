"""Every table."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001_tables"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "tenant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant")),
    )
    op.create_table(
        "agreement",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("lender_name", sa.Text(), nullable=False),
        sa.Column("agency_name", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("contingency_rate", sa.Numeric(precision=9, scale=6), nullable=False),
        sa.Column("term_days", sa.Integer(), nullable=False),
        sa.Column("tail_days", sa.Integer(), nullable=False),
        sa.Column("agency_may_receive", sa.Boolean(), nullable=False),
        sa.Column("processing_agreement", sa.Text(), nullable=False),
        sa.Column("impact_assessment", sa.Text(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "contingency_rate >= 0 and contingency_rate <= 1", name=op.f("ck_agreement_contingency_rate")
        ),
        sa.CheckConstraint("ends_on >= starts_on", name=op.f("ck_agreement_term")),
        sa.ForeignKeyConstraint(["agency_id"], ["tenant.id"], name=op.f("fk_agreement_agency_id")),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_agreement_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_agreement")),
        sa.UniqueConstraint("lender_id", "agency_id", "id", name=op.f("uq_agreement_lender_id_agency_id_id")),
        sa.UniqueConstraint("lender_id", "number", name=op.f("uq_agreement_lender_id_number")),
    )
    op.create_index(op.f("ix_agreement_agency_id"), "agreement", ["agency_id"], unique=False)
    op.create_table(
        "audit_outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["tenant.id"], name=op.f("fk_audit_outbox_org_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_outbox")),
    )
    op.create_index(op.f("ix_audit_outbox_org_id_id"), "audit_outbox", ["org_id", "id"], unique=False)
    op.create_table(
        "borrower",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("id_token", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_borrower_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_borrower")),
        sa.UniqueConstraint("lender_id", "id_token", name=op.f("uq_borrower_lender_id_id_token")),
    )
    op.create_table(
        "job_run",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["tenant.id"], name=op.f("fk_job_run_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_job_run")),
        sa.UniqueConstraint("org_id", "job", "business_date", name=op.f("uq_job_run_org_id_job_business_date")),
    )
    op.create_table(
        "ledger_feed",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("refused_count", sa.Integer(), nullable=False),
        sa.Column("suspense_count", sa.Integer(), nullable=False),
        sa.Column("received_by", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_ledger_feed_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_ledger_feed")),
        sa.UniqueConstraint(
            "lender_id",
            "kind",
            "business_date",
            "sequence",
            name=op.f("uq_ledger_feed_lender_id_kind_business_date_sequence"),
        ),
    )
    op.create_table(
        "lender_key",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_lender_key_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "purpose", "serial", name=op.f("pk_lender_key")),
    )
    op.create_table(
        "log_head",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", postgresql.ARRAY(sa.LargeBinary()), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["tenant.id"], name=op.f("fk_log_head_org_id")),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_log_head")),
    )
    op.create_table(
        "mandate",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("auditor_id", sa.Uuid(), nullable=False),
        sa.Column("lender_name", sa.Text(), nullable=False),
        sa.Column("auditor_name", sa.Text(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["auditor_id"], ["tenant.id"], name=op.f("fk_mandate_auditor_id")),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_mandate_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_mandate")),
        sa.UniqueConstraint(
            "lender_id", "auditor_id", "starts_on", name=op.f("uq_mandate_lender_id_auditor_id_starts_on")
        ),
    )
    op.create_index(op.f("ix_mandate_auditor_id"), "mandate", ["auditor_id"], unique=False)
    op.create_table(
        "organisation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("custody", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["tenant.id"], name=op.f("fk_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        sa.UniqueConstraint("code", name=op.f("uq_organisation_code")),
    )
    op.create_table(
        "portfolio",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("file_digest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("case_count", sa.Integer(), nullable=False),
        sa.Column("borrower_count", sa.Integer(), nullable=False),
        sa.Column("refused_count", sa.Integer(), nullable=False),
        sa.Column("balances", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_portfolio_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_portfolio")),
        sa.UniqueConstraint("lender_id", "file_digest", name=op.f("uq_portfolio_lender_id_file_digest")),
    )
    op.create_table(
        "class_key",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("portfolio_id", sa.Uuid(), nullable=False),
        sa.Column("field_class", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "portfolio_id"],
            ["portfolio.lender_id", "portfolio.id"],
            name=op.f("fk_class_key_lender_id_portfolio_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "portfolio_id", "field_class", "epoch", name=op.f("pk_class_key")),
    )
    op.create_table(
        "collection_case",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("portfolio_id", sa.Uuid(), nullable=False),
        sa.Column("borrower_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("principal", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("interest", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("fees", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("balance_on", sa.Date(), nullable=False),
        sa.Column("dpd", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("age_band", sa.Text(), nullable=False),
        sa.Column("overdue_since_on", sa.Date(), nullable=True),
        sa.Column("opened_on", sa.Date(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("masks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "borrower_id"],
            ["borrower.lender_id", "borrower.id"],
            name=op.f("fk_collection_case_lender_id_borrower_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "portfolio_id"],
            ["portfolio.lender_id", "portfolio.id"],
            name=op.f("fk_collection_case_lender_id_portfolio_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_collection_case")),
        sa.UniqueConstraint("lender_id", "reference", name=op.f("uq_collection_case_lender_id_reference")),
    )
    op.create_index(
        "ix_collection_case_agency",
        "collection_case",
        ["agency_id", "reference"],
        unique=False,
        postgresql_where="agency_id is not null",
    )
    op.create_index(
        op.f("ix_collection_case_lender_id_borrower_id"), "collection_case", ["lender_id", "borrower_id"], unique=False
    )
    op.create_index(
        op.f("ix_collection_case_lender_id_portfolio_id"),
        "collection_case",
        ["lender_id", "portfolio_id"],
        unique=False,
    )
    op.create_table(
        "idempotency",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("result_ids", postgresql.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_idempotency_org_id")),
        sa.PrimaryKeyConstraint("org_id", "member_id", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "ledger_feed_error",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("feed_id", sa.Uuid(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "feed_id"],
            ["ledger_feed.lender_id", "ledger_feed.id"],
            name=op.f("fk_ledger_feed_error_lender_id_feed_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "feed_id", "row", "field", "code", name=op.f("pk_ledger_feed_error")),
    )
    op.create_table(
        "log_checkpoint",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["log_head.org_id"], name=op.f("fk_log_checkpoint_org_id")),
        sa.PrimaryKeyConstraint("org_id", "size", name=op.f("pk_log_checkpoint")),
    )
    op.create_table(
        "log_leaf",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["log_head.org_id"], name=op.f("fk_log_leaf_org_id")),
        sa.PrimaryKeyConstraint("org_id", "index", name=op.f("pk_log_leaf")),
    )
    op.create_index(op.f("ix_log_leaf_org_id_leaf_hash"), "log_leaf", ["org_id", "leaf_hash"], unique=False)
    op.create_table(
        "member",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failed_sign_ins", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_member_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_member")),
        sa.UniqueConstraint("org_id", "email", name=op.f("uq_member_org_id_email")),
    )
    op.create_table(
        "offer",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("portfolio_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("case_count", sa.Integer(), nullable=False),
        sa.Column("borrower_count", sa.Integer(), nullable=False),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("strata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("decline_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "agreement_id"],
            ["agreement.lender_id", "agreement.agency_id", "agreement.id"],
            name=op.f("fk_offer_lender_id_agency_id_agreement_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "portfolio_id"],
            ["portfolio.lender_id", "portfolio.id"],
            name=op.f("fk_offer_lender_id_portfolio_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_offer")),
        sa.UniqueConstraint("lender_id", "agency_id", "id", name=op.f("uq_offer_lender_id_agency_id_id")),
    )
    op.create_index(op.f("ix_offer_agency_id"), "offer", ["agency_id"], unique=False)
    op.create_table(
        "organisation_key",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_organisation_key_org_id")),
        sa.PrimaryKeyConstraint("org_id", "purpose", "serial", name=op.f("pk_organisation_key")),
    )
    op.create_table(
        "portfolio_error",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("portfolio_id", sa.Uuid(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "portfolio_id"],
            ["portfolio.lender_id", "portfolio.id"],
            name=op.f("fk_portfolio_error_lender_id_portfolio_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "portfolio_id", "row", "field", "code", name=op.f("pk_portfolio_error")),
    )
    op.create_table(
        "api_token",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "member_id"], ["member.org_id", "member.id"], name=op.f("fk_api_token_org_id_member_id")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("org_id", "token_hash", name=op.f("uq_api_token_org_id_token_hash")),
    )
    op.create_table(
        "case_balance",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("feed_id", sa.Uuid(), nullable=False),
        sa.Column("balance_on", sa.Date(), nullable=False),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_case_balance_lender_id_case_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "feed_id"],
            ["ledger_feed.lender_id", "ledger_feed.id"],
            name=op.f("fk_case_balance_lender_id_feed_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "case_id", "feed_id", name=op.f("pk_case_balance")),
    )
    op.create_table(
        "case_salt",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_case_salt_lender_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "case_id", name=op.f("pk_case_salt")),
    )
    op.create_table(
        "case_sealing",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("epoch", sa.SmallInteger(), nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=True),
        sa.Column("contact", sa.LargeBinary(), nullable=True),
        sa.Column("related", sa.LargeBinary(), nullable=True),
        sa.Column("account", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_case_sealing_lender_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "case_id", "version", name=op.f("pk_case_sealing")),
    )
    op.create_table(
        "ledger_payment",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("feed_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("suspense_reference", sa.Text(), nullable=True),
        sa.Column("suspense_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("paid_to", sa.Text(), nullable=False),
        sa.Column("reversal_of", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_ledger_payment_lender_id_case_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "feed_id"],
            ["ledger_feed.lender_id", "ledger_feed.id"],
            name=op.f("fk_ledger_payment_lender_id_feed_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_ledger_payment")),
        sa.UniqueConstraint("lender_id", "reference", name=op.f("uq_ledger_payment_lender_id_reference")),
    )
    op.create_index(
        op.f("ix_ledger_payment_lender_id_case_id"), "ledger_payment", ["lender_id", "case_id"], unique=False
    )
    op.create_index(
        op.f("ix_ledger_payment_lender_id_posted_on"), "ledger_payment", ["lender_id", "posted_on"], unique=False
    )
    op.create_table(
        "offered_case",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_offered_case_lender_id_case_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "offer_id"], ["offer.lender_id", "offer.id"], name=op.f("fk_offered_case_lender_id_offer_id")
        ),
        sa.PrimaryKeyConstraint("lender_id", "offer_id", "case_id", name=op.f("pk_offered_case")),
    )
    op.create_index(
        "uq_offered_case_open", "offered_case", ["lender_id", "case_id"], unique=True, postgresql_where="open"
    )
    op.create_table(
        "phone_token",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_phone_token_lender_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "token", "case_id", name=op.f("pk_phone_token")),
    )
    op.create_index(op.f("ix_phone_token_lender_id_case_id"), "phone_token", ["lender_id", "case_id"], unique=False)
    op.create_table(
        "placement",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("portfolio_id", sa.Uuid(), nullable=False),
        sa.Column("lender_name", sa.Text(), nullable=False),
        sa.Column("agency_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("agreement_number", sa.Text(), nullable=False),
        sa.Column("contingency_rate", sa.Numeric(precision=9, scale=6), nullable=False),
        sa.Column("tail_days", sa.Integer(), nullable=False),
        sa.Column("agency_may_receive", sa.Boolean(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("case_count", sa.Integer(), nullable=False),
        sa.Column("referred_amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "agreement_id"],
            ["agreement.lender_id", "agreement.agency_id", "agreement.id"],
            name=op.f("fk_placement_lender_id_agency_id_agreement_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "offer_id"],
            ["offer.lender_id", "offer.agency_id", "offer.id"],
            name=op.f("fk_placement_lender_id_agency_id_offer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "portfolio_id"],
            ["portfolio.lender_id", "portfolio.id"],
            name=op.f("fk_placement_lender_id_portfolio_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_placement")),
        sa.UniqueConstraint("lender_id", "agency_id", "id", name=op.f("uq_placement_lender_id_agency_id_id")),
        sa.UniqueConstraint("lender_id", "offer_id", name=op.f("uq_placement_lender_id_offer_id")),
    )
    op.create_index(op.f("ix_placement_agency_id"), "placement", ["agency_id"], unique=False)
    op.create_table(
        "release",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=True),
        sa.Column("placement_id", sa.Uuid(), nullable=True),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("borrower_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("member_name", sa.Text(), nullable=False),
        sa.Column("field_class", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cell_version", sa.Integer(), nullable=False),
        sa.Column("cell_digest", sa.LargeBinary(), nullable=False),
        sa.Column("entry_leaf", sa.LargeBinary(), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_release_lender_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_release")),
        sa.UniqueConstraint("lender_id", "agency_id", "id", name=op.f("uq_release_lender_id_agency_id_id")),
    )
    op.create_index(
        op.f("ix_release_agency_id_member_id_released_at"),
        "release",
        ["agency_id", "member_id", "released_at"],
        unique=False,
    )
    op.create_index(op.f("ix_release_entry_leaf"), "release", ["entry_leaf"], unique=False)
    op.create_index(op.f("ix_release_lender_id_case_id"), "release", ["lender_id", "case_id"], unique=False)
    op.create_index(op.f("ix_release_lender_id_released_at"), "release", ["lender_id", "released_at"], unique=False)
    op.create_table(
        "sign_in",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("csrf_token", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "member_id"], ["member.org_id", "member.id"], name=op.f("fk_sign_in_org_id_member_id")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_sign_in")),
        sa.UniqueConstraint("org_id", "token_hash", name=op.f("uq_sign_in_org_id_token_hash")),
    )
    op.create_table(
        "placed_case",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("placement_seq", sa.Integer(), nullable=False),
        sa.Column("referred_amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id"],
            ["placement.lender_id", "placement.agency_id", "placement.id"],
            name=op.f("fk_placed_case_lender_id_agency_id_placement_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_placed_case_lender_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "placement_id", "case_id", name=op.f("pk_placed_case")),
        sa.UniqueConstraint(
            "lender_id",
            "agency_id",
            "placement_id",
            "case_id",
            name=op.f("uq_placed_case_lender_id_agency_id_placement_id_case_id"),
        ),
    )
    op.create_index(
        "ix_placed_case_agency_live",
        "placed_case",
        ["agency_id", "case_id"],
        unique=False,
        postgresql_where="ended_at is null",
    )
    op.create_index(op.f("ix_placed_case_lender_id_case_id"), "placed_case", ["lender_id", "case_id"], unique=False)
    op.create_index(
        "uq_placed_case_live", "placed_case", ["lender_id", "case_id"], unique=True, postgresql_where="ended_at is null"
    )
    op.create_table(
        "assignment",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("collector_id", sa.Uuid(), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agency_id", "collector_id"],
            ["member.org_id", "member.id"],
            name=op.f("fk_assignment_agency_id_collector_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id", "case_id"],
            ["placed_case.lender_id", "placed_case.agency_id", "placed_case.placement_id", "placed_case.case_id"],
            name=op.f("fk_assignment_lender_id_agency_id_placement_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "placement_id", "case_id", name=op.f("pk_assignment")),
    )
    op.create_index(
        op.f("ix_assignment_agency_id_collector_id"), "assignment", ["agency_id", "collector_id"], unique=False
    )
    op.create_table(
        "work_item",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("last_contact_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_outcome", sa.Text(), nullable=True),
        sa.Column("promise_due_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id", "case_id"],
            ["placed_case.lender_id", "placed_case.agency_id", "placed_case.placement_id", "placed_case.case_id"],
            name=op.f("fk_work_item_lender_id_agency_id_placement_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "placement_id", "case_id", name=op.f("pk_work_item")),
    )
    op.create_index("ix_work_item_order", "work_item", ["agency_id", "priority", "case_id"], unique=False)
    op.create_index(
        "ix_work_item_promise",
        "work_item",
        ["agency_id", "promise_due_on"],
        unique=False,
        postgresql_where="promise_due_on is not null",
    )
    op.create_table(
        "breach",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("borrower_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("pack_version", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("flagged_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id", "case_id"],
            ["placed_case.lender_id", "placed_case.agency_id", "placed_case.placement_id", "placed_case.case_id"],
            name=op.f("fk_breach_lender_id_agency_id_placement_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_breach")),
        sa.UniqueConstraint("lender_id", "rule_id", "subject_id", name=op.f("uq_breach_lender_id_rule_id_subject_id")),
    )
    op.create_index(op.f("ix_breach_agency_id_state"), "breach", ["agency_id", "state"], unique=False)
    op.create_index(op.f("ix_breach_lender_id_business_date"), "breach", ["lender_id", "business_date"], unique=False)
    op.create_table(
        "break_item",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("amount_claimed", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("amount_booked", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id", "case_id"],
            ["placed_case.lender_id", "placed_case.agency_id", "placed_case.placement_id", "placed_case.case_id"],
            name=op.f("fk_break_item_lender_id_agency_id_placement_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_break_item")),
        sa.UniqueConstraint(
            "lender_id",
            "kind",
            "claim_id",
            "payment_id",
            name=op.f("uq_break_item_lender_id_kind_claim_id_payment_id"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(op.f("ix_break_item_agency_id_state"), "break_item", ["agency_id", "state"], unique=False)
    op.create_index(op.f("ix_break_item_lender_id_state"), "break_item", ["lender_id", "state"], unique=False)
    op.create_table(
        "commission_line",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("cause_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("adjusts_id", sa.Uuid(), nullable=True),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("base_amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("rate", sa.Numeric(precision=9, scale=6), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=False),
        sa.Column("derivation", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "agreement_id"],
            ["agreement.lender_id", "agreement.agency_id", "agreement.id"],
            name=op.f("fk_commission_line_lender_id_agency_id_agreement_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id", "case_id"],
            ["placed_case.lender_id", "placed_case.agency_id", "placed_case.placement_id", "placed_case.case_id"],
            name=op.f("fk_commission_line_lender_id_agency_id_placement_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_commission_line")),
        sa.UniqueConstraint(
            "lender_id",
            "agreement_id",
            "component",
            "cause_id",
            "sequence",
            name=op.f("uq_commission_line_lender_id_agreement_id_component_cause_id_sequence"),
        ),
    )
    op.create_index(
        op.f("ix_commission_line_agency_id_period"), "commission_line", ["agency_id", "period"], unique=False
    )
    op.create_index(
        op.f("ix_commission_line_lender_id_period"), "commission_line", ["lender_id", "period"], unique=False
    )
    op.create_table(
        "contact",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("borrower_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("member_name", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_seconds", sa.Integer(), nullable=True),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("corrects_id", sa.Uuid(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id", "case_id"],
            ["placed_case.lender_id", "placed_case.agency_id", "placed_case.placement_id", "placed_case.case_id"],
            name=op.f("fk_contact_lender_id_agency_id_placement_id_case_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "borrower_id"],
            ["borrower.lender_id", "borrower.id"],
            name=op.f("fk_contact_lender_id_borrower_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_contact")),
        sa.UniqueConstraint(
            "lender_id", "agency_id", "external_ref", name=op.f("uq_contact_lender_id_agency_id_external_ref")
        ),
        sa.UniqueConstraint("lender_id", "agency_id", "id", name=op.f("uq_contact_lender_id_agency_id_id")),
    )
    op.create_index(op.f("ix_contact_agency_id_case_id"), "contact", ["agency_id", "case_id"], unique=False)
    op.create_index(
        op.f("ix_contact_lender_id_borrower_id_occurred_at"),
        "contact",
        ["lender_id", "borrower_id", "occurred_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_contact_lender_id_case_id_occurred_at"),
        "contact",
        ["lender_id", "case_id", "occurred_at"],
        unique=False,
    )
    op.create_index(op.f("ix_contact_lender_id_occurred_at"), "contact", ["lender_id", "occurred_at"], unique=False)
    op.create_table(
        "payment_claim",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("paid_to", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payment_claim_amount")),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id", "case_id"],
            ["placed_case.lender_id", "placed_case.agency_id", "placed_case.placement_id", "placed_case.case_id"],
            name=op.f("fk_payment_claim_lender_id_agency_id_placement_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_payment_claim")),
        sa.UniqueConstraint("lender_id", "agency_id", "id", name=op.f("uq_payment_claim_lender_id_agency_id_id")),
        sa.UniqueConstraint(
            "lender_id", "reference", "agency_id", name=op.f("uq_payment_claim_lender_id_reference_agency_id")
        ),
    )
    op.create_index(op.f("ix_payment_claim_agency_id_case_id"), "payment_claim", ["agency_id", "case_id"], unique=False)
    op.create_index(op.f("ix_payment_claim_lender_id_case_id"), "payment_claim", ["lender_id", "case_id"], unique=False)
    op.create_table(
        "promise",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_promise_amount")),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id", "case_id"],
            ["placed_case.lender_id", "placed_case.agency_id", "placed_case.placement_id", "placed_case.case_id"],
            name=op.f("fk_promise_lender_id_agency_id_placement_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_promise")),
    )
    op.create_index(op.f("ix_promise_agency_id_case_id"), "promise", ["agency_id", "case_id"], unique=False)
    op.create_index(op.f("ix_promise_lender_id_case_id"), "promise", ["lender_id", "case_id"], unique=False)
    op.create_table(
        "breach_evidence",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("breach_id", sa.Uuid(), nullable=False),
        sa.Column("event_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("window", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "breach_id"],
            ["breach.lender_id", "breach.id"],
            name=op.f("fk_breach_evidence_lender_id_breach_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "breach_id", name=op.f("pk_breach_evidence")),
    )
    op.create_table(
        "payment_match",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("amount_difference", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("days_difference", sa.Integer(), nullable=False),
        sa.Column("matched_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "claim_id"],
            ["payment_claim.lender_id", "payment_claim.agency_id", "payment_claim.id"],
            name=op.f("fk_payment_match_lender_id_agency_id_claim_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "payment_id"],
            ["ledger_payment.lender_id", "ledger_payment.id"],
            name=op.f("fk_payment_match_lender_id_payment_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_payment_match")),
        sa.UniqueConstraint(
            "lender_id", "claim_id", "payment_id", name=op.f("uq_payment_match_lender_id_claim_id_payment_id")
        ),
    )
    op.create_index(op.f("ix_payment_match_agency_id"), "payment_match", ["agency_id"], unique=False)
    op.execute(FOLLOW_CONTACTS)
    op.execute(FOLLOW_PROMISES)
    for table in ("contact", "promise"):
        op.execute(
            f"create trigger work_items_follow after insert on {table} referencing new table as reported"
            f" for each statement execute function work_items_follow_{table}()"
        )


# The worklist's order follows what is reported, in the same transaction and under the reporter's own policies.
FOLLOW_CONTACTS = """
create function work_items_follow_contact() returns trigger language plpgsql as $$
begin
    update public.work_item item
    set last_contact_at = latest.occurred_at,
        last_outcome = latest.outcome,
        priority = case item.priority when 2 then 4 when 3 then 5 else item.priority end,
        promise_due_on = case
            when item.promise_due_on >= (latest.occurred_at at time zone 'Asia/Shanghai')::date
            then item.promise_due_on
        end
    from (
        select distinct on (lender_id, placement_id, case_id) *
        from reported
        order by lender_id, placement_id, case_id, occurred_at desc, id desc
    ) latest
    where item.lender_id = latest.lender_id
      and item.placement_id = latest.placement_id
      and item.case_id = latest.case_id
      and (item.last_contact_at is null or item.last_contact_at <= latest.occurred_at);
    return null;
end $$
"""
FOLLOW_PROMISES = """
create function work_items_follow_promise() returns trigger language plpgsql as $$
begin
    update public.work_item item
    set promise_due_on = latest.due_on
    from (
        select distinct on (lender_id, placement_id, case_id) *
        from reported
        order by lender_id, placement_id, case_id, recorded_at desc, id desc
    ) latest
    where item.lender_id = latest.lender_id
      and item.placement_id = latest.placement_id
      and item.case_id = latest.case_id;
    return null;
end $$
"""


def downgrade() -> None:

    op.drop_index(op.f("ix_payment_match_agency_id"), table_name="payment_match")
    op.drop_table("payment_match")
    op.drop_table("breach_evidence")
    op.drop_index(op.f("ix_promise_lender_id_case_id"), table_name="promise")
    op.drop_index(op.f("ix_promise_agency_id_case_id"), table_name="promise")
    op.drop_table("promise")
    op.drop_index(op.f("ix_payment_claim_lender_id_case_id"), table_name="payment_claim")
    op.drop_index(op.f("ix_payment_claim_agency_id_case_id"), table_name="payment_claim")
    op.drop_table("payment_claim")
    op.drop_index(op.f("ix_contact_lender_id_occurred_at"), table_name="contact")
    op.drop_index(op.f("ix_contact_lender_id_case_id_occurred_at"), table_name="contact")
    op.drop_index(op.f("ix_contact_lender_id_borrower_id_occurred_at"), table_name="contact")
    op.drop_index(op.f("ix_contact_agency_id_case_id"), table_name="contact")
    op.drop_table("contact")
    op.drop_table("work_item")
    op.execute("drop function work_items_follow_contact(), work_items_follow_promise()")
    op.drop_index(op.f("ix_commission_line_lender_id_period"), table_name="commission_line")
    op.drop_index(op.f("ix_commission_line_agency_id_period"), table_name="commission_line")
    op.drop_table("commission_line")
    op.drop_index(op.f("ix_break_item_lender_id_state"), table_name="break_item")
    op.drop_index(op.f("ix_break_item_agency_id_state"), table_name="break_item")
    op.drop_table("break_item")
    op.drop_index(op.f("ix_breach_lender_id_business_date"), table_name="breach")
    op.drop_index(op.f("ix_breach_agency_id_state"), table_name="breach")
    op.drop_table("breach")
    op.drop_index(op.f("ix_assignment_agency_id_collector_id"), table_name="assignment")
    op.drop_table("assignment")
    op.drop_index("uq_placed_case_live", table_name="placed_case", postgresql_where="ended_at is null")
    op.drop_index(op.f("ix_placed_case_lender_id_case_id"), table_name="placed_case")
    op.drop_index("ix_placed_case_agency_live", table_name="placed_case", postgresql_where="ended_at is null")
    op.drop_table("placed_case")
    op.drop_table("sign_in")
    op.drop_index(op.f("ix_release_lender_id_released_at"), table_name="release")
    op.drop_index(op.f("ix_release_lender_id_case_id"), table_name="release")
    op.drop_index(op.f("ix_release_entry_leaf"), table_name="release")
    op.drop_index(op.f("ix_release_agency_id_member_id_released_at"), table_name="release")
    op.drop_table("release")
    op.drop_index(op.f("ix_placement_agency_id"), table_name="placement")
    op.drop_table("placement")
    op.drop_index(op.f("ix_phone_token_lender_id_case_id"), table_name="phone_token")
    op.drop_table("phone_token")
    op.drop_index("uq_offered_case_open", table_name="offered_case", postgresql_where="open")
    op.drop_table("offered_case")
    op.drop_index(op.f("ix_ledger_payment_lender_id_posted_on"), table_name="ledger_payment")
    op.drop_index(op.f("ix_ledger_payment_lender_id_case_id"), table_name="ledger_payment")
    op.drop_table("ledger_payment")
    op.drop_table("case_sealing")
    op.drop_table("case_salt")
    op.drop_table("case_balance")
    op.drop_table("api_token")
    op.drop_table("portfolio_error")
    op.drop_table("organisation_key")
    op.drop_index(op.f("ix_offer_agency_id"), table_name="offer")
    op.drop_table("offer")
    op.drop_table("member")
    op.drop_index(op.f("ix_log_leaf_org_id_leaf_hash"), table_name="log_leaf")
    op.drop_table("log_leaf")
    op.drop_table("log_checkpoint")
    op.drop_table("ledger_feed_error")
    op.drop_table("idempotency")
    op.drop_index(op.f("ix_collection_case_lender_id_portfolio_id"), table_name="collection_case")
    op.drop_index(op.f("ix_collection_case_lender_id_borrower_id"), table_name="collection_case")
    op.drop_index("ix_collection_case_agency", table_name="collection_case", postgresql_where="agency_id is not null")
    op.drop_table("collection_case")
    op.drop_table("class_key")
    op.drop_table("portfolio")
    op.drop_table("organisation")
    op.drop_index(op.f("ix_mandate_auditor_id"), table_name="mandate")
    op.drop_table("mandate")
    op.drop_table("log_head")
    op.drop_table("lender_key")
    op.drop_table("ledger_feed")
    op.drop_table("job_run")
    op.drop_table("borrower")
    op.drop_index(op.f("ix_audit_outbox_org_id_id"), table_name="audit_outbox")
    op.drop_table("audit_outbox")
    op.drop_index(op.f("ix_agreement_agency_id"), table_name="agreement")
    op.drop_table("agreement")
    op.drop_table("tenant")
