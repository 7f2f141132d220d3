"""Money: exact decimals with two places, rounded half away from zero in one place, and never a float."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal

import polars as pl

MONEY = pl.Decimal(38, 2)
RATE = pl.Decimal(38, 6)

Schema = Mapping[str, pl.DataType | type[pl.DataType]]

_ISO_4217 = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
    CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF
    IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD
    MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB
    RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD
    UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_ISO_4217.split())  # What a debt may be kept in: no funds codes, metals or test codes.

_AMOUNT = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,2})?")  # What NUMERIC(18, 2) holds.
_HALF_AWAY = Context(prec=76, rounding=ROUND_HALF_UP)  # Decimal's HALF_UP is half away from zero.


def parse_money(text: str) -> Decimal:
    """`-1234.5` as Decimal("-1234.50"); ValueError, without the text, for anything but digits with up to two places."""
    if not _AMOUNT.fullmatch(text):
        raise ValueError("not an amount of money")
    return round_money(Decimal(text))


def round_money(amount: Decimal, places: int = 2) -> Decimal:
    """Half away from zero. Zero has no sign: -0.004 becomes 0.00."""
    if not amount.is_finite():
        raise ValueError("not an amount of money")
    rounded = _HALF_AWAY.quantize(amount, Decimal(1).scaleb(-places))
    return _HALF_AWAY.add(rounded, 0)


def round_money_expr(expr: pl.Expr, places: int = 2) -> pl.Expr:
    """`round_money` for a Decimal column: what Polars rounds to even by default is rounded here away from zero."""
    half = pl.lit(Decimal(5).scaleb(-places - 1), dtype=pl.Decimal(38, places + 1))
    magnitude = (expr.abs() + half).truncate(places)
    return pl.when(expr < 0).then(-magnitude).otherwise(magnitude).cast(pl.Decimal(38, places))


def money_product(a: pl.Series, b: pl.Series) -> pl.Series:
    """a × b, exact: its scale is the sum of both. OverflowError beyond 38 digits, TypeError for anything but Decimals.

    Polars gives a product the larger scale of the two and cuts the rest off, so both are widened first.
    """
    exact = pl.Decimal(38, _scale(a) + _scale(b))
    factors = pl.DataFrame([a.alias("a"), b.alias("b")])
    product = factors.select(
        given=pl.col("a").is_not_null() & pl.col("b").is_not_null(),
        product=pl.col("a").cast(exact, strict=False) * pl.col("b").cast(exact, strict=False),
    )
    if product.filter(pl.col("given") & pl.col("product").is_null()).height:
        raise OverflowError("a product of money needs more than 38 digits")
    return product["product"].alias(a.name)


def refuse_floats(frame: pl.DataFrame) -> None:
    """TypeError that names every Float column: money is exact, so nothing beside it may be a float either."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    if floats:
        raise TypeError(f"money frames hold no floats: {', '.join(floats)}")


def money_frame(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """The schema's columns, typed. Refuses floats, and a Decimal with more places than its column has (TypeError)."""
    refuse_floats(frame)
    for name, dtype in schema.items():
        if isinstance(dtype, pl.Decimal) and frame.schema[name] != pl.Null and _scale(frame[name]) > dtype.scale:
            raise TypeError(f"{name} has more than {dtype.scale} places")
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _scale(column: pl.Series) -> int:
    if not isinstance(column.dtype, pl.Decimal):
        raise TypeError(f"{column.name} is {column.dtype}, not Decimal")
    return column.dtype.scale
