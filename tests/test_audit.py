"""A run that was tampered with does not pass, whatever was changed.

The run is made by hand, without any solver: Fast and Slow of `sweeps`, four of each, 2 layers on
two Fast and 1 on each of two Slow. In tokens/s: 1200/2·2·.9 = 1080 and 400; in $/h: 1 and .25.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.audit import audit
from pipeline.config import LoadedConfig, load_config
from pipeline.points import make_point
from pipeline.results.parts import part_files
from pipeline.results.schema import PointRow, SegmentRow
from pipeline.sweep import problem_of, run_record
from tests.builders import CONFIGS
from tests.cli.runner import run
from tests.results.builders import error_row, point_row
from tests.sweeps import REFERENCE, SMALL, run_without_ray, small_config, store_for

Rows = list[dict[str, Any]]
POOL = [{**kind, "count": 4} for kind in SMALL["pool"]]
CHANGES = {
    "pool": POOL,
    "limits.tp_degrees": [1, 2],
    "sweep.granularities": ["exact"],
    "sweep.methods": ["enumeration", "weighted", "iterative"],
    "sweep.budgets_usd_per_hour": [1.6],
    "sweep.target_usd_per_million_tokens": 2.0,
    "sweep.normalization": {"throughput_tokens_per_s": 100.0, "cost_usd_per_hour": 1.0},
}
COST = 2 * 0.5 + 0.25 + 0.25
BASELINE = 0.25 / (100 * 3600)


def memory_gb(size: int, degree: int) -> float:
    """k·w/d + A(d) for w = 1, D = 2, B = 2, b = s = 1; DESIGN.md section 4."""
    return size / degree + 1.15 * (max(14 / degree, 2) + 4 / degree) * 2 / 1024**3


def stage(point_id: str, number: int, gpu: str, ids: tuple[int, ...], layers: range) -> SegmentRow:
    rate = {"Fast": 1200, "Slow": 400}[gpu] / len(layers) * len(ids) * {1: 1, 2: 0.9}[len(ids)]
    needed = memory_gb(len(layers), len(ids))
    return SegmentRow(
        point_id=point_id,
        stage=number,
        gpu=gpu,
        tp_degree=len(ids),
        gpu_ids=ids,
        start_layer=layers[0],
        end_layer=layers[-1],
        size=len(layers),
        throughput_tokens_per_s=rate,
        cost_usd_per_hour=len(ids) * {"Fast": 0.5, "Slow": 0.25}[gpu],
        memory_gb=needed,
        memory_utilization=needed / 4.5,
        is_bottleneck=rate == 400,
    )


def question_of(loaded: LoadedConfig, method: str) -> str:
    problem = problem_of(loaded, {})
    budget = 1.6 if method == "enumeration" else None
    weight = 0.5 if method == "weighted" else None
    return make_point(problem, "exact", method, budget, weight).point_id


def answered(loaded: LoadedConfig, method: str) -> PointRow:
    """Return the row of the placement above, as if a method had found it."""
    price = COST / (400 * 3600)
    return point_row(
        question_of(loaded, method),
        method=method,
        budget_usd_per_hour=1.6 if method == "enumeration" else None,
        cost_weight=0.5 if method == "weighted" else None,
        cost_usd_per_hour=COST,
        cost_usd_per_token=price,
        bound_throughput_tokens_per_s=400.0 if method == "enumeration" else None,
        # 400/100 − 1·1.5/1
        bound_weighted_score=2.5 if method == "weighted" else None,
        mip_gap=0.0,
        num_stages=3,
        num_gpus=4,
        baseline_throughput_tokens_per_s=100.0,
        baseline_cost_usd_per_hour=0.25,
        baseline_cost_usd_per_token=BASELINE,
        ratio_to_baseline=price / BASELINE,
        target_met=True,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    loaded = small_config(tmp_path, CHANGES)
    store = store_for(loaded, tmp_path / "run")
    store.prepare(run_record(loaded))
    points = [answered(loaded, method) for method in ("enumeration", "weighted")]
    segments = [
        stage(str(point.values["point_id"]), *rest)
        for point in points
        for rest in (
            (0, "Fast", (0, 1), range(1, 3)),
            (1, "Slow", (4,), range(3, 4)),
            (2, "Slow", (5,), range(4, 5)),
        )
    ]
    reason = {"method": "iterative", "status": "time_limit", "message": "no time was left"}
    compared = ("throughput_tokens_per_s", "cost_usd_per_hour", "cost_usd_per_token")
    sums = dict(zip(compared, (100.0, 0.25, BASELINE), strict=True))
    baseline = {f"baseline_{name}": value for name, value in sums.items()}
    nothing = error_row(question_of(loaded, "iterative"), **reason, **baseline)
    store.append([*points, nothing], segments)
    store.finish(stopped=False, failed=0)
    return tmp_path / "run"


def change(folder: Path, table: str, tamper: Callable[[Rows], Rows | None]) -> None:
    """Rewrite a table with its rows tampered with; the rest of the file stays as it was."""
    (name,) = part_files(folder, table)
    part = folder / table / name
    stored = pq.read_table(part)
    rows = stored.to_pylist()
    pq.write_table(pa.Table.from_pylist(tamper(rows) or rows, schema=stored.schema), part)


def test_a_sound_run_passes(folder: Path) -> None:
    found = audit(folder)
    assert found.mismatches == ()
    assert (found.points, found.placements) == (3, 2)


# The placement's 400 tokens/s are a quarter short of them.
UNPROVEN = {"status": "time_limit", "bound_throughput_tokens_per_s": 500.0, "mip_gap": 0.25}


def test_an_unproven_answer_with_its_bound_and_gap_passes(folder: Path) -> None:
    score = {"status": "time_limit", "bound_weighted_score": 3.0, "mip_gap": 0.2}
    change(folder, "points", lambda rows: rows[0].update(UNPROVEN) or rows[1].update(score))
    assert audit(folder).mismatches == ()


def point_field(name: str, value: Any) -> tuple[str, Callable[[Rows], None]]:
    return "points", lambda rows: rows[0].update({name: value})


def segment_field(row: int, **values: Any) -> tuple[str, Callable[[Rows], None]]:
    return "segments", lambda rows: rows[row].update(values)


TAMPERING: dict[str, tuple[str, Callable[[Rows], Any]]] = {
    "throughput": point_field("throughput_tokens_per_s", 410.0),
    "throughput, slightly": point_field("throughput_tokens_per_s", 400.0 * (1 + 1e-7)),
    "cost": point_field("cost_usd_per_hour", 1.4),
    "cost per token": point_field("cost_usd_per_token", 1e-7),
    "a value taken away": point_field("cost_usd_per_token", None),
    "budget": point_field("budget_usd_per_hour", 1.7),
    "budget below the cost": point_field("budget_usd_per_hour", 1.0),
    "method": point_field("method", "ratio"),
    "granularity": point_field("granularity", "coarse"),
    "granularity that is none": point_field("granularity", "finest"),
    "sizes": point_field("sizes", [1, 2]),
    "bound below the answer": point_field("bound_throughput_tokens_per_s", 390.0),
    "bound above an optimum": point_field("bound_throughput_tokens_per_s", 500.0),
    "bound taken away": point_field("bound_throughput_tokens_per_s", None),
    "gap of an optimum": point_field("mip_gap", 0.5),
    "gap of an optimum, below zero": point_field("mip_gap", -0.5),
    "gap of an optimum, taken away": point_field("mip_gap", None),
    "gap of an unproven answer": (
        "points",
        lambda rows: rows[0].update(UNPROVEN, mip_gap=0.05),
    ),
    "gap of an unproven answer, beside a score that it cannot have": (
        "points",
        lambda rows: rows[0].update(UNPROVEN, mip_gap=0.05, bound_weighted_score=2.5),
    ),
    "gap that leaves out the cost": (
        "points",
        lambda rows: rows[0].update(UNPROVEN, bound_cost_usd_per_hour=0.5),
    ),
    "gap of an unproven score": (
        "points",
        lambda rows: rows[1].update(status="time_limit", bound_weighted_score=3.0, mip_gap=0.05),
    ),
    "position on a frontier": point_field("pareto_index", 0),
    "seconds in all": point_field("total_seconds", -1.0),
    "seconds of a point without placement": (
        "points",
        lambda rows: rows[2].update(solve_seconds=-1.0),
    ),
    "models solved": point_field("num_solves", -1),
    "status": point_field("status", "infeasible"),
    "stages counted": point_field("num_stages", 2),
    "GPUs counted": point_field("num_gpus", 3),
    "baseline": point_field("baseline_cost_usd_per_token", 1e-6),
    "ratio to the baseline": point_field("ratio_to_baseline", 0.5),
    "target": point_field("target_met", False),
    "weighted score": ("points", lambda rows: rows[1].update(bound_weighted_score=3.0)),
    "cost weight": ("points", lambda rows: rows[1].update(cost_weight=0.4)),
    "layers that overlap": segment_field(1, start_layer=2, end_layer=2),
    "layers left out": segment_field(2, start_layer=3, end_layer=3),
    "layers beyond the model": segment_field(2, start_layer=4, end_layer=10**5),
    "size": segment_field(1, size=2),
    "GPU used twice": segment_field(2, gpu_ids=[4]),
    "block that is not aligned": segment_field(0, gpu_ids=[1, 2]),
    "block that is no block": segment_field(0, gpu_ids=[0, 2]),
    "GPUs of another type": segment_field(1, gpu_ids=[3]),
    "GPUs beyond the pool": segment_field(2, gpu_ids=[2**31 - 1]),
    "GPUs before the pool": segment_field(0, gpu_ids=[-2, -1]),
    "no GPU at all": segment_field(1, gpu_ids=[]),
    "TP degree": segment_field(0, tp_degree=1),
    "TP degree of zero": segment_field(0, tp_degree=0, gpu_ids=[]),
    "TP degree that is not allowed": segment_field(0, tp_degree=4, gpu_ids=[0, 1, 2, 3]),
    "GPU type": segment_field(1, gpu="Fast", gpu_ids=[2]),
    "GPU type that is none": segment_field(1, gpu="Best"),
    "memory": segment_field(0, memory_gb=0.9),
    "share of memory": segment_field(0, memory_utilization=0.9),
    "throughput of a stage": segment_field(0, throughput_tokens_per_s=1000.0),
    "cost of a stage": segment_field(0, cost_usd_per_hour=0.5),
    "bottleneck not marked": segment_field(1, is_bottleneck=False),
    "bottleneck that is none": segment_field(0, is_bottleneck=True),
    "stage number": segment_field(2, stage=5),
    "one stage deleted": ("segments", lambda rows: rows[1:]),
    "all stages deleted": ("segments", lambda rows: rows[3:]),
    "a stage twice": ("segments", lambda rows: [rows[0], *rows]),
    "point deleted": ("points", lambda rows: rows[1:]),
    "point twice": ("points", lambda rows: [rows[0], *rows]),
    "a load under flops": point_field("concurrency", 8),
    "a latency under flops": point_field("ttft_s", 0.1),
    "a range under flops": point_field("cost_high_usd_per_token", 1e-6),
    "a bound of another method": point_field("bound_cost_usd_per_token", 1e-9),
    "stages of no placement": ("points", lambda rows: rows[2].update(num_stages=3)),
    "a ratio of no placement": ("points", lambda rows: rows[2].update(ratio_to_baseline=0.5)),
    "a gap of no placement": ("points", lambda rows: rows[2].update(mip_gap=0.0)),
    "a bound where nothing can be": (
        "points",
        lambda rows: rows[2].update(status="infeasible", bound_cost_usd_per_token=1e-9),
    ),
    "segments of no point": ("segments", lambda rows: [*rows, {**rows[0], "point_id": "stray"}]),
}


@pytest.mark.parametrize(("table", "tamper"), TAMPERING.values(), ids=TAMPERING.keys())
def test_tampering_is_found_and_the_point_named(
    folder: Path, table: str, tamper: Callable[[Rows], Any]
) -> None:
    (name,) = part_files(folder, "points")
    part = folder / "points" / name
    known = {row["point_id"] for row in pq.read_table(part).to_pylist()}
    change(folder, table, tamper)
    result = run("verify", folder)
    assert result.exit_code == 1
    assert result.stderr == ""
    *lines, verdict = result.stdout.splitlines()
    assert verdict.endswith(f"{len(lines)} wrong")
    assert lines
    for line in lines:
        word, point_id = line.split(": ")[0].split()
        assert word == "wrong"
        assert "np." not in line
        assert point_id in known | {"stray", "run.json"}


def test_segments_of_a_point_without_placement_are_found(folder: Path) -> None:
    (name,) = part_files(folder, "points")
    part = folder / "points" / name
    failed = pq.read_table(part).to_pylist()[2]["point_id"]
    change(folder, "segments", lambda rows: [*rows, {**rows[0], "point_id": failed}])
    (mismatch,) = audit(folder).mismatches
    assert mismatch.point_id == failed


def test_every_wrong_row_is_told_with_what_is_stored_and_what_should_be(folder: Path) -> None:
    change(folder, "points", lambda rows: rows[0].update(cost_usd_per_hour=1.4))
    whats = {mismatch.what: mismatch for mismatch in audit(folder).mismatches}
    assert whats["cost_usd_per_hour"].stored == 1.4
    assert whats["cost_usd_per_hour"].recomputed == pytest.approx(1.5)


def test_more_failures_than_rows_of_an_error_are_told(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "failed": 1}))
    (found,) = audit(folder).mismatches
    assert (found.what, found.stored) == ("failed", 1)


def test_a_changed_config_does_not_go_with_the_rows(folder: Path) -> None:
    file = folder / "run.json"
    file.write_text(file.read_text().replace('"usd_per_hour": 0.25', '"usd_per_hour": 0.2'))
    assert {mismatch.what for mismatch in audit(folder).mismatches} >= {
        "question",
        "cost_usd_per_hour",
    }


@pytest.mark.parametrize("baseline", ['"x"', '{"gpu": "Slow"}', "null"])
def test_a_record_that_is_none_of_ours_is_told(folder: Path, baseline: str) -> None:
    record = json.loads((folder / "run.json").read_text())
    record["baseline"] = [json.loads(baseline)]
    (folder / "run.json").write_text(json.dumps(record))
    result = run("verify", folder)
    assert result.exit_code == 2
    assert "run.json: baseline.0" in result.stderr


FRONTIER: dict[str, Callable[[Rows], Any]] = {
    "position": lambda rows: rows[1].update(pareto_index=7),
    "position taken away": lambda rows: rows[1].update(pareto_index=None),
    "point deleted": lambda rows: [rows[0], *rows[2:]],
    "cost": lambda rows: rows[1].update(cost_usd_per_hour=rows[0]["cost_usd_per_hour"]),
    "points exchanged": lambda rows: [exchanged(rows[0], rows[1]), exchanged(rows[1], rows[0])],
}


def exchanged(row: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a frontier in another's place."""
    return {**row, **{name: other[name] for name in ("point_id", "pareto_index")}}


