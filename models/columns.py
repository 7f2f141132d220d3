"""What a column of an uploaded file may hold: its tidy text, its fault if any, and its typed value.

Every kind is three Polars expressions over a whole column; a fault is a code, never a value.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import NamedTuple

import polars as pl

from crypto.case_columns import CURRENCIES
from models import identifiers
from models.tabular import Batch, Header

Rule = Callable[[pl.Expr], pl.Expr]

CONTROL = r"[\p{Cc}\u202a-\u202e\u2066-\u2069]"  # also the marks that turn the direction of writing
MONEY = pl.Decimal(18, 2)
YEAR_MIN, YEAR_MAX = 1900, 2100

CODE_SHAPE = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,39}$"
WORD_SHAPE = r"^[\p{L}0-9][\p{L}\p{M}0-9 ._/()（）-]{0,39}$"

_AMOUNT = r"^[+]?[0-9]{1,13}(?:\.[0-9]{1,2})?$"
_SIGNED_AMOUNT = r"^[+-]?[0-9]{1,13}(?:\.[0-9]{1,2})?$"
_DAY = r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$"
_DAY_SLASHED = r"^([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})"
_ZONE = r" ?(?:Z|[+-][0-9]{2}:?[0-9]{2})$"
_TIME = (
    r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?: ?(?:Z|[+-][0-9]{2}:?[0-9]{2}))?$"
)
_EMAIL = r"^[^\s@,;<>\"]+@[^\s@.,;<>\"]+(?:\.[^\s@.,;<>\"]+)+$"
_PHONE = r"^(?:\+|00)?[0-9(][0-9() -]{3,22}[0-9](?:(?:#|x|ext\.?|转)[0-9]{1,6})?$"


class Kind(NamedTuple):
    """`tidy`: text -> text. `holds`: tidy text -> may it stand. `value`: text that holds -> typed value, else null.

    `fault`: text that does not hold -> the code that says why.
    """

    holds: Rule
    fault: Rule
    value: Rule = lambda text: text
    tidy: Rule = lambda text: text


class Column(NamedTuple):
    name: str
    kind: Kind
    required: bool = False
    field_class: str | None = None  # personal columns belong to a field class and are sealed with it
    chars_max: int = 40


def first_true(**tests: pl.Expr) -> pl.Expr:
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
    return texts.lazy().select("row", *map(_fault, columns)).collect()


def _fault(column: Column) -> pl.Expr:
    text = pl.col("text")
    fits = column.kind.holds(text) & (text.str.len_chars() <= column.chars_max)
    stands = pl.when(text.is_null()).then(not column.required).otherwise(fits.fill_null(value=False))
    why = pl.coalesce(
        first_true(
            required_missing=text.is_null(),
            control_character=text.str.contains(CONTROL),
            too_long=text.str.len_chars() > column.chars_max,
        ),
        column.kind.fault(text),
    )

    def codes(texts: pl.Series) -> pl.Series:
        frame = texts.to_frame("text").with_columns(odd=~stands)
        # Most columns of most batches stand as a whole: why is asked only where one does not.
        if not frame["odd"].any():
            return pl.repeat(None, len(texts), dtype=pl.String, eager=True)
        return frame.select(pl.when("odd").then(why)).to_series()

    return pl.col(column.name).map_batches(codes, return_dtype=pl.String)


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


def judged(batch: Batch, columns: Iterable[Column], texts: pl.DataFrame, crossed: pl.DataFrame) -> Batch:
    """The typed good rows of a batch, and the faults of the others with those it came with.

    `crossed` has a row per row of `texts` and, for some of the columns, the faults that show only beyond one
    field; a field's own fault comes first.
    """
    columns = tuple(columns)
    codes = faults(texts, columns)
    codes = codes.with_columns(pl.coalesce(codes[name], crossed[name]).alias(name) for name in crossed.columns)
    errors = error_rows(codes)
    good = texts.join(errors, on="row", how="anti", maintain_order="left") if errors.height else texts
    return Batch(values(good, columns), pl.concat([batch.errors, errors]).sort("row", maintain_order=True))


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


def _mended(odd: str, mend: Rule) -> Rule:
    """`mend` for the columns that hold text like `odd` at all: few do, and looking is much cheaper."""

    def column(texts: pl.Series) -> pl.Series:
        if not texts.str.contains(odd).any():
            return texts
        return texts.to_frame("text").select(mend(pl.col("text"))).to_series()

    return lambda text: text.map_batches(column, return_dtype=pl.String)


def _plain(text: pl.Expr) -> pl.Expr:
    """Full-width digits and letters as plain ones, and no apostrophe that kept a spreadsheet's hands off."""
    return text.str.normalize("NFKC").str.strip_chars_start("'").str.strip_chars()


def _ungrouped(text: pl.Expr) -> pl.Expr:
    return _plain(text).str.replace_all("[ -]", "").str.to_uppercase()


def _national(text: pl.Expr) -> pl.Expr:
    text = _plain(text)
    mobile = text.str.contains(identifiers.MOBILE_SHAPE)
    return pl.when(mobile).then(text.str.replace_all(identifiers.MOBILE_PREFIX, "")).otherwise(text)


def _mangled(text: pl.Expr) -> pl.Expr:
    return text.str.contains(identifiers.SCIENTIFIC)


def _why_no_whole_number(text: pl.Expr) -> pl.Expr:
    return first_true(
        spreadsheet_mangled=_mangled(text),
        not_a_number=~text.str.contains("^-?[0-9]+$"),
        negative_amount=text.str.starts_with("-"),
        amount_too_large=pl.lit(value=True),
    )


