"""Charts as SVG, drawn on the server: Altair describes, vl-convert draws, the page's own colours fill them in.

Each function gives two drawings of the same figures, one for wide screens and one for phones, of which the style sheet
shows the one that fits. Each has a title and a description, real text, and colours as CSS variables with a light
fallback, so that it serves light, dark and a saved file. Equal input gives equal bytes. Labels arrive translated and
figures formatted: a chart knows no language. Positions on the canvas are floats; amounts are not computed here, only
shown.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple
from unicodedata import east_asian_width

import altair as alt
import polars as pl
import vl_convert
from markupsafe import Markup, escape

FONT = "Inter, 'SF Pro Text', 'Segoe UI', system-ui, 'PingFang SC', 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif"
INK = "var(--c-ink, #16181d)"
MUTED = "var(--c-muted, #59606d)"
LINE = "var(--c-line, #dfe2e8)"
STRONG_LINE = "var(--c-line-strong, #8a92a0)"
GOOD = "var(--c-good, #17703d)"
BAD = "var(--c-bad, #b3261e)"
PALETTE = (
    "var(--chart-1, #1f4e9c)",
    "var(--chart-2, #b8570b)",
    "var(--chart-3, #0f7c7c)",
    "var(--chart-4, #9a3b7a)",
    "var(--chart-5, #5d6b1d)",
    "var(--chart-6, #6a6f7d)",
)
WIDE, NARROW = 760, 340  # The whole drawing, in pixels at its natural size.

Write = Callable[[Decimal], str]
Drawing = alt.LayerChart | alt.FacetChart


class Step(NamedTuple):
    """A bar of a waterfall: a `total` stands on the ground, a `change` hangs from where the last one ended.

    A `share` hangs likewise and is neither good nor bad: it goes to somebody else.
    """

    label: str
    amount: Decimal
    kind: Literal["total", "change", "share"] = "change"


def waterfall(steps: Sequence[Step], *, title: str, description: str, write: Write) -> Markup:
    """Money from a first total to a last one; `write` formats the amount above each bar."""
    rows, running = [], Decimal(0)
    for place, step in enumerate(steps):
        start = Decimal(0) if step.kind == "total" else running
        running = start + step.amount
        tones = {"total": PALETTE[0], "share": PALETTE[5], "change": GOOD if step.amount >= 0 else BAD}
        rows.append((place, step.label, float(start), float(running), write(step.amount), tones[step.kind]))
    return _waterfall(tuple(rows), title, description)


def lines(frame: pl.DataFrame, *, title: str, description: str, write: Write, x_title: str = "") -> Markup:
    """Curves over time from columns series (String), x (number or date) and y (number ≥ 0); each ends in its name.

    Series keep the palette's colours in the order in which they first appear.
    """
    rows = tuple(
        (str(series), x.isoformat() if isinstance(x, date) else float(x), float(y))
        for series, x, y in frame.select("series", "x", "y").sort("x", maintain_order=True).rows()
    )
    names = tuple(str(name) for name in frame["series"].unique(maintain_order=True))
    ticks = tuple((tick, write(Decimal(repr(tick)))) for tick in _ticks(max((y for *_, y in rows), default=0.0)))
    return _lines(rows, names, ticks, title, description, x_title)


def bars(frame: pl.DataFrame, *, title: str, description: str, write: Write) -> Markup:
    """One horizontal bar per row of columns label (String) and value (number ≥ 0), in the order given."""
    rows = tuple(
        (place, str(text), float(value), write(Decimal(str(value))))
        for place, (text, value) in enumerate(frame.select("label", "value").rows())
    )
    return _bars(rows, title, description)


def _ticks(highest: float) -> tuple[float, ...]:
    """Up to six round values, from nought to the first that is not below the highest."""
    if highest <= 0:
        return (0.0, 1.0)
    fifth = Decimal(repr(highest)) / 5
    scale = Decimal(1).scaleb(fifth.adjusted())
    size = next(m * scale for m in map(Decimal, (1, 2, 5, 10)) if m * scale >= fifth)
    steps = math.ceil(Decimal(repr(highest)) / size)
    return tuple(float(size * step) for step in range(steps + 1))


@lru_cache(maxsize=128)
def _waterfall(rows: tuple[tuple[Any, ...], ...], title: str, description: str) -> Markup:
    keys = ("place", "label", "start", "end", "text", "tone")
    data = [dict(zip(keys, row, strict=True)) for row in rows]
    for row in data:
        row["top"] = max(row["start"], row["end"])
    names = [(row["place"], row["label"]) for row in data]
    across = alt.X(
        "place:O",
        axis=alt.Axis(labelExpr=_spelled(names), labelColor=INK, labelAlign="center", labelAngle=0, title=None),
    )
    up = alt.Y("start:Q", axis=None)
    base = alt.Chart(_values(data)).encode(x=across)
    bar = base.mark_bar(size=46).encode(y=up, y2="end:Q", color=alt.Color("tone:N", scale=None))
    words = base.mark_text(dy=-9, color=INK, fontWeight=600).encode(y=alt.Y("top:Q", axis=None), text="text:N")
    joins = alt.Chart(_values(_joins(data))).mark_rule(color=STRONG_LINE, strokeDash=[2, 2])
    joined = joins.encode(x=alt.X("from:O"), x2="to:O", y=alt.Y("level:Q", axis=None))
    wide = _draw(alt.layer(joined, bar, words).properties(height=260), title, description)
    return wide + _stacked([row[1:] for row in rows], title, description)


def _joins(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The hairline from the end of each bar to the next."""
    return [{"from": here["place"], "to": there["place"], "level": here["end"]} for here, there in pairwise(data)]


