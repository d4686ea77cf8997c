"""The command that runs a sweep: plan, run on Ray, write, verify, compare."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import chain
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.app import FAILED, INTERRUPTED, command, err, examples, out
from pipeline.cli.inputs import read_config
from pipeline.cli.options import AsJson, Assignments, ConfigPath
from pipeline.errors import Fault, InputError
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.config import LoadedConfig
    from pipeline.driver import FlushRule, Tally
    from pipeline.results.folder import Folder
    from pipeline.results.store import Store

RESULTS = "results"


@command(
    epilog=examples(
        "sweep configs/medium.yaml --plan",
        "sweep configs/medium.yaml --out results/mine --granularity coarse,exact --budget 1,2.5,5",
        "sweep configs/medium.yaml --set 'sweep.over={workload.batch_size: [16, 32]}'",
        "sweep configs/medium.yaml --address 10.0.0.1:6379",
    )
)
def sweep(
    config: ConfigPath,
    out_directory: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Where to write: a path, or an address as s3://bucket/run; else results/NAME.",
        ),
    ] = None,
    granularity: Annotated[
        str | None, typer.Option("--granularity", "-g", help="Names, separated by commas.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", "-b", help="A preset, or $/h separated by commas."),
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="Names, separated by commas.")
    ] = None,
    assignments: Assignments = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Ray cluster to use; else a local one.")
    ] = None,
    cpus: Annotated[
        int | None, typer.Option("--cpus", min=1, max=4096, help="CPUs of the local Ray; else all.")
    ] = None,
    flush_points: Annotated[
        int, typer.Option("--flush-points", min=1, help="Write rows once so many points wait.")
    ] = 500,
    flush_seconds: Annotated[
        float, typer.Option("--flush-seconds", min=0.0, help="Write rows that waited so long, s.")
    ] = 5.0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Discard the results in --out first.")
    ] = False,
    only_plan: Annotated[
        bool, typer.Option("--plan", help="Say how many points and how long; run nothing.")
    ] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Progress as lines of JSON on standard error.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Run a sweep on Ray, or resume it: only what is missing in --out is run.

    Rows are written as they come, so that stopping loses nothing. At the end every placement is
    verified and the comparison printed. Exits 1 where points failed or a row is wrong.
    """
    from pipeline.driver import FlushRule
    from pipeline.results.folder import folder_at
    from pipeline.sweep import check_combinations

    loaded = _with_flags(read_config(config, assignments, log_json), granularity, budget, method)
    check_combinations(loaded)
    if out_directory is None:
        out_directory = f"{RESULTS}/{_folder_name(loaded.config.name)}"
    directory = folder_at(out_directory)
    if only_plan:
        _check(loaded, directory, fresh)
        return _plan(loaded, cpus, as_json)
    named = str(directory) if "@" in out_directory else out_directory  # a password may stand there
    how = _How(named, address, cpus, FlushRule(flush_points, flush_seconds), log_json)
    return _sweep(loaded, directory, how, fresh, as_json)


@dataclass(frozen=True)
class _How:
    """Where a sweep runs, when its rows are written, and how it speaks of its progress.

    named: its folder, in words that a command takes.
    """

    named: str
    address: str | None
    cpus: int | None
    flush: FlushRule
    log_json: bool

    def say(self, text: str, event: str, **values: Any) -> None:
        """Tell people, or machines, what happens."""
        from pipeline.cli.progress import log

        if self.log_json:
            log(event, **values)
        else:
            err().print(text)


def _check(loaded: LoadedConfig, directory: Folder, fresh: bool) -> None:
    """Raise ResultsError where a sweep into a folder would, as far as shows without writing."""
    from pipeline.results.lock import check_free
    from pipeline.sweep import run_record

    check_free(directory)
    _store(loaded, directory).check(run_record(loaded), fresh)


def _store(loaded: LoadedConfig, directory: Folder) -> Store:
    """Return the store of a sweep, with a column for each swept field."""
    from pipeline.results.schema import swept_column
    from pipeline.results.store import Store

    over = loaded.config.sweep.over
    return Store(directory, [swept_column(name, values) for name, values in over.items()])


def _plan(loaded: LoadedConfig, cpus: int | None, as_json: bool) -> int:
    """Print how many points a sweep has and how long it may take; return the exit code."""
    from pipeline.cli.plan_view import plan_json, plan_view
    from pipeline.plan import plan

    planned = plan(loaded, cpus or os.cpu_count() or 1)
    if as_json:
        typer.echo(json.dumps(plan_json(planned), indent=2))
    else:
        out().print(plan_view(planned))
    return FAILED if planned.errors else 0


