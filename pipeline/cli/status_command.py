"""The command that says how far a sweep is, from another shell or after it ended."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from pipeline.cli.app import command, out
from pipeline.cli.options import AsJson, ResultsPath
from pipeline.words import counted, duration, per_million

if TYPE_CHECKING:
    from pipeline.results.status import RunStatus


@command()
def status(directory: ResultsPath, as_json: AsJson = False) -> int:
    """Say how far the sweep in a folder is, whether it runs, and the best price so far."""
    from pipeline.results.status import read_status

    found = read_status(directory)
    if as_json:
        data = {**dataclasses.asdict(found), "seconds_left": found.seconds_left}
        typer.echo(json.dumps(data, indent=2, default=str))
    else:
        for line in status_lines(found):
            out().print(line)
    return 0


def status_lines(found: RunStatus) -> list[str]:
    """Return what is known of a run, for people."""
    state = {
        "died": "ended without a word; run it again to resume",
        "unknown": f"held by {found.held_by}; whether it still runs cannot be seen from here",
        "running": f"running: {found.held_by}",
    }.get(found.state, found.state)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(found.by_status.items()))
    points = counted(found.done, "point")
    if found.planned and found.planned_done is not None and found.planned_done >= found.done:
        points = f"{found.planned_done:,} of {counted(found.planned, 'point')}"
    elif found.planned and found.planned_done is not None:
        planned = f"{found.planned_done:,} of {counted(found.planned, 'point')} planned"
        points = f"{planned}; with those of other plans {points}"
    lines = [f"{found.name}: {state}", f"{points}: {counts or 'none yet'}"]
    if found.points_per_s:
        lines.append(f"{found.points_per_s:.1f} points/s{_left(found)}{_last(found)}")
    if found.best_usd_per_token is not None:
        lines.append(f"lowest {per_million(found.best_usd_per_token)} per million tokens")
    return lines


def _left(found: RunStatus) -> str:
    return "" if found.seconds_left is None else f", {duration(found.seconds_left)} left"


def _last(found: RunStatus) -> str:
    if found.last_point_at is None:
        return ""
    age_s = (datetime.now(UTC) - found.last_point_at).total_seconds()
    return f", last point {duration(max(age_s, 0.0))} ago"  # clocks of hosts differ
