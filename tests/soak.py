"""Long runs that the test suite has no time for: `python -m tests.soak [kill] [many]`.

kill: thirty kills of the driver at random moments, each resumed; the table at the end must be
that of an undisturbed run (about 6 minutes on two cores).
many: a sweep of 20,000 points beside one of 200: memory of the driver, files, points per second
and the driver's own time per point (about 6 minutes on two cores; `--points` for fewer).

Both are bounded: the kills by their number, the sweep by `--limit-s`, after which it is stopped
and what was reached is told. Prints one table; exits 1 where an aim was missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.config import LoadedConfig, load_config
from tests.killing import (
    FLUSH_SECONDS,
    command,
    config_of,
    started_and_killed,
    stored,
    undisturbed,
    watched,
)
from tests.sweeps import store_for

MEDIUM = Path(__file__).parent.parent / "configs" / "medium.yaml"
BUDGETS_PER_PROBLEM = 100
NUM_KILLS = 30


@dataclass(frozen=True)
class Line:
    """One line of the table. met: None where nothing was aimed for."""

    what: str
    measured: str
    aim: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Measured:
    """What a sweep in a process of its own took. peak_mb: its largest resident memory, MB."""

    points: int
    seconds: float
    driver_cpu_s: float
    peak_mb: float
    most_files: int


def main() -> None:
    """Run what was asked for, or all; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", metavar="kill|many")
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=NUM_KILLS)
    parser.add_argument("--limit-s", type=float, default=900.0)
    asked = parser.parse_args()
    if asked.which == ["measure"]:
        print(json.dumps(asdict(measured(asked.points, asked.limit_s))))
        return
    lines: list[Line] = []
    if not asked.which or "kill" in asked.which:
        lines += kill_lines(asked.kills)
    if not asked.which or "many" in asked.which:
        lines += many_lines(asked.points, asked.limit_s)
    _print(lines)
    sys.exit(any(line.met is False for line in lines))


def kill_lines(kills: int) -> Iterator[Line]:
    """Kill a sweep so many times, let it end, and compare its table."""
    with tempfile.TemporaryDirectory() as folder:
        config, out = config_of(Path(folder), 100 * kills), Path(folder) / "run"
        moments = random.Random(30)
        started = time.monotonic()
        with watched(out) as wrong:
            done = [started_and_killed(config, out, moments) for _ in range(kills)]
            ended = subprocess.run(command(config, out), capture_output=True, text=True)
        seconds = time.monotonic() - started
        same = ended.returncode == 0 and stored(out) == undisturbed(config)
    lost = [kill.seconds_lost for kill in done if kill.seconds_lost is not None]
    rows = [kill.rows for kill in done]
    yield Line("kills", f"{kills} in {seconds:.0f} s, {len(lost)} while rows came in")
    yield Line("table as of an undisturbed run", "yes" if same else "no", "yes", same)
    yield Line("unreadable files, points twice", str(len(wrong)), "0", not wrong)
    yield Line("rows never fewer", "yes" if rows == sorted(rows) else "no", "yes")
    worst = max(lost, default=0.0)
    yield Line("work repeated, worst", f"{worst:.2f} s", f"flush {FLUSH_SECONDS} s + reaction")


def many_lines(points: int, limit_s: float) -> Iterator[Line]:
    """Measure a large sweep beside a small one."""
    small, large = _in_own_process(200, limit_s), _in_own_process(points, limit_s)
    more = large.peak_mb - small.peak_mb
    rate = large.points / large.seconds
    own_ms = 1000 * large.driver_cpu_s / large.points
    yield Line("points", f"{large.points:,} of {points:,} in {large.seconds:.0f} s")
    yield Line("driver's memory above 200 points", f"{more:.0f} MB", "≤ 100 MB", more <= 100)
    yield Line("files, most at once", str(large.most_files), "< 1,000", large.most_files < 1000)
    yield Line("points/s at coarse", f"{rate:.0f}", "≥ 60", rate >= 60)
    yield Line("driver's own time per point", f"{own_ms:.2f} ms", "< 5 ms", own_ms < 5)


def measured(points: int, limit_s: float) -> Measured:
    """Run a sweep of so many points at `coarse` in this process, and measure it."""
    from pipeline.driver import FlushRule, Stopped, Tally, run_sweep, start_ray, stop_ray
    from pipeline.sweep import missing_tasks, run_record

    loaded = sweep_of(points)
    with tempfile.TemporaryDirectory() as folder:
        store = store_for(loaded, Path(folder))
        store.prepare(run_record(loaded))
        start_ray(num_cpus=2)
        timer = threading.Timer(limit_s, os.kill, [os.getpid(), signal.SIGTERM])
        timer.start()
        most_files, tally = [0], Tally()

        def count_files(_: Tally) -> None:
            if tally.done % 50 == 0:
                now = sum(len(files) for _, _, files in os.walk(folder))
                most_files[0] = max(most_files[0], now)

        began, cpu = time.monotonic(), time.process_time()
        tasks = missing_tasks(loaded, store.done().ids, tally.skip, store.ballparks)
        with contextlib.suppress(Stopped):
            # A part for every few points: far more files than by default.
            run_sweep(tasks, store, tally, FlushRule(points=20), watch=count_files)
        timer.cancel()
        store.finish(stopped=False, failed=tally.failed)
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
        stop_ray()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(tally.done, seconds, cpu, peak_mb, most_files[0])


def sweep_of(points: int) -> LoadedConfig:
    """Return a sweep of prices and budgets on the reference instance at `coarse`."""
    budgets = [round(2.5 + 0.05 * i, 4) for i in range(min(points, BUDGETS_PER_PROBLEM))]
    prices = [round(1 + 0.001 * i, 4) for i in range(max(points // len(budgets), 1))]
    plan = {
        "granularities": ["coarse"],
        "methods": ["enumeration"],
        "budgets_usd_per_hour": budgets,
        "over": {"pool.A100.usd_per_hour": prices},
    }
    return load_config(MEDIUM, [("sweep", plan)])


def _in_own_process(points: int, limit_s: float) -> Measured:
    flags = ["measure", "--points", str(points), "--limit-s", str(limit_s)]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.soak", *flags], capture_output=True, text=True, check=True
    )
    return Measured(**json.loads(ended.stdout.splitlines()[-1]))


def _print(lines: list[Line]) -> None:
    table = Table(title="Soak", title_justify="left", box=None)
    for header in ("what", "measured", "aim", "met"):
        table.add_column(header)
    for line in lines:
        met = "" if line.met is None else "yes" if line.met else "NO"
        table.add_row(line.what, line.measured, line.aim, met)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
