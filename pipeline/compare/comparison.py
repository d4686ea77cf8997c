"""All that one run says about itself, each comparison worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pipeline.compare.claims import ClaimRow, claim_rows
from pipeline.compare.comparable import check_comparable
from pipeline.compare.granularities import GranularityRow, granularity_rows
from pipeline.compare.methods import MethodRow, method_rows
from pipeline.results.frames import Results


@dataclass(frozen=True)
class Comparison:
    """The comparisons within one run. Raises ResultsError where its tables allow of none."""

    results: Results

    def __post_init__(self) -> None:
        check_comparable(self.results)

    @cached_property
    def granularities(self) -> list[GranularityRow]:
        """Granularity against granularity."""
        return granularity_rows(self.results)

    @cached_property
    def methods(self) -> list[MethodRow]:
        """Method against method."""
        return method_rows(self.results)

    @cached_property
    def claims(self) -> list[ClaimRow]:
        """Published claims beside measured figures."""
        return claim_rows(self.results)
