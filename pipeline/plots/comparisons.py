"""Charts that compare: granularities, methods, segment sizes, times."""

from __future__ import annotations

from collections.abc import Iterator

import altair as alt

from pipeline.plots import data
from pipeline.plots.parts import LEGEND, Focus, Plot, chart_of, color, number, page_spec, shape

# Heights in pixels. Rows of many sizes get thinner, so that panels do not fill screens.
PANEL, LEAST_PANEL, ROW, LEAST_ROW = 480, 120, 16, 5


def regret_plots(focus: Focus) -> Iterator[Plot]:
    """Draw how far each granularity stays from `exact`, against search-space size and time."""
    records = data.granularity_records(focus.granularities)
    if not records:
        return
    axes = (
        ("regret_size", "binaries", "binaries of the published formulation", "search space", "~s"),
        ("regret_time", "seconds", "build and solve time of all its points, s", "time", "~g"),
    )
    for name, field, title, against, form in axes:
        base = chart_of([record for record in records if record[field] > 0])
        x = alt.X(
            f"{field}:Q",
            title=title,
            scale=alt.Scale(type="log", padding=30),
            axis=alt.Axis(format=form, tickCount=5, labelOverlap=True),
        )
        y = alt.Y("regret:Q", title="above exact, %")
        marks = base.mark_point(filled=True, size=110).encode(
            x,
            y,
            color(focus.order),
            shape(focus.order),
            tooltip=["granularity:N", number("regret", ".2f"), "binaries:Q", "seconds:Q"],
        )
        yield Plot(
            name,
            f"What a coarser granularity costs, against {against}",
            "How much more a million tokens costs at the best placement of each granularity than "
            "at the best of every size. Low and left is good." + focus.where,
            page_spec(marks, height=240),
        )


def method_plot(focus: Focus) -> Iterator[Plot]:
    """Draw how far each method stayed from the proven optimum."""
    records = data.method_records(focus.methods)
    if not records:
        return
    methods = list(dict.fromkeys(record["method"] for record in records))
    marks = (
        chart_of(records)
        .mark_point(filled=True, size=90, opacity=0.85)
        .encode(
            alt.X(
                "regret:Q",
                title="above the proven optimum, %",
                axis=alt.Axis(tickCount=6),
            ),
            alt.Y("method:N", title=None, sort=methods),
            color(focus.order),
            shape(focus.order),
            yOffset=alt.YOffset("granularity:N", sort=list(focus.order)),
            tooltip=["method:N", "granularity:N", number("regret", ".2f"), "models:Q"],
        )
    )
    yield Plot(
        "methods",
        "How near each method came",
        "Distance of the lowest cost per token that each method found from the proven optimum of "
        "the same granularity. Zero is the optimum." + focus.where,
        page_spec(marks, height=max(160, 52 * len(methods))),
    )


def usage_plot(focus: Focus) -> Iterator[Plot]:
    """Draw which segment sizes are used on which GPU type, by granularity."""
    records = data.usage_records(focus.results, focus.points)
    if not records:
        return
    gpus = list(dict.fromkeys(gpu["gpu"] for gpu in focus.results.run["config"]["pool"]))
    sizes = sorted({record["size"] for record in records})
    heat = alt.Color(
        "share:Q",
        title="layers, %",
        scale=alt.Scale(range="heatmap"),
        legend=alt.Legend(orient="top", direction="horizontal", gradientLength=160),
    )
    cells = (
        alt.Chart()
        .mark_rect()
        .encode(
            alt.X(
                "granularity:N", title=None, sort=list(focus.order), axis=alt.Axis(labelAngle=-45)
            ),
            alt.Y(
                "size:O",
                title="segment size, layers",
                sort=sizes,
                axis=alt.Axis(labelOverlap=True),
            ),
            heat,
            tooltip=[
                "gpu:N",
                "granularity:N",
                "size:O",
                "segments:Q",
                number("share", ".1f"),
            ],
        )
        .properties(width=150, height=_panel_height(len(sizes)))
    )
    used = [gpu for gpu in gpus if any(record["gpu"] == gpu for record in records)]
    facet = alt.Facet("gpu:N", title=None, sort=used)
    chart = cells.facet(facet, data=alt.InlineData(values=records), columns=4)
    yield Plot(
        "usage",
        "Segment sizes that are used",
        "Share of all layers that each GPU type holds in segments of each size, over the Pareto "
        "placements of the granularity. Sizes that no placement uses are left out." + focus.where,
        page_spec(chart),
    )


def _panel_height(rows: int) -> int:
    return max(LEAST_PANEL, min(ROW * rows, PANEL), LEAST_ROW * rows)


def time_plot(focus: Focus) -> Iterator[Plot]:
    """Draw the distribution of the time that a point takes, by method."""
    records = data.time_records(focus.results.points)
    if not records:
        return
    ticks = data.log_ticks(min(r["from"] for r in records), max(r["to"] for r in records))
    bars = (
        chart_of(records)
        .mark_rect(stroke="white", strokeWidth=0.3)
        .encode(
            alt.X(
                "from:Q",
                title="time for a point, s",
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(format="~g", values=ticks, labelOverlap=True),
            ),
            alt.Y("low:Q", title="points", axis=alt.Axis(tickMinStep=1, format="d")),
            alt.Color("method:N", title=None, legend=LEGEND),
            x2="to:Q",
            y2="high:Q",
            tooltip=["method:N", "points:Q", number("from", ".3g"), number("to", ".3g")],
        )
    )
    yield Plot(
        "times",
        "Time for a point",
        "How many points took how long, all in: building models, solving, counting the search "
        "space. Bins of equal ratio.",
        page_spec(bars, height=240),
    )
