"""What a sweep costs at scale: `python -m tests.scaling [PART...]`, or `make scaling`.

Measures on this machine what a point takes and what everything around it takes, prints one table,
and reckons from them how many points a second and a dollar 10, 100 and 1,000 cores give, and what
limits them. About 20 minutes on two cores for all parts: points, tasks, crowd, objects, rows,
start. The reckoning needs points, tasks and rows. `docs/scaling.md` says what came out.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.scaling_measures import (
    AFTERWARDS,
    HandingOut,
    PointTime,
    afterwards,
    handed_out,
    object_bytes,
    point_times,
    start_seconds,
    stored,
)

# On-demand price of an Amazon m7g.large, two cores for $0.0816/h, in us-east-1 in June 2026.
USD_PER_CORE_HOUR = 0.0408
CORES = (2, 10, 100, 1000)
PARTS = ("points", "tasks", "crowd", "objects", "rows", "start")
IN_FLIGHT_PER_CPU = (4, 200, 2000)
# (CPUs claimed of Ray, seconds that a task sleeps): the workers are there, their work is not.
CROWDS = ((8, 0.5), (16, 0.5), (16, 0.1))
ROWS = (1000, 20_000, 100_000)


@dataclass(frozen=True)
class Costs:
    """What a sweep costs beside its points, seconds.

    worker_s: of a worker, for a task. driver_s: of the driver for a point while the sweep runs.
    end_s: of the driver for a row at the end, while the workers have nothing to do: verification
    and comparison.
    """

    worker_s: float
    driver_s: float
    end_s: float


@dataclass(frozen=True)
class Reckoned:
    """What a number of cores gives. utilization: the share of their time spent on points."""

    points_per_s: float
    points_per_usd: float
    utilization: float
    limit: str


def reckoned(
    point_s: float, cores: int, costs: Costs, usd_per_core_hour: float, rows: int = 1
) -> Reckoned:
    """Return the rate of a long sweep, and what holds it back.

        while it runs   r = min(cores / (point_s + worker_s), 1 / driver_s)
        all in          1 / (1/r + rows · end_s)

    rows: of one point, many for a frontier. The driver has a core of its own, which is paid for
    too.
    """
    by_cores, by_driver = cores / (point_s + costs.worker_s), 1 / costs.driver_s
    running = min(by_cores, by_driver)
    end_s = rows * costs.end_s
    rate = 1 / (1 / running + end_s)
    usd_per_s = (cores + 1) * usd_per_core_hour / 3600
    limit = "cores" if by_cores <= by_driver else "driver"
    if end_s > 1 / running:
        limit = "end of the sweep"
    return Reckoned(rate, rate / usd_per_s, rate * point_s / cores, limit)


def driver_limit_cores(point_s: float, costs: Costs) -> float:
    """Return how many cores one driver keeps busy: (point_s + worker_s) / driver_s."""
    return (point_s + costs.worker_s) / costs.driver_s


def main() -> None:
    """Measure what was asked for, print it as it comes, then reckon."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS)
    asked = parser.parse_args()
    parts = asked.parts or PARTS
    console = Console(width=130)
    times: list[PointTime] = []
    tasks: list[HandingOut] = []
    rows: list[tuple[float, float]] = []
    if "points" in parts:
        for measured in point_times():
            times.append(measured)
            console.print(f"{measured}", style="dim", highlight=False)
        console.print(point_table(times))
    if "tasks" in parts:
        tasks = [handed_out(max(2000, 4 * per), in_flight_per_cpu=per) for per in IN_FLIGHT_PER_CPU]
        console.print(task_table(tasks))
    if "crowd" in parts:
        console.print(crowd_table())
    if "objects" in parts:
        console.print(size_table())
    if "rows" in parts:
        for count in asked.rows:
            table, of_rows = row_table(count)
            rows.append(of_rows)
            console.print(table)
    if "start" in parts:
        console.print(start_table())
    if times and tasks and rows:
        few, most = tasks[0], rows[-1]
        worker_s = few.cpu_ms_per_point("workers") / 1000
        driver_s = few.cpu_ms_per_point("driver") / 1000
        costs = Costs(worker_s, driver_s, most[1])
        console.print(f"\n{costs}, ${USD_PER_CORE_HOUR}/core-hour", highlight=False)
        console.print(reckoning_table(times, costs))


