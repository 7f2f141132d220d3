"""The words people read for the codes we store: one literal per kind, English here, Chinese in translations/."""

from collections.abc import Mapping
from typing import NamedTuple

from flask_babel import LazyString

from portal.messages import MESSAGES
from portal.texts import translated

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
    # tender
    "drawing": State("watch", "clock", N_("Being drawn")),
    "previewed": State("neutral", "file", N_("Previewed")),
    "committing": State("watch", "clock", N_("Being placed")),
    "unanswered": State("neutral", "clock", N_("Unanswered")),
    "refused": State("neutral", "cross", N_("Refused")),
    # bid
    "committed": State("sealed", "lock", N_("Committed")),
    "revealed": State("sealed", "key", N_("Revealed, sealed")),
    "won": State("good", "check", N_("Won")),
    "lost": State("neutral", "cross", N_("Lost")),
    "void": State("bad", "stop", N_("Void")),
    "undone": State("neutral", "back", N_("Undone")),
    # offer
    "offered": State("watch", "clock", N_("Offered")),
    "accepted": State("good", "check", N_("Accepted")),
    "declined": State("neutral", "cross", N_("Declined")),
    "withdrawn": State("neutral", "cross", N_("Withdrawn")),
    # placement
    "placed": State("good", "check", N_("Placed")),
    "awaiting_approval": State("watch", "clock", N_("Awaiting approval")),
    "taken": State("neutral", "cross", N_("Taken by another")),
    "awaiting_keys": State("watch", "key", N_("Awaiting keys")),
    "awaiting_acknowledgement": State("watch", "clock", N_("To be acknowledged")),
    "acknowledged": State("good", "check", N_("Acknowledged")),
    "active": State("good", "check", N_("Active")),
    "recall_requested": State("watch", "warning", N_("Recall requested")),
    "recalled": State("bad", "stop", N_("Recalled")),
    "expired": State("neutral", "clock", N_("Expired")),
    "returned": State("neutral", "back", N_("Returned")),
    "frozen": State("bad", "stop", N_("Frozen")),
    "closed": State("neutral", "check", N_("Closed")),
    # agency
    "good": State("good", "check", N_("In good standing")),
    "watch": State("watch", "warning", N_("Watched")),
    "suspended": State("bad", "stop", N_("Suspended")),
    "removed": State("bad", "cross", N_("Removed")),
    "eligible": State("good", "check", N_("May receive")),
    "not_eligible": State("bad", "stop", N_("May not receive")),
    # paper of an agency
    "recorded": State("watch", "clock", N_("To be attested")),
    "attested": State("watch", "clock", N_("To be accepted")),
    "current": State("good", "check", N_("Current")),
    "expiring": State("watch", "clock", N_("Ends soon")),
    "waiting": State("watch", "clock", N_("To be confirmed")),
    "in_force": State("good", "check", N_("In force")),
    "superseded": State("neutral", "back", N_("Superseded")),
    "delivered": State("good", "check", N_("Delivered")),
    "paused": State("watch", "stop", N_("Paused")),
    "missing": State("bad", "cross", N_("Missing")),
    # recall and retention
    "requested": State("watch", "clock", N_("Requested")),
    "executed": State("neutral", "check", N_("Carried out")),
    "lapsed": State("neutral", "clock", N_("Lapsed")),
    "asked": State("watch", "clock", N_("Asked for")),
    "objected": State("watch", "warning", N_("Objected to")),
    "gone": State("neutral", "back", N_("Left otherwise")),
    "mismatch": State("bad", "warning", N_("Counts differ")),
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
    "cells": N_("Rates"),
    "rate": N_("Rate"),
    "bucket": N_("Bucket"),
    "placement_seq": N_("Placement no."),
    "payment_type": N_("Payment type"),
    "amount_from": N_("Balance from"),
    "amount_below": N_("Balance below"),
    "reason": N_("Reason"),
    "return_code": N_("Return code"),
    "ground": N_("Ground"),
    "days": N_("Days"),
    "shares": N_("Shares"),
    "basis": N_("Shares of"),
    "where": N_("Which households"),
    "products": N_("Products"),
    "provinces": N_("Provinces"),
    "dimensions": N_("Balanced by"),
    "seed": N_("Seed"),
    "kind": N_("Way"),
    "rules": N_("Rules"),
    "noted_on": N_("Known since"),
    "source": N_("Source"),
    "agreement_ids": N_("Agencies asked"),
    "case_limit": N_("Cases at most"),
    "respond_hours": N_("Hours to answer"),
    "buckets": N_("Buckets"),
    "whole_borrower": N_("Whole borrower"),
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
    "promise_overdue": N_("Ask about the promise"),
    "promise_due_today": N_("Confirm the payment"),
    "never_contacted": N_("First contact"),
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
    "undone": N_("Distribution undone"),
    "acknowledged": N_("Acknowledged"),
    "returned_deceased": N_("Returned: deceased"),
    "returned_bankrupt": N_("Returned: bankrupt"),
    "returned_protected": N_("Returned: protected person"),
    "returned_hardship": N_("Returned: hardship"),
    "returned_complaint": N_("Returned: complaint"),
    "returned_dispute": N_("Returned: dispute"),
    "returned_lost_contact": N_("Returned: lost contact"),
    "returned_contact_exhausted": N_("Returned: every way of contact tried"),
    "returned_refuses_to_pay": N_("Returned: refuses to pay"),
    "returned_outside_territory": N_("Returned: outside the territory"),
    "returned_capacity": N_("Returned: no capacity"),
    "returned_paid_already": N_("Returned: says it is paid"),
}

