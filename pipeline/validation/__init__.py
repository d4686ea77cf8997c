"""Scores of the performance model on measured throughput, on rows that no fit had seen."""

from pipeline.validation.given import GivenReport, score_given
from pipeline.validation.report import Report, SplitScores, report, validate

__all__ = ["GivenReport", "Report", "SplitScores", "report", "score_given", "validate"]
