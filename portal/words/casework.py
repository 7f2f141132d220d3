"""Words for what is known of a case, how it is worked and what is paid on it."""

from portal.words.states import N_

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

PAID_TO = {"lender": N_("Lender"), "agency": N_("Agency"), "platform": N_("Platform")}

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
DOCUMENT_KINDS = {"recording": N_("Recording"), "letter": N_("Letter"), "proof": N_("Proof")}

# What the audit log says was done.
SEARCH_KINDS = {"mobile": N_("Mobile number"), "id_cn": N_("Resident ID number")}
