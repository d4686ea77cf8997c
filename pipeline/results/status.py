"""How far a run is, read from its folder while it goes on, from whatever process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipeline.errors import ResultsError
from pipeline.results import lock
from pipeline.results.checked import check_progress
from pipeline.results.folder import Folder, Place, folder_at
from pipeline.results.lock import Holder, is_at_work
from pipeline.results.parts import MAX_ATTEMPTS, POINTS, order, part_files, read_part
from pipeline.results.planned import plan_columns, planned_done, points_answered
from pipeline.results.schema import base_id
from pipeline.results.store import RUN_FILE, read_run

COLUMNS = ["point_id", "status", "finished_at", "total_seconds", "cost_usd_per_token"]


@dataclass(frozen=True)
class RunStatus:
    """What a folder says of its run.

    state: running, finished, stopped, died (killed before it could note its end), or unknown
    (its lock is held on another host). planned: points of the last run's plan. planned_done: those
    of them that have a row, None where that cannot be told. by_status: points by status, those of
    other plans in the folder too. points_per_s: of the last run.
    """

    name: str
    state: str
    held_by: Holder | None
    started_at: datetime
    planned: int | None
    planned_done: int | None
    by_status: dict[str, int]
    points_per_s: float
    best_usd_per_token: float | None
    last_point_at: datetime | None

    @property
    def done(self) -> int:
        """Points with a row."""
        return sum(self.by_status.values())

    @property
    def seconds_left(self) -> float | None:
        """Time that the rest takes at the rate so far; None where that is not known."""
        if self.state not in ("running", "unknown") or not self.points_per_s:
            return None
        if self.planned is None or self.planned_done is None:
            return None
        return (self.planned - self.planned_done) / self.points_per_s


def read_status(place: Place) -> RunStatus:
    """Read how far a run is. Raises ResultsError where there is no run."""
    folder = folder_at(place)
    run, found = _run_and_holder(folder)
    check_progress(run, folder / RUN_FILE)
    held = is_at_work(found)
    rows = _latest_rows(folder, run)
    started_at = datetime.fromisoformat(run["started_at"])
    new = [row for row in rows if row["finished_at"] >= started_at]
    prices = [p for row in rows if (p := row["cost_usd_per_token"]) is not None]
    return RunStatus(
        name=run["name"],
        state=_state(held, run["status"]),
        held_by=None if held is False else found,
        started_at=started_at,
        planned=run.get("planned_points"),
        planned_done=planned_done(sum(row["planned"] for row in rows), run),
        by_status=dict(Counter(row["status"] for row in rows)),
        points_per_s=_rate(new),
        best_usd_per_token=min(prices, default=None),
        last_point_at=max((row["finished_at"] for row in rows), default=None),
    )


def _run_and_holder(folder: Folder) -> tuple[dict[str, Any], Holder | None]:
    """Read the lock, then `run.json`: a run that ends in between was at work a moment ago.

    One that begins in between shows by a second look.
    """
    found = lock.holder(folder)
    run = read_run(folder)
    if run.get("status") == "running" and is_at_work(found) is False:
        found = lock.holder(folder)
        run = read_run(folder)
    return run, found


def _state(held: bool | None, noted: str) -> str:
    """Name the state by the lock, and by what was noted last where nobody holds it."""
    if held is None:
        return "unknown"
    if held:
        return "running"
    return "died" if noted == "running" else noted


def _rate(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return points per second, from the begin of the first until the end of the last.

    So it is the rate that the sweep itself shows: without Ray's start, and the same at every look,
    though rows are written together now and then.
    """
    if not rows:
        return 0.0
    ended = [float(row["finished_at"].timestamp()) for row in rows]
    begun = min(end - float(row["total_seconds"]) for end, row in zip(ended, rows, strict=True))
    return len(rows) / max(max(ended) - begun, 1.0)


def _latest_rows(folder: Folder, run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the row of every point as it was finished last; of a frontier, its cheapest tokens."""
    latest: dict[str, dict[str, Any]] = {}
    for row in _rows(folder, run):
        known = latest.setdefault(base_id(row["point_id"]), row)
        price, other = known["cost_usd_per_token"], row["cost_usd_per_token"]
        newer = max(known, row, key=lambda r: order(r["status"], r["finished_at"]))
        cheapest = min((p for p in (price, other) if p is not None), default=None)
        latest[base_id(row["point_id"])] = {**newer, "cost_usd_per_token": cheapest}
    return list(latest.values())


def _rows(folder: Folder, run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the rows of all parts. Raises ResultsError where merges never leave time for it.

    planned: how many points of the last run's plan the row answers.
    """
    columns = list(dict.fromkeys([*COLUMNS, *plan_columns(run)]))
    for _ in range(MAX_ATTEMPTS):
        try:
            parts = part_files(folder, POINTS)
            tables = [read_part(folder, POINTS, part, columns) for part in parts]
            return [row for table in tables for row in _with_plan(table, run).to_pylist()]
        except FileNotFoundError:
            continue  # merged meanwhile
    raise ResultsError(f"{folder}: is being rewritten; try again")


def _with_plan(table: pa.Table, run: Mapping[str, Any]) -> pa.Table:
    return table.select(COLUMNS).append_column("planned", points_answered(table, run))
