"""All charts of a run, in the order in which a reader wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.compare import Comparison, GranularityRow
from pipeline.plots.answers import budget_plot, pareto_plot, pipeline_plot
from pipeline.plots.comparisons import method_plot, regret_plots, time_plot, usage_plot
from pipeline.plots.multiples import swept_plots
from pipeline.plots.parts import Focus, Plot, focus_on


def all_plots(comparison: Comparison, best: GranularityRow) -> list[Plot]:
    """Draw every plot for which a run has something to show."""
    focus = focus_on(comparison, best)
    makers: tuple[Callable[[Focus], Iterator[Plot]], ...] = (
        pipeline_plot,
        pareto_plot,
        budget_plot,
        regret_plots,
        method_plot,
        usage_plot,
        swept_plots,
        time_plot,
    )
    return [plot for maker in makers for plot in maker(focus)]
