"""The exchange: tenders, rate cards, the gate, bids, retention, recalls on their way, notices and webhooks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import (
    AGENCY_SIDE,
    APPEND,
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

revision = "0005_exchange"
down_revision = "0004_keys_and_release_control"
branch_labels = None
depends_on = None

# As in 0002: what the lender may do, what the agency named in the row, what an auditor under mandate.
TENANT_TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "acknowledgement_break": (KEEP, READ, READ),
    "agency_document": (KEEP, READ, READ),
    "agency_standing": (KEEP, (), READ),
    "award": (APPEND, (), READ),
    "bid": (KEEP, READ, READ),
    "exclusion": (KEEP, (), READ),
    "rate_card": (KEEP, READ, READ),
    "rate_cell": (APPEND, READ, READ),
    "recall_case": (KEEP, READ, READ),
    "recall_request": (KEEP, READ, READ),
    "retention": (KEEP, READ, READ),
    "standard_terms": (KEEP, (), READ),
    "tape_key": (APPEND, (), ()),
    "standing_change": (APPEND, (), READ),
    "tender": (KEEP, (), READ),
    "tendered_case": (KEEP, (), ()),
}
OWN_TABLES: dict[str, tuple[str, ...]] = {"webhook": KEEP, "webhook_delivery": KEEP}

# Until a lender decides otherwise: as in models/services/parties/lender_settings.py.
SETTINGS = {
    "tape_borrowers_min": "20",
    "new_case_follows": "true",
    "approval_cases": "100000",
    "required_documents": "'{licence,due_diligence}'",
    "conduct_score_min": "60",
    "complaints_per_5000_max": "25",
    "limitation_days": "1095",
    "rotation": "'off'",
    "paying_days": "30",
    "retention_window_days": "14",
    "retention_days_max": "30",
    "retention_percent_max": "10",
    "objection_hours": "24",
    "stop_work_hours": "24",
}
FIGURES = ("case_count", "borrower_count", "balance")  # of an offer: none where too few borrowers are in it
# A placement, which earns a fee for each case, is the cause of many lines.
LINE_KEY = ("lender_id", "agreement_id", "component", "cause_id", "sequence")
FEE_KEY = ("lender_id", "agreement_id", "component", "cause_id", "case_id", "sequence")
# What stood before is carried over as its owner, from whom row security would hide every row.
CARRIED = ("agreement", "offer", "placement", "placed_case", "lender_setting", "offered_case")


def upgrade() -> None:
    _tables()
    with unprotected(*CARRIED):
        _agreements()
        _offers()
        _placements()
        _settings()
    op.alter_column("breach", "member_id", nullable=True)  # a recall's stop is confirmed by an agency, not by a person
    op.drop_table("offered_case")
    _line_key(FEE_KEY)
    op.execute("grant select on all tables in schema public to consign_backup")
    for table, (lender, agency, auditor) in TENANT_TABLES.items():
        tenant_table(table, lender, agency, auditor)
    for table, commands in OWN_TABLES.items():
        protect(table)
        op.execute(f"grant {', '.join(commands)} on {table} to consign_app, consign_jobs")
        for command in commands:
            policy(table, "own", command, "consign_app, consign_jobs", f"org_id = {ORG}")
    # What was offered takes an agency's capacity, which an auditor may judge too.
    op.execute("grant select on offer to consign_auditor")
    policy("offer", "auditor", SELECT, "consign_auditor", f"lender_id = {ORG}")
    _notices()
    # Two cards of one agreement are never in force on one day.
    op.execute("create type uuidrange as range (subtype = uuid)")
    op.execute(
        """alter table rate_card add constraint ex_rate_card_valid exclude using gist (
            uuidrange(agreement_id, agreement_id, '[]') with &&, daterange(valid_from, valid_to, '[]') with &&
        ) where (state = 'active')"""
    )


def _notices() -> None:
    """Each side may tell the other; each reads, and marks as read, what it was told itself."""
    protect("notice")
    columns = "read_by, read_at, passed_on_at"
    op.execute(f"grant select, insert, update ({columns}) on notice to consign_app, consign_jobs")
    roles = "consign_app, consign_jobs"
    policy("notice", "lender", SELECT, roles, f"{LENDER_SIDE} and lender_id = {ORG}")
    policy("notice", "lender", INSERT, roles, f"{LENDER_SIDE} and lender_id = {ORG}")
    policy("notice", "lender", UPDATE, roles, f"{LENDER_SIDE} and lender_id = {ORG} and told = 'lender'")
    policy("notice", "agency", SELECT, "consign_app", f"{AGENCY_SIDE} and agency_id = {ORG} and told = 'agency'")
    policy("notice", "agency", UPDATE, "consign_app", f"{AGENCY_SIDE} and agency_id = {ORG} and told = 'agency'")
    policy("notice", "self", INSERT, "consign_app", f"{AGENCY_SIDE} and lender_id = {ORG} and agency_id = {ORG}")
    # The clock learns whose webhooks there are, and nothing else of them.
    op.execute("grant select (org_id, state) on webhook to consign_operator")
    policy("webhook", "operator", SELECT, "consign_operator", "true")


def _agreements() -> None:
    """The rate that an agreement had becomes its first card, with one cell for everything."""
    op.add_column("agreement", sa.Column("tier", sa.Integer(), server_default="1", nullable=False))
    op.add_column("agreement", sa.Column("provinces", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("agreement", sa.Column("products", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("agreement", sa.Column("buckets", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("agreement", sa.Column("open_cases_max", sa.Integer(), nullable=True))
    op.add_column("agreement", sa.Column("collectors", sa.Integer(), nullable=True))
    op.add_column("agreement", sa.Column("cases_per_collector", sa.Integer(), nullable=True))
    op.add_column(
        "agreement",
        sa.Column("contact_policy", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column("agreement", sa.Column("created_by", sa.Uuid(), nullable=True))
    op.add_column("agreement", sa.Column("decided_by", sa.Uuid(), nullable=True))
    op.add_column("agreement", sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("alter table agreement alter tier drop default")
    for column in ("provinces", "products", "buckets", "contact_policy"):
        op.execute(f"alter table agreement alter {column} drop default")
    op.execute(
        """insert into rate_card (lender_id, id, agency_id, agreement_id, version, state, valid_from, tail_days,
               agency_may_receive, settlement_floor, tax_treatment, tax_rate, proposed_by, proposed_at)
           select lender_id, id, agency_id, id, 1, 'active', starts_on, tail_days, agency_may_receive, 1,
               'inclusive', 0, lender_id, created_at from agreement"""
    )
    op.execute(
        """insert into rate_cell (lender_id, card_id, position, agency_id, amount_from, rate)
           select lender_id, id, 1, agency_id, 0, contingency_rate from agreement"""
    )
    op.drop_constraint(op.f("ck_agreement_contingency_rate"), "agreement", type_="check")
    op.drop_column("agreement", "tail_days")
    op.drop_column("agreement", "agency_may_receive")
    op.drop_column("agreement", "contingency_rate")


def _offers() -> None:
    """Each offer was a tender to one agency; its cases were the tender's."""
    op.execute(
        """insert into tender (lender_id, id, portfolio_id, kind, state, currency, case_count, borrower_count,
               balance, scrubbed, rules, created_at, decided_at)
           select lender_id, id, portfolio_id, 'assigned', case state when 'offered' then 'open'
                   when 'accepted' then 'placed' when 'withdrawn' then 'withdrawn' else 'unanswered' end,
               currency, case_count, borrower_count, balance, '{}', jsonb_build_object('choices',
               jsonb_build_array(agreement_id)), created_at, decided_at from offer"""
    )
    op.execute(
        """insert into tendered_case (lender_id, tender_id, case_id, open)
           select lender_id, offer_id, case_id, open from offered_case"""
    )
    op.add_column("offer", sa.Column("tender_id", sa.Uuid(), nullable=True))
    op.add_column("offer", sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("offer", sa.Column("outcome_reason", sa.Text(), nullable=True))
    op.execute("update offer set tender_id = id, terms = '{}'")
    for figure in FIGURES:
        op.alter_column("offer", figure, nullable=True)
    op.alter_column("offer", "tender_id", nullable=False)
    op.alter_column("offer", "terms", nullable=False)
    op.create_unique_constraint(
        op.f("uq_offer_lender_id_tender_id_agreement_id"), "offer", ["lender_id", "tender_id", "agreement_id"]
    )
    op.create_foreign_key(
        op.f("fk_offer_lender_id_tender_id"), "offer", "tender", ["lender_id", "tender_id"], ["lender_id", "id"]
    )


def _placements() -> None:
    op.add_column("placed_case", sa.Column("contingency_rate", sa.Numeric(precision=9, scale=6), nullable=True))
    op.add_column("placed_case", sa.Column("retained_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("placed_case", sa.Column("end_balance", sa.Numeric(precision=18, scale=2), nullable=True))
    op.add_column("placement", sa.Column("extended_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("placement", sa.Column("held_count", sa.Integer(), nullable=True))
    op.add_column("placement", sa.Column("tier", sa.Integer(), nullable=True))
    op.add_column("placement", sa.Column("rate_card_version", sa.Integer(), nullable=True))
    op.add_column("placement", sa.Column("lowest_rate", sa.Numeric(precision=9, scale=6), nullable=True))
    op.add_column("placement", sa.Column("highest_rate", sa.Numeric(precision=9, scale=6), nullable=True))
    op.add_column("placement", sa.Column("case_fee", sa.Numeric(precision=18, scale=2), nullable=True))
    op.add_column("placement", sa.Column("settlement_floor", sa.Numeric(precision=9, scale=6), nullable=True))
    op.add_column("placement", sa.Column("tax_treatment", sa.Text(), nullable=True))
    op.add_column("placement", sa.Column("tax_rate", sa.Numeric(precision=9, scale=6), nullable=True))
    op.add_column("placement", sa.Column("contact_policy", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.execute(
        """update placed_case set contingency_rate = placement.contingency_rate from placement
           where placement.lender_id = placed_case.lender_id and placement.id = placed_case.placement_id"""
    )
    op.alter_column("placed_case", "contingency_rate", nullable=False)
    op.execute(
        """update placement set tier = 1, rate_card_version = 1, lowest_rate = contingency_rate,
               highest_rate = contingency_rate, case_fee = 0, settlement_floor = 1, tax_treatment = 'inclusive',
               tax_rate = 0, contact_policy = '{}', held_count = (
                   select count(*) from placed_case where placed_case.lender_id = placement.lender_id
                       and placement_id = placement.id and placed_case.ended_at is null)"""
    )
    for column in (
        "held_count",
        "tier",
        "lowest_rate",
        "highest_rate",
        "case_fee",
        "settlement_floor",
        "tax_treatment",
        "tax_rate",
        "contact_policy",
    ):
        op.alter_column("placement", column, nullable=False)
    op.drop_column("placement", "contingency_rate")
    op.add_column(
        "placement_freeze", sa.Column("whole_agency", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.alter_column("placement_freeze", "whole_agency", server_default=None)


def _line_key(columns: tuple[str, ...]) -> None:
    before = LINE_KEY if columns == FEE_KEY else FEE_KEY
    op.drop_constraint(op.f(f"uq_commission_line_{'_'.join(before)}"), "commission_line", type_="unique")
    op.create_unique_constraint(op.f(f"uq_commission_line_{'_'.join(columns)}"), "commission_line", list(columns))


def _settings() -> None:
    op.add_column("lender_setting", sa.Column("tape_borrowers_min", sa.Integer(), nullable=True))
    op.add_column("lender_setting", sa.Column("new_case_follows", sa.Boolean(), nullable=True))
    op.add_column("lender_setting", sa.Column("approval_cases", sa.Integer(), nullable=True))
    op.add_column("lender_setting", sa.Column("required_documents", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column("lender_setting", sa.Column("conduct_score_min", sa.Integer(), nullable=True))
    op.add_column("lender_setting", sa.Column("complaints_per_5000_max", sa.Integer(), nullable=True))
    op.add_column("lender_setting", sa.Column("limitation_days", sa.Integer(), nullable=True))
    op.add_column("lender_setting", sa.Column("rotation", sa.Text(), nullable=True))
    op.add_column("lender_setting", sa.Column("paying_days", sa.Integer(), nullable=True))
    op.add_column("lender_setting", sa.Column("retention_window_days", sa.Integer(), nullable=True))
    op.add_column("lender_setting", sa.Column("retention_days_max", sa.Integer(), nullable=True))
    op.add_column("lender_setting", sa.Column("retention_percent_max", sa.Integer(), nullable=True))
    op.add_column("lender_setting", sa.Column("objection_hours", sa.Integer(), nullable=True))
    op.add_column("lender_setting", sa.Column("stop_work_hours", sa.Integer(), nullable=True))
    for name, value in SETTINGS.items():
        op.execute(f"update lender_setting set {name} = {value}")
        op.alter_column("lender_setting", name, nullable=False)


def downgrade() -> None:
    """Agreements keep the rate of their newest card's first cell, offers the cases of their tender; fees are lost."""
    with unprotected(*CARRIED[:-1], "rate_card", "rate_cell", "tender", "tendered_case"):
        _agreements_of_before()
        _offers_of_before()
        _placements_of_before()
    with unprotected("breach", "commission_line"):
        op.execute("delete from breach where member_id is null")
        op.execute("delete from commission_line where component = 'case_fee'")
    _line_key(LINE_KEY)
    op.alter_column("breach", "member_id", nullable=False)
    op.execute("drop policy auditor_select on offer")
    op.execute("revoke select on offer from consign_auditor")
    for name in SETTINGS:
        op.drop_column("lender_setting", name)
    for table in (
        "standard_terms",
        "retention",
        "acknowledgement_break",
        "recall_case",
        "recall_request",
        "bid",
        "webhook_delivery",
        "tendered_case",
        "rate_cell",
        "exclusion",
        "award",
        "webhook",
        "tender",
        "tape_key",
        "rate_card",
        "notice",
        "standing_change",
        "agency_standing",
        "agency_document",
    ):
        op.drop_table(table)
    op.execute("drop type uuidrange")
    tenant_table("offered_case", KEEP, (), ())


def _agreements_of_before() -> None:
    op.add_column("agreement", sa.Column("contingency_rate", sa.Numeric(9, 6)))
    op.add_column("agreement", sa.Column("agency_may_receive", sa.Boolean()))
    op.add_column("agreement", sa.Column("tail_days", sa.Integer()))
    op.execute(
        """update agreement set contingency_rate = cell.rate, tail_days = card.tail_days,
               agency_may_receive = card.agency_may_receive
           from (select distinct on (lender_id, agreement_id) * from rate_card
                 order by lender_id, agreement_id, version desc) card
           join rate_cell cell on cell.lender_id = card.lender_id and cell.card_id = card.id and cell.position = 1
           where card.lender_id = agreement.lender_id and card.agreement_id = agreement.id"""
    )
    for name in ("contingency_rate", "agency_may_receive", "tail_days"):
        op.alter_column("agreement", name, nullable=False)
    op.create_check_constraint(
        op.f("ck_agreement_contingency_rate"), "agreement", "contingency_rate >= 0 and contingency_rate <= 1"
    )
    for name in (
        "tier",
        "provinces",
        "products",
        "buckets",
        "open_cases_max",
        "collectors",
        "cases_per_collector",
        "contact_policy",
        "created_by",
        "decided_by",
        "decided_at",
    ):
        op.drop_column("agreement", name)


def _offers_of_before() -> None:
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
    op.execute(
        """insert into offered_case (lender_id, offer_id, case_id, open)
           select offer.lender_id, offer.id, held.case_id, held.open and offer.state = 'offered'
           from offer join tendered_case held
               on held.lender_id = offer.lender_id and held.tender_id = offer.tender_id"""
    )
    for figure in FIGURES:
        op.execute(
            f"""update offer set {figure} = tender.{figure} from tender
                where tender.lender_id = offer.lender_id and tender.id = offer.tender_id and offer.{figure} is null"""
        )
        op.alter_column("offer", figure, nullable=False)
    op.drop_constraint(op.f("fk_offer_lender_id_tender_id"), "offer", type_="foreignkey")
    op.drop_constraint(op.f("uq_offer_lender_id_tender_id_agreement_id"), "offer", type_="unique")
    for name in ("outcome_reason", "terms", "tender_id"):
        op.drop_column("offer", name)


def _placements_of_before() -> None:
    op.add_column("placement", sa.Column("contingency_rate", sa.Numeric(9, 6)))
    op.execute("update placement set contingency_rate = highest_rate")
    op.alter_column("placement", "contingency_rate", nullable=False)
    for name in (
        "extended_until",
        "held_count",
        "tier",
        "rate_card_version",
        "lowest_rate",
        "highest_rate",
        "case_fee",
        "settlement_floor",
        "tax_treatment",
        "tax_rate",
        "contact_policy",
    ):
        op.drop_column("placement", name)
    op.drop_column("placement_freeze", "whole_agency")
    op.drop_column("placed_case", "end_balance")
    op.drop_column("placed_case", "retained_until")
    op.drop_column("placed_case", "contingency_rate")


def _tables() -> None:

    op.create_table(
        "agency_document",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("provinces", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("file_digest", sa.LargeBinary(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attested_by", sa.Uuid(), nullable=True),
        sa.Column("attested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.Uuid(), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("expires_on >= issued_on", name=op.f("ck_agency_document_term")),
        sa.ForeignKeyConstraint(["agency_id"], ["tenant.id"], name=op.f("fk_agency_document_agency_id")),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_agency_document_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_agency_document")),
    )
    op.create_index(op.f("ix_agency_document_agency_id"), "agency_document", ["agency_id"], unique=False)
    op.create_index(
        op.f("ix_agency_document_lender_id_agency_id_kind"),
        "agency_document",
        ["lender_id", "agency_id", "kind"],
        unique=False,
    )
    op.create_table(
        "agency_standing",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("upheld_complaints", sa.Integer(), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agency_id"], ["tenant.id"], name=op.f("fk_agency_standing_agency_id")),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_agency_standing_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "agency_id", name=op.f("pk_agency_standing")),
    )
    op.create_table(
        "standing_change",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("upheld_complaints", sa.Integer(), nullable=False),
        sa.Column("placement_count", sa.Integer(), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agency_id"], ["tenant.id"], name=op.f("fk_standing_change_agency_id")),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_standing_change_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_standing_change")),
    )
    op.create_index(
        op.f("ix_standing_change_lender_id_agency_id_id"), "standing_change", ["lender_id", "agency_id", "id"]
    )
    op.create_table(
        "notice",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_by", sa.Uuid(), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("passed_on_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["agency_id"], ["tenant.id"], name=op.f("fk_notice_agency_id")),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_notice_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_notice")),
        sa.UniqueConstraint(
            "lender_id", "agency_id", "told", "key", name=op.f("uq_notice_lender_id_agency_id_told_key")
        ),
    )
    op.create_index("ix_notice_agency", "notice", ["agency_id", "told", "id"], unique=False)
    op.create_index("ix_notice_lender", "notice", ["lender_id", "told", "id"], unique=False)
    for side in ("lender", "agency"):
        for name, column in (("unread", "read_at"), ("new", "passed_on_at")):
            op.create_index(
                f"ix_notice_{side}_{name}",
                "notice",
                [f"{side}_id", "told", "id"],
                unique=False,
                postgresql_where=f"{column} is null",
            )
    op.create_table(
        "standard_terms",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("contact_policy", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("settlement_floor", sa.Numeric(precision=9, scale=6), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "settlement_floor >= 0 and settlement_floor <= 1", name=op.f("ck_standard_terms_settlement_floor")
        ),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_standard_terms_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_standard_terms")),
    )
    op.create_index(op.f("ix_standard_terms_lender_id_tier"), "standard_terms", ["lender_id", "tier"], unique=False)
    op.create_table(
        "rate_card",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("tail_days", sa.Integer(), nullable=False),
        sa.Column("agency_may_receive", sa.Boolean(), nullable=False),
        sa.Column("settlement_floor", sa.Numeric(precision=9, scale=6), nullable=True),
        sa.Column("tax_treatment", sa.Text(), nullable=False),
        sa.Column("tax_rate", sa.Numeric(precision=9, scale=6), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("valid_to >= valid_from", name=op.f("ck_rate_card_valid")),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "agreement_id"],
            ["agreement.lender_id", "agreement.agency_id", "agreement.id"],
            name=op.f("fk_rate_card_lender_id_agency_id_agreement_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_rate_card")),
        sa.UniqueConstraint("lender_id", "agency_id", "id", name=op.f("uq_rate_card_lender_id_agency_id_id")),
        sa.UniqueConstraint(
            "lender_id", "agreement_id", "version", name=op.f("uq_rate_card_lender_id_agreement_id_version")
        ),
    )
    op.create_index(op.f("ix_rate_card_agency_id"), "rate_card", ["agency_id"], unique=False)
    op.create_table(
        "tape_key",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["lender_id"], ["tenant.id"], name=op.f("fk_tape_key_lender_id")),
        sa.PrimaryKeyConstraint("lender_id", name=op.f("pk_tape_key")),
    )
    op.create_table(
        "tender",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("portfolio_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("case_count", sa.Integer(), nullable=False),
        sa.Column("borrower_count", sa.Integer(), nullable=False),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("scrubbed", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("tape", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("tape_of", sa.Uuid(), nullable=True),
        sa.Column("preview", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("preview_digest", sa.LargeBinary(), nullable=True),
        sa.Column("progress", sa.Integer(), nullable=True),
        sa.Column("refusal", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("commit_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reveal_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undo_reason", sa.Text(), nullable=True),
        sa.Column("undo_asked_by", sa.Uuid(), nullable=True),
        sa.Column("undo_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "portfolio_id"],
            ["portfolio.lender_id", "portfolio.id"],
            name=op.f("fk_tender_lender_id_portfolio_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_tender")),
    )
    op.create_index(op.f("ix_tender_lender_id_portfolio_id"), "tender", ["lender_id", "portfolio_id"], unique=False)
    op.create_index(op.f("ix_tender_lender_id_state"), "tender", ["lender_id", "state"], unique=False)
    op.create_table(
        "webhook",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret", sa.LargeBinary(), nullable=True),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"], name=op.f("fk_webhook_org_id")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_webhook")),
    )
    op.create_index(op.f("ix_webhook_org_id_state"), "webhook", ["org_id", "state"], unique=False)
    op.create_table(
        "award",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("tender_id", sa.Uuid(), nullable=False),
        sa.Column("record", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("awarded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "tender_id"], ["tender.lender_id", "tender.id"], name=op.f("fk_award_lender_id_tender_id")
        ),
        sa.PrimaryKeyConstraint("lender_id", "tender_id", name=op.f("pk_award")),
    )
    op.create_table(
        "exclusion",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("borrower_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("noted_on", sa.Date(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_by", sa.Uuid(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "borrower_id"],
            ["borrower.lender_id", "borrower.id"],
            name=op.f("fk_exclusion_lender_id_borrower_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_exclusion_lender_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_exclusion")),
    )
    op.create_index(
        "ix_exclusion_standing",
        "exclusion",
        ["lender_id", "borrower_id"],
        unique=False,
        postgresql_where="lifted_at is null",
    )
    op.create_table(
        "rate_cell",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("card_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("bucket", sa.Text(), nullable=True),
        sa.Column("placement_seq", sa.Integer(), nullable=True),
        sa.Column("payment_type", sa.Text(), nullable=True),
        sa.Column("amount_from", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("amount_below", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("rate", sa.Numeric(precision=9, scale=6), nullable=False),
        sa.CheckConstraint("rate >= 0 and rate <= 1", name=op.f("ck_rate_cell_rate")),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "card_id"],
            ["rate_card.lender_id", "rate_card.agency_id", "rate_card.id"],
            name=op.f("fk_rate_cell_lender_id_agency_id_card_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "card_id", "position", name=op.f("pk_rate_cell")),
    )
    op.create_index(op.f("ix_rate_cell_agency_id"), "rate_cell", ["agency_id"], unique=False)
    op.create_table(
        "tendered_case",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("tender_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lender_id", "case_id"],
            ["collection_case.lender_id", "collection_case.id"],
            name=op.f("fk_tendered_case_lender_id_case_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "tender_id"],
            ["tender.lender_id", "tender.id"],
            name=op.f("fk_tendered_case_lender_id_tender_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "tender_id", "case_id", name=op.f("pk_tendered_case")),
    )
    op.create_index(
        "uq_tendered_case_open", "tendered_case", ["lender_id", "case_id"], unique=True, postgresql_where="open"
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "webhook_id"],
            ["webhook.org_id", "webhook.id"],
            name=op.f("fk_webhook_delivery_org_id_webhook_id"),
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_webhook_delivery")),
        sa.UniqueConstraint(
            "org_id", "webhook_id", "notice_id", name=op.f("uq_webhook_delivery_org_id_webhook_id_notice_id")
        ),
    )
    op.create_index(
        op.f("ix_webhook_delivery_org_id_webhook_id_id"),
        "webhook_delivery",
        ["org_id", "webhook_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_webhook_delivery_waiting",
        "webhook_delivery",
        ["org_id", "webhook_id", "id"],
        unique=False,
        postgresql_where="state = 'waiting'",
    )
    op.create_table(
        "bid",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("tender_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("committed_by", sa.Uuid(), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_leaf", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("revealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("rate", sa.Numeric(precision=9, scale=6), nullable=True),
        sa.Column("case_fee", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("nonce", sa.LargeBinary(), nullable=True),
        sa.Column("score", sa.Numeric(precision=30, scale=8), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "offer_id"],
            ["offer.lender_id", "offer.agency_id", "offer.id"],
            name=op.f("fk_bid_lender_id_agency_id_offer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "tender_id"], ["tender.lender_id", "tender.id"], name=op.f("fk_bid_lender_id_tender_id")
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_bid")),
        sa.UniqueConstraint("lender_id", "agency_id", "id", name=op.f("uq_bid_lender_id_agency_id_id")),
    )
    op.create_index(op.f("ix_bid_agency_id"), "bid", ["agency_id"], unique=False)
    op.create_index(op.f("ix_bid_lender_id_tender_id"), "bid", ["lender_id", "tender_id"], unique=False)
    op.create_index(
        "uq_bid_standing", "bid", ["lender_id", "offer_id"], unique=True, postgresql_where="state <> 'withdrawn'"
    )
    op.create_table(
        "acknowledgement_break",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("case_count", sa.Integer(), nullable=True),
        sa.Column("balance", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("case_count_expected", sa.Integer(), nullable=False),
        sa.Column("balance_expected", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("member_name", sa.Text(), nullable=True),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id"],
            ["placement.lender_id", "placement.agency_id", "placement.id"],
            name=op.f("fk_acknowledgement_break_lender_id_agency_id_placement_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_acknowledgement_break")),
    )
    op.create_index(op.f("ix_acknowledgement_break_agency_id"), "acknowledgement_break", ["agency_id"], unique=False)
    op.create_index(
        "uq_acknowledgement_break_open",
        "acknowledgement_break",
        ["lender_id", "placement_id", "kind"],
        unique=True,
        postgresql_where="closed_at is null",
    )
    op.create_table(
        "recall_request",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("case_count", sa.Integer(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("object_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("executed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("stop_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_missed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id"],
            ["placement.lender_id", "placement.agency_id", "placement.id"],
            name=op.f("fk_recall_request_lender_id_agency_id_placement_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_recall_request")),
        sa.UniqueConstraint("lender_id", "agency_id", "id", name=op.f("uq_recall_request_lender_id_agency_id_id")),
    )
    op.create_index(op.f("ix_recall_request_agency_id"), "recall_request", ["agency_id"], unique=False)
    op.create_index(op.f("ix_recall_request_lender_id_state"), "recall_request", ["lender_id", "state"], unique=False)
    op.create_table(
        "recall_case",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("objection", sa.Text(), nullable=True),
        sa.Column("objected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id", "case_id"],
            ["placed_case.lender_id", "placed_case.agency_id", "placed_case.placement_id", "placed_case.case_id"],
            name=op.f("fk_recall_case_lender_id_agency_id_placement_id_case_id"),
        ),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "request_id"],
            ["recall_request.lender_id", "recall_request.agency_id", "recall_request.id"],
            name=op.f("fk_recall_case_lender_id_agency_id_request_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "request_id", "case_id", name=op.f("pk_recall_case")),
    )
    op.create_index(op.f("ix_recall_case_agency_id"), "recall_case", ["agency_id"], unique=False)
    op.create_index(op.f("ix_recall_case_lender_id_case_id"), "recall_case", ["lender_id", "case_id"], unique=False)
    op.create_table(
        "retention",
        sa.Column("lender_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("placement_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("ground", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lender_id", "agency_id", "placement_id", "case_id"],
            ["placed_case.lender_id", "placed_case.agency_id", "placed_case.placement_id", "placed_case.case_id"],
            name=op.f("fk_retention_lender_id_agency_id_placement_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("lender_id", "id", name=op.f("pk_retention")),
    )
    op.create_index(op.f("ix_retention_agency_id"), "retention", ["agency_id"], unique=False)
    op.create_index(op.f("ix_retention_lender_id_state"), "retention", ["lender_id", "state"], unique=False)
    op.create_index(
        "uq_retention_standing",
        "retention",
        ["lender_id", "placement_id", "case_id"],
        unique=True,
        postgresql_where="state in ('requested', 'approved')",
    )
