"""Provinces by their GB/T 2260 codes: the first two digits of a region, and 0000."""

from typing import Any, Final

import polars as pl
from sqlalchemy import ColumnElement, func

GB_2260 = "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82"
PROVINCES: Final = tuple(f"{digits}0000" for digits in GB_2260.split())
PROVINCE: Final = pl.col("region").str.slice(0, 2) + "0000"  # of a frame's rows


def province_of(region: Any) -> ColumnElement[str]:
    """The same of a column in the database."""
    return func.substr(region, 1, 2).concat("0000")