# Why an agency gives a case back, objects to its recall, or asks to keep it.
RETURN_CODES = {
    "deceased": N_("Deceased"),
    "bankrupt": N_("Bankrupt"),
    "protected": N_("Protected person"),
    "hardship": N_("Hardship"),
    "complaint": N_("Complaint"),
    "dispute": N_("Dispute"),
    "lost_contact": N_("Lost contact"),
    "contact_exhausted": N_("Every way of contact tried"),
    "refuses_to_pay": N_("Refuses to pay"),
    "outside_territory": N_("Outside the territory"),
    "capacity": N_("No capacity"),
    "paid_already": N_("Says it is paid"),
}
OBJECTIONS = {
    "promise": N_("A promise is open"),
    "recent_payment": N_("Paid recently"),
    "negotiation": N_("In negotiation"),
    "wrong_case": N_("The wrong case"),
}
RECALL_CATEGORIES = {
    "operational": N_("Operational"),
    "borrower": N_("Borrower"),
    "compliance": N_("Compliance"),
}
RECALL_CASES = {
    "asked": N_("Asked back"),
    "objected": N_("Objected to"),
    "kept": N_("Stays"),
    "recalled": N_("Recalled"),
    "gone": N_("Left another way"),
}
RETENTION_GROUNDS = {
    "promise": N_("A promise is open"),
    "recent_payment": N_("Paid recently"),
    "negotiation": N_("In negotiation"),
}

PAID_TO = {"lender": N_("Lender"), "agency": N_("Agency"), "platform": N_("Platform")}

ROLES = {
    "portfolio_manager": N_("Portfolio manager"),
    "settlement_officer": N_("Settlement officer"),
    "compliance_officer": N_("Compliance officer"),
    "administrator": N_("Administrator"),
    "manager": N_("Manager"),
    "collector": N_("Collector"),
    "auditor": N_("Auditor"),
    "operator": N_("Operator"),
}

SIDES = {"lender": N_("Lender"), "agency": N_("Agency")}

DECLINE_REASONS = {
    "capacity": N_("No capacity"),
    "rate": N_("The rate is too low"),
    "portfolio_mix": N_("The mix of cases does not suit"),
    "territory": N_("Outside our territory"),
    "other": N_("Another reason"),
}

FEED_KINDS = {"payments": N_("Payments"), "balances": N_("Balances and statuses")}

# What is known of a break and what would clear it, as each side may bring it about.
BREAK_STEPS_AGENCY = {
    "missing_here": N_(
        "Not in the lender's ledger yet. A payment there that matches your claim clears it at the next run."
    ),
    "missing_there": N_("In the ledger, and nobody has claimed it. Your claim of it clears it at the next run."),
    "amount": N_("Your claim and the ledger name different amounts. A claim or a payment that matches clears it."),
    "date": N_("Your claim and the ledger name days too far apart. A claim or a payment that matches clears it."),
    "currency": N_("Your claim and the ledger name different currencies. A payment in the claimed one clears it."),
    "duplicate": N_("This money has another claim of the same kind already. A second payment that matches clears it."),
}
BREAK_STEPS = {
    "missing_here": N_(
        "The agency claims it; the ledger does not have it. A payment that matches clears it at the next run."
    ),
    "missing_there": N_("The ledger has it; no agency has claimed it. A claim that matches clears it at the next run."),
    "amount": N_("Claim and ledger name different amounts. A claim or a payment that matches clears it."),
    "date": N_("Claim and ledger name days too far apart. A claim or a payment that matches clears it."),
    "currency": N_("Claim and ledger name different currencies. A payment in the claimed one clears it."),
    "duplicate": N_(
        "The agency claims money that is matched to an earlier claim. A second payment that matches clears it."
    ),
}
BREAK_CAUSES = {
    "matched_later": N_("A payment came in that matches"),
    "restated": N_("The facts behind it have changed"),
}

COMPONENTS = {"contingency": N_("Commission"), "clawback": N_("Clawback"), "case_fee": N_("Fee for a case")}
ATTRIBUTIONS = {
    "term": N_("paid within the term"),
    "tail": N_("paid within the tail after the term"),
    "none": N_("earned by no placement"),
}
NOT_COMMISSIONABLE = {
    "agency_may_not_receive": N_("paid to the agency, which may not receive money"),
    "not_attributed": N_("no longer attributed to this placement"),
    "undone": N_("the distribution was undone before the first contact"),
}