def _why_no_amount(text: pl.Expr) -> pl.Expr:
    return first_true(
        spreadsheet_mangled=_mangled(text),
        not_a_number=~text.str.contains(r"^[+-]?[0-9]+(?:\.[0-9]+)?$"),
        too_many_decimals=text.str.contains(r"\.[0-9]{3,}$"),
        negative_amount=text.str.starts_with("-"),
        amount_too_large=pl.lit(value=True),
    )


def to_money(text: pl.Expr) -> pl.Expr:
    """Decimal(18, 2), null for text that is no amount."""
    return text.str.strip_chars_start("+").cast(MONEY, strict=False)


def to_day(text: pl.Expr) -> pl.Expr:
    """Date, null for text that is no real day."""
    day = pl.when(text.str.contains(_DAY)).then(text).str.to_date("%Y-%m-%d", strict=False)
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


def _readable(noun: str, shape: str) -> Kind:
    """Text that stays in the clear, so that nobody's number may hide in it."""

    def holds(text: pl.Expr) -> pl.Expr:
        return text.str.contains(shape) & ~identifiers.looks_personal_column(text) & ~_mangled(text)

    def fault(text: pl.Expr) -> pl.Expr:
        personal = {f"{noun}_personal": identifiers.looks_personal_column(text)}
        return first_true(spreadsheet_mangled=_mangled(text), **personal, **{f"{noun}_shape": pl.lit(value=True)})

    return Kind(holds, fault)


def _rounded(text: pl.Expr) -> pl.Expr:
    """Kept by a spreadsheet as a number: fifteen digits and zeros, or what a workbook's reader makes of those."""
    whole = text.cast(pl.Int64, strict=False)
    nearest = whole.cast(pl.Float64).round_sig_figs(15).cast(pl.Int64, strict=False)
    return _mangled(text) | text.str.contains("^[0-9]{15}0{1,4}$") | ((text.str.len_bytes() > 15) & (whole == nearest))


def _number_of(tidy: Rule, code: str, holds: Rule) -> Kind:
    """A long number of a person, which a spreadsheet may have mangled."""
    why = {code: pl.lit(value=True)}
    return Kind(holds, fault=lambda text: first_true(spreadsheet_mangled=_rounded(text), **why), tidy=tidy)


_dashed = _mended("/", lambda text: text.str.replace(_DAY_SLASHED, "$1-$2-$3"))


def _because(code: str) -> Rule:
    return lambda text: pl.lit(code)


def choice(*words: str) -> Kind:
    """One of a few words, in small letters."""
    return Kind(
        holds=lambda text: text.is_in(words),
        fault=_because("unknown_value"),
        tidy=lambda text: text.str.to_lowercase(),
    )


def moment(zone: str) -> Kind:
    """An ISO 8601 time, as UTC; without an offset it is local time of `zone`."""
    value = _to_moment(zone)
    return Kind(
        holds=lambda text: value(text).is_not_null(), fault=_because("impossible_time"), value=value, tidy=_dashed
    )


TEXT = Kind(holds=lambda text: ~text.str.contains(CONTROL), fault=_because("control_character"))
CASE_NUMBER = _readable("case_number", CODE_SHAPE)
PRODUCT = _readable("product", WORD_SHAPE)
REFERENCE = _readable("reference", CODE_SHAPE)
CURRENCY = Kind(
    holds=lambda text: text.is_in(CURRENCIES),
    fault=_because("unknown_currency"),
    tidy=lambda text: text.str.to_uppercase(),
)
AMOUNT = Kind(
    holds=lambda text: text.str.contains(_AMOUNT),
    fault=_why_no_amount,
    value=to_money,
    tidy=_mended("[^0-9.]", _plain),
)
# What a negative amount means is for the file that allows it to say.
SIGNED_AMOUNT = AMOUNT._replace(holds=lambda text: text.str.contains(_SIGNED_AMOUNT))
WHOLE_NUMBER = Kind(
    holds=lambda text: text.str.contains("^[0-9]{1,5}$"),
    fault=_why_no_whole_number,
    value=lambda text: text.cast(pl.Int32, strict=False),
    tidy=_mended("[^0-9]", _plain),
)
DATE = Kind(
    holds=lambda text: to_day(text).is_not_null(),
    fault=_because("impossible_date"),
    value=to_day,
    tidy=_dashed,
)
RESIDENT_ID = _number_of(_mended("[^0-9X]", _ungrouped), "invalid_resident_id", identifiers.resident_id_holds)
CARD = _number_of(_mended("[^0-9]", _ungrouped), "invalid_card", identifiers.card_holds)
MOBILE = _number_of(
    _mended("[^0-9]|^00", _national), "invalid_mobile", lambda text: text.str.contains("^1[3-9][0-9]{9}$")
)
PHONE = _number_of(
    _mended("[^0-9-]|^1[3-9][0-9]-|^00", _national), "invalid_phone", lambda text: text.str.contains(_PHONE)
)
EMAIL = Kind(
    holds=lambda text: text.str.contains(_EMAIL) & ~text.str.contains(CONTROL), fault=_because("invalid_email")
)
REGION = Kind(
    holds=lambda text: text.str.contains("^[0-9]{6}$") & text.str.slice(0, 2).is_in(identifiers.PROVINCES),
    fault=_because("invalid_region"),
    tidy=_mended("[^0-9]", _plain),
)