@pytest.mark.parametrize("tamper", FRONTIER.values(), ids=FRONTIER.keys())
def test_a_frontier_counts_up_from_the_fastest_to_the_cheapest(
    tmp_path: Path, tamper: Callable[[Rows], Any]
) -> None:
    changes = {**CHANGES, "sweep.granularities": ["exact"], "sweep.methods": ["frontier"]}
    run_without_ray(small_config(tmp_path, changes), tmp_path / "run")
    assert audit(tmp_path / "run").mismatches == ()
    change(tmp_path / "run", "points", tamper)
    whats = {mismatch.what for mismatch in audit(tmp_path / "run").mismatches}
    assert whats & {"pareto_index", "frontier"}


@pytest.mark.parametrize("gap", [0.05, 0.2, 0.5])
def test_within_a_gap_no_row_claims_more_than_holds(tmp_path: Path, gap: float) -> None:
    """Gaps are reckoned from the placement that is stored; frontiers with a gap may lack points."""
    changes = [
        ("solver.mip_gap", gap),
        ("sweep.methods", ["enumeration", "ratio", "frontier", "weighted"]),
        ("sweep.budgets_usd_per_hour", [2.0, 4.0]),
    ]
    run_without_ray(load_config(REFERENCE).with_values(changes, "test"), tmp_path / "run")
    assert audit(tmp_path / "run").mismatches == ()


