"""Splits that leak nothing, and the report made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from pipeline import constant_fit
from pipeline.held_out import (
    Predicted,
    Split,
    configuration_half,
    held_out_prediction,
    held_out_predictions,
    left_out,
    number_of_fits,
    prediction_spread,
    random_half,
    weighted_quantiles,
)
from pipeline.measurements import Measurement, measured_tokens_per_s, read_measurements
from pipeline.robust_fit import fit
from pipeline.roofline.constant_files import prior_table, shipped_table
from pipeline.roofline.constants import Spread
from pipeline.validation import report
from pipeline.validation.given import score
from pipeline.validation.report import (
    group_scores,
    length_class,
    split_scores,
    usd_per_hour,
    workload_key,
)
from pipeline.validation.tables import reached, report_tables
from tests.cli.runner import run, run_json
from tests.roofline_helpers import BLOCK_ROW, ROW, synthetic, write_csv

MEASUREMENTS = synthetic(prior_table())


def test_halves_are_seeded_and_differ_between_seeds() -> None:
    assert (random_half(50, 1) == random_half(50, 1)).all()
    assert (random_half(50, 1) != random_half(50, 2)).any()


def test_configuration_halves_never_split_a_configuration() -> None:
    mask = configuration_half(MEASUREMENTS, 1)
    sides: dict[tuple[object, ...], set[bool]] = {}
    for entry, side in zip(MEASUREMENTS, mask, strict=True):
        key = (entry.source, entry.case.gpu, entry.case.engine, entry.case.tp)
        sides.setdefault(key, set()).add(bool(side))
    assert all(len(seen) == 1 for seen in sides.values())
    assert len({side for seen in sides.values() for side in seen}) == 2


def test_leaving_out_a_member_leaves_the_others() -> None:
    masks = left_out(MEASUREMENTS, "source")
    assert sorted(masks) == ["field", "lab"]
    kept = {entry.source for entry, keep in zip(MEASUREMENTS, masks["lab"], strict=True) if keep}
    assert kept == {"field"}
    assert left_out(MEASUREMENTS, "model") == {}


def test_the_fit_behind_a_held_out_prediction_sees_no_test_row() -> None:
    seen: list[Sequence[Measurement]] = []

    def spy(
        training: Sequence[Measurement], testing: Sequence[Measurement]
    ) -> tuple[np.ndarray, bool]:
        seen.append(training)
        return measured_tokens_per_s(testing), True

    mask = random_half(len(MEASUREMENTS), 3)
    testing = held_out_prediction(MEASUREMENTS, mask, spy).rows
    assert not {id(entry) for entry in testing} & {id(entry) for entry in seen[0]}
    assert len(testing) + len(seen[0]) == len(MEASUREMENTS)


def test_fits_are_counted_and_splits_of_the_same_rows_share_one() -> None:
    told: list[tuple[int, int, str]] = []
    fits: list[int] = []

    def count(
        training: Sequence[Measurement], testing: Sequence[Measurement]
    ) -> tuple[np.ndarray, bool]:
        fits.append(len(training))
        return measured_tokens_per_s(testing), True

    # the one source of trtllm rows is `field`, so that leaving either out leaves the same rows
    splits = [
        Split(kind, member, mask)
        for kind in ("source", "engine")
        for member, mask in left_out(MEASUREMENTS, kind).items()
    ]
    assert [split.member for split in splits] == ["field", "lab", "trtllm", "vllm"]
    parts = list(
        held_out_predictions(MEASUREMENTS, splits, lambda *step: told.append(step), 1, count)
    )
    assert told == [(0, 3, "source field"), (1, 3, "source lab")]
    assert number_of_fits(splits) == 2
    assert len(fits) == 2
    assert [len(part.rows) for part in parts] == [48, 96, 48, 96]


def test_weighted_quantiles_count_weight_and_not_rows() -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 8.0, 1.0])
    assert weighted_quantiles(values, weights, (0.1, 0.8, 0.9, 1.0)) == [1.0, 1.0, 2.0, 3.0]


def test_the_spread_of_a_perfect_fit_is_no_narrower_than_its_floor() -> None:
    spread = prediction_spread(MEASUREMENTS)
    assert spread is not None
    assert 0.8 < spread.known[0] <= 0.98
    assert 1.02 <= spread.known[1] < 1.2


def test_rows_of_one_source_leave_the_priors_range_to_what_they_have_not_seen() -> None:
    source = MEASUREMENTS[0].source
    spread = prediction_spread([entry for entry in MEASUREMENTS if entry.source == source])
    assert spread is not None
    assert spread.unknown == prior_table().spread.unknown


def test_a_table_to_start_from_goes_on_to_speak_for_what_the_rows_lack() -> None:
    start = replace(shipped_table(), spread=Spread((0.7, 1.01), (0.4, 1.01)))
    found = prediction_spread(MEASUREMENTS, start=start)
    assert found is not None
    assert found.known[0] == 0.7
    assert found.known[1] >= 1.02
    assert found.unknown[0] == 0.4
    source = MEASUREMENTS[0].source
    one = [entry for entry in MEASUREMENTS if entry.source == source]
    found = prediction_spread(one, start=start)
    assert found is not None
    assert found.unknown == (0.4, found.known[1])


def test_too_few_rows_leave_the_spread_of_the_priors() -> None:
    assert prediction_spread(MEASUREMENTS[:1]) is None


def test_lengths_within_a_tenth_or_so_are_one_workload() -> None:
    assert length_class(1000) == length_class(1024)
    assert length_class(1000) != length_class(2000)
    first, second = MEASUREMENTS[0], MEASUREMENTS[1]
    assert first.case.tp != second.case.tp
    assert workload_key(first) == workload_key(second)


def test_price_counts_every_gpu_of_a_configuration() -> None:
    tp2 = next(entry for entry in MEASUREMENTS if entry.case.tp == 2 and entry.case.gpu == "H100")
    assert usd_per_hour(tp2) == pytest.approx(2 * 3.99)


def test_perfect_predictions_score_perfectly() -> None:
    scores = split_scores(MEASUREMENTS, measured_tokens_per_s(MEASUREMENTS))
    assert scores.errors.median == 0.0
    for choice in (scores.per_gpu, scores.per_gpu_at_batch, scores.per_dollar):
        assert choice.pairs_right == 1.0
        assert choice.regret == 0.0


def test_only_rows_of_one_part_are_alternatives() -> None:
    # twice the same rows, first predicted as measured, then upside down
    rows = [entry for entry in MEASUREMENTS if entry.case.phase == "decode"]
    measured = measured_tokens_per_s(rows)
    gpus = np.array([entry.case.tp * entry.case.pp for entry in rows])
    upside_down = gpus**2 / measured  # tokens/s per GPU are the inverse of those measured
    both = group_scores([Predicted(rows, measured), Predicted(rows, upside_down)], only="phase")
    assert set(both) == {"phase"}
    decode = both["phase"]["decode"]
    assert decode.rows == 2 * len(rows)
    assert decode.pairs_right == pytest.approx(0.5)
    assert decode.pairs == 2 * split_scores(rows, measured).per_gpu.pairs


def test_given_constants_are_scored_as_they_are() -> None:
    # the rows are what the priors predict, so that the priors make no error and others do
    exact, other = score(prior_table(), MEASUREMENTS), score(shipped_table(), MEASUREMENTS)
    assert exact.scores.errors.median == pytest.approx(0.0, abs=1e-12)
    assert exact.scores.per_gpu.pairs_right == 1.0
    assert other.scores.errors.median > 0.05
    assert set(other.by_group) == {"source", "gpu", "model", "phase", "tp x pp", "engine"}
    assert other.by_group["gpu"]["H100"].rows == 96
    assert (exact.kv, exact.provenance) == (None, "priors only, no measurement")


def test_a_report_of_synthetic_rows_finds_little_error_and_renders() -> None:
    result = report(MEASUREMENTS)
    assert len(result.halves) == 5
    assert reached(result)["median error, halves"] < 0.02
    assert set(result.left_out["gpu"]) == {"A100-80G", "H100"}
    assert result.kv is None
    console = Console(width=160, record=True)
    console.print(report_tables(result))
    text = console.export_text()
    assert "not scored" in text
    assert "Left out by source" in text


def test_a_figure_has_one_mean_over_the_seeds_that_have_it() -> None:
    rows = MEASUREMENTS[:8]
    measured = measured_tokens_per_s(rows)
    scored, unscored = split_scores(rows, 1.1 * measured), split_scores(rows[:1], measured[:1])
    assert (scored.per_gpu.pairs_right, np.isnan(unscored.per_gpu.pairs_right)) == (1.0, True)
    halves = replace(report(MEASUREMENTS[:4]), halves=(scored, unscored))
    assert reached(halves)["pairs right, halves"] == 1.0
    console = Console(width=160, record=True)
    console.print(report_tables(halves))
    text = console.export_text()
    assert "mean over the seeds that have the figure" in text
    assert "100.00 % (100.00 % to 100.00 %)" in text
    target = next(line for line in text.splitlines() if line.startswith("pairs right, halves"))
    assert target.split()[3:5] == ["100.00", "%"]


def test_fits_that_did_not_converge_are_named_below_their_scores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [
        {**ROW, "source": source, "batch_or_concurrency": "4", "tokens_per_s_total": "1000"}
        for source in ("a", "b")
    ]
    measured = write_csv(tmp_path / "m.csv", rows)
    blocks = write_csv(tmp_path / "kv.csv", [BLOCK_ROW])
    assert "converg" not in run("validate", measured, "--kv", blocks).stdout
    assert run_json("validate", measured, "--kv", blocks)["not_converged"] == []
    monkeypatch.setattr(constant_fit, "fit", partial(fit, max_iterations=0))
    *_, told = run("validate", measured, "--kv", blocks).stdout.splitlines()
    named = ["source a", "source b", "all rows, for the block counts"]
    assert told == f"3 fits ended before converging: {'; '.join(named)}."
    assert run_json("validate", measured, "--kv", blocks)["not_converged"] == named


def test_the_command_scores_a_file(tmp_path: Path) -> None:
    rows = [
        {**ROW, "batch_or_concurrency": str(batch), "tokens_per_s_total": str(1000 * batch**0.7)}
        for batch in (1, 2, 4, 8, 16, 32)
    ]
    measured = write_csv(tmp_path / "m.csv", rows)
    blocks = write_csv(tmp_path / "kv.csv", [BLOCK_ROW])
    assert len(read_measurements(measured)) == 6
    result = run("validate", measured, "--kv", blocks)
    assert result.exit_code == 0, result.stderr
    assert "Targets" in result.stdout


def test_the_command_names_every_fault(tmp_path: Path) -> None:
    measured = write_csv(tmp_path / "m.csv", [{**ROW, "gpu": "H101", "tp": "0"}])
    result = run("validate", measured)
    assert result.exit_code == 2
    faults = result.stderr
    assert "m.csv: line 2, gpu:" in faults
    assert "m.csv: line 2, tp:" in faults
