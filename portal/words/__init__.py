"""The words people read for the codes we store: one literal per kind, English here, Chinese in translations/."""

from collections.abc import Mapping

from flask_babel import LazyString

from portal.messages import MESSAGES
from portal.texts import translated
from portal.words import audit, casework, exchange, oversight
from portal.words.states import N_, STATES, State

__all__ = ["N_", "STATES", "TABLES", "State", "label", "labels"]

TABLES: dict[str, Mapping[str, str | LazyString]] = {
    "field_class": casework.FIELD_CLASSES,
    "field": casework.FIELDS,
    "channel": casework.CHANNELS,
    "direction": casework.DIRECTIONS,
    "party": casework.PARTIES,
    "outcome": casework.OUTCOMES,
    "paid_to": casework.PAID_TO,
    "release_reason": casework.RELEASE_REASONS,
    "urgency": casework.URGENCIES,
    "next_step": casework.NEXT_STEPS,
    "end_reason": exchange.END_REASONS,
    "return_code": exchange.RETURN_CODES,
    "objection": exchange.OBJECTIONS,
    "recall_case": exchange.RECALL_CASES,
    "recall_category": exchange.RECALL_CATEGORIES,
    "retention_ground": exchange.RETENTION_GROUNDS,
    "role": oversight.ROLES,
    "side": oversight.SIDES,
    "decline_reason": exchange.DECLINE_REASONS,
    "tender_kind": exchange.TENDER_KINDS,
    "bid_kind": exchange.BID_KINDS,
    "bid_reason": exchange.GATE_REASONS | exchange.BID_REASONS,
    "award_outcome": exchange.AWARD_OUTCOMES,
    "scrub_reason": exchange.SCRUB_REASONS,
    "exclusion_source": exchange.EXCLUSION_SOURCES,
    "allocation_kind": exchange.ALLOCATION_KINDS,
    "allocation_basis": exchange.ALLOCATION_BASES,
    "allocation_dimension": exchange.ALLOCATION_DIMENSIONS,
    "left_out": exchange.LEFT_OUT,
    "undo_reason": exchange.UNDO_REASONS,
    "feed_kind": casework.FEED_KINDS,
    "break_step": casework.BREAK_STEPS,
    "break_step_agency": casework.BREAK_STEPS_AGENCY,
    "break_cause": casework.BREAK_CAUSES,
    "component": casework.COMPONENTS,
    "attribution": casework.ATTRIBUTIONS,
    "not_commissionable": casework.NOT_COMMISSIONABLE,
    "dimension": casework.DIMENSIONS,
    "balance_band": casework.BALANCE_BANDS,
    "age_band": casework.AGE_BANDS,
    "product": casework.PRODUCTS,
    "province": casework.PROVINCES,
    "kind": oversight.KINDS,
    "custody": oversight.CUSTODIES,
    "key_purpose": oversight.KEY_PURPOSES,
    "order_kind": oversight.ORDER_KINDS,
    "export_kind": oversight.EXPORT_KINDS,
    "document_kind": casework.DOCUMENT_KINDS,
    "order_state": oversight.ORDER_STATES,
    "order_subject": oversight.ORDER_SUBJECTS,
    "order_lede": oversight.ORDER_LEDES,
    "actor_side": oversight.ACTOR_SIDES,
    "job": audit.JOBS,
    "job_count": audit.JOB_COUNTS,
    "rule": oversight.RULES,
    "severity": oversight.SEVERITIES,
    "force": oversight.FORCES,
    "scope": oversight.SCOPES,
    "search_kind": casework.SEARCH_KINDS,
    "erasure_subject": oversight.ERASURE_SUBJECTS,
    "hold_reason": oversight.HOLD_REASONS,
    "obstacle": oversight.OBSTACLES,
    "earlier_agencies": exchange.EARLIER_AGENCIES,
    "freeze_reason": exchange.FREEZE_REASONS,
    "audited": audit.AUDITED,
    "subject": audit.SUBJECTS,
    "term": exchange.TERMS,
    "level": exchange.LEVELS,
    "tax_treatment": exchange.TAX_TREATMENTS,
    "payment_type": exchange.PAYMENT_TYPES,
    "agreement_standing": exchange.AGREEMENT_STANDINGS,
    "gate_reason": exchange.GATE_REASONS,
    "paper": exchange.PAPERS,
    "standing_reason": exchange.STANDING_REASONS,
    "standing_act": exchange.STANDING_ACTS,
    "rotation": exchange.ROTATIONS,
    "webhook_state": oversight.WEBHOOK_STATES,
    "delivery_state": oversight.DELIVERY_STATES,
    "pause_reason": oversight.PAUSE_REASONS,
    "delivery_failure": oversight.DELIVERY_FAILURES,
    "stands": exchange.STANDS,
    "act": exchange.ACTS,
    "error": MESSAGES,
}


def labels(table: str) -> dict[str, str]:
    """Every code of a table with its word, for the scripts of a page."""
    return {code: label(code, table) for code in TABLES[table]}


def label(code: str, table: str) -> str:
    """The word for a code in the reader's language; a code without one is shown as it is, spaced."""
    text = TABLES[table].get(code)
    if text is None:
        return code.replace("_", " ")
    return translated(text) if isinstance(text, str) else str(text)
