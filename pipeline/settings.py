"""How long and how closely to solve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
