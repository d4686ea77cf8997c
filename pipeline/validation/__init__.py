"""Scores of the performance model on measured throughput, on rows that no fit had seen."""

from pipeline.validation.report import Report, SplitScores, report, validate

__all__ = ["Report", "SplitScores", "report", "validate"]
