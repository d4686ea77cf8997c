"""What all charts share: the plot with its reading aid, what it is about, colours, sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from pipeline.compare import Comparison, GranularityRow, MethodRow
from pipeline.plots import data
from pipeline.plots.theme import SHAPES
from pipeline.results.frames import Results

HEIGHT = 320
GRAY = "#8a94a0"
RED = "#d62728"
Record = data.Record

LEGEND = alt.Legend(title=None, orient="top")
PLACEMENT_TOOLTIP = [
    alt.Tooltip("granularity:N"),
    alt.Tooltip("method:N"),
    alt.Tooltip("cost:Q", title="$/h", format=".2f"),
    alt.Tooltip("tokens_per_s:Q", title="tokens/s", format=",.0f"),
    alt.Tooltip("price:Q", title="$/M tokens", format=".6f"),
    alt.Tooltip("stages:Q"),
    alt.Tooltip("gpus:Q", title="GPUs"),
]


@dataclass(frozen=True)
class Plot:
    """A chart with what a reader needs beside it. caption: what it shows and how to read it."""

    name: str
    title: str
    caption: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Focus:
    """The part of a run that the single plots show: one set of swept values, and its winner.

    everything: the comparison of granularities over all swept values.
    """

    results: Results
    everything: tuple[GranularityRow, ...]
    best: GranularityRow
    granularities: tuple[GranularityRow, ...]
    methods: tuple[MethodRow, ...]
    order: tuple[str, ...]

    @property
    def points(self) -> pd.DataFrame:
        """The points of these swept values."""
        return data.swept_rows(self.results.points, self.best.swept)

    @property
    def where(self) -> str:
        """Name the swept values, as the end of a caption; empty where nothing was swept."""
        text = data.swept_text(self.best.swept)
        return f" Shown for {text}, the values of the recommended placement." if text else ""


def focus_on(comparison: Comparison, best: GranularityRow) -> Focus:
    """Return what the single plots show around a winner."""
    swept = repr(best.swept)
    return Focus(
        results=comparison.results,
        everything=tuple(comparison.granularities),
        best=best,
        granularities=tuple(r for r in comparison.granularities if repr(r.swept) == swept),
        methods=tuple(r for r in comparison.methods if repr(r.swept) == swept),
        order=tuple(data.granularity_order(comparison.results)),
    )


def chart_of(records: Sequence[Record]) -> alt.Chart:
    """Return a chart of records."""
    return alt.Chart(alt.InlineData(values=list(records)))


def color(order: Sequence[str]) -> alt.Color:
    """Return the colour of each granularity, the same in every plot."""
    return alt.Color("granularity:N", scale=alt.Scale(domain=list(order)), legend=LEGEND)


def shape(order: Sequence[str]) -> alt.Shape:
    """Return the mark of each granularity, so that colour is not needed to tell them apart."""
    shapes = [SHAPES[index % len(SHAPES)] for index in range(len(order))]
    scale = alt.Scale(domain=list(order), range=shapes)
    return alt.Shape("granularity:N", scale=scale, legend=LEGEND)


def number(field: str, form: str) -> alt.Tooltip:
    """Return a tooltip's line for a number."""
    return alt.Tooltip(f"{field}:Q", title=field.replace("_", " "), format=form)


def page_spec(*layers: Any, height: int = HEIGHT) -> dict[str, Any]:
    """Return the specification of a chart that takes the width of the page."""
    chart = layers[0] if len(layers) == 1 else alt.layer(*layers)
    if not isinstance(chart, alt.FacetChart):
        chart = chart.properties(width="container", height=height)
    spec: dict[str, Any] = chart.to_dict()
    spec.pop("config", None)  # the page and the files bring their own
    return spec
