"""Small multiples over swept fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt

from pipeline.compare.tables import by_swept
from pipeline.plots import data
from pipeline.plots.parts import (
    PLACEMENT_TOOLTIP,
    Focus,
    Plot,
    Record,
    color,
    number,
    page_spec,
    shape,
)
from pipeline.words import short_name

MAX_PANELS = 12


def swept_plots(focus: Focus) -> Iterator[Plot]:
    """Draw small multiples over the swept fields: price against each, and all Pareto curves."""
    results = focus.results
    file_names = _file_names(results.run["swept_fields"])
    for field in results.run["swept_fields"]:
        records = data.swept_records(focus.everything, field)
        panels = list(dict.fromkeys(record["panel"] for record in records))[:MAX_PANELS]
        shown = [record for record in records if record["panel"] in panels]
        if len({str(record["value"]) for record in shown}) < 2:
            continue
        short = short_name(field, results.run["swept_fields"])
        numeric = all(isinstance(record["value"], float) for record in shown)
        line = (
            alt.Chart()
            .mark_line(point=alt.OverlayMarkDef(filled=True, size=60), strokeWidth=1.5)
            .encode(
                alt.X(
                    "value:Q" if numeric else "value:N",
                    title=short,
                    scale=alt.Scale(zero=False, padding=10) if numeric else alt.Undefined,
                ),
                alt.Y("price:Q", title="$ per million tokens", scale=alt.Scale(zero=False)),
                color(focus.order),
                shape(focus.order),
                tooltip=["granularity:N", "value:N", number("price", ".6f"), "panel:N"],
            )
        )
        yield Plot(
            f"swept_{file_names[field]}",
            f"Cost per token against {short}",
            f"The lowest cost per token of each granularity over {field}"
            + (", one panel for each combination of the other fields." if len(panels) > 1 else ".")
            + _left_out(len({record["panel"] for record in records})),
            _panels(line, shown),
        )
    if results.run["swept_fields"]:
        yield from _swept_pareto(focus)


def _swept_pareto(focus: Focus) -> Iterator[Plot]:
    results = focus.results
    names = list(results.run["swept_fields"])
    combinations = len(list(by_swept(results.points, names)))
    records = data.swept_pareto_records(results, MAX_PANELS)
    if not records:
        return
    line = (
        alt.Chart()
        .mark_line(interpolate="step-after", point=alt.OverlayMarkDef(filled=True, size=35))
        .encode(
            alt.X("cost:Q", title="$/h", scale=alt.Scale(padding=6)),
            alt.Y("tokens_per_s:Q", title="tokens/s", axis=alt.Axis(format="~s")),
            color(focus.order),
            tooltip=PLACEMENT_TOOLTIP,
        )
    )
    yield Plot(
        "swept_pareto",
        "Throughput against cost, for all swept values",
        "The Pareto curves of every combination of swept values, on the same scales."
        + _left_out(combinations),
        _panels(line, records),
    )


def _panels(chart: alt.Chart, records: Sequence[Record]) -> dict[str, Any]:
    """Return a chart for each panel that the records name; a single one as a plain chart."""
    inline = alt.InlineData(values=list(records))
    panels = list(dict.fromkeys(record["panel"] for record in records))
    if len(panels) == 1:
        return page_spec(chart.properties(data=inline), height=240)
    small = chart.properties(width=240, height=160)
    return page_spec(
        small.facet(alt.Facet("panel:N", title=None, sort=panels), data=inline, columns=3)
    )


def _left_out(panels: int) -> str:
    return f" The first {MAX_PANELS} of {panels} are shown." if panels > MAX_PANELS else ""


def _file_names(fields: Sequence[str]) -> dict[str, str]:
    """Return a name for each field that a file can have; fields may differ in what files do not.

    A letter that is no ASCII takes up to four of a file name's 255 bytes.
    """
    names: dict[str, str] = {}
    for field in fields:
        name = "".join(c if c.isascii() and c.isalnum() else "_" for c in field)
        while name in names.values():
            name += "_"
        names[field] = name
    return names
