"""What every refusal's code says to a person, in their language."""

from flask_babel import lazy_gettext

from models.errors import Invalid, Refusal

MESSAGES = {
    # Whole requests
    "refused": lazy_gettext("This was refused."),
    "not_found": lazy_gettext("There is nothing here."),
    "forbidden": lazy_gettext("Your role does not allow this."),
    "unauthenticated": lazy_gettext("Please sign in."),
    "sign_in_failed": lazy_gettext("Organisation code, e-mail or password is wrong, or the account is resting."),
    "session_ended": lazy_gettext("Your session has ended. Please sign in again."),
    "token_invalid": lazy_gettext("This token is unknown, revoked or expired."),
    "password_wrong": lazy_gettext("This is not your password, or the account is resting after too many tries."),
    "passwords_differ": lazy_gettext("The two differ. Type the new password twice."),
    "proof_wrong": lazy_gettext("This proves nothing: wrong, used before, or the account is resting after many tries."),
    "totp_stands": lazy_gettext("An authenticator is set up already. Remove it first."),
    "totp_missing": lazy_gettext("No authenticator is set up."),
    "scope_missing": lazy_gettext("This token was not given the scope it needs."),
    "csrf_token_wrong": lazy_gettext("This form is out of date. Reload the page and try again."),
    "invalid": lazy_gettext("Some of the input is wrong. Nothing was changed."),
    "malformed_request": lazy_gettext("The request could not be read."),
    "method_not_allowed": lazy_gettext("This address does not take that method."),
    "unsupported_media_type": lazy_gettext("This address does not take that kind of content."),
    "not_acceptable": lazy_gettext("That kind of answer is not to be had here."),
    "upload_cut_off": lazy_gettext("The upload stopped before its end. Nothing was changed."),
    "too_large": lazy_gettext("That is larger than this address takes."),
    "conflict": lazy_gettext("This does not fit the present state. Reload and look again."),
    "busy": lazy_gettext("Somebody is changing this right now. Try again in a moment."),
    "failed": lazy_gettext("Something went wrong on our side. Nothing was half done."),
    "unavailable": lazy_gettext("A part that must not be skipped does not answer. Try again shortly."),
    "log_down": lazy_gettext("The audit log is not keeping up, so nothing is opened. Masked data still works."),
    "idempotency_key_reused": lazy_gettext("This idempotency key was used for another request."),
    "choose_mandate": lazy_gettext("Choose the lender in whose mandate you work."),
    # Parties
    "unknown_organisation_code": lazy_gettext("No organisation of that kind has this code."),
    "organisation_not_active": lazy_gettext("That organisation is not active."),
    "agreement_number_taken": lazy_gettext("An agreement with this number stands already."),
    "mandate_stands": lazy_gettext("This auditor holds a mandate for that time already."),
    "email_taken": lazy_gettext("Somebody of this organisation has this e-mail already."),
    "already_revoked": lazy_gettext("This was revoked already."),
    # Fields
    "required_missing": lazy_gettext("This field is required."),
    "unknown_field": lazy_gettext("This field is not known here."),
    "unknown_value": lazy_gettext("This is none of the values allowed here."),
    "wrong_shape": lazy_gettext("This does not have the shape expected here."),
    "not_an_id": lazy_gettext("This is not an id."),
    "not_a_number": lazy_gettext("This is not a number."),
    "impossible_date": lazy_gettext("This is not a possible date."),
    "out_of_range": lazy_gettext("This is out of range."),
    "too_short": lazy_gettext("This is too short."),
    "dates_reversed": lazy_gettext("The end lies before the beginning."),
    # Files
    # the file as a whole
    "encoding": lazy_gettext("Cannot be read as UTF-8 or GB18030."),
    "empty_file": lazy_gettext("The file is empty."),
    "header_only": lazy_gettext("The file has a header and no rows."),
    "missing_column": lazy_gettext("This column is missing."),
    "unknown_column": lazy_gettext("This column is not known."),
    "duplicate_column": lazy_gettext("This column appears twice."),
    "forbidden_column": lazy_gettext("Card security data is never accepted. Remove this column and upload again."),
    "truncated_row": lazy_gettext("The file is cut off in this row."),
    "too_many_fields": lazy_gettext("The row has more fields than the header."),
    # one field
    "case_number_personal": lazy_gettext("Looks like an ID, card or phone number. Use a number of your own."),
    "case_number_shape": lazy_gettext("Use letters, digits and . _ / - only, 40 characters at most."),
    "duplicate_case_number": lazy_gettext("This case number is already in the file."),
    "case_number_taken": lazy_gettext("This case number already stands."),
    "duplicate_reference": lazy_gettext("This reference is already in the file."),
    "reversal_mismatch": lazy_gettext(
        "The payment taken back is of another case or currency, or less than this is left of it."
    ),
    "negative_amount": lazy_gettext("An amount below zero is not allowed here."),
    "balance_not_positive": lazy_gettext("The balance must be above zero."),
    "components_mismatch": lazy_gettext("Principal, interest and fees do not add up to the balance."),
    "too_many_decimals": lazy_gettext("At most two decimals."),
    "unknown_currency": lazy_gettext("Not an ISO 4217 currency."),
    "invalid_resident_id": lazy_gettext("Not a valid resident ID number."),
    "invalid_mobile": lazy_gettext("Not a valid mobile number."),
    "invalid_card": lazy_gettext("Not a valid card number."),
    "birth_date_mismatch": lazy_gettext("Does not agree with the ID number."),
    "spreadsheet_mangled": lazy_gettext("A spreadsheet has changed this number. Export it again as text."),
    "control_character": lazy_gettext("Contains characters that cannot be shown."),
    "too_long": lazy_gettext("Too long."),
    "unknown_case": lazy_gettext("No such case."),
    # Verbs
    "already_uploaded": lazy_gettext("This file stands already. Nothing was changed."),
    "stale": lazy_gettext("This was decided on an older state. Reload and look again."),
    "case_closed_to_work": lazy_gettext("This case is closed to work."),
    "too_many": lazy_gettext("That is too many for now. Try again later."),
    "acknowledgement_mismatch": lazy_gettext("Count or balance differ from what was placed. Work does not start."),
    "agreement_not_in_force": lazy_gettext("The agreement is not in force today."),
    "case_placed_elsewhere": lazy_gettext("A case is placed elsewhere already."),
    "feed_key_taken": lazy_gettext("Another file stands for this day and sequence."),
    "file_refused": lazy_gettext("The file as a whole was refused. Nothing was changed."),
    "no_cases_to_offer": lazy_gettext("No case of this portfolio is free to be offered so."),
    "no_cases_to_place": lazy_gettext("No case of this offer is still free to be placed."),
    "offer_expired": lazy_gettext("The offer has expired."),
    "placement_expired": lazy_gettext("The placement has expired."),
    "placement_not_active": lazy_gettext("The placement is not active."),
    "terms_missing": lazy_gettext("A placement has no terms to compute its commission by."),
    "upload_in_progress": lazy_gettext("Another upload of yours is still under way. Try again when it has ended."),
    "wrong_state": lazy_gettext("Its present state does not allow this."),
    "in_future": lazy_gettext("This lies in the future."),
    "malformed_cursor": lazy_gettext("This page of the list cannot be found again. Start from its beginning."),
    "one_expected": lazy_gettext("Exactly one is expected here."),
    # Working a case
    "not_assigned": lazy_gettext("This case is not assigned to you. Your manager can assign it."),
    "for_managers": lazy_gettext("Only a manager of your agency does this."),
    "not_placed": lazy_gettext("This case is not placed."),
    "already_placed": lazy_gettext("This case is placed with an agency."),
    "already_offered": lazy_gettext("This case stands in an open offer."),
    "placement_awaiting_acknowledgement": lazy_gettext("Work starts once a manager has acknowledged the placement."),
    "case_recalled": lazy_gettext("The lender has recalled this case. Nothing more can be opened or reported."),
    "case_paid_off": lazy_gettext("This case is paid off. Nobody may be contacted any more."),
    "case_cured": lazy_gettext("This case is no longer overdue. Nobody may be contacted."),
    "case_on_hold": lazy_gettext(
        "The lender has put this case on hold. It may be worked again when the hold is lifted."
    ),
    "case_stopped": lazy_gettext("Contact on this case has been stopped."),
    "export_needs_second_person": lazy_gettext(
        "This file, with the rows you took of such lists in the last 24 hours, needs the approval of a second person."
    ),
    "export_too_large": lazy_gettext("This is more than one file holds. Filter the list first."),
    "export_grew": lazy_gettext("The list has more rows by now than were approved. Ask again."),
    "export_not_large": lazy_gettext("This list is small enough for one person: take it from its own page."),
    "export_own": lazy_gettext("Nobody approves a download of their own."),
    "export_decided": lazy_gettext("Somebody has decided this already."),
    "export_not_approved": lazy_gettext("This is not approved, or was taken already."),
    "export_lapsed": lazy_gettext("This was asked for or approved too long ago. Ask again."),
    "documents_full": lazy_gettext("This case holds as many documents as a case may."),
    "document_needs_own_key": lazy_gettext("Only your organisation's own key opens this document, not this page."),
    "document_closed": lazy_gettext("This was unsealed more than five minutes ago. Unseal it again."),
    "document_broken": lazy_gettext("The stored file is not the one that was added. Nothing of it is shown."),
    "media_type_unknown": lazy_gettext("Not a PDF, PNG, JPEG, MP3, M4A, WAV, OGG or text file."),
    "keys_changed": lazy_gettext("The keys of this portfolio were changed meanwhile. Add the file again."),
    "case_erased": lazy_gettext("The personal data of this case has been erased."),
    "placement_frozen": lazy_gettext("The lender has frozen this placement. Nothing may be opened, reported or taken."),
    "already_frozen": lazy_gettext("This placement is frozen already."),
    "not_frozen": lazy_gettext("This placement is not frozen."),
    # Erasure and holds
    "already_erased": lazy_gettext("All of it has been erased already."),
    "case_placed": lazy_gettext("This case is placed with an agency. Recall it first."),
    "legal_hold": lazy_gettext("A legal hold stands on this. Lift it first."),
    "retention_until": lazy_gettext("This is still to be kept: too little time has passed since the last act on it."),
    "erasure_blocked": lazy_gettext("Some of its cases may not be erased now, so none was."),
    "erasure_needs_own_key": lazy_gettext("You hold your own keys: order the erasure, and your tool signs for it."),
    "erasure_record_wrong": lazy_gettext("This record is not yours, or not about exactly these cases."),
    "hold_lifted": lazy_gettext("This hold was lifted already."),
    "outside_contact_hours": lazy_gettext("Contact data opens for a contact between 08:00 and 22:00 only."),
    "borrower_not_lost": lazy_gettext(
        "Related persons open only when the borrower cannot be reached: no conversation,"
        " and three unanswered attempts on two days."
    ),
    "nothing_to_release": lazy_gettext("There is nothing sealed here to open."),
    "release_quota_used": lazy_gettext("You have opened as much as one person may in a day."),
    "release_pace": lazy_gettext("Too many different cases in so short a time. The lender has been told."),
    "step_up_required": lazy_gettext(
        "Only whoever has just proved who they are may do this. Prove once more that it is you: password or code."
    ),
    "step_up_needs_person": lazy_gettext("This opens to a person at the portal only, not to a program."),
    "search_quota_used": lazy_gettext(
        "You have searched as often as one person may in an hour. Hits and misses both count."
    ),
    "search_needs_own_key": lazy_gettext(
        "The lender holds its own keys, so nothing can be searched here. Search with the lender's own tool."
    ),
    "custody_throttled": lazy_gettext("The key service is busy, so nothing is opened. Masked data still works."),
    "custody_key_disabled": lazy_gettext(
        "The platform's key is disabled, so nothing is opened. Masked data still works."
    ),
    "custody_key_pending_deletion": lazy_gettext(
        "The platform's key is about to be deleted, so nothing is opened. Masked data still works."
    ),
    "custody_refused": lazy_gettext("The key service refuses us, so nothing is opened. Masked data still works."),
    "custody_unavailable": lazy_gettext("The keys cannot be reached, so nothing is opened. Masked data still works."),
    "custody_read_only": lazy_gettext("Keys may be used here and not made or changed."),
    "release_not_committed": lazy_gettext("It is not certain that this was logged, so nothing was opened. Try again."),
    "above_balance": lazy_gettext("More than the balance."),
    "currency_mismatch": lazy_gettext("Not the currency of the case."),
    "before_placement": lazy_gettext("This lies before the placement began."),
    "external_ref_taken": lazy_gettext("This reference of yours stands for another contact."),
    "claim_reference_taken": lazy_gettext("You have claimed a payment with this reference already."),
    "ambiguous_case_number": lazy_gettext("Several lenders use this number. Report this case on its page."),
    "name_personal": lazy_gettext("The file's name looks like personal data. Rename the file."),
    # Files, further
    "broken_quotes": lazy_gettext("The quotation marks of this row do not close."),
    "too_many_faults": lazy_gettext("Far too many rows are wrong. Check that this is a file of cases."),
    "no_rows": lazy_gettext("The file holds no rows."),
    "case_number_exists": lazy_gettext("This case number stands already."),
    "product_personal": lazy_gettext("Looks like an ID, card or phone number. Name the product instead."),
    "product_shape": lazy_gettext("Use a short product code: letters, digits, _ and - only."),
    "reference_personal": lazy_gettext("Looks like an ID, card or phone number. Use a reference of your own."),
    "reference_shape": lazy_gettext("Use letters, digits and . _ / - only, 60 characters at most."),
    "amount_too_large": lazy_gettext("This amount is too large."),
    "zero_amount": lazy_gettext("An amount of zero is not allowed here."),
    "reversal_not_negative": lazy_gettext("A reversal must have a negative amount."),
    "impossible_time": lazy_gettext("This is not a possible time."),
    "invalid_phone": lazy_gettext("Not a valid phone number."),
    "invalid_email": lazy_gettext("Not a valid e-mail address."),
    "invalid_region": lazy_gettext("Not a GB/T 2260 region code."),
    "row_too_long": lazy_gettext("The row is too long."),
    "too_few_fields": lazy_gettext("The row has fewer fields than the header."),
    "unsupported_format": lazy_gettext("Upload CSV or XLSX."),
    "broken_workbook": lazy_gettext("The workbook cannot be read."),
    "workbook_too_large": lazy_gettext("The workbook is too large. Upload CSV instead."),
    # Keys that organisations hold themselves
    "public_file_broken": lazy_gettext("This is no public file, or it was altered. Choose the one the tool wrote."),
    "public_file_of_another": lazy_gettext("This public file belongs to another organisation."),
    "keys_with_platform": lazy_gettext("The platform keeps your keys: there are none for you to publish."),
    "key_published_already": lazy_gettext("These keys stand already."),
    "key_replaced_before": lazy_gettext("This key was replaced before and does not come back. Make a new one."),
    "key_not_published": lazy_gettext("The keys are not published yet."),
    "key_confirmed_already": lazy_gettext("You have compared this key already. A second person has to."),
    "fingerprint_differs": lazy_gettext(
        "This is not the fingerprint of the key shown here. Do not try again: ask the agency, by another way."
    ),
    "agency_key_not_confirmed": lazy_gettext(
        "The lender has not compared the agency's key yet, so nothing goes to it."
    ),
    "keys_awaited": lazy_gettext("The lender's own tool has not made the keys for this yet."),
    "needs_own_key": lazy_gettext("Only the organisation's own key can do this, and the platform does not have it."),
    "note_needs_own_key": lazy_gettext(
        "You and the lender both hold your own keys, so the platform cannot seal a note. Log the contact without it."
    ),
    "no_keys_to_hold": lazy_gettext("Only lenders and agencies hold keys."),
    "class_key_unsigned": lazy_gettext("A key of this portfolio is not signed by any key of the lender's."),
    "not_sealed_by_you": lazy_gettext("The platform sealed this and keeps its keys; your tool is not needed."),
    "order_done": lazy_gettext("This order was carried out already."),
    "order_cancelled": lazy_gettext("This order was cancelled. Take the newest one."),
    "answer_refused": lazy_gettext("The answer was refused. Nothing of it was carried out."),
    "answer_broken": lazy_gettext("This is no answer of the tool, or it was altered."),
    "answer_of_another_order": lazy_gettext("This answers another order."),
    "answer_unsigned": lazy_gettext("This is not signed by your newest key."),
    "answer_incomplete": lazy_gettext("This does not answer the order as it stands now. Download the order again."),
    "answer_keys": lazy_gettext("A key in it is not granted as the order asks: to whom, for what or until when."),
    "rotation_running": lazy_gettext("The last replacement of the key has not ended yet."),
    "rekey_running": lazy_gettext("This portfolio is being sealed anew already."),
    "reindex_running": lazy_gettext("The index is being built anew already."),
    # Corrections
    "nothing_changed": lazy_gettext("The case says exactly this already."),
    "household_placed": lazy_gettext(
        "The case is placed or offered, and with this number it would change its household. Recall it first."
    ),
    # Portfolios that a lender has sealed itself
    "upload_sealed_file": lazy_gettext(
        "You hold your own keys: seal the file with your tool and upload what it writes."
    ),
    "upload_plain_file": lazy_gettext("The platform keeps your keys: upload the case file itself."),
    "sealed_file_broken": lazy_gettext("This is no sealed portfolio, or it was altered."),
    "sealed_file_version": lazy_gettext("This sealed portfolio is in a format that is not known here."),
    "sealed_file_cut_off": lazy_gettext("The sealed portfolio is cut off, or lines of it are missing."),
    "sealed_file_altered": lazy_gettext("The sealed portfolio was altered after it was signed."),
    "sealed_file_unsigned": lazy_gettext("The sealed portfolio is not signed by your newest key."),
    "sealed_file_of_another": lazy_gettext("The sealed portfolio belongs to another lender."),
    "sealed_file_keys": lazy_gettext("Its keys are not wrapped to your newest key. Seal the file again."),
    "mask_shape": lazy_gettext("This is no mask."),
    "token_shape": lazy_gettext("This is no token."),
    "salt_shape": lazy_gettext("This is no salt."),
    "cell_shape": lazy_gettext("This is no cell."),
    "cell_missing": lazy_gettext("Masks and cell of this class do not agree."),
    # The log and its store
    "log_forked": lazy_gettext("The stored log is not what the database holds. Nothing was signed; call the operator."),
    "log_not_published": lazy_gettext("The log has no signed checkpoint yet. Try again in a moment."),
    "sizes_reversed": lazy_gettext("The earlier checkpoint is longer than the later one. Exchange the two sizes."),
    "object_exists": lazy_gettext("This object stands already and is never overwritten."),
    "object_store_not_write_once": lazy_gettext("The object store does not keep what was written once."),
    "object_store_unavailable": lazy_gettext("The object store does not answer. Try again shortly."),
    "unknown_object": lazy_gettext("There is no such object."),
}


def sentences(refusal: Refusal) -> dict[str, str]:
    """What a form shows where: a sentence beside each wrong field, else one for the whole under `*`."""
    if isinstance(refusal, Invalid) and refusal.errors:
        return {error.field: message(error.code) for error in refusal.errors}
    return {"*": message(refusal.code)}


def message(code: str) -> str:
    """The sentence for a code; a code nobody wrote a sentence for is shown as it is, and a test finds it."""
    return str(MESSAGES.get(code, code))
