"""How a state looks: its meaning, its icon and its word."""

from typing import NamedTuple

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
