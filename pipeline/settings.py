"""How long and how closely to solve."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# Finding out why there is no placement may take so much longer than the time limit.
REASON_ALLOWANCE_S = 1.0
# And so may making the bound of a search that ran out of time a better one.
BOUND_ALLOWANCE_S = 0.5


@dataclass(frozen=True)
class SolverSettings:
    """Limits of one point. `threads` must not change within one process.

    mip_gap: relative gap at which an answer is good enough, 0 for a proof. formulation: compact,
    or the published pairwise. highs_options: further options by HiGHS's own names.
    """

    time_limit_s: float = 300.0
    mip_gap: float = 0.0
    threads: int = 1
    formulation: str = "compact"
    highs_options: Mapping[str, bool | int | float | str] = field(default_factory=dict)


class Clock:
    """The time limit of one point, running since the clock was made."""

    def __init__(self, settings: SolverSettings) -> None:
        self._settings = settings
        self._deadline = time.monotonic() + settings.time_limit_s

    @property
    def remaining_seconds(self) -> float:
        """Time that is left of the limit."""
        return max(self._deadline - time.monotonic(), 0.0)

    @property
    def out_of_time(self) -> bool:
        """Tell whether the time limit has passed."""
        return self.remaining_seconds <= 0

    def allowing(self, more_s: float) -> Clock:
        """Return a clock that runs so much longer from now, s."""
        return Clock(replace(self._settings, time_limit_s=self.remaining_seconds + more_s))

    @property
    def settings_now(self) -> SolverSettings:
        """The settings for a model that is solved now: its limit is what is left."""
        return replace(self._settings, time_limit_s=self.remaining_seconds)
