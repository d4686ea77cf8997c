"""The report: one self-contained HTML page of a run, its plots also as files beside it."""

from pipeline.report.page import Report, write_report

__all__ = ["Report", "write_report"]