@pytest.mark.parametrize("gap", [0.0, 0.2])
def test_a_weight_of_one_goal_alone_proves_the_cost_as_enumeration_does(
    tmp_path: Path, gap: float
) -> None:
    changes = [
        ("solver.mip_gap", gap),
        ("sweep.methods", ["weighted"]),
        ("sweep.granularities", ["coarse"]),
        ("sweep.cost_weights", [0.0, 0.5, 1.0]),
    ]
    run_without_ray(load_config(REFERENCE).with_values(changes, "test"), tmp_path / "run")
    assert audit(tmp_path / "run").mismatches == ()

    def add_bound(rows: Rows) -> None:
        between = next(row for row in rows if row["cost_weight"] == 0.5)
        between["bound_cost_usd_per_hour"] = between["cost_usd_per_hour"]

    change(tmp_path / "run", "points", add_bound)
    (mismatch,) = audit(tmp_path / "run").mismatches
    assert mismatch.what == "bound_cost_usd_per_hour"


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Solve the sweep of `sweeps`, at both granularities, with every method that proves."""
    methods = ["enumeration", "ratio", "frontier", "weighted"]
    # A score of t/100 - cost: 0.75, 2.5 and 3.25.
    scales = {"throughput_tokens_per_s": 100.0, "cost_usd_per_hour": 1.0}
    changes = {"sweep.methods": methods, "sweep.normalization": scales}
    run_without_ray(small_config(tmp_path, changes), tmp_path / "run")
    assert audit(tmp_path / "run").mismatches == ()
    return tmp_path / "run"


Key = tuple[str, str, float | None]
SLOWER: Key = ("exact", "enumeration", 0.25)
ALL: Key = ("exact", "enumeration", 0.75)


def row_of(rows: Rows, key: Key) -> dict[str, Any]:
    names = ("granularity", "method", "budget_usd_per_hour")
    (found,) = (row for row in rows if tuple(row[name] for name in names) == key)
    return found


def told_as_best(folder: Path, key: Key, other: Key) -> str:
    """Let a row have another's placement and a bound that fits it: by itself it holds. Its id."""
    ids: dict[str, str] = {}

    def answer(rows: Rows) -> None:
        row, source = row_of(rows, key), row_of(rows, other)
        ids.update(own=row["point_id"], other=source["point_id"])
        names = ("throughput_tokens_per_s", "cost_usd_per_hour", "cost_usd_per_token")
        placement = (*names, "num_stages", "num_gpus", "ratio_to_baseline")
        row.update({name: source[name] for name in placement}, status="optimal", mip_gap=0.0)
        score = row["throughput_tokens_per_s"] / 100 - row["cost_usd_per_hour"]
        bounds = {
            "enumeration": ("throughput_tokens_per_s", row["throughput_tokens_per_s"]),
            "ratio": ("cost_usd_per_token", row["cost_usd_per_token"]),
            "weighted": ("weighted_score", score),
        }
        name, value = bounds[row["method"]]
        row[f"bound_{name}"] = value
        if row["method"] == "enumeration":
            row["bound_cost_usd_per_hour"] = row["cost_usd_per_hour"]

    def stages(rows: Rows) -> Rows:
        kept = [row for row in rows if row["point_id"] != ids["own"]]
        added = [row for row in rows if row["point_id"] == ids["other"]]
        return [*kept, *({**row, "point_id": ids["own"]} for row in added)]

    change(folder, "points", answer)
    change(folder, "segments", stages)
    return ids["own"]


