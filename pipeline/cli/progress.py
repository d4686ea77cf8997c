"""Progress of a sweep: a bar on a terminal, a line now and then where output goes to a file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.driver import Tally

SECONDS_BETWEEN_LINES = 10.0
Watch = Callable[[str], None]


@contextmanager
def watching(console: Console, tally: Tally) -> Iterator[Watch]:
    """Yield a function that shows the tally, or a text while there is nothing to count."""
    if not console.is_terminal:
        yield _lines(console, tally)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("sweep", total=tally.total)

        def show(text: str) -> None:
            bar.update(task, description=text or describe(tally), completed=reached(tally))

        yield show


def _lines(console: Console, tally: Tally) -> Watch:
    last = -math.inf

    def show(text: str) -> None:
        nonlocal last
        if text:
            console.print(text)
        elif time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            console.print(f"{reached(tally)}/{tally.total} points: {describe(tally)}")

    return show


def reached(tally: Tally) -> int:
    """Count the points that need no more work."""
    return tally.done + tally.skipped


def describe(tally: Tally) -> str:
    """Say what came of the points so far, and the best price."""
    rate = tally.done / tally.seconds if tally.seconds else 0.0
    notable = [s for s in ("infeasible", "error") if tally.by_status.get(s)]
    parts = [f"{rate:.1f} points/s", *(f"{tally.by_status[s]} {s}" for s in notable)]
    if tally.best_usd_per_token is not None:
        parts.append(f"best ${tally.best_usd_per_token * 1e6:.4f}/M tokens")
    return ", ".join(parts)
