"""Chinese resident ids, mobile numbers and card numbers: are they real, and does a text look like one?

Sources: GB 11643 (resident id, ISO 7064 MOD 11-2), GB/T 2260 (province codes), ISO/IEC 7812-1 (Luhn).
"""

import datetime as dt
import re

GB_2260_PROVINCES = """
11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83 91
"""
PROVINCES = frozenset(GB_2260_PROVINCES.split())
CHECK_CHARACTERS = "10X98765432"  # by the weighted sum modulo 11
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
LUHN_DOUBLED = str.maketrans("0123456789", "0246813579")  # twice the digit, its own digits added

RESIDENT_ID_SHAPE = r"^[1-9][0-9]{5}(?:19|20)[0-9]{9}[0-9X]$"
LEGACY_ID_SHAPE = r"^[1-9][0-9]{14}$"
# Spaces may group a number; hyphens only in the national form 138-1234-5678.
MOBILE_SHAPE = r"^(?:(?:(?:\+86|0086) ?)?1[3-9][0-9] ?[0-9]{4} ?[0-9]{4}|1[3-9][0-9]-[0-9]{4}-[0-9]{4})$"
MOBILE_PREFIX = r"^(?:\+86|0086)|[ -]"
CARD_SHAPE = r"^[0-9]{12,19}$"
# What a spreadsheet makes of a long number.
SCIENTIFIC = r"^[0-9](?:\.[0-9]+[eE]\+?|[eE]\+)[0-9]+$"

_PROVINCE = "(?:" + "|".join(sorted(PROVINCES)) + ")"
_DAY = "(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
# No checksum here: an id with a slip of the pen is still somebody's id.
_NUMBERS = (
    f"{_PROVINCE}[0-9]{{4}}(?:18|19|20)[0-9]{{2}}{_DAY}[0-9]{{3}}[0-9Xx]"
    f"|{_PROVINCE}[0-9]{{6}}{_DAY}[0-9]{{3}}"
    r"|(?:(?:\+|00)?86)?1[3-9][0-9]{9}"
    r"|0(?:10|2[0-9]|[3-9][0-9]{2})-[2-8][0-9]{6,7}"
)
PERSONAL_SHAPE = rf"(?:^|[^0-9])(?:{_NUMBERS})(?:$|[^0-9])"
CARD_INSIDE = r"(?:^|[^0-9])([3-6][0-9]{12,18}|9558[0-9]{15})(?:$|[^0-9])"
SEPARATORS = r"[\s._/-]"


def is_resident_id(value: str) -> bool:
    """18 characters with their checksum, or the 15 digits issued before 1999; the province and the date are real."""
    if value[:2] not in PROVINCES or birth_date_of(value) is None:
        return False
    return len(value) == 15 or value[17] == check_character(value[:17])


def check_character(body: str) -> str:
    """The 18th character for the first 17 digits of a resident id."""
    return CHECK_CHARACTERS[sum(int(digit) * weight for digit, weight in zip(body, WEIGHTS, strict=True)) % 11]


def birth_date_of(resident_id: str) -> dt.date | None:
    """The birth date a resident id states, or None where it is no id by its shape or no day by the calendar."""
    if re.fullmatch(RESIDENT_ID_SHAPE, resident_id):
        digits = resident_id[6:14]
    elif re.fullmatch(LEGACY_ID_SHAPE, resident_id):
        digits = "19" + resident_id[6:12]
    else:
        return None
    try:
        return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def resident_id_18(value: str) -> str:
    """The 18-character form of a valid id, so that both forms of one person meet in the blind index."""
    if len(value) != 15:
        return value
    body = value[:6] + "19" + value[6:]
    return body + check_character(body)


def is_luhn(digits: str) -> bool:
    """ASCII digits whose Luhn sum is a multiple of ten."""
    return digits.isascii() and digits.isdigit() and _luhn_sum(digits) % 10 == 0


def luhn_digit(body: str) -> str:
    """The digit that completes `body` to a number `is_luhn` accepts."""
    return str(-_luhn_sum(body + "0") % 10)


def _luhn_sum(digits: str) -> int:
    doubled = digits[-2::-2].translate(LUHN_DOUBLED)
    return sum(map(int, digits[-1::-2])) + sum(map(int, doubled))


def is_card(value: str) -> bool:
    return re.fullmatch(CARD_SHAPE, value) is not None and is_luhn(value)


def is_mobile(value: str) -> bool:
    """A mainland mobile number, with or without +86 or 0086."""
    return re.fullmatch(MOBILE_SHAPE, value) is not None


def national_mobile(value: str) -> str:
    """The 11 digits of a mobile number `is_mobile` accepts."""
    return re.sub(MOBILE_PREFIX, "", value)


def looks_personal(value: str) -> bool:
    """Holds an id, phone or card number, whole, between other characters, or spread over separators."""
    joined = re.sub(SEPARATORS, "", value)
    return any(
        re.search(PERSONAL_SHAPE, text) is not None or any(is_luhn(card) for card in re.findall(CARD_INSIDE, text))
        for text in (value, joined)
    )