DIMENSIONS = {
    "bucket": N_("Bucket"),
    "balance_band": N_("Balance per case"),
    "age_band": N_("Age"),
    "product": N_("Product"),
    "province": N_("Province"),
}
BALANCE_BANDS = {
    "0-1k": "< 1,000",
    "1k-5k": "1,000–5,000",
    "5k-10k": "5,000–10,000",
    "10k-50k": "10,000–50,000",
    "50k-100k": "50,000–100,000",
    "100k+": "≥ 100,000",
}
AGE_BANDS = {
    "0-17": "< 18",
    "18-24": "18–24",
    "25-34": "25–34",
    "35-44": "35–44",
    "45-54": "45–54",
    "55-64": "55–64",
    "65+": "≥ 65",
}
PRODUCTS = {
    "credit_card": N_("Credit card"),
    "cash_loan": N_("Cash loan"),
    "instalment": N_("Instalment loan"),
    "car_loan": N_("Car loan"),
    "mortgage": N_("Mortgage"),
}
PROVINCES = {
    "unknown": N_("Not given"),
    "110000": N_("Beijing"),
    "120000": N_("Tianjin"),
    "130000": N_("Hebei"),
    "140000": N_("Shanxi"),
    "150000": N_("Inner Mongolia"),
    "210000": N_("Liaoning"),
    "220000": N_("Jilin"),
    "230000": N_("Heilongjiang"),
    "310000": N_("Shanghai"),
    "320000": N_("Jiangsu"),
    "330000": N_("Zhejiang"),
    "340000": N_("Anhui"),
    "350000": N_("Fujian"),
    "360000": N_("Jiangxi"),
    "370000": N_("Shandong"),
    "410000": N_("Henan"),
    "420000": N_("Hubei"),
    "430000": N_("Hunan"),
    "440000": N_("Guangdong"),
    "450000": N_("Guangxi"),
    "460000": N_("Hainan"),
    "500000": N_("Chongqing"),
    "510000": N_("Sichuan"),
    "520000": N_("Guizhou"),
    "530000": N_("Yunnan"),
    "540000": N_("Tibet"),
    "610000": N_("Shaanxi"),
    "620000": N_("Gansu"),
    "630000": N_("Qinghai"),
    "640000": N_("Ningxia"),
    "650000": N_("Xinjiang"),
    "710000": N_("Taiwan"),
    "810000": N_("Hong Kong"),
    "820000": N_("Macao"),
}

KINDS = {
    "lender": N_("Lender"),
    "agency": N_("Agency"),
    "auditor": N_("Auditor"),
    "operator": N_("Operator"),
}

CUSTODIES = {"local": N_("the platform"), "aws-kms": "AWS KMS", "self": N_("themselves")}

KEY_PURPOSES = {"kem": N_("Encryption key"), "signing": N_("Signing key")}
# What only the keys of a lender in self-custody can do.
ORDER_KINDS = {
    "lease": N_("Leases for an agency"),
    "rekey": N_("New keys for a portfolio"),
    "rewrap": N_("Class keys to your new key"),
    "erase": N_("Record of an erasure"),
}
EXPORT_KINDS = {
    "agencies": N_("Agencies"),
    "worklist": N_("Worklist"),
    "cases": N_("Cases"),
    "case_history": N_("History of a case"),
    "exclusions": N_("Exclusions"),
    "tenders": N_("Tenders"),
    "allocation": N_("Allocation"),
    "offers": N_("Offers"),
    "placements": N_("Placements"),
    "placement_cases": N_("Cases of a placement"),
    "placement_opened": N_("What was opened under a placement"),
    "recalls": N_("Recalls"),
    "retentions": N_("Retained cases"),
    "portfolios": N_("Portfolios"),
    "agreements": N_("Agreements"),
    "agency_list": N_("Public list of agencies"),
    "suspense": N_("Suspense"),
    "breaks": N_("Breaks"),
    "breaches": N_("Breaches"),
    "liquidation": N_("Liquidation"),
    "notices": N_("Notices"),
}
DOCUMENT_KINDS = {"recording": N_("Recording"), "letter": N_("Letter"), "proof": N_("Proof")}
ORDER_STATES = {"open": N_("Waiting"), "done": N_("Done"), "cancelled": N_("Cancelled")}
ORDER_SUBJECTS = {
    "placement": N_("a placement"),
    "portfolio": N_("a portfolio"),
    "case": N_("a case"),
    "borrower": N_("a borrower"),
    "lender": N_("all your portfolios"),
}
ORDER_LEDES = {
    "lease_open": N_("Until your tool has answered, the agency can open nothing."),
    "lease_done": N_("The agency can open the cases it holds, and no others."),
    "rekey_open": N_("The old keys stand until your tool has answered."),
    "rekey_done": N_("Nothing of the portfolio opens with the old keys any more."),
    "rewrap_open": N_("Keep your old key file until your tool has answered."),
    "rewrap_done": N_("Your new key opens all of your class keys."),
    "erase_open": N_("Nothing is erased before your tool has signed for it."),
    "erase_done": N_("Erased, under your signature."),
} | {f"{kind}_cancelled": N_("An answer to this order is refused.") for kind in ("lease", "rekey", "rewrap", "erase")}

# Who acts, as the audit log names it.
ACTOR_SIDES = KINDS | {"jobs": N_("Jobs"), "door": N_("Sign-in")}

JOBS = {
    "expiry": N_("Expiry of placements"),
    "papers": N_("Notices of papers that end"),
    "rotation": N_("Rotation to the next tier"),
    "conduct": N_("Sweep for breaches"),
    "reconciliation": N_("Reconciliation"),
    "commission": N_("Commission"),
}

# What a run counted.
JOB_COUNTS = {
    "expired": N_("expired"),
    "days": N_("days judged"),
    "contacts": N_("contacts"),
    "flagged": N_("flagged"),
    "withdrawn": N_("withdrawn"),
    "claims": N_("claims"),
    "payments": N_("payments"),
    "matched": N_("matched"),
    "breaks_opened": N_("breaks opened"),
    "breaks_closed": N_("breaks closed"),
    "lines": N_("lines booked"),
    "adjustments": N_("adjustments"),
    "told": N_("notices"),
    "placed": N_("placed"),
    "left_free": N_("left free"),
    "awaiting_approval": N_("awaiting approval"),
}

