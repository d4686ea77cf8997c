"""Constants as effects on priors: resolved, recovered from known truths, written and read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline import constant_fit
from pipeline.calibration import calibrate, calibration_table, summaries
from pipeline.catalogue import CatalogueError
from pipeline.constant_fit import (
    constants_at,
    design,
    fit_constants,
    positions,
    predicted_tokens_per_s,
    source_weights,
)
from pipeline.measurements import MeasurementError, measured_tokens_per_s
from pipeline.robust_fit import fit
from pipeline.roofline import constant_files
from pipeline.roofline.cases import case_arrays
from pipeline.roofline.constant_files import (
    prior_table,
    read_constants,
    shipped_table,
    write_constants,
)
from pipeline.roofline.constants import (
    CONSTANT_NAMES,
    ConstantTable,
    Effect,
    from_scale,
    resolve,
    to_scale,
)
from pipeline.validation import validate
from tests.fuzz.contract import observed
from tests.roofline_helpers import ROW, synthetic, write_csv

LABELS = {
    "all": ("all",),
    "architecture": ("hopper",),
    "gpu": ("H100",),
    "link": ("nvlink",),
    "engine_class": ("graph",),
    "engine_family": ("vllm",),
    "engine": ("vllm",),
    "compute_type": ("fp16",),
}


@pytest.fixture
def priors() -> ConstantTable:
    return prior_table()


def with_effects(table: ConstantTable, *effects: Effect) -> ConstantTable:
    return replace(table, effects=effects)


def effect(constant: str, level: str, member: str, mean: float) -> Effect:
    return Effect(constant, level, member, mean, 0.01, 0.9)


@given(st.floats(0.01, 0.99))
def test_scales_are_undone(value: float) -> None:
    assert from_scale(to_scale(value, True), True) == pytest.approx(value)
    assert from_scale(to_scale(value, False), False) == pytest.approx(value)


def test_effects_of_all_levels_multiply(priors: ConstantTable) -> None:
    start = resolve(priors, LABELS).layer_overhead_s[0]
    table = with_effects(
        priors,
        effect("layer_overhead_s", "all", "all", 0.1),
        effect("layer_overhead_s", "gpu", "H100", 0.2),
        effect("layer_overhead_s", "gpu", "T4", 5.0),
    )
    assert resolve(table, LABELS).layer_overhead_s[0] == pytest.approx(start * np.exp(0.3))


def odds(value: float) -> float:
    return value / (1.0 - value)


def test_an_unseen_gpu_falls_back_on_its_architecture_then_on_the_prior(
    priors: ConstantTable,
) -> None:
    # an efficiency is a fraction: effects multiply its odds and never carry it past one
    table = with_effects(
        priors,
        effect("compute_efficiency", "architecture", "hopper", 0.1),
        effect("compute_efficiency", "gpu", "H100", 0.2),
    )
    start = odds(resolve(priors, LABELS).compute_efficiency[0])
    known = resolve(table, LABELS).compute_efficiency[0]
    sibling = resolve(table, {**LABELS, "gpu": ("H200",)}).compute_efficiency[0]
    stranger = resolve(table, {**LABELS, "gpu": ("T4",), "architecture": ("turing",)})
    assert odds(known) == pytest.approx(start * np.exp(0.3))
    assert odds(sibling) == pytest.approx(start * np.exp(0.1))
    assert odds(stranger.compute_efficiency[0]) == pytest.approx(start)


def test_engine_classes_shift_the_prior(priors: ConstantTable) -> None:
    graph = resolve(priors, LABELS).layer_overhead_s[0]
    eager = resolve(priors, {**LABELS, "engine_class": ("eager",)}).layer_overhead_s[0]
    shift = priors.priors["layer_overhead_s"].offsets["eager"]
    assert eager == pytest.approx(graph * np.exp(shift))


def test_every_prior_states_value_spread_and_source(priors: ConstantTable) -> None:
    assert set(priors.priors) == set(CONSTANT_NAMES)
    for prior in priors.priors.values():
        assert prior.value > 0
        assert prior.spread
        assert prior.source


def test_every_source_weighs_the_same() -> None:
    weights = source_weights(["a", "a", "a", "b"])
    assert weights.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0])
    assert weights.sum() == pytest.approx(4.0)


def test_the_fit_and_the_finished_table_agree_on_every_constant() -> None:
    measurements = synthetic(prior_table())
    cases = case_arrays([entry.case for entry in measurements])
    plan = design(prior_table(), cases.labels)
    effects = 0.1 * np.random.default_rng(0).standard_normal(plan.size)
    table = with_effects(
        prior_table(),
        *(
            effect(block.constant, block.level, member, float(effects[block.start + offset]))
            for block in plan.blocks
            for offset, member in enumerate(block.members)
        ),
    )
    inside = constants_at(plan, positions(plan, effects))
    outside = resolve(table, cases.labels)
    for name in CONSTANT_NAMES:
        assert getattr(inside, name) == pytest.approx(getattr(outside, name))


@pytest.fixture(scope="module")
def recovered() -> tuple[ConstantTable, ConstantTable]:
    """Return a truth that differs from the priors, and what the fit makes of it."""
    truth = with_effects(
        prior_table(),
        effect("compute_efficiency", "all", "all", 0.25),
        effect("bandwidth_efficiency", "gpu", "A100-80G", -0.2),
        effect("layer_overhead_s", "engine_family", "trtllm", -0.5),
    )
    return truth, fit_constants(synthetic(truth), "synthetic")


def test_the_fit_recovers_a_known_truth(recovered: tuple[ConstantTable, ConstantTable]) -> None:
    truth, fitted = recovered
    measurements = synthetic(truth)
    predicted = predicted_tokens_per_s(fitted, measurements)
    errors = np.abs(predicted / measured_tokens_per_s(measurements) - 1)
    assert np.median(errors) < 0.01
    labels = {**LABELS, "gpu": ("A100-80G",), "architecture": ("ampere",)}
    for name in ("compute_efficiency", "bandwidth_efficiency"):
        expected = getattr(resolve(truth, labels), name)[0]
        assert getattr(resolve(fitted, labels), name)[0] == pytest.approx(expected, rel=0.1)


def test_a_fit_that_starts_from_constants_keeps_what_its_rows_do_not_touch(
    recovered: tuple[ConstantTable, ConstantTable],
) -> None:
    truth, fitted = recovered
    shifted = with_effects(
        truth, *truth.effects, effect("bandwidth_efficiency", "gpu", "H100", -0.4)
    )
    rows = [entry for entry in synthetic(shifted) if entry.case.gpu == "H100"][:12]
    rest = [entry for entry in synthetic(shifted) if entry not in rows]
    alone, after = fit_constants(rows, "few"), fit_constants(rows, "few", start=fitted)

    def error(table: ConstantTable) -> float:
        return float(
            np.median(np.abs(predicted_tokens_per_s(table, rest) / measured_tokens_per_s(rest) - 1))
        )

    assert error(after) < error(fitted)
    assert error(after) < error(alone) / 1.5
    kept = {e for e in after.effects if e.member in ("A100-80G", "ampere", "trtllm")}
    assert kept == {e for e in fitted.effects if e.member in ("A100-80G", "ampere", "trtllm")}
    assert after.seen("engine") == fitted.seen("engine")


def test_a_fit_may_start_from_constants_that_are_held_for_certain() -> None:
    certain = with_effects(
        prior_table(), Effect("compute_efficiency", "all", "all", 0.25, 0.0, 1.0)
    )
    table = fit_constants(synthetic(prior_table()), "fitted", start=certain)
    kept = table.means["compute_efficiency", "all", "all"]
    assert kept == pytest.approx(0.25, abs=1e-4)


def test_a_constant_that_no_row_touches_keeps_its_prior_and_says_so(
    recovered: tuple[ConstantTable, ConstantTable],
) -> None:
    # no pipelines and no PCIe group among the rows
    _, fitted = recovered
    untouched = {
        item.constant: item
        for item in fitted.effects
        if item.constant in ("pipeline_inefficiency", "bus_collapse") and item.level == "all"
    }
    for name, item in untouched.items():
        spread = fitted.priors[name].spread["all"]
        assert item.mean == pytest.approx(0.0, abs=1e-9)
        assert item.deviation == pytest.approx(spread)
        assert item.determined == pytest.approx(0.0, abs=1e-6)
        assert f"{name} / all all" in fitted.undetermined()
    assert "compute_efficiency / all all" not in fitted.undetermined()


def test_constants_survive_their_file(tmp_path: Path, priors: ConstantTable) -> None:
    table = with_effects(priors, effect("overlap", "all", "all", -0.25))
    write_constants(table, tmp_path / "constants.yaml")
    assert read_constants(tmp_path / "constants.yaml") == table
    assert [path.name for path in tmp_path.iterdir()] == ["constants.yaml"]


def test_a_bad_constants_file_is_refused_with_every_fault(tmp_path: Path) -> None:
    path = tmp_path / "constants.yaml"
    write_constants(with_effects(prior_table(), effect("overlap", "all", "all", 0.0)), path)
    contents = yaml.safe_load(path.read_text(encoding="utf-8"))
    contents["effects"][0]["constant"] = "luck"
    contents["format"] = "other/1"
    path.write_text(yaml.safe_dump(contents), encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"(?s)other/1.*luck"):
        read_constants(path)
    path.write_text("effects: 3", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"(?s)constants.yaml: format.*effects"):
        read_constants(path)
    with pytest.raises(CatalogueError, match="does not exist"):
        read_constants(tmp_path / "absent.yaml")


@pytest.mark.parametrize("field", ["provenance", "member"])
def test_a_text_that_a_terminal_would_obey_is_refused(tmp_path: Path, field: str) -> None:
    path, mark = tmp_path / "constants.yaml", "\x1b[31m"
    table = with_effects(prior_table(), effect("overlap", "engine", "vllm", 0.0))
    write_constants(table, path)
    contents = yaml.safe_load(path.read_text(encoding="utf-8"))
    place = contents if field == "provenance" else contents["effects"][0]
    place[field] += mark
    path.write_text(yaml.safe_dump(contents), encoding="utf-8")
    with pytest.raises(CatalogueError, match=rf"{field}: must hold only characters that can be"):
        read_constants(path)


def test_the_shipped_constants_say_where_they_come_from() -> None:
    table = shipped_table()
    assert table.provenance.startswith("fitted on")
    assert table.spread.known[0] < 1 < table.spread.known[1]
    assert {"H100", "T4"} <= table.seen("gpu")
    assert table.undetermined()


def test_the_shipped_constants_are_read_as_a_file_of_ones_own_is() -> None:
    catalogue = Path(constant_files.__file__).parents[1] / "catalogue"
    assert read_constants(catalogue / "calibration.yaml") == shipped_table()


def test_a_summary_gives_each_constant_with_its_range(priors: ConstantTable) -> None:
    # 16 us · e^0.5, and ±1.2816 deviations of 0.1 about it
    item = Effect("layer_overhead_s", "all", "all", 0.5, 0.1, 0.1)
    table = with_effects(priors, item, effect("layer_overhead_s", "gpu", "H100", 0.2))
    (summary,) = summaries(table)
    assert summary.value == pytest.approx(16e-6 * np.exp(0.5))
    assert summary.low == pytest.approx(summary.value * np.exp(-0.12816))
    assert summary.high == pytest.approx(summary.value * np.exp(0.12816))
    console = Console(width=160, record=True)
    console.print(calibration_table(table))
    assert "near its prior" in console.export_text()


def test_calibrate_writes_what_it_returns(tmp_path: Path) -> None:
    rows = [
        {**ROW, "batch_or_concurrency": str(batch), "tokens_per_s_total": str(1000 * batch**0.7)}
        for batch in (1, 2, 4, 8, 16, 32)
    ]
    path = write_csv(tmp_path / "m.csv", rows)
    table = calibrate(path, tmp_path / "out.yaml")
    read = read_constants(tmp_path / "out.yaml")
    assert read.provenance == table.provenance == "fitted on 6 rows of m.csv: lab"
    assert read.undetermined() == table.undetermined()


def test_calibrate_writes_no_constants_that_could_not_be_read(tmp_path: Path) -> None:
    rates = ("1e-9", "1e12", "1e-9", "1e12", "5", "1e12")
    rows = [{**ROW, "tokens_per_s_total": rate} for rate in rates]
    path = write_csv(tmp_path / "m.csv", rows)
    with pytest.raises(MeasurementError) as caught:
        calibrate(path, tmp_path / "out.yaml")
    assert all(
        fault.startswith("m.csv: file: gives constants that no command could read: ")
        and "prediction_spread." in fault
        for fault in caught.value.faults
    )
    assert [file.name for file in tmp_path.iterdir()] == ["m.csv"]


def test_constants_of_too_many_engines_are_not_written(tmp_path: Path) -> None:
    effects = [effect("overlap", "engine", f"vllm-{number}", 0.0) for number in range(9000)]
    with pytest.raises(CatalogueError, match=r"^constants\.yaml: "):
        write_constants(with_effects(prior_table(), *effects), tmp_path / "constants.yaml")
    assert not list(tmp_path.iterdir())


def test_calibrate_refuses_a_bad_file_and_writes_nothing(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "m.csv", [{**ROW, "gpu": "H101"}])
    with pytest.raises(MeasurementError):
        calibrate(path, tmp_path / "out.yaml")
    assert not (tmp_path / "out.yaml").exists()


def test_a_fit_that_did_not_converge_says_so_wherever_its_constants_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = synthetic(shipped_table())
    assert fit_constants(rows, "fitted").provenance == "fitted"
    monkeypatch.setattr(constant_fit, "fit", partial(fit, max_iterations=1))
    short = fit_constants(rows, "fitted")
    assert short.provenance == "fitted; the fit ended before it converged"
    assert short.provenance in str(calibration_table(short).title)


@pytest.mark.parametrize("use", [partial(calibrate, out_path="k.yaml"), validate])
def test_more_engines_than_a_fit_has_room_for_are_refused_at_once(
    tmp_path: Path, use: Callable[[Path], object]
) -> None:
    rows = [{**ROW, "runtime": f"vllm-0.{number}"} for number in range(400)]
    path = write_csv(tmp_path / "m.csv", rows)
    outcome = observed(lambda: use(path))
    assert (outcome.failure, outcome.was_taken) == (None, False)
    assert outcome.seconds < 5.0
    with pytest.raises(MeasurementError, match=r"m.csv: file: has 400 rows whose .* effects, too"):
        use(path)
