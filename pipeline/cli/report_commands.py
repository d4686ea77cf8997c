"""Commands that turn results into what people keep and start: report, export."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import NO_PLACEMENT, command, err, examples, out
from pipeline.cli.inputs import check_replaceable
from pipeline.cli.options import AsJson, ResultsPath, Tolerance, named_path
from pipeline.errors import as_message
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.export import Refusal


class Target(StrEnum):
    """What `export` can write for."""

    VLLM = "vllm"
    RAY_SERVE = "ray-serve"
    KUBERNETES = "kubernetes"


@command()
def report(
    directory: ResultsPath,
    page: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="The page, a path or an address; else DIR/report.html. Plots of NAME.html lie in "
            "NAME-plots beside it.",
        ),
    ] = None,
    tolerance: Tolerance = 1.0,
    plot_files: Annotated[
        bool, typer.Option("--plots/--no-plots", help="Write the plots as PNG and SVG too.")
    ] = True,
    as_json: AsJson = False,
) -> int:
    """Write one self-contained HTML page of a sweep, and its plots as files beside it."""
    import json

    from pipeline.report import write_report
    from pipeline.report.page import PAGE
    from pipeline.results import load

    results = load(directory)
    if page is not None:
        check_replaceable(page, b": placement report</title>")
    target = results.directory / PAGE if page is None else page
    written = write_report(results, target, tolerance, plot_files)
    if as_json:
        files = list(written.plots)
        typer.echo(json.dumps({"page": written.page, "plots": files}, indent=2))
    else:
        out().print(f"Report: {written.page}")
        if written.plots:
            beside = written.plots[0].rpartition("/")[0]
            out().print(f"Plots: {beside}, {counted(len(written.plots), 'file')}")
    return 0


@command(
    epilog=examples(
        "export results/medium --to vllm",
        "export results/medium --point ID --to kubernetes --out stages.yaml",
    )
)
def export(
    directory: ResultsPath,
    point: Annotated[
        str | None,
        typer.Option("--point", "-p", metavar="ID", help="Point; else the recommended one."),
    ] = None,
    to: Annotated[Target, typer.Option("--to", help="What to write for.")] = Target.VLLM,
    model: Annotated[
        str | None, typer.Option("--model", help="Model's name or path; else the config's.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", parser=named_path, help="Else it is printed."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Write what starts a placement: a vLLM command, a Ray Serve or a Kubernetes file.

    Exits 3 where the run or the point has no placement, and where vLLM cannot run it, naming the
    cheapest of the run that it can.
    """
    import json

    from pipeline.compare import unfinished
    from pipeline.export import TARGETS, Refusal, launch_json, launch_of, summary
    from pipeline.results import load

    results = load(directory)
    launch = launch_of(results, point, model)
    told = unfinished(results)
    if told:
        err().print(told)
    if isinstance(launch, Refusal):
        return _refused(launch, told, as_json)
    text = TARGETS[to.value](launch)
    if file is not None:
        _write(file, text)
    if as_json:
        where = None if file is None else str(file)
        data = {**launch_json(results, launch), "to": to.value, "file": where, "text": text}
        typer.echo(json.dumps({**data, "unfinished": told or None}, indent=2))
    elif file is not None:
        out().print(f"{file}: {summary(results, launch)}")
    else:
        typer.echo(text, nl=False)
    return 0


def _refused(refusal: Refusal, unfinished: str, as_json: bool) -> int:
    """Say why there is nothing to start; return the exit code."""
    import json
    from dataclasses import asdict

    err().print(as_message(str(refusal)), style="red")
    if as_json:
        typer.echo(json.dumps({**asdict(refusal), "unfinished": unfinished or None}, indent=2))
    return NO_PLACEMENT


def _write(file: Path, text: str) -> None:
    """Write a file as a whole or not at all; a pipe or a terminal takes it as it comes."""
    from pipeline.errors import ResultsError
    from pipeline.export import SIGN
    from pipeline.results.folder import LocalFolder, one_line

    try:
        if file.exists() and not file.is_file():
            file.write_text(text, encoding="utf-8")
            return
        target = file.resolve()  # what a link leads to is replaced, not the link
        check_replaceable(target, SIGN.encode())
        LocalFolder(target.parent).write(target.name, text.encode())
    except (OSError, UnicodeError) as error:
        raise ResultsError(f"{file}: cannot be written: {one_line(error)}") from error