# A rule in few words; what it says in full stands in its pack.
RULES = {
    "CN-GBT-HOURS": N_("Contact at night"),
    "CN-GBT-VOICE-3": N_("Fourth effective call"),
    "CN-CBA-HOURS": N_("Contact at night (industry)"),
    "CN-CBA-ATTEMPT-6": N_("Seventh attempt on one number"),
    "HOUSE-RELEASE-24H": N_("Unsealed, never contacted"),
    "HOUSE-RELEASE-PACE": N_("Many cases unsealed in minutes"),
    "stop_work_not_confirmed": N_("Stop of work not confirmed"),
}

SEVERITIES = {
    "critical": N_("Critical"),
    "high": N_("High"),
    "medium": N_("Medium"),
    "low": N_("Low"),
}
FORCES = {
    "law": N_("Law"),
    "standard": N_("National standard"),
    "self_regulation": N_("Industry self-regulation"),
    "house": N_("House rule"),
}

SCOPES = {
    "read": N_("Read"),
    "portfolios": N_("Upload portfolios"),
    "exchange": N_("Offers and placements"),
    "working": N_("Work cases"),
    "ledger": N_("Ledger and jobs"),
    "release": N_("Unseal personal data"),
    "audit": N_("Download the audit log"),
    "directory": N_("People and organisations"),
    "retention": N_("Erasure, holds, settings"),
}

# What the audit log says was done.
SEARCH_KINDS = {"mobile": N_("Mobile number"), "id_cn": N_("Resident ID number")}
AUDITED = {
    "organisation.create": N_("Organisation brought in"),
    "key.publish": N_("Public keys published"),
    "key.confirm": N_("Public key compared"),
    "key.rotate": N_("Encryption key replaced"),
    "key.rewrap": N_("Keys wrapped anew"),
    "key.retire": N_("Old encryption key dropped"),
    "portfolio.rekey": N_("Re-key of a portfolio begun"),
    "portfolio.rekeyed": N_("Portfolio sealed anew, old keys deleted"),
    "index.rotate": N_("New index key: every case is opened to index it anew"),
    "index.activate": N_("New index key in use"),
    "key_order.create": N_("Order to the lender's tool"),
    "key_order.download": N_("Order taken"),
    "key_order.answer": N_("Order carried out"),
    "key_order.cancel": N_("Order cancelled"),
    "member.create": N_("Person added"),
    "member.sign_in": N_("Signed in"),
    "member.password": N_("Password changed"),
    "member.proof": N_("Proved again who it is"),
    "member.totp_add": N_("Authenticator set up"),
    "member.totp_remove": N_("Authenticator removed"),
    "token.create": N_("Token made"),
    "token.revoke": N_("Token revoked"),
    "mandate.grant": N_("Mandate granted"),
    "agreement.create": N_("Agreement proposed"),
    "agreement.approve": N_("Agreement approved"),
    "agreement.refuse": N_("Agreement refused"),
    "agreement.change": N_("Agreement changed"),
    "agreement.end": N_("Agreement ended"),
    "rate_card.propose": N_("Rate card proposed"),
    "rate_card.approve": N_("Rate card approved"),
    "rate_card.refuse": N_("Rate card refused"),
    "rate_card.ask_withdrawal": N_("Withdrawal of a rate card asked for"),
    "rate_card.refuse_withdrawal": N_("Withdrawal of a rate card refused"),
    "rate_card.withdraw": N_("Rate card withdrawn"),
    "standard_terms.propose": N_("Standard terms proposed"),
    "standard_terms.approve": N_("Standard terms approved"),
    "standard_terms.refuse": N_("Standard terms refused"),
    "agency_document.record": N_("Paper of an agency recorded"),
    "agency_document.attest": N_("Paper attested"),
    "agency_document.accept": N_("Paper accepted"),
    "agency_document.withdraw": N_("Paper withdrawn"),
    "agency.watch": N_("Agency watched"),
    "agency.suspend": N_("Agency suspended"),
    "agency.freeze": N_("Agency frozen"),
    "agency.clear": N_("Agency reinstated"),
    "agency.remove": N_("Agency removed"),
    "agency.complaints": N_("Upheld complaints recorded"),
    "portfolio.upload": N_("Portfolio uploaded"),
    "tender.create": N_("Tender made"),
    "tender.approve": N_("Tender approved"),
    "tender.refuse": N_("Tender refused"),
    "tender.withdraw": N_("Tender withdrawn"),
    "tender.run_out": N_("Tender found nobody"),
    "offer.create": N_("Offer made"),
    "offer.accept": N_("Offer accepted"),
    "offer.decline": N_("Offer declined"),
    "offer.withdraw": N_("Offer withdrawn"),
    "offer.expire": N_("Offer expired"),
    "bid.commit": N_("Sealed bid committed to"),
    "bid.withdraw": N_("Commitment withdrawn"),
    "bid.reveal": N_("Sealed bid revealed"),
    "bid.open": N_("Sealed bid opened"),
    "tender.commit": N_("Allocation placed"),
    "tender.undo": N_("Distribution undone"),
    "tender.award": N_("Sealed bids awarded"),
    "placement.acknowledge": N_("Placement acknowledged"),
    "placement.recall": N_("Placement recalled"),
    "placement.expire": N_("Placement expired"),
    "placement.freeze": N_("Placement frozen"),
    "placement.unfreeze": N_("Freeze lifted"),
    "case.recall": N_("Cases recalled"),
    "case.return": N_("Cases given back"),
    "acknowledgement.break": N_("Break before work started"),
    "recall.request": N_("Recall asked for"),
    "recall.object": N_("Recall objected to"),
    "recall.keep": N_("Objection agreed with"),
    "recall.withdraw": N_("Recall taken back"),
    "stop.confirm": N_("Stop of work confirmed"),
    "stop.miss": N_("Stop of work not confirmed"),
    "retention.request": N_("Retention asked for"),
    "retention.approve": N_("Retention approved"),
    "retention.refuse": N_("Retention refused"),
    "case.assign": N_("Cases assigned"),
    "case.correct": N_("Personal data corrected"),
    "field.release": N_("Field class unsealed"),
    "release.pace": N_("Stopped for opening too fast"),
    "case.search": N_("Searched by a full number"),
    "access.refused": N_("Refused"),
    "contact.record": N_("Contact logged"),
    "promise.record": N_("Promise recorded"),
    "claim.record": N_("Payment claimed"),
    "feed.receive": N_("Ledger file received"),
    "reconciliation.run": N_("Reconciliation run"),
    "commission.book": N_("Commission booked"),
    "breach.flag": N_("Breaches flagged"),
    "breach.view": N_("Breach viewed"),
    "export.request": N_("Large download asked for"),
    "export.approve": N_("Download approved"),
    "export.refuse": N_("Download refused"),
    "export.download": N_("Download"),
    "document.add": N_("Document added"),
    "document.reseal": N_("Document sealed anew"),
    "erasure.carry_out": N_("Personal data erased"),
    "erasure.repeat": N_("Erased again after a restore"),
    "hold.place": N_("Legal hold placed"),
    "hold.lift": N_("Legal hold lifted"),
    "exclusion.lift": N_("Exclusion lifted"),
    "exclusion.file": N_("Exclusions recorded from a file"),
    "exclusion.record": N_("Exclusion recorded"),
    "setting.change": N_("Setting changed"),
    "webhook.create": N_("Webhook made"),
    "webhook.rotate": N_("New secret of a webhook"),
    "webhook.pause": N_("Webhook paused"),
    "webhook.resume": N_("Webhook resumed"),
    "webhook.delete": N_("Webhook deleted"),
}

