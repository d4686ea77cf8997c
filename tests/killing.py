"""Kills a sweep again and again, resumes it, and looks at its folder all the while."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.config import load_config
from pipeline.errors import ResultsError
from pipeline.results.parts import read_tables
from pipeline.results.status import RunStatus, read_status
from pipeline.run import run_point
from pipeline.sweep import missing_tasks
from tests.sweeps import without_searches, write_config

FLUSH_SECONDS = 0.3
Answer = tuple[Any, ...]


def config_of(folder: Path, points: int) -> Path:
    """Write a config whose sweep has so many points, of a few milliseconds each."""
    budgets = [round(0.1 + i / points, 6) for i in range(points)]
    sweep = {"granularities": ["exact"], "methods": ["enumeration"]}
    changes = {"sweep": {**sweep, "budgets_usd_per_hour": budgets}}
    return write_config(folder / "small.yaml", changes)


def undisturbed(config: Path) -> list[Answer]:
    """Return what the sweep's table must say, solved in this process; sorted by id."""
    tasks = without_searches(missing_tasks(load_config(config), set()))
    rows = [run_point(*task).points[0].values for task in tasks]
    return sorted((answer(row) for row in rows), key=str)


def stored(directory: Path) -> list[Answer]:
    """Return what a folder's table says, sorted by id."""
    tables = read_tables(directory)
    rows = [] if tables is None else tables.points.to_pylist()
    return sorted((answer(row) for row in rows), key=str)


def answer(row: Any) -> Answer:
    """Return what two runs of a point must agree on."""
    names = ("point_id", "status", "message", "throughput_tokens_per_s", "cost_usd_per_hour")
    return tuple(row.get(name) for name in names)


def command(config: Path, out: Path) -> list[str]:
    """Return the command that runs or resumes the sweep."""
    flags = ["--out", str(out), "--cpus", "2", "--flush-seconds", str(FLUSH_SECONDS)]
    return [sys.executable, "-m", "pipeline", "sweep", str(config), *flags]


@dataclass(frozen=True)
class Kill:
    """One start of the sweep that was killed. rows: in the table by then.

    seconds_lost: age of the last row in the table when the process was killed; None where this
    start had not written any.
    """

    rows: int
    seconds_lost: float | None


def started_and_killed(config: Path, out: Path, moments: random.Random) -> Kill:
    """Start the sweep and kill it: mostly while rows come in, now and then while it starts."""
    before = rows_in(out)
    process = subprocess.Popen(
        command(config, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        if moments.random() < 0.8:
            while rows_in(out) == before and process.poll() is None:
                time.sleep(0.1)
            time.sleep(moments.uniform(0, 1.5))
        else:
            time.sleep(moments.uniform(0, 6))
    finally:
        process.kill()
        killed_at = datetime.now(UTC)
        process.wait()
    status = _status(out)
    if status is None or status.done == before or status.last_point_at is None:
        return Kill(before, None)
    return Kill(status.done, (killed_at - status.last_point_at).total_seconds())


def rows_in(out: Path) -> int:
    """Count the points in a folder."""
    status = _status(out)
    return 0 if status is None else status.done


def _status(out: Path) -> RunStatus | None:
    try:
        return read_status(out)
    except ResultsError:
        return None  # killed before there was a run


@contextmanager
def watched(out: Path) -> Iterator[list[str]]:
    """Read every file in the folder again and again; yield the list of what was wrong."""
    wrong: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.3):
            for file in (*out.glob("points/*.parquet"), *out.glob("segments/*.parquet")):
                try:
                    pq.read_table(file, partitioning=None)
                except FileNotFoundError:
                    continue  # merged meanwhile
                except Exception as error:
                    wrong.append(f"{file.name}: {error}")
            ids = [row[0] for row in stored(out)]
            if len(ids) != len(set(ids)):
                wrong.append("a point stands there twice")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        thread.join()
