"""Commands around the roofline model: gpus, models, calibrate, validate."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.app import command, err, out
from pipeline.cli.options import AsJson
from pipeline.errors import Fault, InputError

if TYPE_CHECKING:
    from pipeline.measurements import OwnGpus
    from pipeline.roofline.constants import ConstantTable
    from pipeline.validation import GivenReport, Report

Measured = Annotated[
    Path,
    typer.Argument(
        metavar="MEASURED.csv", help="Measured throughput, see docs/measured-format.md."
    ),
]

OwnHardware = Annotated[
    Path | None,
    typer.Option(
        "--hardware", help="YAML file of GPUs that the catalogue lacks, as performance.hardware."
    ),
]


@command()
def gpus(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[GPU]...", help="Show every figure of these; none: list all."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List the GPUs that the roofline model knows, each figure with its source and date."""
    from pipeline.catalogue import find_gpu, gpu_names
    from pipeline.cli.catalogue_views import figure_view, gpu_view

    found = [find_gpu(name) for name in names or gpu_names()]
    if as_json:
        typer.echo(json.dumps([asdict(gpu) for gpu in found], indent=2))
    elif names:
        for gpu in found:
            out().print(figure_view(gpu))
    else:
        out().print(gpu_view(found))
    return 0


@command()
def models(as_json: AsJson = False) -> int:
    """List the models that a config can name, with what follows from their shape."""
    from pipeline.catalogue import find_model, model_names
    from pipeline.cli.catalogue_views import model_view

    found = [find_model(name) for name in model_names()]
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in found], indent=2))
    else:
        out().print(model_view(found))
    return 0


@command()
def calibrate(
    measured: Measured,
    target: Annotated[
        Path, typer.Option("--out", help="File to write, for performance.constants of a config.")
    ],
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="priors|shipped|FILE",
            help="Constants that the fit starts from, and that what the rows do not touch keeps: "
            "those before any fit, those that come with the package, or a file of calibrate.",
        ),
    ] = "priors",
    hardware: OwnHardware = None,
    as_json: AsJson = False,
) -> int:
    """Fit the constants of the roofline model to measurements and write them to a file.

    A config uses them as `performance: {model: roofline, constants: FILE}`. Takes about a minute
    for two thousand rows. With few rows of your own, --from shipped keeps what the package knows
    of GPUs and engines that they lack; from priors alone, those are poorly predicted.
    """
    from pipeline.calibration import calibrate as fit
    from pipeline.calibration import calibration_table, summaries
    from pipeline.cli.progress import counting

    _readable(measured, "MEASURED.csv")
    _writable(target, [measured, Path(start), *([hardware] if hardware else [])])
    before, own = _constants("--from", start), _hardware(hardware)
    with counting(err(), "fit") as tell:
        table = fit(measured, target, tell, own, None if start == "priors" else before)
    if as_json:
        report = {
            "provenance": table.provenance,
            "out": str(target),
            "prediction_spread": asdict(table.spread),
            "constants": [asdict(entry) for entry in summaries(table)],
            "undetermined": list(table.undetermined()),
        }
        typer.echo(json.dumps(report, indent=2))
    else:
        out().print(calibration_table(table))
        kept = f"{len(table.undetermined())} of {len(table.effects)} effects"
        out().print(f"{target}: {kept} could not be determined and stay near their prior.")
        out().print(_what_rows_lack(start))
        out().print(f"In a config: performance: {{model: roofline, constants: {target}}}")
    return 0


@command()
def validate(
    measured: Measured,
    kv: Annotated[
        Path | None, typer.Option("--kv", help="Counted KV-cache blocks to score as well.")
    ] = None,
    constants: Annotated[
        str | None,
        typer.Option(
            "--constants",
            metavar="shipped|priors|FILE",
            help="Score these as they are, in seconds, on all rows: those that come with the "
            "package, those before any fit, or a file of calibrate.",
        ),
    ] = None,
    hardware: OwnHardware = None,
    as_json: AsJson = False,
) -> int:
    """Score the roofline model on measurements that its fits had not seen. Takes minutes.

    With --constants nothing is fitted: the given constants are scored on every row, rows that
    their own fit had seen included.
    """
    from pipeline.cli.render import plain
    from pipeline.validation import GivenReport
    from pipeline.validation.tables import given_tables, report_tables

    _readable(measured, "MEASURED.csv")
    if kv is not None:
        _readable(kv, "--kv")
    report = _scored(measured, kv, constants, _hardware(hardware))
    if as_json:
        typer.echo(json.dumps(plain(asdict(report)), indent=2, allow_nan=False))
    elif isinstance(report, GivenReport):
        out().print(given_tables(report))
    else:
        out().print(report_tables(report))
    return 0


def _what_rows_lack(start: str) -> str:
    """Say what a file of calibrate holds of GPUs and engines without a row."""
    if start != "priors":
        known = "the constants that come with the package" if start == "shipped" else start
        return (
            f"What the rows say nothing of, as GPUs and engines that they lack, is as in {known}."
        )
    return (
        "Nothing of what the constants that come with the package know is in it: --from shipped "
        "keeps that for GPUs and engines that the rows lack; placement validate --constants "
        "shipped scores those on the same rows."
    )


def _constants(option: str, name: str) -> ConstantTable:
    """Return constants by name or file. Raises InputError and CatalogueError."""
    from pipeline.roofline.constant_files import NAMED, named_constants

    if name not in NAMED and not os.path.isfile(name):
        reason = f"must be {', '.join(NAMED)} or a file"
        raise InputError([Fault("command line", option, reason, name)])
    return named_constants(name)


def _scored(
    measured: Path, kv: Path | None, constants: str | None, hardware: OwnGpus
) -> Report | GivenReport:
    """Score what was asked for; fits are counted on standard error."""
    from pipeline.cli.progress import counting
    from pipeline.validation import score_given
    from pipeline.validation import validate as score

    if constants is not None:
        return score_given(measured, _constants("--constants", constants), kv, hardware)
    with counting(err(), "fit") as tell:
        return score(measured, kv, tell, hardware)


def _hardware(path: Path | None) -> OwnGpus:
    """Return the GPUs of a file, none without one. Raises InputError."""
    from pipeline.config.hardware import read_hardware

    return {} if path is None else read_hardware(path)


def _writable(path: Path, inputs: Sequence[Path]) -> None:
    """Raise InputError where no constants can be put under a path, before minutes are spent."""
    from pipeline.cli.inputs import check_replaceable
    from pipeline.roofline.constant_files import FORMAT

    folder = path.absolute().parent
    # `os.path` takes a name that is too long for that of no file; `Path` raises.
    if os.path.exists(path) and not os.path.isfile(path):
        told = "is a folder" if os.path.isdir(path) else "is no plain file"
        raise InputError([Fault("command line", "--out", told, str(path))])
    if os.path.exists(path) and any(os.path.exists(i) and path.samefile(i) for i in inputs):
        reason = "is a file that this command reads; name another"
        raise InputError([Fault("command line", "--out", reason, str(path))])
    check_replaceable(path, FORMAT.encode())
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        reason = "must be a file in a folder that exists and can be written to"
        raise InputError([Fault("command line", "--out", reason, str(path))])


def _readable(path: Path, name: str) -> None:
    """Raise InputError where there is no such file."""
    if not os.path.isfile(path):
        raise InputError([Fault("command line", name, "is no file", str(path))])
