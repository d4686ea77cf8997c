"""Compares what runs found, from their tables alone; needs neither Ray, Pyomo nor HiGHS."""

from pipeline.compare.advice import DEFAULT_TOLERANCE_PERCENT, Advice, advise, band
from pipeline.compare.claims import ClaimRow, claim_rows, claims_apply
from pipeline.compare.comparison import Comparison
from pipeline.compare.granularities import (
    GranularityRow,
    SegmentUse,
    granularity_rows,
    unplaced,
)
from pipeline.compare.methods import MethodRow, method_rows
from pipeline.compare.runs import RunComparison, compare_runs
from pipeline.compare.unfinished import unfinished

__all__ = [
    "DEFAULT_TOLERANCE_PERCENT",
    "Advice",
    "ClaimRow",
    "Comparison",
    "GranularityRow",
    "MethodRow",
    "RunComparison",
    "SegmentUse",
    "advise",
    "band",
    "claim_rows",
    "claims_apply",
    "compare_runs",
    "granularity_rows",
    "method_rows",
    "unfinished",
    "unplaced",
]