@pytest.mark.parametrize(
    ("key", "what"),
    [
        (ALL, "bound_throughput_tokens_per_s"),
        (("exact", "ratio", None), "bound_cost_usd_per_token"),
        (("exact", "weighted", None), "bound_weighted_score"),
    ],
)
def test_an_optimum_that_another_row_beats_is_none(answers: Path, key: Key, what: str) -> None:
    told = told_as_best(answers, key, SLOWER)
    (mismatch,) = audit(answers).mismatches
    assert (mismatch.point_id, mismatch.what) == (told, what)


def test_a_row_that_is_wrong_by_itself_refutes_no_other(answers: Path) -> None:
    change(answers, "points", lambda r: row_of(r, SLOWER).update(throughput_tokens_per_s=1000.0))
    assert len({mismatch.point_id for mismatch in audit(answers).mismatches}) == 1


def test_a_point_that_another_row_places_is_not_infeasible(answers: Path) -> None:
    """Even one of another granularity, where its sizes are allowed."""
    told: list[str] = []

    def nothing(rows: Rows) -> None:
        row = row_of(rows, ALL)
        told.append(row["point_id"])
        keys = (
            "throughput",
            "cost",
            "bound",
            "mip_gap",
            "num_stages",
            "num_gpus",
            "ratio",
            "target",
        )
        row.update({name: None for name in row if name.startswith(keys)})
        row.update(status="infeasible", message="memory: none fits")

    change(answers, "points", nothing)
    change(answers, "segments", lambda rows: [r for r in rows if r["point_id"] != told[0]])
    found = audit(answers).mismatches
    assert [(m.point_id, m.what) for m in found] == [(told[0], "status")]
    assert "a placement, of" in str(found[0])