ERASURE_SUBJECTS = {"case": N_("Case"), "portfolio": N_("Portfolio"), "borrower": N_("Borrower")}
HOLD_REASONS = {
    "litigation": N_("Lawsuit"),
    "complaint": N_("Complaint"),
    "regulator": N_("Regulator"),
    "audit": N_("Audit"),
}
# Why a case may not be erased now; a number stands before it.
OBSTACLES = {
    "case_placed": N_("placed with an agency: recall first."),
    "already_offered": N_("in an open offer: withdraw it, or wait for its end."),
    "legal_hold": N_("under a legal hold: lift it first."),
    "retention_until": N_("still to be kept after the last contact, payment or placement."),
}
EARLIER_AGENCIES = {
    "nothing": N_("Nothing, not even that there was one"),
    "outcomes": N_("Outcome codes and days of their contacts"),
    "history": N_("Channel, outcome and time of their contacts"),
}
FREEZE_REASONS = {
    "data_incident": N_("Data incident"),
    "conduct": N_("Conduct"),
    "complaint": N_("Complaint"),
    "regulator": N_("Regulator"),
    "licence": N_("Licence in doubt"),
}

# Terms of an agreement by name, and what says them.
TERMS = {
    "term_days": N_("Term of a placement, days"),
    "provinces": N_("Provinces"),
    "products": N_("Products"),
    "buckets": N_("Buckets"),
    "balance_from": N_("Balance from"),
    "balance_below": N_("Balance below"),
    "open_cases_max": N_("Open cases at most"),
    "collectors": N_("Collectors"),
    "cases_per_collector": N_("Cases per collector"),
    "contact_policy": N_("Contact policy"),
    "earliest_hour": N_("Contact from, hour"),
    "latest_hour": N_("Contact until, hour"),
    "attempts_per_day": N_("Attempts a day"),
    "third_parties": N_("Third parties"),
    "visits": N_("Visits"),
}
LEVELS = {
    "default": N_("the law alone"),
    "lender": N_("lender's standard"),
    "tier": N_("tier's standard"),
    "agreement": N_("this agreement"),
}
TAX_TREATMENTS = {"inclusive": N_("Tax included"), "exclusive": N_("Tax on top")}
PAYMENT_TYPES = {
    "payment": N_("Ordinary payment"),
    "settlement": N_("Settlement"),
    "instalment": N_("Instalment"),
}
# How an agreement stands today.
AGREEMENT_STANDINGS = {
    "proposed": N_("Waits for approval"),
    "in_force": N_("In force"),
    "later": N_("Begins later"),
    "over": N_("Ended"),
    "refused": N_("Refused"),
}

