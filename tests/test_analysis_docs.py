"""The examples of docs/analysis.md run as they stand, on the reference sweep."""

import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from pipeline.results import load
from pipeline.results.schema import pareto_id
from pipeline.results.store import Store
from tests.result_builders import FINISHED, point, write_run

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_every_example_runs_from_the_first_to_the_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    for number, block in enumerate(BLOCKS, 1):
        exec(compile(block, f"docs/analysis.md, example {number}", "exec"), names)
    assert len(BLOCKS) == 10
    assert "18.3 % below the baseline" in capsys.readouterr().out


def test_the_sql_keeps_the_rows_that_load_keeps_of_points_in_several_files(tmp_path: Path) -> None:
    """A frontier failed and was run again by a host of a slow clock; another stands twice."""
    (sql,) = (re.search('"""(.*)"""', block, re.DOTALL) for block in BLOCKS if "QUALIFY" in block)
    assert sql is not None
    late = datetime(2026, 1, 3, tzinfo=UTC)
    failed = point("f", "exact", "frontier", None, status="error", finished_at=late)
    answered = [point(pareto_id("f", i), "exact", "frontier") for i in range(3)]
    twice = [point(pareto_id("g", i), "exact", "frontier") for i in range(2)]
    write_run(tmp_path, [failed, *twice])
    Store(tmp_path).append([*answered, *twice], [])
    assert late > FINISHED
    text = sql[1].replace("results/reference", str(tmp_path))
    kept = duckdb.execute(f"SELECT point_id FROM ({text}) ORDER BY point_id").fetchall()
    ids = [row[0] for row in kept]
    assert ids == sorted(load(tmp_path).points.point_id)
    assert ids == ["f-0", "f-1", "f-2", "g-0", "g-1"]
