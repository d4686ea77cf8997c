"""Progress of a sweep: a bar on a terminal, a line now and then elsewhere, JSON for machines."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.words import counted, duration, per_million

if TYPE_CHECKING:
    from pipeline.driver import Tally

SECONDS_BETWEEN_LINES = 10.0
Watch = Callable[[str], None]


@contextmanager
def watching(console: Console, tally: Tally, as_json: bool = False) -> Iterator[Watch]:
    """Yield a function that shows the tally, or a text while there is nothing to count."""
    if as_json:
        yield _now_and_then(tally, _log_tally, lambda text: log("note", text=text))
        return
    if not console.is_terminal:
        yield _now_and_then(tally, lambda t: console.print(line(t), markup=False), console.print)
        return
    with _bar(console) as bar:
        task = bar.add_task("sweep", total=tally.total)

        def show(text: str) -> None:
            bar.update(task, description=text or describe(tally), completed=tally.reached)

        yield show


def _bar(console: Console) -> Progress:
    """Return a bar that goes when it is done; names in brackets are names, not markup."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)


def _now_and_then(
    tally: Tally, show_tally: Callable[[Tally], None], show_text: Callable[[str], None]
) -> Watch:
    """Return a function that shows texts at once, and the tally from time to time."""
    last = -math.inf

    def show(text: str) -> None:
        nonlocal last
        if text:
            show_text(text)
        elif time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            show_tally(tally)

    return show


@contextmanager
def counting(console: Console, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """Yield a function that shows how many units of long work are done, and what comes now.

    A bar on a terminal, elsewhere a line at the start and then every so often.
    """
    if console.is_terminal:
        with _bar(console) as bar:
            task = bar.add_task(unit, total=None)
            yield lambda done, total, what: bar.update(
                task, description=f"{unit}: {what}", completed=done, total=total
            )
        return
    started, last = time.monotonic(), -math.inf

    def show(done: int, total: int, what: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            left = f", {duration((now - started) / done * (total - done))} left" if done else ""
            console.print(f"{unit} {done + 1} of {total}: {what}{left}", markup=False)

    yield show


@contextmanager
def working(console: Console, what: str) -> Iterator[None]:
    """Say on a terminal what is being worked at, until it is done; elsewhere say nothing."""
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


def log(event: str, **values: Any) -> None:
    """Write one JSON object as a line to standard error: the time, the event, and its values."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    print(json.dumps({"time": now, "event": event, **values}), file=sys.stderr, flush=True)


def _log_tally(tally: Tally) -> None:
    log("progress", **tally_values(tally))


def tally_values(tally: Tally) -> dict[str, Any]:
    """Return a tally as plain values, units in their names."""
    return {
        "total": tally.total,
        "skipped": tally.skipped,
        "done": tally.done,
        "failed": tally.failed,
        "infeasible": tally.by_status.get("infeasible", 0),
        "points_per_s": round(tally.points_per_s, 3),
        "seconds_left": None if tally.seconds_left is None else round(tally.seconds_left, 1),
        "best_usd_per_token": tally.best_usd_per_token,
    }


def line(tally: Tally) -> str:
    """Say in one line how far a sweep is."""
    left = "" if tally.seconds_left is None else f", {duration(tally.seconds_left)} left"
    total = counted(tally.total or 0, "point")
    return f"{tally.reached:,}/{total}: {describe(tally)}{left}"


def describe(tally: Tally) -> str:
    """Say what came of the points so far, and the best price."""
    notable = [s for s in ("infeasible", "error") if tally.by_status.get(s)]
    parts = [f"{tally.points_per_s:.1f} points/s"]
    parts += [f"{tally.by_status[s]} {s}" for s in notable]
    if tally.best_usd_per_token is not None:
        parts.append(f"lowest {per_million(tally.best_usd_per_token)} per million tokens")
    return ", ".join(parts)
