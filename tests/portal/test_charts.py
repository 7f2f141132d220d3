"""Charts are real text, speak to screen readers, follow the theme and never reach for the network."""

import re
import xml.etree.ElementTree as ElementTree
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from portal import charts, formats

STEPS = (
    charts.Step("Recovered", Decimal("1284600.00"), "total"),
    charts.Step("Not commissionable", Decimal("-84600.00")),
    charts.Step("Tax", Decimal("14400.00")),
    charts.Step("Payable", Decimal("1214400.00"), "total"),
)


def yuan(amount: Decimal) -> str:
    return formats.short_money(amount, "CNY", "en")


def waterfall(title: str = "From recovered to payable") -> Markup:
    return charts.waterfall(STEPS, title=title, description="Four steps.", write=yuan)


def curves() -> Markup:
    frame = pl.DataFrame(
        {
            "series": ["甲机构", "甲机构", "Northgate", "Northgate"],
            "x": [date(2026, 1, 1), date(2026, 2, 1)] * 2,
            "y": [Decimal("0.00"), Decimal("0.45"), Decimal("0.10"), Decimal("0.44")],
        }
    )
    return charts.lines(frame, title="Liquidation", description="By agency.", write=lambda y: formats.percent(y, 0))


def buckets() -> Markup:
    frame = pl.DataFrame({"label": ["M1", "M2", "M2"], "value": [5230000, 0, 12]})
    return charts.bars(frame, title="Balance", description="By bucket.", write=yuan)


DRAWINGS = pytest.mark.parametrize("draw", [waterfall, curves, buckets])


DAY = r"\d\d-\d\d$"  # of an axis, whose ticks are as many as there is room for
SVG = "{http://www.w3.org/2000/svg}"


def drawings(drawn: str) -> dict[str, ElementTree.Element]:
    """The one for wide screens and the one for phones, by class."""
    return {root.get("class", ""): root for root in ElementTree.fromstring(f"<div>{drawn}</div>")}


def texts(drawn: str, fits: str = "wide") -> list[str]:
    return [node.text or "" for node in drawings(drawn)[fits].iter(f"{SVG}text")]


def tones(drawn: str, tone: str) -> list[int]:
    """How many shapes of each drawing have the colour."""
    return [sum(node.get("fill") == tone for node in root.iter()) for root in drawings(drawn).values()]


@DRAWINGS
def test_a_drawing_is_named_for_those_who_cannot_see_it(draw) -> None:
    for root in drawings(draw()).values():
        ids = {node.get("id"): node.text for node in root.iter() if node.get("id")}

        assert root.get("role") == "img"
        assert all(ids[name] for name in root.attrib["aria-labelledby"].split())


@DRAWINGS
def test_a_phone_has_a_drawing_of_its_own_that_says_the_same(draw) -> None:
    drawn = draw()

    assert float(drawings(drawn)["narrow"].attrib["viewBox"].split()[2]) <= charts.NARROW
    assert {text for text in texts(drawn) if not re.match(DAY, text)} <= set(texts(drawn, "narrow"))


def test_curves_whose_names_leave_no_room_on_a_phone_have_a_legend_there() -> None:
    name = "上海诚达资产管理有限公司"
    frame = pl.DataFrame({"series": [name, name], "x": [0, 30], "y": [0.0, 0.4]})
    drawn = charts.lines(frame, title="Liquidation", description="By agency.", write=str)

    legends = [any("legend" in node.get("class", "") for node in root.iter()) for root in drawings(drawn).values()]
    assert legends == [False, True]
    assert texts(drawn).count(name) == texts(drawn, "narrow").count(name) == 1


@DRAWINGS
def test_a_drawing_follows_the_theme_and_needs_no_inline_style(draw) -> None:
    drawing = draw()

    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', drawing))
    assert colours <= {
        "none",
        charts.INK,
        charts.MUTED,
        charts.LINE,
        charts.STRONG_LINE,
        charts.GOOD,
        charts.BAD,
        *charts.PALETTE,
    }
    assert "style=" not in drawing
    assert "<style" not in drawing


@DRAWINGS
def test_a_drawing_comes_out_the_same_when_drawn_again(draw) -> None:
    first = draw()
    for cached in (charts._waterfall, charts._lines, charts._bars):
        cached.cache_clear()

    assert draw() == first


def test_amounts_and_labels_are_real_text() -> None:
    assert {"¥1.3M", "−¥84.6K", "¥14.4K", "¥1.2M", "Not commissionable"} <= set(texts(waterfall()))


def test_each_curve_ends_in_its_name() -> None:
    assert {"甲机构", "Northgate", "0%", "10%", "50%"} <= set(texts(curves()))


def test_rows_with_one_label_are_two_bars() -> None:
    assert texts(buckets()).count("M2") == 2


def test_a_change_down_is_bad_and_a_change_up_is_good() -> None:
    drawing = waterfall()

    assert tones(drawing, charts.BAD) == tones(drawing, charts.GOOD) == [1, 1]


def test_labels_cannot_become_markup_or_an_expression() -> None:
    hostile = ["<script>alert(1)</script>", "'+datum+'", '" role="button" id="x', "\\", "</svg>"]
    frame = pl.DataFrame({"label": hostile, "value": [1, 2, 3, 4, 5]})

    drawing = charts.bars(frame, title="<b>", description="&", write=yuan)

    assert "<script" not in drawing
    assert texts(drawing)[:5] == hostile


def test_nothing_is_ever_fetched() -> None:
    spec = {"data": {"url": "http://127.0.0.1:9/rows.json"}, "mark": "bar"}

    with pytest.raises(ValueError, match="not allowed"):
        vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])


def test_two_drawings_on_one_page_share_no_id() -> None:
    first, second = (set(re.findall(r'\bid="([^"]+)"', waterfall(title))) for title in ("One", "Two"))

    assert not first & second


@given(st.floats(min_value=1e-6, max_value=1e15))
def test_ticks_are_few_start_at_nought_and_reach_the_highest(highest: float) -> None:
    ticks = charts._ticks(highest)

    assert ticks[0] == 0
    assert ticks[-1] >= highest > ticks[-2]
    assert len(ticks) <= 6


def test_an_empty_frame_is_still_a_drawing() -> None:
    frame = pl.DataFrame(schema={"series": pl.String, "x": pl.Int64, "y": pl.Float64})

    assert "<svg" in charts.lines(frame, title="None", description="Nothing yet.", write=str)
