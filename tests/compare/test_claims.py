from pathlib import Path

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


def test_claims_about_another_instance_are_not_shown(tmp_path: Path) -> None:
    results = write_run(tmp_path, [point("a")], fields={"pool.T4.count": 8})
    assert claim_rows(results) == []
