"""The personal fields of a case: which class seals each, and how each is masked."""

FIELDS = {
    "identity": ("name", "id_number", "birth_date"),
    "contact": ("mobile", "mobile_2", "email", "address"),
    "related": ("relative_name", "relative_relation", "relative_phone", "employer", "employer_phone"),
    "account": ("card_number",),
}
NOTES = "notes"  # free text, recordings and letters: sealed by whoever writes them
FIELD_CLASSES = (*FIELDS, NOTES)
MASK_KINDS = {
    "name": "name",
    "id_number": "id_cn",
    "birth_date": "birth_date",
    "mobile": "mobile",
    "mobile_2": "mobile",
    "email": "email",
    "address": "address",
    "relative_name": "name",
    "relative_relation": "",  # no kind: hidden whole
    "relative_phone": "phone",
    "employer": "employer",
    "employer_phone": "phone",
    "card_number": "bank_card",
}
