"""The words people read for the codes we store: one literal per kind, English here, Chinese in translations/."""

from collections.abc import Mapping
from typing import NamedTuple

from flask_babel import LazyString, gettext

from portal.messages import MESSAGES

N_ = str  # Marks a text for extraction; it is translated where it is shown.


class State(NamedTuple):
    """How a state looks: a meaning (good, watch, bad, sealed or neutral), an icon and a word, never colour alone."""

    meaning: str
    icon: str
    label: str


STATES = {
    # portfolio
    "uploaded": State("neutral", "file", N_("Uploaded")),
    "validated": State("neutral", "check", N_("Validated")),
    "sealed": State("sealed", "key", N_("Sealed")),
    "scrubbed": State("neutral", "check", N_("Scrubbed")),
    "draft": State("neutral", "file", N_("Draft")),
    # offer
    "offered": State("watch", "clock", N_("Offered")),
    "accepted": State("good", "check", N_("Accepted")),
    "declined": State("neutral", "cross", N_("Declined")),
    "withdrawn": State("neutral", "cross", N_("Withdrawn")),
    # placement
    "placed": State("good", "check", N_("Placed")),
    "awaiting_keys": State("watch", "key", N_("Awaiting keys")),
    "acknowledged": State("good", "check", N_("Acknowledged")),
    "active": State("good", "check", N_("Active")),
    "recall_requested": State("watch", "warning", N_("Recall requested")),
    "recalled": State("bad", "stop", N_("Recalled")),
    "expired": State("neutral", "clock", N_("Expired")),
    "returned": State("neutral", "back", N_("Returned")),
    "frozen": State("bad", "stop", N_("Frozen")),
    "closed": State("neutral", "check", N_("Closed")),
    # case
    "open": State("neutral", "dot", N_("Open")),
    "paid_off": State("good", "check", N_("Paid off")),
    "cured": State("good", "check", N_("Cured")),
    "hold": State("watch", "stop", N_("On hold")),
    "stopped": State("bad", "stop", N_("Contact stopped")),
    # promise
    "due": State("watch", "clock", N_("Due")),
    "kept": State("good", "check", N_("Kept")),
    "partial": State("watch", "warning", N_("Partly kept")),
    "broken": State("bad", "cross", N_("Broken")),
    # claim and reconciliation
    "claimed": State("neutral", "clock", N_("Claimed")),
    "matched": State("good", "check", N_("Matched")),
    "suggested": State("watch", "warning", N_("Suggested")),
    "suspense": State("watch", "warning", N_("In suspense")),
    "missing_here": State("bad", "warning", N_("Claimed, not in the ledger")),
    "missing_there": State("watch", "warning", N_("In the ledger, never claimed")),
    "amount": State("watch", "warning", N_("Amount differs")),
    "date": State("watch", "warning", N_("Date differs")),
    "currency": State("watch", "warning", N_("Currency differs")),
    "duplicate": State("bad", "warning", N_("Claimed twice")),
    # statement
    "accrued": State("neutral", "clock", N_("Accrued")),
    "proposed": State("watch", "clock", N_("Proposed")),
    "agreed": State("good", "check", N_("Agreed")),
    "disputed": State("bad", "warning", N_("Disputed")),
    "approved": State("good", "check", N_("Approved")),
    "invoiced": State("neutral", "file", N_("Invoiced")),
    "paid": State("good", "check", N_("Paid")),
    "locked": State("neutral", "lock", N_("Locked")),
    # breach
    "flagged": State("bad", "warning", N_("Flagged")),
    "answered": State("watch", "clock", N_("Answered")),
    "upheld": State("bad", "stop", N_("Upheld")),
    "dismissed": State("neutral", "check", N_("Dismissed")),
    # verdict
    "permitted": State("good", "check", N_("May be contacted")),
    "refused": State("bad", "stop", N_("May not be contacted")),
    "breach": State("bad", "stop", N_("Breach")),
    "insufficient_evidence": State("watch", "warning", N_("Evidence missing")),
    # job
    "queued": State("neutral", "clock", N_("Queued")),
    "running": State("watch", "clock", N_("Running")),
    "done": State("good", "check", N_("Done")),
    "failed": State("bad", "cross", N_("Failed")),
    # log
    "verified": State("good", "shield", N_("Verified")),
}

FIELD_CLASSES = {
    "identity": N_("Identity"),
    "contact": N_("Contact"),
    "related": N_("Related persons"),
    "account": N_("Account"),
    "notes": N_("Notes"),
}

