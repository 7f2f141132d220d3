"""Words for agreements and papers, for the ways of placing cases, and for how they come back."""

from portal.words.states import N_

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

DECLINE_REASONS = {
    "capacity": N_("No capacity"),
    "rate": N_("The rate is too low"),
    "portfolio_mix": N_("The mix of cases does not suit"),
    "territory": N_("Outside our territory"),
    "other": N_("Another reason"),
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
    "terms_changed": N_("The terms changed after the commitment. The bidder is not to blame."),
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
    "terms_changed": N_("Terms changed after the bid"),
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
