"""Writes plots as PNG and SVG files, and gives the scripts that draw them in a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import vl_convert

from pipeline.plots.parts import Plot
from pipeline.plots.theme import FILES
from pipeline.results.folder import Place, folder_at

FILE_WIDTH = 640
PIXELS_PER_POINT = 1.5


def write_plots(plots: Sequence[Plot], directory: Place) -> list[str]:
    """Write every plot as NAME.png and NAME.svg; return the files. Raises OSError."""
    folder = folder_at(directory)
    folder.make()
    written = []
    for plot in plots:
        spec = _with_fixed_width(plot.spec)
        pictures = {
            f"{plot.name}.svg": vl_convert.vegalite_to_svg(spec, config=FILES).encode(),
            f"{plot.name}.png": vl_convert.vegalite_to_png(
                spec, config=FILES, scale=PIXELS_PER_POINT
            ),
        }
        for name, content in pictures.items():
            folder.write(name, content)
            written.append(str(folder / name))
    return written


def plotting_javascript() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that needs no network."""
    return vl_convert.javascript_bundle("globalThis.vegaEmbed = vegaEmbed;")


def _with_fixed_width(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the width of the page, which a file does not have."""
    width = FILE_WIDTH if spec.get("width") == "container" else None
    return dict(spec) if width is None else {**spec, "width": width}