TENDER_KINDS = {
    "assigned": N_("Assigned"),
    "first_claim": N_("First claim"),
    "sealed_bid": N_("Sealed bids"),
    "allocation": N_("Allocation"),
}
BID_KINDS = {"rate": N_("Rate alone"), "hybrid": N_("Rate and fee for each case")}
# Why a sealed bid was not the one.
BID_REASONS = {
    "score_lower": N_("Another bid had a higher score."),
    "tie_lost": N_("Another bid had the same score, and the tie rule preferred it."),
    "capacity_exceeded": N_("The agency had no capacity left when the award was made."),
    "ineligible": N_("The agency could not receive cases when the award was made."),
    "not_revealed": N_("The bid was never revealed."),
    "commitment_mismatch": N_("What was revealed is not what was committed to."),
    "above_maximum": N_("The bid is above the maximum that was published."),
    "score_not_positive": N_("The score is not above zero: the lender would keep nothing."),
    "no_cases_to_place": N_("No case was left to be placed."),
    "outbid": N_("Other packages on these lots were worth more together, or as much and preferred by the tie rule."),
    "other_package_won": N_("Another package of the same bid has won."),
}
AWARD_OUTCOMES = {
    "placed": N_("Placed with the best bid"),
    "no_valid_bid": N_("No valid bid"),
    "no_cases_to_place": N_("No case was left to be placed"),
}
# Why cases stay out of a tender.
SCRUB_REASONS = {
    "deceased": N_("Deceased"),
    "bankrupt": N_("Bankrupt"),
    "protected": N_("Protected"),
    "hardship": N_("Hardship"),
    "complaint": N_("Complaint"),
    "in_court": N_("In court"),
    "on_hold": N_("On hold"),
    "debt_sold": N_("Debt sold"),
    "time_barred": N_("Time-barred"),
    "paid_off": N_("Paid off"),
    "case_on_hold": N_("On hold in the ledger"),
    "legal_hold": N_("Legal hold"),
    "erased": N_("Erased"),
    "already_placed": N_("Already placed"),
    "already_offered": N_("Already tendered"),
    "other_currency": N_("Another currency"),
    "not_chosen": N_("Not chosen"),
    "household_elsewhere": N_("Household elsewhere"),
    "beyond_limit": N_("Beyond the limit"),
}
EXCLUSION_SOURCES = {
    "lender": N_("Lender"),
    "court": N_("Court"),
    "registry": N_("Registry"),
    "borrower": N_("Borrower"),
    "agency": N_("Agency"),
    "regulator": N_("Regulator"),
}

ALLOCATION_KINDS = {"rules": N_("By rules"), "random": N_("Random split")}
ALLOCATION_BASES = {"cases": N_("the cases"), "amount": N_("the balance")}
ALLOCATION_DIMENSIONS = {
    "bucket": N_("Bucket"),
    "balance_band": N_("Balance per household"),
    "province": N_("Province"),
    "product": N_("Product"),
}
LEFT_OUT = {
    "no_rule": N_("No rule fits"),
    "follows_elsewhere": N_("Borrower is with an agency outside the panel"),
    "outside_terms": N_("No agreement covers the household"),
    "earlier_agency": N_("Every agency had the borrower before"),
}
UNDO_REASONS = {
    "wrong_cases": N_("Wrong cases"),
    "wrong_split": N_("Wrong split"),
    "wrong_terms": N_("Wrong terms"),
    "agency_not_ready": N_("An agency is not ready"),
}

# Why an agency may not receive cases, in a word; the sentences are in messages.py.
GATE_REASONS = {
    "agreement_not_in_force": N_("No agreement in force"),
    "processing_agreement_missing": N_("No processing agreement"),
    "impact_assessment_missing": N_("No impact assessment"),
    "no_rate_card_in_force": N_("No rate card in force"),
    "agency_suspended": N_("Suspended"),
    "agency_frozen": N_("Frozen"),
    "agency_removed": N_("Removed"),
    "licence_missing": N_("Licence missing"),
    "insurance_missing": N_("Insurance missing"),
    "due_diligence_missing": N_("Due diligence missing"),
    "training_missing": N_("Training missing"),
    "licence_expired": N_("Licence expired"),
    "insurance_expired": N_("Insurance expired"),
    "due_diligence_expired": N_("Due diligence expired"),
    "training_expired": N_("Training expired"),
    "renewal_evaluation_missing": N_("No evaluation before renewal"),
    "licence_elsewhere": N_("Licensed elsewhere"),
    "conduct_score_too_low": N_("Conduct score too low"),
    "complaints_too_many": N_("Too many complaints"),
    "capacity_exceeded": N_("No capacity"),
    "cases_outside_agreement": N_("Cases outside its agreement"),
}
PAPERS = {
    "licence": N_("Licence"),
    "insurance": N_("Insurance"),
    "due_diligence": N_("Due diligence"),
    "training": N_("Training"),
    "agreement": N_("Agreement"),
}
STANDING_REASONS = FREEZE_REASONS | {
    "performance": N_("Performance"),
    "documents": N_("Papers"),
    "insolvency": N_("Insolvency"),
    "lender_request": N_("At the lender's request"),
}
STANDING_ACTS = {
    "watch": N_("Watch"),
    "suspend": N_("Suspend"),
    "freeze": N_("Freeze"),
    "clear": N_("Reinstate"),
    "remove": N_("Remove"),
    "complaints": N_("Upheld complaints recorded"),
}
ROTATIONS = {"off": N_("They stay free"), "automatic": N_("They go on to agencies of the next tier")}

