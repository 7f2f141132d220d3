"""A case file's columns for one value at a time: its tidy text, and the code that says why it cannot stand.

The platform's intake holds the same rules over whole columns; a test compares the two, code by code.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from crypto import identifiers

ISO_4217 = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP
CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR
IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU
MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG
SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV
WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(ISO_4217.split())
# Never accepted and never stored (PCI DSS 3.3, JR/T 0171 class C3), under the names files give them.
CARD_SECRETS = """
cvv cvv2 cvc cvc2 cvn cvn2 card_cvv card_expiry card_expiration expiry expiry_date expiration_date exp_date
valid_thru valid_until password passwd pwd login_password payment_password pin pin_block card_pin track1 track2
track_data magnetic_stripe fingerprint faceprint face_image biometric voiceprint 有效期 安全码 密码 支付密码
"""
FORBIDDEN_COLUMNS = frozenset(CARD_SECRETS.split())
COMPONENTS = ("principal", "interest", "fees")
AGE_BANDS = {18: "0-17", 25: "18-24", 35: "25-34", 45: "35-44", 55: "45-54", 65: "55-64", 200: "65+"}  # below: band
YEAR_MIN, YEAR_MAX = 1900, 2100

# White space as Unicode has it; Python's own strip takes four control characters with it, which are faults here.
_SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
# Also the marks that turn the direction of writing.
_control = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]").search
_code = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,39}").fullmatch
_amount = re.compile(r"\+?[0-9]{1,13}(?:\.[0-9]{1,2})?").fullmatch
_signed_amount = re.compile(r"[+-]?[0-9]{1,13}(?:\.[0-9]{1,2})?").fullmatch
_number = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?").fullmatch
_whole_number = re.compile(r"-?[0-9]+").fullmatch
_decimals = re.compile(r"\.[0-9]{3,}").search
_day = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})").fullmatch
_slashed = re.compile(r"([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})")
_mobile = re.compile(r"1[3-9][0-9]{9}").fullmatch
_phone = re.compile(r"(?:\+|00)?[0-9(][0-9() -]{3,22}[0-9](?:(?:#|x|ext\.?|转)[0-9]{1,6})?").fullmatch
_email = re.compile(rf"[^{_SPACES}@,;<>\"]+@[^{_SPACES}@.,;<>\"]+(?:\.[^{_SPACES}@.,;<>\"]+)+").fullmatch
_region = re.compile(r"[0-9]{6}").fullmatch
_rounded_tail = re.compile(r"[0-9]{15}0{1,4}").fullmatch
_mangled = re.compile(identifiers.SCIENTIFIC.strip("^$")).fullmatch


class Kind(NamedTuple):
    """`tidy`: stripped text -> its usual form. `fault`: tidy text -> the code that says why it cannot stand."""

    fault: Callable[[str], str | None]
    tidy: Callable[[str], str] = lambda text: text


class Column(NamedTuple):
    name: str
    kind: Kind
    required: bool = False
    chars_max: int = 40

    def tidied(self, text: str) -> str:
        return self.kind.tidy(text.strip(_SPACES))

    def fault(self, text: str) -> str | None:
        """Of a tidy text; an empty one is not given."""
        if not text:
            return "required_missing" if self.required else None
        code = self.kind.fault(text)
        if code is None and len(text) <= self.chars_max:
            return None
        if _control(text):
            return "control_character"
        return "too_long" if len(text) > self.chars_max else code


def day_of(text: str) -> dt.date | None:
    """The day of a tidy text, or None where it is none between 1900 and 2100."""
    found = _day(text)
    if not found or not YEAR_MIN <= int(found[1]) <= YEAR_MAX:
        return None
    try:
        return dt.date(*map(int, found.groups()))
    except ValueError:
        return None


def crossed_faults(texts: Mapping[str, str], on: dt.date) -> dict[str, str]:
    """By column, the faults that show only between the fields of a row of tidy texts, or beside the day `on`."""
    found: dict[str, str] = {}
    total = _money(texts.get("balance", ""))
    if total is not None and total <= 0:
        found["balance"] = "balance_not_positive"
    given = [texts[name] for name in COMPONENTS if texts.get(name)]
    # A component that cannot stand has a fault of its own, and says nothing about the total.
    components = [_money(text) for text in given if _amount(text)]
    if total is not None and given and len(components) == len(given) and sum(filter(None, components)) != total:
        found.setdefault("balance", "components_mismatch")
    for name in ("overdue_since", "opened_on"):
        day = day_of(texts.get(name, ""))
        if day and day > on:
            found[name] = "impossible_date"
    born_on = identifiers.birth_date_of(texts.get("id_number", ""))
    said = day_of(texts.get("birth_date", ""))
    if born_on and born_on > on:
        found["id_number"] = "invalid_resident_id"
    if born_on and said and said != born_on:
        found["birth_date"] = "birth_date_mismatch"
    return found


def age_band(id_number: str, on: dt.date) -> str:
    """The band of the age that a valid resident id states on the day `on`."""
    born_on = identifiers.birth_date_of(id_number)
    assert born_on is not None, "the id has been judged"
    age = on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))
    return next(band for below, band in AGE_BANDS.items() if age < below)


def _money(text: str) -> Decimal | None:
    return Decimal(text) if _signed_amount(text) else None


def _plain(text: str) -> str:
    """Full-width digits and letters as plain ones, and no apostrophe that kept a spreadsheet's hands off."""
    return unicodedata.normalize("NFKC", text).lstrip("'").strip(_SPACES)