def _sweep(loaded: LoadedConfig, directory: Folder, how: _How, fresh: bool, as_json: bool) -> int:
    """Run, finish and report a sweep; return the exit code."""
    from pipeline.cli.comparison import comparison_json, comparison_view
    from pipeline.driver import signals_noted
    from pipeline.results import load
    from pipeline.results.lock import locked
    from pipeline.sweep import run_record

    if how.address is not None:
        _connect(how.address)
    store = _store(loaded, directory)
    with locked(directory):
        store.prepare(run_record(loaded), fresh)
        tally, stopped = _run(loaded, store, how)
        with signals_noted():
            store.finish(stopped=stopped is not None, failed=tally.failed)
    if stopped:
        done = counted(tally.done, "point")
        text = f"Stopped by {stopped} after {done}; run it again to resume."
        how.say(text, "stopped", signal=stopped, done=tally.done)
        return INTERRUPTED
    wrong = _verify(directory, how)
    results = load(directory)
    if as_json:
        report = {**comparison_json(results), "points": tally.by_status, "wrong": wrong}
        typer.echo(json.dumps(report, indent=2))
    else:
        out().print(comparison_view(results))
        _print_outcome(tally, directory, how.named, wrong)
    return FAILED if tally.failed or wrong else 0


def _connect(address: str) -> None:
    """Connect to a cluster, before a slip in its address touches what an earlier run has left."""
    from pipeline.cli.progress import working
    from pipeline.driver import start_ray

    with working(err(), f"connecting to Ray at {address}"):
        start_ray(address)


def _run(loaded: LoadedConfig, store: Store, how: _How) -> tuple[Tally, str | None]:
    """Run the missing points; return what came of them, and the signal that stopped them."""
    from pipeline.cli.progress import log, tally_values, watching
    from pipeline.config.counts import num_points
    from pipeline.driver import Stopped, Tally, run_sweep, signals_noted, start_ray, stop_ray
    from pipeline.sweep import missing_tasks

    done = store.done()
    tally = Tally(num_points(loaded.config.sweep), best_usd_per_token=done.best_usd_per_token)
    tasks = missing_tasks(loaded, done.ids, tally.skip, store.ballparks)
    first = next(tasks, None)
    if first is None:
        if how.address is not None:
            stop_ray()
        return tally, None
    with watching(err(), tally, how.log_json) as watch:
        watch("starting Ray" if how.address is None else f"on Ray at {how.address}")
        try:
            if how.address is None:
                start_ray(None, how.cpus)
            points = chain([first], tasks)
            run_sweep(points, store, tally, how.flush, watch=lambda _: watch(""))
        except Stopped as stopped:
            return tally, str(stopped)
        except KeyboardInterrupt:  # while Ray was starting
            return tally, "SIGINT"
        finally:
            with signals_noted():  # too late to stop: what was run is still to be put on record
                stop_ray()
            if how.log_json:
                log("progress", **tally_values(tally))
    return tally, None


def _verify(directory: Folder, how: _How) -> int:
    """Verify the run and print what is wrong; return how much that is."""
    from pipeline.audit import audit

    found = audit(directory)
    for mismatch in found.mismatches:
        how.say(f"wrong: {mismatch}", "wrong", message=str(mismatch))
    return len(found.mismatches)


def _print_outcome(tally: Tally, directory: Folder, named: str, wrong: int) -> None:
    """Say what came of the points, where the tables lie, and what can be made of them.

    named: the folder as it was given, options of an address included.
    """
    counts = ", ".join(f"{n} {status}" for status, n in sorted(tally.by_status.items()))
    done = counted(tally.done, "point")
    parts = [f"{done} run in {tally.seconds:.1f} s ({counts})" if counts else ""]
    if tally.skipped:
        parts.append(f"{tally.skipped:,} {'was' if tally.skipped == 1 else 'were'} there before")
    parts.append(f"{counted(wrong, 'figure')} wrong" if wrong else "every placement verified")
    out().print("; ".join(part for part in parts if part))
    out().print(f"Tables: {directory}/points/*.parquet, {directory}/segments/*.parquet")
    told = f"placement report {quote(named)}  # one page with plots; compare and export read it too"
    out().print(f"Next: {told}", soft_wrap=True)


def _with_flags(
    loaded: LoadedConfig, granularity: str | None, budget: str | None, method: str | None
) -> LoadedConfig:
    """Let the flags take the place of the config's own plan. Raises InputError."""
    changes: list[tuple[str, Any]] = []
    if granularity is not None:
        changes.append(("sweep.granularities", granularity.split(",")))
    if budget is not None:
        changes.append(("sweep.budgets_usd_per_hour", _budgets(budget)))
    if method is not None:
        changes.append(("sweep.methods", method.split(",")))
    return loaded.with_values(changes, "command line") if changes else loaded


def _budgets(text: str) -> str | list[float]:
    """Read the name of a preset, or numbers separated by commas. Raises InputError."""
    from pipeline.budgets import PRESETS
    from pipeline.texts import is_plain

    if text in PRESETS:
        return text
    try:
        if not is_plain(text):
            raise ValueError(text)
        return [float(part) for part in text.split(",")]
    except ValueError:
        reason = f"must be numbers separated by commas, or one of {', '.join(PRESETS)}"
        raise InputError([Fault("command line", "--budget", reason, text)]) from None


def _folder_name(name: str) -> str:
    """Turn an instance's name into one of a folder: no separators, nothing hidden."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).lstrip(".")
    return kept or "sweep"
