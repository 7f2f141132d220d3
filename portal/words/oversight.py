"""Words for people, rules, keys, exports, erasures and webhooks."""

from portal.words.states import N_

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
