"""Commands that turn results into what people keep: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import app, guarded, out
from pipeline.cli.options import AsJson, ResultsPath, Tolerance


@app.command()
def report(
    directory: ResultsPath,
    page: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="The page; else DIR/report.html."),
    ] = None,
    tolerance: Tolerance = 1.0,
    plot_files: Annotated[
        bool, typer.Option("--plots/--no-plots", help="Write the plots as PNG and SVG too.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write one self-contained HTML page of a sweep, and its plots as files beside it."""

    def run() -> int:
        import json

        from pipeline.report import write_report
        from pipeline.report.page import PAGE
        from pipeline.results import load

        written = write_report(load(directory), page or directory / PAGE, tolerance, plot_files)
        if as_json:
            files = [str(file) for file in written.plots]
            typer.echo(json.dumps({"page": str(written.page), "plots": files}, indent=2))
        else:
            out().print(f"Report: {written.page}")
            if written.plots:
                out().print(f"Plots: {written.plots[0].parent}, {len(written.plots)} files")
        return 0

    guarded(run)
