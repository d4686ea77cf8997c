"""The configs of real models sweep end to end, and every row holds when checked."""

import pytest

from pipeline.config import LoadedConfig, load_config
from pipeline.points import make_point
from pipeline.results.schema import POINT_COLUMNS, PointRow
from pipeline.run import PointRows, run_point
from pipeline.sweep import problem_of
from pipeline.verify import verify_point
from tests.builders import CONFIGS, REAL_CONFIGS

# One number of requests keeps each of these below a second; the shape of the answer is the same.
FEW = [("workload.concurrency", 32), ("workload.micro_batches", [1, 2, 4])]


def answered(loaded: LoadedConfig, method: str, name: str, budget: float | None) -> PointRows:
    problem = problem_of(loaded, {})
    return run_point(problem, make_point(problem, name, method, budget))


def as_row(row: PointRow) -> dict[str, object]:
    return {**dict.fromkeys(column.name for column in POINT_COLUMNS), **row.values}


@pytest.mark.parametrize("name", REAL_CONFIGS)
@pytest.mark.parametrize(("method", "sizes"), [("ratio", "exact"), ("enumeration", "coarse")])
def test_every_real_config_has_a_proven_placement_that_holds(
    name: str, method: str, sizes: str
) -> None:
    loaded = load_config(CONFIGS / f"{name}.yaml", FEW)
    budget = None if method == "ratio" else 200.0
    rows = answered(loaded, method, sizes, budget)
    values = rows.points[0].values
    assert values["status"] == "optimal", values["message"]
    segments = [segment.as_dict() for segment in rows.segments]
    assert verify_point(as_row(rows.points[0]), segments, loaded.instance) == []
    assert values["concurrency"] == 32
    low, high = values["cost_low_usd_per_token"], values["cost_high_usd_per_token"]
    assert low < values["cost_usd_per_token"] < high


def test_a_stored_row_that_was_changed_is_told() -> None:
    loaded = load_config(CONFIGS / "llama-3.1-8b-workstation.yaml", FEW)
    rows = answered(loaded, "ratio", "exact", None)
    segments = [segment.as_dict() for segment in rows.segments]
    row = as_row(rows.points[0])
    changes = {"throughput_tokens_per_s": 1.01, "ttft_s": 0.9, "tpot_s": 1.1, "concurrency": 100}
    for name, factor in changes.items():
        changed = {**row, name: row[name] * factor}  # type: ignore[operator]
        assert verify_point(changed, segments, loaded.instance), name
    for name in row:
        if "_low_" in name or "_high_" in name:
            found = verify_point({**row, name: row[name] * 1.01}, segments, loaded.instance)  # type: ignore[operator]
            assert [mismatch.what for mismatch in found] == [name]


@pytest.mark.parametrize(("name", "value"), [("concurrency", 16), ("micro_batches", 8)])
def test_a_load_that_the_config_does_not_offer_is_told(name: str, value: int) -> None:
    loaded = load_config(CONFIGS / "llama-3.1-8b-workstation.yaml", FEW)
    rows = answered(loaded, "ratio", "exact", None)
    segments = [segment.as_dict() for segment in rows.segments]
    row = as_row(rows.points[0])
    assert not verify_point(row, segments, loaded.instance)
    found = verify_point({**row, name: value}, segments, loaded.instance)
    assert any(m.what == name and "one of" in str(m.recomputed) for m in found)


def test_prefill_of_a_real_config_is_proven_too() -> None:
    few = [
        *FEW,
        ("workload.phase", "prefill"),
        ("workload.output_tokens", 0),
        ("limits.max_tpot_s", None),
        ("limits.max_ttft_s", None),
    ]
    loaded = load_config(CONFIGS / "llama-3.1-8b-workstation.yaml", few)
    rows = answered(loaded, "ratio", "exact", None)
    assert rows.points[0].values["status"] == "optimal"
    segments = [segment.as_dict() for segment in rows.segments]
    assert verify_point(as_row(rows.points[0]), segments, loaded.instance) == []


def test_a_stage_that_fills_less_memory_than_asked_is_found() -> None:
    config = CONFIGS / "llama-3.1-8b-workstation.yaml"
    rows = answered(load_config(config, FEW), "ratio", "exact", None)
    segments = [segment.as_dict() for segment in rows.segments]
    # All 32 layers on one group are as full as can be; in two halves a stage takes three more.
    whole, row = segments[0], as_row(rows.points[0])
    assert whole["size"] == 32
    halves = [{**whole, "stage": stage, "size": 16} for stage in (0, 1)]
    for share, fault in ((0.1, False), (0.9, True)):
        asked = load_config(config, [*FEW, ("limits.min_memory_utilization", share)]).instance
        assert verify_point(row, segments, asked) == []
        told = [m for m in verify_point(row, halves, asked) if "at least" in str(m.recomputed)]
        assert [m.what for m in told] == [f"memory of stage {s}" for s in (0, 1) if fault]


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_rows_that_fill_the_memory_asked_hold(share: float) -> None:
    # Cards of 12 GB hold half of the model, so that the stages' sizes are open.
    changes = [
        ("pool.RTX-4090.memory_gb", 12),
        ("pool.RTX-3090.memory_gb", 12),
        ("workload.concurrency", [1, 4]),
        ("workload.micro_batches", [1, 2]),
        ("limits.tp_degrees", [1]),
        ("limits.min_memory_utilization", share),
    ]
    loaded = load_config(CONFIGS / "llama-3.1-8b-workstation.yaml", changes)
    rows = answered(loaded, "frontier", "exact", None)
    assert any(row.values["num_stages"] > 1 for row in rows.points)
    for row in rows.points:
        own = [s.as_dict() for s in rows.segments if s.point_id == row.values["point_id"]]
        assert verify_point(as_row(row), own, loaded.instance) == []


def test_even_sizes_need_no_variable_for_every_size() -> None:
    """Sizes follow from the number of stages; a variable for each of 64 took half a minute."""
    loaded = load_config(CONFIGS / "qwen3-32b-cloud.yaml", [("limits.equal_sizes", True)])
    values = answered(loaded, "ratio", "exact", None).points[0].values
    assert values["status"] == "optimal"
    assert values["model_variables"] < 100


def test_a_budget_is_proven_just_above_the_best_that_is_known() -> None:
    """What is proven well above it has to be proven again below: 41 models were solved."""
    loaded = load_config(CONFIGS / "llama-3.1-405b-h100.yaml")
    values = answered(loaded, "enumeration", "exact", 60.0).points[0].values
    assert values["status"] == "optimal"
    assert values["num_solves"] <= 25