# What an entry of the audit log is about: its ids, counts and codes by name; what a run counted is in JOB_COUNTS.
SUBJECTS = JOB_COUNTS | {
    "bid": N_("Bid"),
    "commitment": N_("Commitment"),
    "nonce": N_("Nonce"),
    "case_fee": N_("Fee for each case"),
    "recall": N_("Recall"),
    "break": N_("Break"),
    "cases_placed": N_("Cases placed"),
    "balance_placed": N_("Balance placed"),
    "late": N_("Late"),
    "excluded": N_("Excluded from placing"),
    "ground": N_("Ground"),
    "rule": N_("Rule"),
    "rate_card": N_("Rate card"),
    "version": N_("Version"),
    "valid_from": N_("In force from"),
    "standard_terms": N_("Standard terms"),
    "term": N_("Term of the agreement"),
    "tier": N_("Tier"),
    "settlement_floor": N_("Least settlement"),
    **TERMS,
    "exclusion": N_("Exclusion"),
    "borrower": N_("Borrower"),
    "source": N_("Source"),
    "accepted": N_("Accepted rows"),
    "erasure": N_("Erasure"),
    "hold": N_("Legal hold"),
    "setting": N_("Setting"),
    "old": N_("Before"),
    "new": N_("Now"),
    "salts": N_("Salts"),
    "cells": N_("Cells"),
    "tokens": N_("Search tokens"),
    "leases": N_("Leases"),
    "notes": N_("Notes"),
    "documents": N_("Documents"),
    "document": N_("Document"),
    "expires_on": N_("Ends on"),
    "placements": N_("Placements"),
    "asked_for": N_("Asked for"),
    "by": N_("By"),
    "code": N_("Code"),
    "found": N_("Found"),
    "limit_of": N_("Limit of"),
    "search": N_("Search"),
    "order": N_("Order"),
    "subject": N_("About"),
    "subject_kind": N_("About a"),
    "sealed_by": N_("Sealed by"),
    "custody": N_("Private keys with"),
    "kem": N_("Encryption key"),
    "kem_serial": N_("Number"),
    "signing": N_("Signing key"),
    "signing_serial": N_("Number"),
    "serial": N_("Number"),
    "fingerprint": N_("Fingerprint"),
    "agency": N_("Agency"),
    "agreement": N_("Agreement"),
    "amount": N_("Amount"),
    "auditor": N_("Auditor"),
    "balance": N_("Balance"),
    "borrowers": N_("Borrowers"),
    "breach": N_("Breach"),
    "business_date": N_("Business date"),
    "case": N_("Case"),
    "cases": N_("Cases"),
    "cell_version": N_("Version"),
    "cell_digest": N_("Digest"),
    "channel": N_("Channel"),
    "claim": N_("Claim"),
    "collector": N_("Collector"),
    "contact": N_("Contact entry"),
    "contingency_rate": N_("Rate"),
    "corrects": N_("Corrects"),
    "count": N_("Count"),
    "currency": N_("Currency"),
    "digest": N_("Digest"),
    "due_on": N_("Due on"),
    "export": N_("Export"),
    "feed": N_("Ledger file"),
    "field_class": N_("Field class"),
    "file_digest": N_("Digest"),
    "kind": N_("Kind"),
    "mandate": N_("Mandate"),
    "member": N_("Person"),
    "offer": N_("Offer"),
    "organisation": N_("Organisation"),
    "outcome": N_("Outcome"),
    "paid_to": N_("Paid to"),
    "period": N_("Period"),
    "placement": N_("Placement"),
    "portfolio": N_("Portfolio"),
    "promise": N_("Promise"),
    "reason": N_("Reason"),
    "refused": N_("Refused rows"),
    "release": N_("Release"),
    "roles": N_("Roles"),
    "rows": N_("Rows"),
    "scopes": N_("Scopes"),
    "sequence": N_("Sequence"),
    "size": N_("Entries"),
    "suspense": N_("In suspense"),
    "token": N_("Token"),
    "webhook": N_("Webhook"),
    "kinds": N_("Kinds"),
    "state": N_("State"),
    "tender": N_("Tender"),
    "asked": N_("Asked for"),
    "kept": N_("Kept"),
}

WEBHOOK_STATES = {"active": N_("In use"), "paused": N_("Paused")}
DELIVERY_STATES = {"waiting": N_("Yet to be sent"), "delivered": N_("Delivered"), "failed": N_("Given up")}
PAUSE_REASONS = {
    "by_hand": N_("Paused by one of you."),
    "gone": N_("The receiver said that it is gone (410)."),
    "failing": N_("Nothing got through for three days."),
}
DELIVERY_FAILURES = {
    "status": N_("Not taken"),
    "timeout": N_("No answer in time"),
    "refused": N_("Connection refused"),
    "unknown_host": N_("No such host"),
    "tls": N_("Certificate not trusted"),
    "broken_off": N_("Connection broken off"),
    "address_refused": N_("Not an address of the open internet"),
    "webhook_deleted": N_("Webhook deleted"),
}