def test_a_frontier_without_one_of_its_points_is_none(answers: Path) -> None:
    def shortened(rows: Rows) -> Rows:
        key = ("exact", "frontier", None)
        points = [row for row in rows if (row["granularity"], row["method"], None) == key]
        first, middle, last = sorted(points, key=lambda row: row["pareto_index"])
        removed.update({last["point_id"]: middle["point_id"], middle["point_id"]: "none"})
        moved = {**last, "point_id": middle["point_id"], "pareto_index": 1}
        return [*(row for row in rows if row not in points), first, moved]

    removed: dict[str, str] = {}
    change(answers, "points", shortened)
    named = lambda row: {**row, "point_id": removed.get(row["point_id"], row["point_id"])}  # noqa: E731
    change(
        answers,
        "segments",
        lambda rows: [row for row in map(named, rows) if row["point_id"] != "none"],
    )
    (mismatch,) = audit(answers).mismatches
    assert mismatch.what == "frontier"
    assert "300.0 tokens/s for 0.5 $/h" in mismatch.recomputed


def test_a_folder_of_several_plans_holds(tmp_path: Path) -> None:
    plans: list[dict[str, Any]] = [
        {"sweep.budgets_usd_per_hour": [0.25, 0.5]},
        {"sweep.budgets_usd_per_hour": [0.5, 0.75], "sweep.granularities": ["exact"]},
        {"sweep.budgets_usd_per_hour": "around_coarse", "sweep.methods": ["enumeration"]},
    ]
    for plan in plans:
        run_without_ray(small_config(tmp_path, plan), tmp_path / "run")
        assert audit(tmp_path / "run").mismatches == ()


