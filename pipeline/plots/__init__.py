"""The plots of a run, as Vega-Lite charts; the only part that knows the plotting library."""

from pipeline.plots.charts import all_plots
from pipeline.plots.files import plotting_javascript, write_plots
from pipeline.plots.parts import Plot
from pipeline.plots.theme import DARK, LIGHT

__all__ = ["DARK", "LIGHT", "Plot", "all_plots", "plotting_javascript", "write_plots"]
