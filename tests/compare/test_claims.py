from pathlib import Path

import pytest

from pipeline.compare import claim_rows
from tests.result_builders import point, write_run


def test_measured_figures_stand_beside_the_claims(tmp_path: Path) -> None:
    """Two budgets of .25 + .75 s; exact costs 0.96 of coarse."""
    rows = [
        point("e", usd_per_million=0.96),
        *(point(f"c{i}", "coarse", "enumeration", budget_usd_per_hour=1.0 + i) for i in range(2)),
        point("f", "fine", segments=4797, connections=335868, binaries=340665),
    ]
    found = {row.claim.quantity: row for row in claim_rows(write_run(tmp_path, rows))}
    assert found["segments"].measured_before == found["segments"].claim.before == "4,797"
    assert found["binaries"].measured_before == found["binaries"].claim.before
    assert found["seconds per budget"].measured_after == "1.000"
    assert found["budgets solved"].measured_after == "2"
    assert found["budgets solved"].measured_before == ""
    assert found["share of the optimum"].measured_after == "96.0 %"
    assert found["baseline, $/token"].measured_after == "0.000002000"


def test_without_a_proven_optimum_there_is_no_share_of_it(tmp_path: Path) -> None:
    rows = [
        point("e", method="enumeration", budget_usd_per_hour=1.0, usd_per_million=0.96),
        point("c", "coarse", "enumeration", budget_usd_per_hour=1.0),
    ]
    found = {row.claim.quantity: row for row in claim_rows(write_run(tmp_path, rows))}
    assert found["share of the optimum"].measured_after == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pool.T4.count", 8),
        ("pool.T4.usd_per_hour", 0.25),
        ("pool.V100.memory_gb", 32),
        ("model.layer_weight_gb", 1.75),
        ("workload.sequence_length", 2048),
        ("workload.batch_size", 16),
        ("limits.tp_degrees", [1, 2, 4]),
        ("limits.max_stages", 4),
        ("limits.min_layers_per_stage", 1),
        ("limits.min_memory_utilization", 0),
    ],
)
def test_claims_about_another_instance_are_not_shown(
    tmp_path: Path, field: str, value: object
) -> None:
    assert claim_rows(write_run(tmp_path, [point("a")], fields={field: value})) == []


def test_the_published_restrictions_on_tp_and_bandwidth_leave_the_instance_the_same(
    tmp_path: Path,
) -> None:
    fields = {f"pool.{name}.max_tp": 4 for name in ("L20", "A10", "V100", "T4")}
    fields["network.drop_below_percentile"] = 10
    assert claim_rows(write_run(tmp_path, [point("a")], fields=fields))
