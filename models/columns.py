"""What a column of an uploaded file may hold: its tidy text, its fault if any, and its typed value.

Every kind is three Polars expressions over a whole column; a fault is a code, never a value.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import NamedTuple

import polars as pl

from models import identifiers
from models.tabular import Header

Rule = Callable[[pl.Expr], pl.Expr]

CURRENCIES = frozenset(
    (  # ISO 4217, active
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP "
        "CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG "
        "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL "
        "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR "
        "RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD "
        "TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"
    ).split()
)
CONTROL = r"[\p{Cc}\u202a-\u202e\u2066-\u2069]"  # also the marks that turn the direction of writing
AMOUNT_DIGITS_MAX = 13
MONEY = pl.Decimal(18, 2)
YEAR_MIN, YEAR_MAX = 1900, 2100

CODE_SHAPE = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,39}$"
WORD_SHAPE = r"^[\p{L}0-9][\p{L}\p{M}0-9 ._/()（）-]{0,39}$"

_DATE = r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$"
_DATE_SLASHED = r"^([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})"
_TIME = r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?: ?(?:Z|[+-][0-9]{2}:?[0-9]{2}))?$"
_ZONE = r" ?(?:Z|[+-][0-9]{2}:?[0-9]{2})$"
_EMAIL = r"^[^\s@,;<>\"]+@[^\s@.,;<>\"]+(?:\.[^\s@.,;<>\"]+)+$"
_PHONE = r"^(?:\+|00)?[0-9(][0-9() -]{3,22}[0-9](?:(?:#|x|ext\.?|转)[0-9]{1,6})?$"


class Kind(NamedTuple):
    """`tidy`: text -> text. `fault`: tidy text -> code or null. `value`: tidy text -> typed value, null if faulty."""

    fault: Rule
    value: Rule = lambda text: text
    tidy: Rule = lambda text: text


class Column(NamedTuple):
    name: str
    kind: Kind
    required: bool = False
    field_class: str | None = None  # personal columns belong to a field class and are sealed with it
    chars_max: int = 40


def fault_if(**tests: pl.Expr) -> pl.Expr:
    """The name of the first test that holds, or null."""
    return reduce(
        lambda otherwise, test: pl.when(test[1]).then(pl.lit(test[0])).otherwise(otherwise),
        reversed(tests.items()),
        pl.lit(None, pl.String),
    )


def header_of(columns: Iterable[Column], forbidden: Iterable[str] = ()) -> Header:
    columns = tuple(columns)
    return Header(
        known=[column.name for column in columns],
        required=[column.name for column in columns if column.required],
        forbidden=frozenset(forbidden),
    )


def tidied(rows: pl.DataFrame, columns: Iterable[Column]) -> pl.DataFrame:
    """The text of every column, stripped and in its usual form, null where it is empty or the column is absent."""

    def text(column: Column) -> pl.Expr:
        if column.name not in rows.columns:
            return pl.lit(None, pl.String).alias(column.name)
        tidy = column.kind.tidy(pl.col(column.name).str.strip_chars())
        return pl.when(tidy != "").then(tidy).alias(column.name)

    return rows.lazy().select("row", *map(text, columns)).collect()


def faults(texts: pl.DataFrame, columns: Iterable[Column]) -> pl.DataFrame:
    """One column of codes per column, null where the text stands."""

    def fault(column: Column) -> pl.Expr:
        text = pl.col(column.name)
        found = pl.coalesce(
            fault_if(
                too_long=text.str.len_chars() > column.chars_max,
                control_character=text.str.contains(CONTROL),
            ),
            column.kind.fault(text),
        )
        if column.required:
            found = pl.coalesce(fault_if(required_missing=text.is_null()), found)
        return found.alias(column.name)

    return texts.lazy().select("row", *map(fault, columns)).collect()


def values(texts: pl.DataFrame, columns: Iterable[Column]) -> pl.DataFrame:
    """The typed values, null where the text is faulty."""
    return (
        texts.lazy()
        .select("row", *(column.kind.value(pl.col(column.name)).alias(column.name) for column in columns))
        .collect()
    )


def error_rows(codes: pl.DataFrame) -> pl.DataFrame:
    """row, field, code of every fault, by row and then in the order of the columns."""
    fields = [name for name in codes.columns if name != "row"]
    marked = [field for field in fields if codes[field].null_count() < codes.height]
    return (
        codes.unpivot(marked, index="row", variable_name="field", value_name="code")
        .filter(pl.col("code").is_not_null())
        .sort("row", maintain_order=True)
        .select("row", "field", pl.col("code").cast(pl.String))
    )


class Seen:
    """The keys of a file so far, to name the second of two, also when a batch ends between them."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def repeats(self, keys: pl.Series) -> pl.Series:
        """True where a key came before, in this batch or an earlier one; nulls are no keys."""
        repeats = []
        for key in keys.to_list():
            repeats.append(key in self._keys)
            if key is not None:
                self._keys.add(key)
        return pl.Series(keys.name, repeats, pl.Boolean)


