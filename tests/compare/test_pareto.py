from pathlib import Path

from pipeline.compare.pareto import pareto_points
from tests.result_builders import point, write_run


def test_only_placements_that_none_beats_are_kept_once(tmp_path: Path) -> None:
    """Costs in $/h are price · rate · 3.6: a 3.6, b 7.2 at twice the rate, c 10.8 and no faster."""
    rows = [
        point("a"),
        point("b", tokens_per_s=2000.0),
        point("c", usd_per_million=1.5, tokens_per_s=2000.0),
        point("d", method="frontier", tokens_per_s=2000.0),
        point("e", usd_per_million=None),
    ]
    found = pareto_points(write_run(tmp_path, rows).points)
    assert list(found.point_id) == ["a", "b"]
