from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.cli.comparison import comparison_view
from pipeline.compare import unfinished
from pipeline.results.schema import pareto_id
from tests.result_builders import point, write_run

TYPES = "limits.tp_degrees"


def swept(degrees: list[int]) -> dict[str, Any]:
    return {TYPES: degrees}


def test_a_run_that_came_to_its_end_needs_no_word(tmp_path: Path) -> None:
    assert unfinished(write_run(tmp_path, [point("a")])) == ""


def test_points_that_may_be_of_another_plan_are_not_counted_as_this_ones(tmp_path: Path) -> None:
    rows = [point(name, method="enumeration", budget_usd_per_hour=i) for i, name in enumerate("ab")]
    fields = {
        "sweep.granularities": ["exact"],
        "sweep.methods": ["enumeration"],
        "sweep.budgets_usd_per_hour": "around_fine",
    }
    results = write_run(tmp_path, rows, fields=fields)
    results.run.update({"status": "stopped", "planned_points": 1})
    assert unfinished(results) == "This run has not finished."


def test_an_interrupted_run_tells_how_much_of_its_plan_is_there(tmp_path: Path) -> None:
    """Planned: two frontiers and two ratios. A frontier is one point; coarse is of another plan."""
    rows = [
        *(point(pareto_id("f", i), method="frontier", **swept([1])) for i in range(3)),
        point("r", **swept([1, 2])),
        point("old", **swept([4])),
        point("c", "coarse", **swept([1])),
    ]
    fields = {
        "sweep.granularities": ["exact"],
        "sweep.methods": ["frontier", "ratio"],
        "sweep.over": {TYPES: [[1], [1, 2]]},
    }
    results = write_run(tmp_path, rows, fields=fields)
    results.run["status"] = "stopped"
    assert unfinished(results).startswith("This run has not finished: 2 of 4 points are there;")
    console = Console(width=200, record=True)
    console.print(comparison_view(results))
    assert "2 of 4 points are there" in console.export_text()