def test_a_finished_run_without_a_point_of_its_plan_is_told_with_the_point(answers: Path) -> None:
    told: list[str] = []

    def removed(rows: Rows) -> Rows:
        told.append(row_of(rows, ALL)["point_id"])
        return [row for row in rows if row["point_id"] != told[0]]

    change(answers, "points", removed)
    change(answers, "segments", lambda rows: [r for r in rows if r["point_id"] != told[0]])
    (mismatch,) = audit(answers).mismatches
    assert (mismatch.point_id, mismatch.stored) == ("run.json", 13)
    assert mismatch.recomputed == f"14, among them {told[0]} (enumeration of exact at 0.75 $/h)"
    file = answers / "run.json"
    file.write_text(file.read_text().replace('"status": "finished"', '"status": "stopped"'))
    assert audit(answers).mismatches == ()


def test_points_at_a_ballpark_that_are_missing_are_named(tmp_path: Path) -> None:
    changes = {**CHANGES, "sweep.budgets_usd_per_hour": "around_coarse"}
    run_without_ray(small_config(tmp_path, changes), tmp_path / "run")
    assert audit(tmp_path / "run").mismatches == ()
    lost: list[str] = []

    def removed(rows: Rows) -> Rows:
        lost.append(next(row["point_id"] for row in rows if row["budget_usd_per_hour"] == 0.2))
        return [row for row in rows if row["point_id"] != lost[0]]

    change(tmp_path / "run", "points", removed)
    change(tmp_path / "run", "segments", lambda rows: [r for r in rows if r["point_id"] != lost[0]])
    (mismatch,) = audit(tmp_path / "run").mismatches
    assert mismatch.recomputed == f"{mismatch.stored + 1}, among them {lost[0]} ({{}})".format(
        "enumeration of exact at 0.2 $/h"
    )
    # An earlier version kept no ballparks: then they are counted, but not made up.
    file = tmp_path / "run" / "run.json"
    run = json.loads(file.read_text())
    del run["ballparks_usd_per_hour"]
    file.write_text(json.dumps(run))
    (mismatch,) = audit(tmp_path / "run").mismatches
    assert mismatch.recomputed == mismatch.stored + 1


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"tokens_per_s": 100', '"tokens_per_s": 90', "baseline"),
        ('"planned_points": 14', '"planned_points": 15', "planned_points"),
        ('"instance_hash": "', '"instance_hash": "0', "instance_hash"),
        ('"granularities": ["exact", "1+3"]', '"granularities": ["exact"]', "granularities"),
    ],
)
def test_what_the_record_says_of_its_config_is_recomputed(
    answers: Path, old: str, new: str, what: str
) -> None:
    file = answers / "run.json"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    assert [mismatch.what for mismatch in audit(answers).mismatches] == [what]


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """Solve one point under `roofline`."""
    changes = [
        *(("sweep.granularities", ["coarsest"]), ("sweep.methods", ["ratio"])),
        *(("workload.concurrency", [8]), ("workload.micro_batches", [1, 2])),
    ]
    loaded = load_config(CONFIGS / "llama-3.1-8b-workstation.yaml", changes)
    run_without_ray(loaded, tmp_path / "run")
    assert audit(tmp_path / "run").mismatches == ()
    return tmp_path / "run"


@pytest.mark.parametrize("name", ["concurrency", "micro_batches", "throughput_tokens_per_s"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_served_placement_without_load_or_rate_is_told(
    served: Path, name: str, value: int
) -> None:
    table, tamper = point_field(name, value)
    change(served, table, tamper)
    assert name in [mismatch.what for mismatch in audit(served).mismatches]


def test_a_served_placement_without_its_segments_is_told(served: Path) -> None:
    for part in (served / "segments").iterdir():
        part.unlink()
    assert "segments of a placement" in [mismatch.what for mismatch in audit(served).mismatches]


def test_answers_of_the_solver_hold(tmp_path: Path) -> None:
    methods = ["enumeration", "ratio", "frontier", "weighted"]
    over = {"pool.Slow.max_tp": [None, 1], "workload.batch_size": [1, 2]}
    changes = {**CHANGES, "sweep.methods": methods, "sweep.over": over}
    run_without_ray(small_config(tmp_path, changes), tmp_path / "run")
    found = audit(tmp_path / "run")
    assert found.mismatches == ()
    assert found.placements > 20
