"""Charts of the answer: the recommended pipeline, and throughput and price against cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt

from pipeline.compare import claims_apply
from pipeline.compare.advice import TARGET_BAND_PERCENT
from pipeline.plots import data
from pipeline.plots.parts import (
    GRAY,
    PLACEMENT_TOOLTIP,
    RED,
    Focus,
    Plot,
    Record,
    chart_of,
    color,
    number,
    page_spec,
    shape,
)

SHOWN, HIDDEN = alt.value(1), alt.value(0)


def pipeline_plot(focus: Focus) -> Iterator[Plot]:
    """Draw the winning pipeline: a bar for each stage, as wide as its layers, filled by memory."""
    records = data.stage_records(focus.results.placement(focus.best.point_id))
    if not records:
        return
    gpus = list(dict.fromkeys(gpu["gpu"] for gpu in focus.results.run["config"]["pool"]))
    used = [gpu for gpu in gpus if any(record["gpu"] == gpu for record in records)]
    last = max(record["to"] for record in records)
    x = alt.X(
        "from:Q",
        title="layers",
        scale=alt.Scale(domain=[0.5, last], nice=False),
        axis=alt.Axis(grid=False),
    )
    y = alt.Y("memory:Q", title="memory used, %", scale=alt.Scale(domain=[0, 100]))
    tooltip = [
        "stage:O",
        "label:N",
        "layers:N",
        number("memory_gb", ".1f"),
        number("memory", ".0f"),
        number("tokens_per_s", ",.0f"),
        "bottleneck:N",
    ]
    base = chart_of(records)
    legend = alt.Legend(title=None, values=used)
    type_color = alt.Color("gpu:N", scale=alt.Scale(domain=gpus), legend=legend)
    frames = base.mark_rect(fillOpacity=0.12, stroke=GRAY, strokeOpacity=0.6).encode(
        x, y=alt.datum(0), y2=alt.datum(100), x2="to:Q", color=type_color
    )
    bars = base.mark_rect(opacity=0.5).encode(
        x, y, x2="to:Q", y2=alt.datum(0), color=type_color, tooltip=tooltip
    )
    slow = base.transform_filter("datum.bottleneck")
    edges = slow.mark_rect(filled=False, stroke=RED, strokeWidth=3).encode(
        x, y=alt.datum(0), y2=alt.datum(100), x2="to:Q"
    )
    # A label is left out where its stage is too narrow for it; the table beneath has it too.
    room = f"width * (datum.to - datum.from) / {last - 0.5}"
    names = [
        base.mark_text(dy=dy, fontWeight=700 if field == "stage" else 400).encode(
            alt.X("middle:Q"),
            y=alt.datum(50),
            text=alt.Text(field, type="nominal"),
            opacity=alt.condition(f"{room} > 8 * length('' + datum.{field})", SHOWN, HIDDEN),
        )
        for field, dy in (("stage", -9), ("label", 9))
    ]
    yield Plot(
        "pipeline",
        "The recommended pipeline",
        "Stages from left to right, as wide as their layers; the fill is the share of each GPU's "
        "memory that is used; a red edge marks the stages that set the throughput.",
        page_spec(frames, bars, edges, *names, height=190),
    )


def pareto_plot(focus: Focus) -> Iterator[Plot]:
    """Draw throughput against cost, the baseline and the line of its cost per token."""
    records = data.pareto_records(focus.points, focus.order)
    base = chart_of(records)
    picked = alt.selection_point(fields=["granularity"], bind="legend")
    costs = [focus.best.usd_per_hour, *(record["cost"] for record in records)]
    costs += [cost for cost, _ in _baseline_figures(focus)]
    most = 1.03 * max(costs)
    x = alt.X("cost:Q", title="cost, $/h", scale=alt.Scale(domain=[0, most], nice=False))
    y = alt.Y("tokens_per_s:Q", title="throughput, tokens/s")
    seen = alt.condition(picked, alt.value(0.9), alt.value(0.12))
    lines = base.mark_line(interpolate="step-after", strokeWidth=1.5).encode(
        x, y, color(focus.order), opacity=seen
    )
    marks = (
        base.mark_point(filled=True, size=70)
        .encode(
            x, y, color(focus.order), shape(focus.order), opacity=seen, tooltip=PLACEMENT_TOOLTIP
        )
        .add_params(picked)
    )
    winner = {"cost": focus.best.usd_per_hour, "tokens_per_s": focus.best.tokens_per_s}
    ring = chart_of([winner]).mark_point(size=320, strokeWidth=2, color=RED).encode(x, y)
    baseline = _baseline_marks(focus, records)
    dashed = "The dashed line has the baseline's cost per token: what lies above it is cheaper. "
    yield Plot(
        "pareto",
        "Throughput against cost",
        "Each step is a placement that no other of its granularity beats in both throughput and "
        f"cost. {dashed if baseline else ''}The ring marks the recommended placement. Click a mark "
        "to open its placement, a name in the legend to see it alone." + focus.where,
        page_spec(alt.layer(lines, marks, ring, *baseline)),
    )


def budget_plot(focus: Focus) -> Iterator[Plot]:
    """Draw $/token of what enumeration finds at each budget, beside the baseline."""
    records = data.budget_records(focus.points, focus.order)
    if not records:
        return
    low = min(record["budget"] for record in records)
    scale = alt.Scale(type="log" if low > 0 else "linear", nice=False, padding=12)
    x = alt.X("budget:Q", title="budget, $/h", scale=scale, axis=alt.Axis(format="~g"))
    y = alt.Y("price:Q", title="$ per million tokens", scale=alt.Scale(zero=False))
    base = chart_of(records)
    lines = base.mark_line(strokeWidth=1.5, opacity=0.8).encode(x, y, color(focus.order))
    marks = base.mark_point(filled=True, size=70).encode(
        x, y, color(focus.order), shape(focus.order), tooltip=["budget:Q", *PLACEMENT_TOOLTIP]
    )
    layers = [lines, marks]
    caption = "What the fastest placement within each budget charges for a million tokens."
    price = _baseline_price(focus)
    if price is not None:
        rule = chart_of([{"price": price}]).mark_rule(strokeDash=[6, 4])
        layers.append(rule.encode(y="price:Q"))
        caption += " Dashed: the baseline."
        if claims_apply(focus.results):
            layers.insert(0, _target_bands(price))
            near, far = TARGET_BAND_PERCENT
            caption += f" Shaded: {near:g} % and {far:g} % around it, the published target."
    caption += " The fastest placement within a budget need not have the lowest cost per token."
    yield Plot("budget", "Cost per token against budget", caption + focus.where, page_spec(*layers))


def _target_bands(price: float) -> alt.Chart:
    """Shade the published target around the baseline's price, the nearer band darker."""
    bands = [
        {"low": price * (1 - share / 100), "high": price * (1 + share / 100)}
        for share in reversed(TARGET_BAND_PERCENT)
    ]
    shade = chart_of(bands).mark_rect(opacity=0.15, color=GRAY)
    shaded: alt.Chart = shade.encode(y=alt.Y("low:Q"), y2="high:Q")
    return shaded


