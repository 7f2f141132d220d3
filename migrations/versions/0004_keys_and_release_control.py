"""Keys, leases, erasure and the control of what is opened and taken away."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import (
    ALL,
    APPEND,
    DELETE,
    INSERT,
    KEEP,
    LENDER_SIDE,
    ORG,
    READ,
    SELECT,
    UPDATE,
    policy,
    protect,
    tenant_table,
    unprotected,
)

revision = "0004_keys_and_release_control"
down_revision = "0003_queue"
branch_labels = None
depends_on = None

# As in 0002: what the lender may do, what the agency named in the row, what an auditor under mandate.
TENANT_TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "case_correction": (APPEND, (), READ),
    "case_document": (KEEP, APPEND, READ),
    "erasure": (APPEND, (), READ),
    "key_approval": (APPEND, READ, READ),
    "key_order": (KEEP, (), ()),
    "lease": (ALL, READ, ()),
    "leased_case": (ALL, READ, ()),
    "legal_hold": (KEEP, (), READ),
    "lender_setting": (KEEP, (), READ),
    "placement_freeze": (KEEP, READ, READ),
}
# Of whichever organisation is at work.
OWN_TABLES: dict[str, tuple[str, ...]] = {"search": APPEND}
# Policies of tables that stood before, which now take wrapped keys only with their signature.
SIGNED = (("class_key", "lender_insert"), ("class_key", "lender_update"), ("lender_key", "lender_insert"))

TOLD_ORG = "(select nullif(current_setting('app.told_org_id', true), '')::uuid)"


def upgrade() -> None:
    _tables()
    _keys_from_before()
    op.execute("grant select on all tables in schema public to consign_backup")
    for table, (lender, agency, auditor) in TENANT_TABLES.items():
        tenant_table(table, lender, agency, auditor)
    for table, commands in OWN_TABLES.items():
        protect(table)
        op.execute(f"grant {', '.join(commands)} on {table} to consign_app, consign_auditor")
        for command in commands:
            policy(table, "own", command, "consign_app, consign_auditor", f"org_id = {ORG}")
    # An auditor's exports stand in the tenant of the lender whose data they take.
    protect("export")
    op.execute("grant select, insert, update on export to consign_app, consign_auditor")
    for command in KEEP:
        policy("export", "own", command, "consign_app, consign_auditor", f"tenant_id = {ORG}")
    protect("access_refusal")
    everyone = "consign_app, consign_jobs, consign_auditor, consign_operator"
    op.execute(f"grant select, insert on access_refusal to {everyone}")
    op.execute("grant delete on access_refusal to consign_jobs")
    for command in APPEND:
        policy("access_refusal", "own", command, everyone, f"org_id = {ORG}")
    policy("access_refusal", "jobs", DELETE, "consign_jobs", f"org_id = {ORG}")
    # An organisation publishes its own keys; public keys of others are read by those who were told of them.
    op.execute("grant insert on organisation_key to consign_app, consign_jobs")
    policy("organisation_key", "own", INSERT, "consign_app, consign_jobs", f"org_id = {ORG}")
    policy("organisation_key", "told", SELECT, "consign_app, consign_jobs, consign_auditor", f"org_id = {TOLD_ORG}")
    op.execute("grant update (retired_at) on organisation_key to consign_app, consign_jobs")
    policy("organisation_key", "own", UPDATE, "consign_app, consign_jobs", f"org_id = {ORG}")
    op.execute("grant update (custody) on organisation to consign_operator, consign_app")
    policy("organisation", "operator", UPDATE, "consign_operator", "true")
    policy("organisation", "own", UPDATE, "consign_app", f"id = {ORG}")  # A rotation may bring its keys to another.
    op.execute("grant update (published_at) on erasure to consign_jobs")
    policy("erasure", "jobs", UPDATE, "consign_jobs", f"{LENDER_SIDE} and lender_id = {ORG}")
    # The contact is a fact and stays; the bytes of its note are sealed anew by a re-key and go with an erasure.
    op.execute("grant update (note) on contact to consign_app, consign_jobs")
    policy("contact", "lender", UPDATE, "consign_app, consign_jobs", f"{LENDER_SIDE} and lender_id = {ORG}")


def _keys_from_before() -> None:
    with unprotected("lender_key"):
        op.execute("update lender_key set active_at = created_at")
    # Their wraps are signed at set-up: whoever can write rows must not leave it another one to sign.
    signed = f"{LENDER_SIDE} and lender_id = {ORG} and signature is not null"
    for table, signed_policy in SIGNED:
        op.execute(f"alter policy {signed_policy} on {table} with check ({signed})")


def downgrade() -> None:
    for table, signed_policy in SIGNED:
        op.execute(f"alter policy {signed_policy} on {table} with check ({LENDER_SIDE} and lender_id = {ORG})")
    for table, dropped in (
        ("contact", "lender_update"),
        ("organisation", "operator_update"),
        ("organisation", "own_update"),
        ("organisation_key", "own_update"),
        ("organisation_key", "told_select"),
        ("organisation_key", "own_insert"),
    ):
        op.execute(f"drop policy {dropped} on {table}")
    op.execute("revoke update (note) on contact from consign_app, consign_jobs")
    op.execute("revoke update (custody) on organisation from consign_operator, consign_app")
    op.execute("revoke update (retired_at) on organisation_key from consign_app, consign_jobs")
    op.execute("revoke insert on organisation_key from consign_app, consign_jobs")
    op.drop_index(op.f("ix_release_lender_id_placement_id_released_at"), table_name="release")
    op.drop_column("sign_in", "proved_at")
    op.drop_column("portfolio", "sealed_by")
    op.drop_column("placement", "frozen_at")
    op.drop_column("organisation_key", "signature")
    op.drop_column("organisation_key", "retired_at")
    op.drop_column("organisation_key", "custody")
    op.drop_column("phone_token", "next_token")
    op.drop_column("member", "totp_step")
    op.drop_column("member", "totp_confirmed_at")
    op.drop_column("member", "totp_seed")
    op.drop_index(op.f("ix_log_checkpoint_org_id_signed_at"), table_name="log_checkpoint")
    op.drop_column("log_head", "forked_at")
    op.drop_column("lender_key", "active_at")
    op.drop_column("lender_key", "signature")
    op.drop_column("lender_key", "epoch")
    op.drop_column("collection_case", "erased_at")
    op.drop_column("class_key", "recipient")
    op.drop_column("class_key", "signature")
    op.drop_column("class_key", "serial")
    op.drop_column("borrower", "next_id_token")
    op.drop_index(op.f("ix_placement_freeze_lender_id_placement_id"), table_name="placement_freeze")
    op.drop_index("uq_placement_freeze_standing", table_name="placement_freeze")
    op.drop_table("placement_freeze")
    op.drop_table("leased_case")
    op.drop_table("lease")
    op.drop_table("case_correction")
    op.drop_index(op.f("ix_case_document_lender_id_case_id"), table_name="case_document")
    op.drop_index(op.f("ix_case_document_agency_id_case_id"), table_name="case_document")
    op.drop_table("case_document")
    op.drop_index(op.f("ix_search_org_id_member_id_searched_at"), table_name="search")
    op.drop_table("search")
    op.drop_table("export")
    op.drop_table("lender_setting")
    op.drop_index(op.f("ix_legal_hold_lender_id_subject_id"), table_name="legal_hold")
    op.drop_table("legal_hold")
    op.drop_index(op.f("ix_key_order_lender_id_state"), table_name="key_order")
    op.drop_table("key_order")
    op.drop_table("key_approval")
    op.drop_table("erasure")
    op.drop_table("access_refusal")


def _tables() -> None:
    op.create_table(
        "access_refusal",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["tenant.id"], name=op.f("fk_access_refusal_org_id")),
        sa.PrimaryKeyConstraint("org_id", "actor", "code", "minute", name=op.f("pk_access_refusal")),
    )
    op.create_table(
        "erasure",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("case_count", sa.Integer(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("erased_by", sa.Uuid(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_erasure_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_erasure")),
    )
    op.create_table(
        "key_approval",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["agency_id"], ["tenant.id"], name=op.f("fk_key_approval_agency_id")),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_key_approval_lender_id")),
        sa.PrimaryKeyConstraint(
            "lender_id", "agency_id", "purpose", "serial", "member_id", name=op.f("pk_key_approval")
        ),
    )
    op.create_table(
        "key_order",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_by", sa.Uuid(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_key_order_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_key_order")),
    )
    op.create_index(op.f("ix_key_order_lender_id_state"), "key_order", ["lender_id", "state"], unique=False)
    op.create_table(
        "legal_hold",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_by", sa.Uuid(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_by", sa.Uuid(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_legal_hold_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_legal_hold")),
    )
    op.create_index(op.f("ix_legal_hold_lender_id_subject_id"), "legal_hold", ["lender_id", "subject_id"], unique=False)
    op.create_table(
        "lender_setting",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("retention_days", sa.Integer(), nullable=False),
        sa.Column("releases_per_day", sa.Integer(), nullable=False),
        sa.Column("export_rows", sa.Integer(), nullable=False),
        sa.Column("earlier_agencies", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_lender_setting_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", name=op.f("pk_lender_setting")),
    )
    op.create_table(
        "export",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("requester_name", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decider_name", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("file_digest", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_export_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_export")),
    )
    op.create_table(
        "search",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("found_count", sa.Integer(), nullable=False),
        sa.Column("searched_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_search_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_search")),
    )
    op.create_index(
        op.f("ix_search_org_id_member_id_searched_at"), "search", ["org_id", "member_id", "searched_at"], unique=False
    )
    op.create_table(
        "case_document",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=True),
        sa.Column("placement_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("sealed_digest", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=False),
        sa.Column("member_name", sa.Text(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_case_document_lender_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_case_document")),
    )
    op.create_index(op.f("ix_case_document_agency_id_case_id"), "case_document", ["agency_id", "case_id"], unique=False)
    op.create_index(op.f("ix_case_document_lender_id_case_id"), "case_document", ["lender_id", "case_id"], unique=False)
    op.create_table(
        "case_correction",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("fields", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("corrected_by", sa.Uuid(), nullable=False),
        sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_case_correction_lender_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "case_id", "version", name=op.f("pk_case_correction")),
    )
    op.create_table(
        "lease",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("field_class", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("grant", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id"],
            ["placement.lender_id", "placement.agency_id", "placement.id"],
            name=op.f("fk_lease_lender_id_agency_id_placement_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "placement_id", "field_class", "epoch", name=op.f("pk_lease")),
    )
    op.create_table(
        "leased_case",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("field_class", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id", "case_id"],
            ["placed_case.lender_id", "placed_case.agency_id", "placed_case.placement_id", "placed_case.case_id"],
            name=op.f("fk_leased_case_lender_id_agency_id_placement_id_case_id"),
        ),
        sa.PrimaryKeyConstraint(
            "lender_id", "placement_id", "case_id", "field_class", "epoch", name=op.f("pk_leased_case")
        ),
    )
    op.create_table(
        "placement_freeze",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("frozen_by", sa.Uuid(), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_by", sa.Uuid(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id"],
            ["placement.lender_id", "placement.agency_id", "placement.id"],
            name=op.f("fk_placement_freeze_lender_id_agency_id_placement_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_placement_freeze")),
    )
    op.create_index(
        op.f("ix_placement_freeze_lender_id_placement_id"),
        "placement_freeze",
        ["lender_id", "placement_id"],
        unique=False,
    )
    op.create_index(
        "uq_placement_freeze_standing",
        "placement_freeze",
        ["lender_id", "placement_id"],
        unique=True,
        postgresql_where="lifted_at is null",
    )
    op.create_index(
        op.f("ix_release_lender_id_placement_id_released_at"),
        "release",
        ["lender_id", "placement_id", "released_at"],
        unique=False,
    )
    op.add_column("borrower", sa.Column("next_id_token", sa.LargeBinary(), nullable=True))
    op.add_column("class_key", sa.Column("serial", sa.Integer(), server_default="1", nullable=False))
    op.add_column("class_key", sa.Column("signature", sa.LargeBinary(), nullable=True))
    op.add_column("class_key", sa.Column("recipient", sa.LargeBinary(), nullable=True))
    op.add_column("collection_case", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("lender_key", sa.Column("epoch", sa.Integer(), server_default="1", nullable=False))
    op.add_column("lender_key", sa.Column("signature", sa.LargeBinary(), nullable=True))
    op.add_column("lender_key", sa.Column("active_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("log_head", sa.Column("forked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_log_checkpoint_org_id_signed_at"), "log_checkpoint", ["org_id", "signed_at"], unique=False)
    op.add_column("member", sa.Column("totp_seed", sa.LargeBinary(), nullable=True))
    op.add_column("member", sa.Column("totp_confirmed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("member", sa.Column("totp_step", sa.Integer(), nullable=True))
    op.add_column("phone_token", sa.Column("next_token", sa.LargeBinary(), nullable=True))
    op.add_column("organisation_key", sa.Column("custody", sa.Text(), server_default="local", nullable=False))
    op.add_column("organisation_key", sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("organisation_key", sa.Column("signature", sa.LargeBinary(), nullable=True))
    op.add_column("placement", sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("portfolio", sa.Column("sealed_by", sa.Text(), server_default="platform", nullable=False))
    op.add_column("sign_in", sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True))
