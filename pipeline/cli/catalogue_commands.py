"""Commands around the roofline model: gpus, models, calibrate, validate."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.app import app, guarded, out
from pipeline.cli.options import AsJson
from pipeline.errors import Fault, InputError

Measured = Annotated[
    Path,
    typer.Argument(
        metavar="MEASURED.csv", help="Measured throughput, see docs/measured-format.md."
    ),
]


@app.command()
def gpus(as_json: AsJson = False) -> None:
    """List the GPUs that the roofline model knows, each figure with its source and date."""

    def run() -> int:
        from pipeline.catalogue import find_gpu, gpu_names
        from pipeline.cli.catalogue_views import gpu_view

        found = [find_gpu(name) for name in gpu_names()]
        if as_json:
            typer.echo(json.dumps([asdict(gpu) for gpu in found], indent=2))
        else:
            out().print(gpu_view(found))
        return 0

    guarded(run)


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models that a config can name, with what follows from their shape."""

    def run() -> int:
        from pipeline.catalogue import find_model, model_names
        from pipeline.cli.catalogue_views import model_view

        found = [find_model(name) for name in model_names()]
        if as_json:
            typer.echo(json.dumps([asdict(entry) for entry in found], indent=2))
        else:
            out().print(model_view(found))
        return 0

    guarded(run)


@app.command()
def calibrate(
    measured: Measured,
    target: Annotated[Path, typer.Option("--out", help="Catalogue file to write.")],
    as_json: AsJson = False,
) -> None:
    """Fit the constants of the roofline model to measurements and write them to a file."""

    def run() -> int:
        from pipeline.calibration import calibrate as fit
        from pipeline.calibration import calibration_table, summaries

        _readable(measured)
        table = fit(measured, target)
        if as_json:
            constants = [asdict(entry) for entry in summaries(table)]
            report = {"constants": constants, "undetermined": list(table.undetermined())}
            typer.echo(json.dumps(report, indent=2))
        else:
            out().print(calibration_table(table))
        return 0

    guarded(run)


@app.command()
def validate(
    measured: Measured,
    kv: Annotated[
        Path | None, typer.Option("--kv", help="Counted KV-cache blocks to score as well.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score the roofline model on measurements that its fits had not seen. Takes minutes."""

    def run() -> int:
        from pipeline.validation import validate as score
        from pipeline.validation.tables import report_tables

        _readable(measured)
        if kv is not None:
            _readable(kv)
        report = score(measured, kv)
        if as_json:
            typer.echo(json.dumps(asdict(report), indent=2, default=_plain))
        else:
            out().print(report_tables(report))
        return 0

    guarded(run)


def _readable(path: Path) -> None:
    """Raise InputError where there is no such file."""
    if not path.is_file():
        raise InputError([Fault("command line", "MEASURED.csv", "is no file", str(path))])


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a number or array of another library."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