def _table(title: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", box=None)
    for header in headers:
        table.add_column(header, justify="left" if header in TEXT_HEADERS else "right")
    for row in rows:
        table.add_row(*row)
    return table


TEXT_HEADERS = ("what", "instance", "method", "granularity", "limit")


def point_table(times: Iterable[PointTime]) -> Table:
    """Show what points take."""
    lines = (
        (t.instance, t.method, t.granularity, f"{1000 * t.seconds:.1f}", str(t.points))
        for t in times
    )
    return _table("Points", ("instance", "method", "granularity", "median CPU ms", "points"), lines)


def task_table(tasks: Iterable[HandingOut]) -> Table:
    """Show what handing out costs, with few and with many tasks in flight."""
    lines = (
        (
            f"{t.in_flight:,}",
            f"{t.points:,}",
            f"{t.points_per_s:.0f}",
            *(f"{t.cpu_ms_per_point(kind):.2f}" for kind in ("driver", "raylet", "workers")),
            f"{t.worker_mb:.0f}",
        )
        for t in tasks
    )
    headers = (
        "in flight",
        "points",
        "points/s",
        "driver ms",
        "raylet ms",
        "worker ms",
        "worker MB",
    )
    return _table("Points that take no time, 2 CPUs; CPU time for a point", headers, lines)


def crowd_table() -> Table:
    """Show how near the rate of sleeping tasks comes to what so many CPUs could do."""

    def lines() -> Iterator[Sequence[str]]:
        for cpus, sleep_s in CROWDS:
            found = handed_out(round(10 * cpus / max(sleep_s, 0.5)), cpus, sleep_s=sleep_s)
            most = cpus / sleep_s
            share = found.points_per_s / most
            yield (
                str(cpus),
                f"{sleep_s:g}",
                f"{most:.0f}",
                f"{found.points_per_s:.0f}",
                f"{share:.0%}",
            )

    headers = ("CPUs claimed", "sleep s", "points/s at most", "points/s", "share")
    return _table("Points that sleep", headers, lines())


def size_table() -> Table:
    """Show how many bytes travel."""
    lines = ((name, f"{size:,}") for name, size in object_bytes().items())
    return _table("What travels", ("what", "bytes"), lines)


def row_table(count: int) -> tuple[Table, tuple[float, float]]:
    """Write so many rows and use them; return the table, and writing and ending in s a row."""
    with tempfile.TemporaryDirectory() as folder:
        written = stored(Path(folder), count)
        after = {what: afterwards(what, Path(folder)) for what in AFTERWARDS}
    size = f"{written.bytes / count:.0f} bytes a row, at most {written.files} files at once"
    held = f"longest {1000 * written.worst_append_s:.0f} ms"
    write = ("write and merge", f"{written.cpu_s:.1f}", f"{1e6 * written.cpu_s / count:.0f}", held)
    others = [
        (what, f"{own.cpu_s:.1f}", f"{1e6 * own.cpu_s / count:.0f}", f"{own.peak_mb:.0f} MB")
        for what, own in after.items()
    ]
    table = _table(f"{count:,} rows: {size}", ("what", "CPU s", "µs a row", ""), [write, *others])
    end_s = (after["verify"].cpu_s + after["compare"].cpu_s) / count
    return table, (written.cpu_s / count, end_s)


def start_table() -> Table:
    """Show what starting takes."""
    lines = ((name, f"{seconds:.1f}") for name, seconds in start_seconds().items())
    return _table("Start", ("what", "s"), lines)


def reckoning_table(times: Iterable[PointTime], costs: Costs) -> Table:
    """Show what each kind of point reaches on each number of cores."""

    def lines() -> Iterator[Sequence[str]]:
        for time in times:
            fed = driver_limit_cores(time.seconds, costs)
            for cores in CORES:
                found = reckoned(time.seconds, cores, costs, USD_PER_CORE_HOUR, time.rows)
                yield (
                    time.instance,
                    time.method,
                    time.granularity,
                    f"{cores:,}",
                    f"{found.points_per_s:,.1f}",
                    f"{found.points_per_usd:,.0f}",
                    f"{found.utilization:.0%}",
                    f"{fed:,.0f}",
                    found.limit,
                )

    headers = ("instance", "method", "granularity", "cores", "points/s", "points/$", "busy")
    return _table("Reckoned", (*headers, "one driver feeds", "limit"), lines())


if __name__ == "__main__":
    main()
