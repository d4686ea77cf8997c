"""A page of a small solved run, written once for all tests of the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.report import write_report
from pipeline.results.frames import Results
from tests.result_builders import solve_run

HOSTILE_NAME = "<img src=x onerror=alert(1)> & </script>"


@pytest.fixture(scope="session")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Solve a few points of the reference instance under a name that tries to break the page."""
    return solve_run(
        tmp_path_factory.mktemp("solved"),
        {
            "name": HOSTILE_NAME,
            "sweep.granularities": ["coarsest", "exact"],
            "sweep.budgets_usd_per_hour": [1.0, 4.0],
            "sweep.methods": ["enumeration", "ratio", "frontier"],
        },
    )


@pytest.fixture(scope="session")
def page(solved: Results) -> Path:
    """Write the page of the solved run, with its plots beside it."""
    return Path(write_report(solved, solved.directory / "report.html", 1.0).page)