@lru_cache(maxsize=128)
def _lines(
    rows: tuple[tuple[str, str | float, float], ...],
    names: tuple[str, ...],
    ticks: tuple[tuple[float, str], ...],
    title: str,
    description: str,
    x_title: str,
) -> Markup:
    # The fit holds room for the names already, as wide as the font here has them: half of it again does for others.
    room = _length(names) // 2
    drawn = [
        _draw(_curves(rows, names, ticks, x_title, named), title, description, width, room if named else 0)
        for width in (WIDE, NARROW)
        for named in [_length(names) <= width / 4]  # whether the names at the ends leave room for the curves
    ]
    return Markup().join(drawn)


def _curves(
    rows: Sequence[tuple[str, str | float, float]],
    names: Sequence[str],
    ticks: Sequence[tuple[float, str]],
    x_title: str,
    named: bool,
) -> Drawing:
    """Each curve `named` at its end, else by a legend above."""
    data = [{"series": series, "x": x, "y": y} for series, x, y in rows]
    ends = list({row["series"]: row for row in data}.values())
    top = ticks[-1][0]
    hues = [PALETTE[place % len(PALETTE)] for place in range(len(names))]
    legend = None if named else alt.Legend(title=None, orient="top", columns=1, symbolType="stroke", labelLimit=300)
    colour = alt.Color("series:N", legend=legend, scale=alt.Scale(domain=list(names), range=hues))
    across = _days(x_title) if rows and isinstance(rows[0][1], str) else _numbers(x_title)
    levels = alt.Axis(title=None, values=[value for value, _ in ticks], labelExpr=_spelled(ticks), domain=False)
    up = alt.Y("y:Q", scale=alt.Scale(domain=[0, top]), axis=levels)
    curve = alt.Chart(_values(data)).mark_line(strokeWidth=2, strokeJoin="round").encode(x=across, y=up, color=colour)
    dots = alt.Chart(_values(ends)).mark_point(size=28, filled=True, opacity=1).encode(x=across, y=up, color=colour)
    names_at_ends = alt.Chart(_values(_apart(ends, top))).mark_text(align="left", dx=8, fontWeight=600)
    words = names_at_ends.encode(x=across, y="place:Q", text="series:N", color=colour)
    return alt.layer(curve, dots, *([words] if named else [])).properties(height=240)


def _days(title: str) -> alt.X:
    """An axis of days, read in UTC so that a machine's own zone moves none."""
    axis = alt.Axis(title=title or None, grid=False, tickCount=6, format="%m-%d", labelFlush=True, labelSeparation=8)
    return alt.X("x:T", scale=alt.Scale(type="utc"), axis=axis)


def _numbers(title: str) -> alt.X:
    axis = alt.Axis(title=title or None, grid=False, tickMinStep=1, format="d", labelFlush=True, labelSeparation=8)
    return alt.X("x:Q", scale=alt.Scale(nice=False), axis=axis)


def _apart(ends: list[dict[str, Any]], top: float) -> list[dict[str, Any]]:
    """The names at the ends, moved up where two would touch: 16 of 240 pixels is a line of text."""
    gap, placed, below = top * 16 / 240, [], float("-inf")
    for end in sorted(ends, key=lambda row: (row["y"], row["series"])):
        below = max(end["y"], below + gap)
        placed.append({**end, "place": below})
    return placed