def _ascii(text: pl.Expr) -> pl.Expr:
    """Full-width digits and letters as plain ones, and without the apostrophe that kept a spreadsheet's hands off."""
    return text.str.normalize("NFKC").str.strip_chars_start("'").str.strip_chars()


def _mangled(text: pl.Expr) -> pl.Expr:
    return text.str.contains(identifiers.SCIENTIFIC)


def _zeroed_tail(text: pl.Expr, shape: str) -> pl.Expr:
    """A spreadsheet keeps fifteen digits and writes zeros for the rest."""
    return text.str.contains(shape) & text.str.contains("^[0-9]{15}0+$")


def _number(text: pl.Expr) -> dict[str, pl.Expr]:
    return {
        "spreadsheet_mangled": _mangled(text),
        "not_a_number": ~text.str.contains(r"^[+-]?[0-9]+(?:\.[0-9]+)?$"),
        "too_many_decimals": text.str.contains(r"\.[0-9]{3,}$"),
        "amount_too_large": text.str.contains(rf"^[+-]?0*[1-9][0-9]{{{AMOUNT_DIGITS_MAX},}}"),
    }


def _to_money(text: pl.Expr) -> pl.Expr:
    return text.str.strip_chars_start("+").cast(MONEY, strict=False)


def _negative(text: pl.Expr) -> pl.Expr:
    return text.str.starts_with("-")


def _to_date(text: pl.Expr) -> pl.Expr:
    day = pl.when(text.str.contains(_DATE)).then(text).str.to_date("%Y-%m-%d", strict=False)
    return pl.when(day.dt.year().is_between(YEAR_MIN, YEAR_MAX)).then(day)


def _to_moment(zone: str) -> Rule:
    def value(text: pl.Expr) -> pl.Expr:
        text = pl.when(text.str.contains(_TIME)).then(text.str.replace(" ", "T"))
        local = text.str.replace(_ZONE, "")
        local = pl.when(local.str.contains("T[0-9]{2}:[0-9]{2}$")).then(local + ":00").otherwise(local)
        offset = text.str.extract(f"({_ZONE})", 1).str.strip_chars().str.replace("Z", "+00:00")
        absolute = (local + offset).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", strict=False)
        naive = local.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
        there = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")
        moment = pl.when(offset.is_null()).then(there).otherwise(absolute)
        return pl.when(moment.dt.year().is_between(YEAR_MIN, YEAR_MAX)).then(moment)

    return value


def _to_whole(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Int32, strict=False)


def _readable(noun: str, shape: str) -> Kind:
    """Text that stays in the clear, so that nobody's number may hide in it."""

    def fault(text: pl.Expr) -> pl.Expr:
        personal = identifiers.looks_personal_column(text)
        tests = {f"{noun}_personal": personal, f"{noun}_shape": ~text.str.contains(shape)}
        return fault_if(spreadsheet_mangled=_mangled(text), **tests)

    return Kind(fault)