def _baseline_price(focus: Focus) -> float | None:
    """Return the baseline's $ per million tokens; None without one."""
    prices = focus.points.baseline_cost_usd_per_token.dropna()
    return None if prices.empty else float(prices.iloc[0]) * 1e6


def _baseline_figures(focus: Focus) -> list[tuple[float, float]]:
    """Return the baseline's cost, $/h, and throughput, tokens/s; none without one that costs."""
    names = ["baseline_cost_usd_per_hour", "baseline_throughput_tokens_per_s"]
    known = focus.points[names].dropna().head(1).astype(float)
    return [(cost, rate) for cost, rate in known.itertuples(index=False) if cost > 0]


def _baseline_marks(focus: Focus, records: Sequence[Record]) -> list[alt.Chart]:
    """Return the baseline's mark, and the line of placements with its cost per token."""
    figures = _baseline_figures(focus)
    if not (figures and records):
        return []
    cost, rate = figures[0]
    far = max([cost, *(record["cost"] for record in records)])
    ray = [{"cost": 0.0, "tokens_per_s": 0.0}, {"cost": far, "tokens_per_s": rate * far / cost}]
    line = chart_of(ray).mark_line(strokeDash=[6, 4], strokeWidth=1.2, color=GRAY)
    one = chart_of([{"cost": cost, "tokens_per_s": rate, "name": "baseline"}])
    mark = one.mark_point(shape="cross", size=140, filled=True, color=GRAY)
    text = one.mark_text(align="left", dx=10, dy=10)
    at = (alt.X("cost:Q"), alt.Y("tokens_per_s:Q"))
    return [line.encode(*at), mark.encode(*at), text.encode(*at, text="name:N")]
