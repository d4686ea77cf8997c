"""The entry points for text and files from outside, each as a function of a folder and arguments.

A target returns, or raises an error of the tree in `pipeline.errors`; anything else is a failure.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

from rich.console import Console
from typer.testing import CliRunner

from pipeline.audit import audit
from pipeline.calibration import calibrate
from pipeline.cli.app import app, register
from pipeline.cli.comparison import comparison_json, comparison_view, run_to_run_json
from pipeline.cli.inputs import checked_granularity
from pipeline.cli.status_command import status_lines
from pipeline.compare import Comparison, advise
from pipeline.config import LoadedConfig, load_config, parse_assignments
from pipeline.config.counts import num_points
from pipeline.config.ids import parse_gpu_ids
from pipeline.config.yaml_file import read_yaml
from pipeline.errors import InputError
from pipeline.export import TARGETS as EXPORTS
from pipeline.export import Launch, launch_of
from pipeline.measurements import read_kv_blocks, read_measurements
from pipeline.report import write_report
from pipeline.report.page import render
from pipeline.results import load
from pipeline.results.lock import locked
from pipeline.results.status import read_status
from pipeline.roofline.constant_files import read_constants
from pipeline.sweep import check_combinations, problem_of, run_record
from tests.fuzz.cases import Case
from tests.fuzz.contract import EXPECTED, BrokenContractError
from tests.sweeps import REFERENCE, run_without_ray, small_config, store_for

Run = Callable[[Path, Sequence[str]], object]
MOST_POINTS = 3


@dataclass(frozen=True)
class Target:
    """One entry point. out: the part of the folder that may be changed, if any."""

    run: Run
    out: str | None = None


def config_file(folder: Path, arguments: Sequence[str]) -> None:
    """A YAML config with `--set` texts: loaded, every swept value looked at, points counted."""
    _looked_through(load_config(folder / "c.yaml", parse_assignments(arguments)))


def csv_directory(folder: Path, arguments: Sequence[str]) -> None:
    """A published directory of CSV files."""
    _looked_through(load_config(folder / "csv", parse_assignments(arguments)))


def assignments(_folder: Path, arguments: Sequence[str]) -> None:
    """`--set` texts on the reference config."""
    _looked_through(load_config(REFERENCE, parse_assignments(arguments)))


def _looked_through(loaded: LoadedConfig) -> None:
    check_combinations(loaded)
    problem_of(loaded, {})
    record = json.loads(json.dumps(run_record(loaded), allow_nan=False))
    if record["planned_points"] != num_points(loaded.config.sweep):
        raise BrokenContractError("another number of points after writing")


def yaml_text(folder: Path, _arguments: Sequence[str]) -> None:
    """A YAML file by itself."""
    read_yaml(folder / "c.yaml")


def small_texts(_folder: Path, arguments: Sequence[str]) -> None:
    """Granularities and sets of GPU ids, as flags and configs write them."""
    for text in arguments:
        with suppress(InputError):
            checked_granularity(text, 40)
        with suppress(ValueError):
            parse_gpu_ids(text)


def solved(folder: Path, arguments: Sequence[str]) -> None:
    """A config, a few of its points solved and written; nothing fails, and every row holds."""
    # The solver takes one number of threads for all that one process solves.
    limit = [
        *arguments,
        "solver.threads=1",
        "solver.time_limit_s=0.5",
        "sweep.granularities=[coarsest, exact]",
    ]
    limit.append("sweep.methods=[ratio, weighted, enumeration]")
    loaded = load_config(folder / "c.yaml", parse_assignments(limit))
    check_combinations(loaded)
    run_without_ray(loaded, folder / "out", most=MOST_POINTS)
    results = load(folder / "out")
    failed = results.points[results.points.status == "error"]
    if len(failed):
        raise BrokenContractError(f"a point failed: {failed.message.iloc[0]}"[:300])
    wrong = audit(folder / "out").mismatches
    if wrong:
        raise BrokenContractError(f"a row is wrong: {wrong[0]}"[:300])


def measurement_file(folder: Path, _arguments: Sequence[str]) -> None:
    """Measurements as CSV, read as throughput and as cache blocks."""
    _each([read_measurements, read_kv_blocks], folder / "m.csv")


def calibration(folder: Path, _arguments: Sequence[str]) -> None:
    """Measurements as CSV, fitted, and the catalogue file that comes of it read again."""
    (folder / "out").mkdir(exist_ok=True)
    calibrate(folder / "m.csv", folder / "out" / "constants.yaml")
    read_constants(folder / "out" / "constants.yaml")


def constants_file(folder: Path, _arguments: Sequence[str]) -> None:
    """A catalogue file of fitted constants."""
    read_constants(folder / "k.yaml")


def results_folder(folder: Path, arguments: Sequence[str]) -> None:
    """A results folder through all that reads one; what one refuses the next must stand too."""
    run = folder / "run"
    exported = partial(_exported, point=arguments[0] if arguments else None)
    _each([_status, _compared, _audited, _reported, exported], run)


def _each(reads: Sequence[Callable[[Path], object]], path: Path) -> None:
    """Run every reader on a path, and raise the first error of the tree only then."""
    refused: list[Exception] = []
    for read in reads:
        try:
            read(path)
        except EXPECTED as error:
            refused.append(error)
    if len(refused) == len(reads):
        raise refused[0]


def _status(run: Path) -> None:
    _draw(*status_lines(read_status(run)))


def _compared(run: Path) -> None:
    results = load(run)
    json.dumps(comparison_json(results), default=str, allow_nan=False)
    json.dumps(run_to_run_json([results, results]), default=str, allow_nan=False)
    _draw(comparison_view(results))


def _exported(run: Path, point: str | None) -> None:
    launch = launch_of(load(run), point)
    if isinstance(launch, Launch):
        for write in EXPORTS.values():
            write(launch)


def _audited(run: Path) -> None:
    _draw(*(str(mismatch) for mismatch in audit(run).mismatches))


def _reported(run: Path) -> None:
    comparison = Comparison(load(run))
    page = render(comparison, advise(comparison), [], plot_files="")
    page.encode("utf-8")


def report_page(folder: Path, _arguments: Sequence[str]) -> None:
    """A results folder made into a page with its plots."""
    with _quick_page():
        write_report(load(folder / "run"), folder / "out" / "page.html", 1.0, plot_files=False)


def resumed(folder: Path, _arguments: Sequence[str]) -> None:
    """A results folder that a sweep goes on in, or that `--fresh` empties."""
    loaded = small_config(folder / "run" / "config", {})
    run = folder / "run"
    for fresh in (False, True):
        with suppress(*EXPECTED), locked(run):
            store = store_for(loaded, run)
            store.prepare(run_record(loaded), fresh)
            store.done()
            store.finish(stopped=False, failed=0)


def command_line(folder: Path, arguments: Sequence[str]) -> None:
    """A whole command, `{}` in its arguments standing for the folder."""
    register()
    given = [argument.replace("{}", str(folder)) for argument in arguments]
    environment = {"COLUMNS": "160", "NO_COLOR": "1", "TERM": "dumb"}
    with _quick_page():
        result = CliRunner().invoke(app, given, env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code not in (0, 1, 2, 3):
        raise BrokenContractError(f"exit code {result.exit_code}")
    if "this is a defect" in result.stderr:
        raise BrokenContractError(result.stderr[:300])
    if result.exit_code == 2 and not result.stderr.strip():
        raise BrokenContractError("exit code 2 without a word")


@contextmanager
def _quick_page() -> Iterator[None]:
    """Put the plotting library, a second's work that no input changes, into no page."""
    with patch("pipeline.report.page.plotting_javascript", return_value=""):
        yield


def _draw(*parts: object) -> None:
    console = Console(file=io.StringIO(), width=120)
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)


TARGETS: Mapping[str, Target] = {
    "yaml_text": Target(yaml_text),
    "config_file": Target(config_file),
    "csv_directory": Target(csv_directory),
    "assignments": Target(assignments),
    "small_texts": Target(small_texts),
    "solved": Target(solved, "out"),
    "measurement_file": Target(measurement_file),
    "calibration": Target(calibration, "out"),
    "constants_file": Target(constants_file),
    "results_folder": Target(results_folder),
    "report_page": Target(report_page, "out"),
    "resumed": Target(resumed, "run"),
    "command_line": Target(command_line, "out"),
}


def run_case(case: Case, folder: Path) -> None:
    """Run a case whose files lie in a folder."""
    TARGETS[case.target].run(folder, case.arguments)
