"""Counts what came of the points of a sweep; needs no Ray."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.run import PointRows

# Workers start up within the first seconds; a rate over them promises minutes for seconds.
ENOUGH_SECONDS = 5.0
ENOUGH_POINTS = 5
LONG_SECONDS = 30.0


@dataclass
class Tally:
    """What came of the points so far. seconds: since the first of them was sent out."""

    total: int | None = None
    skipped: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    best_usd_per_token: float | None = None
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Points that were run."""
        return sum(self.by_status.values())

    @property
    def failed(self) -> int:
        """Points that ended in an error."""
        return self.by_status.get("error", 0)

    @property
    def reached(self) -> int:
        """Points that need no more work."""
        return self.done + self.skipped

    @property
    def points_per_s(self) -> float:
        """Points that were run in a second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time that the rest takes at the rate so far; None while too little is known of it."""
        enough = self.done >= ENOUGH_POINTS and self.seconds >= ENOUGH_SECONDS
        if self.total is None or not self.done or not (enough or self.seconds >= LONG_SECONDS):
            return None
        return max(self.total - self.reached, 0) / self.points_per_s

    def skip(self) -> None:
        """Count a point that was there before."""
        self.skipped += 1

    def add(self, rows: PointRows) -> None:
        """Count a point by the status of its first row."""
        status = rows.points[0].values["status"]
        self.by_status[status] = self.by_status.get(status, 0) + 1
        for row in rows.points:
            price = row.values.get("cost_usd_per_token")
            best = self.best_usd_per_token
            if price is not None and (best is None or price < best):
                self.best_usd_per_token = price