FIELDS = {
    "*": N_("Whole row"),
    "case_number": N_("Case number"),
    "product": N_("Product"),
    "currency": N_("Currency"),
    "principal": N_("Principal"),
    "interest": N_("Interest"),
    "fees": N_("Fees"),
    "balance": N_("Balance"),
    "dpd": N_("Days past due"),
    "overdue_since": N_("Overdue since"),
    "opened_on": N_("Opened on"),
    "region": N_("Region"),
    "name": N_("Name"),
    "id_number": N_("ID number"),
    "birth_date": N_("Date of birth"),
    "mobile": N_("Mobile"),
    "mobile_2": N_("Second mobile"),
    "email": N_("E-mail"),
    "address": N_("Address"),
    "relative_name": N_("Relative's name"),
    "relative_relation": N_("Relationship"),
    "relative_phone": N_("Relative's phone"),
    "employer": N_("Employer"),
    "employer_phone": N_("Employer's phone"),
    "card_number": N_("Card number"),
    "amount": N_("Amount"),
    "paid_on": N_("Paid on"),
    "paid_to": N_("Paid to"),
    "reference": N_("Reference"),
    "reversal_of": N_("Reversal of"),
    "value_date": N_("Value date"),
    "posting_date": N_("Posting date"),
    "status": N_("Status"),
    "channel": N_("Channel"),
    "direction": N_("Direction"),
    "party": N_("Party"),
    "outcome": N_("Outcome"),
    "occurred_at": N_("Time of contact"),
    "duration_seconds": N_("Duration"),
    "external_ref": N_("Agency's reference"),
}

CHANNELS = {
    "call": N_("Call"),
    "ai_voice": N_("AI voice"),
    "sms": N_("Text message"),
    "im": N_("Instant message"),
    "email": N_("E-mail"),
    "letter": N_("Letter"),
    "visit": N_("Field visit"),
}

DIRECTIONS = {"outbound": N_("Outbound"), "inbound": N_("Inbound")}

PARTIES = {
    "debtor": N_("Debtor"),
    "guarantor": N_("Guarantor"),
    "relative": N_("Relative"),
    "employer": N_("Employer"),
    "third_party": N_("Third party"),
    "unknown": N_("Unknown"),
}

OUTCOMES = {
    "conversation": N_("Conversation"),
    "ring_no_answer": N_("No answer"),
    "voicemail_left": N_("Voicemail left"),
    "voicemail_no_message": N_("Voicemail, no message"),
    "answered_dropped": N_("Answered, then dropped"),
    "busy": N_("Busy"),
    "not_in_service": N_("Not in service"),
    "sent": N_("Sent"),
    "delivered": N_("Delivered"),
    "failed": N_("Not delivered"),
    "refused": N_("Declined to talk"),
}

RELEASE_REASONS = {
    "contact_borrower": N_("To contact the borrower"),
    "verify_identity": N_("To verify who is speaking"),
    "locate_borrower": N_("To find a borrower lost from contact"),
    "verify_payment": N_("To verify a payment"),
    "answer_complaint": N_("To answer a complaint"),
    "audit_sample": N_("Sample for an audit"),
}

# Why a case stands where it stands in the worklist, and what comes next.
URGENCIES = {
    "promise_overdue": N_("Promise overdue"),
    "promise_due_today": N_("Promise due today"),
    "never_contacted": N_("Never contacted"),
    "balance_high": N_("High balance"),
}
NEXT_STEPS = {
    "promise_overdue": N_("Ask why the promise was missed"),
    "promise_due_today": N_("Confirm today's payment"),
    "never_contacted": N_("Make first contact"),
    "": N_("Contact again"),
}

END_REASONS = {
    "lender_request": N_("At the lender's request"),
    "complaint": N_("Complaint"),
    "dispute": N_("Dispute"),
    "hardship": N_("Hardship"),
    "legal_action": N_("Legal action"),
    "debt_sold": N_("Debt sold"),
    "conduct": N_("Conduct"),
    "placed_in_error": N_("Placed in error"),
    "term_over": N_("Term ended"),
}

ACTIONS = {
    "release": N_("Unseal"),
    "record_contact": N_("Log a contact"),
    "record_promise": N_("Record a promise"),
    "record_claim": N_("Claim a payment"),
    "assign": N_("Assign"),
    "offer": N_("Offer"),
    "recall": N_("Recall"),
}

PAID_TO = {"lender": N_("Lender"), "agency": N_("Agency"), "platform": N_("Platform")}

TABLES: dict[str, Mapping[str, str | LazyString]] = {
    "field_class": FIELD_CLASSES,
    "field": FIELDS,
    "channel": CHANNELS,
    "direction": DIRECTIONS,
    "party": PARTIES,
    "outcome": OUTCOMES,
    "paid_to": PAID_TO,
    "release_reason": RELEASE_REASONS,
    "urgency": URGENCIES,
    "next_step": NEXT_STEPS,
    "end_reason": END_REASONS,
    "action": ACTIONS,
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
    return gettext(text) if isinstance(text, str) else str(text)