def _national(text: pl.Expr) -> pl.Expr:
    mobile = text.str.contains(identifiers.MOBILE_SHAPE)
    return pl.when(mobile).then(text.str.replace_all(identifiers.MOBILE_PREFIX, "")).otherwise(text)


def choice(*words: str) -> Kind:
    """One of a few words, in small letters."""
    return Kind(fault=lambda text: fault_if(unknown_value=~text.is_in(words)), tidy=lambda text: text.str.to_lowercase())


def moment(zone: str) -> Kind:
    """An ISO 8601 time, as UTC; without an offset it is local time of `zone`."""
    value = _to_moment(zone)
    return Kind(fault=lambda text: fault_if(impossible_time=text.is_not_null() & value(text).is_null()), value=value)


TEXT = Kind(fault=lambda text: pl.lit(None, pl.String))
CASE_NUMBER = _readable("case_number", CODE_SHAPE)
PRODUCT = _readable("product", WORD_SHAPE)
REFERENCE = _readable("reference", CODE_SHAPE)
CURRENCY = Kind(
    fault=lambda text: fault_if(unknown_currency=~text.is_in(list(CURRENCIES))),
    tidy=lambda text: text.str.to_uppercase(),
)
# An amount of any sign; what signs mean is the file's to say.
SIGNED_AMOUNT = Kind(fault=lambda text: fault_if(**_number(text)), value=_to_money, tidy=_ascii)
AMOUNT = SIGNED_AMOUNT._replace(fault=lambda text: fault_if(**_number(text), negative_amount=_negative(text)))
WHOLE_NUMBER = Kind(
    fault=lambda text: fault_if(
        not_a_number=~text.str.contains("^-?[0-9]+$"),
        negative_amount=_negative(text),
        amount_too_large=text.str.contains("[1-9][0-9]{5,}$"),
    ),
    value=_to_whole,
    tidy=_ascii,
)
DATE = Kind(
    fault=lambda text: fault_if(impossible_date=text.is_not_null() & _to_date(text).is_null()),
    value=_to_date,
    tidy=lambda text: text.str.replace(_DATE_SLASHED, "$1-$2-$3"),
)
RESIDENT_ID = Kind(
    fault=lambda text: fault_if(
        spreadsheet_mangled=_mangled(text)
        | _zeroed_tail(text, "^[0-9]{15}000$") & ~identifiers.resident_id_holds(text).fill_null(value=False),
        invalid_resident_id=~identifiers.resident_id_holds(text).fill_null(value=False) & text.is_not_null(),
    ),
    tidy=lambda text: _ascii(text).str.replace_all(" ", "").str.to_uppercase(),
)
MOBILE = Kind(
    fault=lambda text: fault_if(
        spreadsheet_mangled=_mangled(text), invalid_mobile=~text.str.contains("^1[3-9][0-9]{9}$")
    ),
    tidy=lambda text: _national(_ascii(text)),
)
PHONE = Kind(
    fault=lambda text: fault_if(spreadsheet_mangled=_mangled(text), invalid_phone=~text.str.contains(_PHONE)),
    tidy=lambda text: _national(_ascii(text)),
)
EMAIL = Kind(fault=lambda text: fault_if(invalid_email=~text.str.contains(_EMAIL)))
CARD = Kind(
    fault=lambda text: fault_if(
        spreadsheet_mangled=_mangled(text)
        | _zeroed_tail(text, identifiers.CARD_SHAPE) & ~identifiers.luhn_holds(text).fill_null(value=False),
        invalid_card=~text.str.contains(identifiers.CARD_SHAPE) | ~identifiers.luhn_holds(text),
    ),
    tidy=lambda text: _ascii(text).str.replace_all("[ -]", ""),
)
REGION = Kind(
    fault=lambda text: fault_if(
        invalid_region=~text.str.contains("^[0-9]{6}$") | ~text.str.slice(0, 2).is_in(list(identifiers.PROVINCES))
    ),
    tidy=_ascii,
)