@lru_cache(maxsize=128)
def _bars(rows: tuple[tuple[int, str, float, str], ...], title: str, description: str) -> Markup:
    data = [{"place": place, "value": value, "text": text} for place, _, value, text in rows]
    names = [(place, label) for place, label, _, _ in rows]
    axis = alt.Axis(labelExpr=_spelled(names), labelColor=INK, title=None, domain=False, labelLimit=180)
    base = alt.Chart(_values(data)).encode(y=alt.Y("place:O", axis=axis), x=alt.X("value:Q", axis=None))
    bar = base.mark_bar(size=18, color=PALETTE[0])
    words = base.mark_text(align="left", dx=6, color=INK).encode(text="text:N")
    right = _length([text for *_, text in rows])
    wide = _draw(alt.layer(bar, words).properties(height=alt.Step(30)), title, description, right=right)
    return wide + _stacked(
        [(label, 0.0, value, text, PALETTE[0]) for _, label, value, text in rows], title, description
    )


def _stacked(rows: Sequence[tuple[str, float, float, str, str]], title: str, description: str) -> Markup:
    """Bars for a phone, of label, start, end, amount and colour: each lies below its label and amount."""
    data = [
        {"place": place, "label": label, "start": start, "end": end, "text": text, "tone": tone}
        for place, (label, start, end, text, tone) in enumerate(rows)
    ]
    base = alt.Chart(_values(data)).encode(y=alt.Y("place:O", axis=None))
    across = alt.X("start:Q", axis=None, scale=alt.Scale(nice=False))
    bar = base.mark_bar(size=10, yOffset=9).encode(x=across, x2="end:Q", color=alt.Color("tone:N", scale=None))
    beside = NARROW - 64 - _length([text for *_, text, _ in rows])  # a font may run wider than the one measured
    labels = base.mark_text(align="left", dy=-8, color=INK, limit=beside).encode(x=alt.value(0), text="label:N")
    amounts = base.mark_text(align="right", dy=-8, color=INK, fontWeight=600)
    figures = amounts.encode(x=alt.value("width"), text="text:N")
    return _draw(alt.layer(bar, labels, figures).properties(height=alt.Step(46)), title, description, NARROW)


def _values(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Rows inside the specification itself, so that there is nothing to fetch."""
    return alt.InlineData(values=rows)


def _spelled(names: Sequence[tuple[float, str]]) -> str:
    """An expression that writes each tick in the words given for it, as literals of Vega's language."""
    return "".join(f"datum.value == {value!r} ? {json.dumps(text)} : " for value, text in names) + "''"


def _length(texts: Sequence[str]) -> int:
    """Pixels that hold the longest text at 12 px semibold in any of the fonts: generous, so that none is cut."""
    return max((sum(13 if east_asian_width(sign) in "WF" else 8 for sign in text) for text in texts), default=0)


def _draw(chart: Drawing, title: str, description: str, width: int = WIDE, right: int = 0) -> Markup:
    """`right` is the room in pixels kept free for the labels at the ends of curves and bars."""
    styled = (
        chart.properties(width=width, autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
        .configure(
            background="transparent",
            font="sans-serif",
            aria=False,
            padding={"left": 4, "right": 12 + right, "top": 20, "bottom": 4},
        )
        .configure_view(stroke=None)
        .configure_text(fontSize=12)
        .configure_legend(labelColor=INK, labelFontSize=12)
        .configure_axis(
            domainColor=STRONG_LINE,
            gridColor=LINE,
            labelColor=MUTED,
            labelFontSize=12,
            labelPadding=8,
            ticks=False,
            titleColor=MUTED,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=8,
        )
    )
    # An empty list of allowed addresses: whatever a specification may hold, nothing is ever fetched.
    drawing = vl_convert.vegalite_to_svg(styled.to_dict(), allowed_base_urls=[])
    return _accessible(drawing, title, description, "wide" if width == WIDE else "narrow")


def _accessible(drawing: str, title: str, description: str, fits: str) -> Markup:
    """The drawing named for those who cannot see it, sized by its box, its ids unlike any other drawing's."""
    mark = hashlib.sha256(f"{drawing}\0{title}\0{description}".encode()).hexdigest()[:12]
    box = re.search(r'viewBox="[^"]*"', drawing)
    assert box is not None
    body = drawing[drawing.index(">") + 1 :].replace(' font-family="sans-serif"', "")
    body = re.sub(r"<[^>]+>", lambda tag: _own_tag(tag[0], mark), body)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{fits}" role="img" {box[0]} font-family="{FONT}"'
        f' aria-labelledby="c{mark}-t c{mark}-d">'
        f'<title id="c{mark}-t">{escape(title)}</title><desc id="c{mark}-d">{escape(description)}</desc>'
    )
    return Markup(head + body)  # noqa: S704  # vl-convert escapes the texts inside; title and description are above.


def _own_tag(tag: str, mark: str) -> str:
    """A tag with its ids marked, and without roles of its own: the picture is one image, its table tells the rest."""
    tag = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", tag)
    return tag.replace(' id="', f' id="c{mark}-').replace("url(#", f"url(#c{mark}-")