def _ungrouped(text: str) -> str:
    return _plain(text).replace(" ", "").replace("-", "").upper()


def _national(text: str) -> str:
    text = _plain(text)
    return identifiers.national_mobile(text) if identifiers.is_mobile(text) else text


def _dashed(text: str) -> str:
    return _slashed.sub(r"\1-\2-\3", text) if _slashed.match(text) else text


def _day_in_full(text: str) -> str:
    day = day_of(_dashed(text))
    return day.isoformat() if day else _dashed(text)


def _rounded(text: str) -> bool:
    """Kept by a spreadsheet as a number: fifteen digits and zeros, or what a workbook's reader makes of those."""
    if _mangled(text) or _rounded_tail(text):
        return True
    return text.isdecimal() and text.isascii() and 15 < len(text) < 20 and int(text) == int(float(f"{int(text):.15g}"))


def _readable(noun: str, holds: Callable[[str], object]) -> Kind:
    """Text that stays in the clear, so that nobody's number may hide in it."""

    def fault(text: str) -> str | None:
        if _mangled(text):
            return "spreadsheet_mangled"
        if identifiers.looks_personal(text):
            return f"{noun}_personal"
        return None if holds(text) else f"{noun}_shape"

    return Kind(fault)


def _is_word(text: str) -> bool:
    first, rest = text[0], text[1:]
    return (first in "0123456789" or unicodedata.category(first)[0] == "L") and all(
        char in "0123456789 ._/()（）-" or unicodedata.category(char)[0] in "LM" for char in rest
    )


def _amount_of(shape: Callable[[str], object]) -> Kind:
    def fault(text: str) -> str | None:
        if shape(text):
            return None
        if _mangled(text):
            return "spreadsheet_mangled"
        if not _number(text):
            return "not_a_number"
        if _decimals(text):
            return "too_many_decimals"
        return "negative_amount" if text.startswith("-") else "amount_too_large"

    return Kind(fault, _plain)


def _fault_of_whole_number(text: str) -> str | None:
    if _mangled(text):
        return "spreadsheet_mangled"
    if not _whole_number(text):
        return "not_a_number"
    if text.startswith("-"):
        return "negative_amount"
    return None if len(text) <= 5 else "amount_too_large"


def _number_of(tidy: Callable[[str], str], code: str, holds: Callable[[str], object]) -> Kind:
    """A long number of a person, which a spreadsheet may have mangled."""

    def fault(text: str) -> str | None:
        if holds(text):
            return None
        return "spreadsheet_mangled" if _rounded(text) else code

    return Kind(fault, tidy)


def _in(words: frozenset[str], code: str) -> Callable[[str], str | None]:
    return lambda text: None if text in words else code


def _fault_of_region(text: str) -> str | None:
    return None if _region(text) and text[:2] in identifiers.PROVINCES else "invalid_region"


_TEXT = Kind(lambda text: "control_character" if _control(text) else None)
_DATE = Kind(lambda text: None if day_of(text) else "impossible_date", _day_in_full)
_MOBILE = _number_of(_national, "invalid_mobile", _mobile)
_PHONE = _number_of(_national, "invalid_phone", _phone)
_AMOUNT = _amount_of(_amount)
_EMAIL = Kind(lambda text: None if _email(text) and not _control(text) else "invalid_email")

COLUMNS = (
    Column("case_number", _readable("case_number", _code), required=True),
    Column("product", _readable("product", _is_word), required=True),
    Column("currency", Kind(_in(CURRENCIES, "unknown_currency"), str.upper), required=True),
    Column("principal", _AMOUNT),
    Column("interest", _AMOUNT),
    Column("fees", _AMOUNT),
    Column("balance", _amount_of(_signed_amount), required=True),
    Column("dpd", Kind(_fault_of_whole_number, _plain), required=True),
    Column("overdue_since", _DATE),
    Column("opened_on", _DATE),
    Column("region", Kind(_fault_of_region, _plain)),
    Column("name", _TEXT, required=True, chars_max=100),
    Column("id_number", _number_of(_ungrouped, "invalid_resident_id", identifiers.is_resident_id), required=True),
    Column("birth_date", _DATE),
    Column("mobile", _MOBILE, required=True),
    Column("mobile_2", _MOBILE),
    Column("email", _EMAIL, chars_max=254),
    Column("address", _TEXT, chars_max=300),
    Column("relative_name", _TEXT, chars_max=100),
    Column("relative_relation", _TEXT),
    Column("relative_phone", _PHONE),
    Column("employer", _TEXT, chars_max=200),
    Column("employer_phone", _PHONE),
    Column("card_number", _number_of(_ungrouped, "invalid_card", identifiers.is_card)),
)