# Why an act is refused: how a thing stands, and what cannot be done with it then; one sentence takes both.
STANDS = {
    "proposed": N_("not approved yet"),
    "active": N_("in force"),
    "ended": N_("ended"),
    "refused": N_("refused"),
    "drawing": N_("being drawn just now"),
    "previewed": N_("only a preview"),
    "committing": N_("being placed just now"),
    "awaiting_approval": N_("waiting for approval"),
    "open": N_("open already"),
    "placed": N_("placed already"),
    "undone": N_("undone already"),
    "unanswered": N_("over, without a taker"),
    "offered": N_("not answered yet"),
    "accepted": N_("accepted already"),
    "declined": N_("declined"),
    "expired": N_("over"),
    "taken": N_("taken by another agency"),
    "committed": N_("committed, and not revealed"),
    "revealed": N_("revealed already"),
    "won": N_("decided: it has won"),
    "lost": N_("decided: it has not won"),
    "void": N_("void"),
    "withdrawn": N_("withdrawn"),
    "recorded": N_("not attested yet"),
    "attested": N_("attested, and not accepted yet"),
    "awaiting_keys": N_("waiting for its keys"),
    "awaiting_acknowledgement": N_("not acknowledged yet"),
    "recalled": N_("recalled"),
    "returned": N_("given back"),
    "requested": N_("not decided yet"),
    "executed": N_("carried out"),
    "approved": N_("approved already"),
    "lapsed": N_("lapsed"),
    "good": N_("in good standing"),
    "watch": N_("watched"),
    "suspended": N_("suspended"),
    "frozen": N_("frozen"),
    "removed": N_("removed"),
    "paused": N_("paused"),
    "deleted": N_("deleted"),
    "waiting": N_("on its way"),
    "delivered": N_("delivered"),
    "failed": N_("given up"),
    "asked": N_("asked back"),
    "objected": N_("objected to"),
    "kept": N_("decided: it stays"),
    "gone": N_("gone another way"),
}
ACTS = {
    "accept": N_("be accepted"),
    "acknowledge": N_("be acknowledged"),
    "approve": N_("be approved"),
    "ask_approval": N_("be sent for approval"),
    "attest": N_("be attested"),
    "award": N_("be awarded"),
    "begin": N_("be placed"),
    "bid": N_("be bid for"),
    "call_off": N_("be called off"),
    "change": N_("be changed"),
    "clear": N_("be reinstated"),
    "commit": N_("be committed"),
    "confirm": N_("be confirmed"),
    "decline": N_("be declined"),
    "delete": N_("be deleted"),
    "deliver": N_("be delivered"),
    "end": N_("be ended"),
    "execute": N_("be carried out"),
    "expire": N_("expire"),
    "fail": N_("be given up"),
    "freeze": N_("be frozen"),
    "give_back": N_("be given back"),
    "keep": N_("be decided case by case"),
    "lapse": N_("lapse"),
    "lease": N_("be given keys"),
    "leave": N_("leave"),
    "lose": N_("be decided"),
    "miss": N_("be taken"),
    "object": N_("be objected to"),
    "pause": N_("be paused"),
    "place": N_("be placed"),
    "preview": N_("be previewed"),
    "propose": N_("be given new rates"),
    "recall": N_("be recalled"),
    "redeliver": N_("be sent again"),
    "refuse": N_("be refused"),
    "remove": N_("be removed"),
    "resume": N_("be resumed"),
    "reveal": N_("be revealed"),
    "run_out": N_("run out"),
    "stop": N_("be stopped"),
    "suspend": N_("be suspended"),
    "undo": N_("be undone"),
    "void": N_("be voided"),
    "watch": N_("be watched"),
    "win": N_("be decided"),
    "withdraw": N_("be withdrawn"),
}

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
    "return_code": RETURN_CODES,
    "objection": OBJECTIONS,
    "recall_case": RECALL_CASES,
    "recall_category": RECALL_CATEGORIES,
    "retention_ground": RETENTION_GROUNDS,
    "role": ROLES,
    "side": SIDES,
    "decline_reason": DECLINE_REASONS,
    "tender_kind": TENDER_KINDS,
    "bid_kind": BID_KINDS,
    "bid_reason": GATE_REASONS | BID_REASONS,
    "award_outcome": AWARD_OUTCOMES,
    "scrub_reason": SCRUB_REASONS,
    "exclusion_source": EXCLUSION_SOURCES,
    "allocation_kind": ALLOCATION_KINDS,
    "allocation_basis": ALLOCATION_BASES,
    "allocation_dimension": ALLOCATION_DIMENSIONS,
    "left_out": LEFT_OUT,
    "undo_reason": UNDO_REASONS,
    "feed_kind": FEED_KINDS,
    "break_step": BREAK_STEPS,
    "break_step_agency": BREAK_STEPS_AGENCY,
    "break_cause": BREAK_CAUSES,
    "component": COMPONENTS,
    "attribution": ATTRIBUTIONS,
    "not_commissionable": NOT_COMMISSIONABLE,
    "dimension": DIMENSIONS,
    "balance_band": BALANCE_BANDS,
    "age_band": AGE_BANDS,
    "product": PRODUCTS,
    "province": PROVINCES,
    "kind": KINDS,
    "custody": CUSTODIES,
    "key_purpose": KEY_PURPOSES,
    "order_kind": ORDER_KINDS,
    "export_kind": EXPORT_KINDS,
    "document_kind": DOCUMENT_KINDS,
    "order_state": ORDER_STATES,
    "order_subject": ORDER_SUBJECTS,
    "order_lede": ORDER_LEDES,
    "actor_side": ACTOR_SIDES,
    "job": JOBS,
    "job_count": JOB_COUNTS,
    "rule": RULES,
    "severity": SEVERITIES,
    "force": FORCES,
    "scope": SCOPES,
    "search_kind": SEARCH_KINDS,
    "erasure_subject": ERASURE_SUBJECTS,
    "hold_reason": HOLD_REASONS,
    "obstacle": OBSTACLES,
    "earlier_agencies": EARLIER_AGENCIES,
    "freeze_reason": FREEZE_REASONS,
    "audited": AUDITED,
    "subject": SUBJECTS,
    "term": TERMS,
    "level": LEVELS,
    "tax_treatment": TAX_TREATMENTS,
    "payment_type": PAYMENT_TYPES,
    "agreement_standing": AGREEMENT_STANDINGS,
    "gate_reason": GATE_REASONS,
    "paper": PAPERS,
    "standing_reason": STANDING_REASONS,
    "standing_act": STANDING_ACTS,
    "rotation": ROTATIONS,
    "webhook_state": WEBHOOK_STATES,
    "delivery_state": DELIVERY_STATES,
    "pause_reason": PAUSE_REASONS,
    "delivery_failure": DELIVERY_FAILURES,
    "stands": STANDS,
    "act": ACTS,
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
