"""Constants of one's own: read beside the config, part of the ids and of what a run stores."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.baseline import baseline_tries
from pipeline.config import LoadedConfig, load_config
from pipeline.config.load import stored_config
from pipeline.errors import InputError
from pipeline.granularity import granularity
from pipeline.points import make_point
from pipeline.roofline.constant_files import shipped_table, write_constants
from pipeline.roofline.constants import ConstantTable, Effect, Spread
from pipeline.run import run_point
from pipeline.serving.answers import serving_search
from pipeline.sweep import problem_id, problem_of, run_record

CONFIG = Path(__file__).parent.parent.parent / "configs" / "llama-3.1-8b-workstation.yaml"
FEW = [
    ("workload.concurrency", 8),
    ("workload.micro_batches", 1),
    ("sweep.granularities", ["coarse"]),
]


def slower(factor: float = 1.0) -> ConstantTable:
    """Return the package's constants with memory that streams less well, by e^-factor in odds."""
    shift = Effect("bandwidth_efficiency", "all", "all", -factor, 0.01, 0.99)
    kept = [e for e in shipped_table().effects if (e.constant, e.level) != shift_key(shift)]
    spread = Spread((0.8, 1.25), (0.5, 2.0))
    return ConstantTable(shipped_table().priors, (*kept, shift), "fitted on my rows", spread)


def shift_key(effect: Effect) -> tuple[str, str]:
    return effect.constant, effect.level


def config_with(folder: Path, table: ConstantTable, name: str = "mine.yaml") -> LoadedConfig:
    """Write constants and a config beside them that names them, and load it."""
    write_constants(table, folder / name)
    data = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    data["performance"] = {"model": "roofline", "constants": name}
    (folder / "c.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return load_config(folder / "c.yaml", FEW)


def lowest_usd_per_token(loaded: LoadedConfig) -> dict[str, Any]:
    problem = problem_of(loaded, {})
    rows = run_point(problem, make_point(problem, "coarse", "ratio"))
    return dict(rows.points[0].values)


def faults(folder: Path, change: Callable[[dict[str, Any]], object]) -> list[str]:
    """Return what is told of a constants file after a change, without its folder."""
    config_with(folder, slower())
    contents = yaml.safe_load((folder / "mine.yaml").read_text(encoding="utf-8"))
    change(contents)
    (folder / "mine.yaml").write_text(yaml.safe_dump(contents), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_config(folder / "c.yaml", FEW)
    return [str(fault).replace(f"{folder}/", "") for fault in caught.value.faults]


def test_the_file_is_read_relative_to_the_config(tmp_path: Path) -> None:
    given = config_with(tmp_path, slower()).instance.performance.constant_table
    assert given.provenance == "fitted on my rows"
    assert given.means["bandwidth_efficiency", "all", "all"] == -1.0
    assert load_config(CONFIG).instance.performance.constant_table == shipped_table()


def test_an_answer_its_range_and_its_baseline_follow_the_constants(tmp_path: Path) -> None:
    own, shipped = config_with(tmp_path, slower()), load_config(CONFIG, FEW)
    mine, packages = lowest_usd_per_token(own), lowest_usd_per_token(shipped)
    assert mine["throughput_tokens_per_s"] < 0.95 * packages["throughput_tokens_per_s"]
    # neither card was ever measured, so the range is the one of unknown GPUs: 0.5 to 2 times
    assert mine["throughput_low_tokens_per_s"] == pytest.approx(
        0.5 * mine["throughput_tokens_per_s"]
    )
    assert mine["throughput_high_tokens_per_s"] == pytest.approx(
        2.0 * mine["throughput_tokens_per_s"]
    )
    rates = [max(t.tokens_per_s for t in baseline_tries(c.instance)) for c in (own, shipped)]
    assert rates[0] < 0.95 * rates[1]


def test_constants_are_drawn_about_those_that_were_given(tmp_path: Path) -> None:
    loaded = config_with(tmp_path, slower())
    instance, settings = loaded.instance, problem_of(loaded, {}).settings
    search = serving_search(instance, granularity("coarse", instance.num_layers), settings)
    assert search.table.provenance == "fitted on my rows"


def test_ids_follow_what_the_constants_hold_and_not_what_they_are_called(tmp_path: Path) -> None:
    ids = [
        problem_id(config_with(tmp_path, table, name).config)
        for table, name in (
            (slower(), "a.yaml"),
            (replace(slower(), provenance="told otherwise"), "b.yaml"),
            (slower(0.9), "a.yaml"),
            (shipped_table(), "a.yaml"),
        )
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert ids[3] == problem_id(load_config(CONFIG, FEW).config)


def test_a_stored_run_holds_the_constants_themselves(tmp_path: Path) -> None:
    loaded = config_with(tmp_path, slower())
    stored = json.loads(json.dumps(run_record(loaded)))
    (tmp_path / "mine.yaml").unlink()
    again = stored_config(stored)
    assert problem_id(again.config) == problem_id(loaded.config)
    assert again.instance == loaded.instance
    # what follows from the effects is not stored beside them
    assert "undetermined" not in stored["config"]["performance"]["constants"]


def test_constants_travel_with_the_problem(tmp_path: Path) -> None:
    problem = problem_of(config_with(tmp_path, slower()), {})
    (tmp_path / "mine.yaml").unlink()
    sent = pickle.loads(pickle.dumps(problem))
    assert sent.instance.performance.constant_table.fingerprint == slower().fingerprint


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.update(format="x/9"), "format: must be one of roofline-constants/1 (got"),
        (lambda d: d.pop("effects"), "effects: is missing"),
        (lambda d: d.update(effect=[]), "effect: is not a known field, did you mean effects?"),
        (lambda d: d["effects"][3].update(mean="a"), "effects[3].mean: must be a number (got 'a')"),
        (lambda d: d["effects"][3].update(mean=float("nan")), "must be a finite number"),
        # nothing measured is ten of the prior's spreads away: 0.6 for compute_efficiency of all
        (lambda d: d["effects"][0].update(mean=-6.1), "effects[0].mean: must be at least -6 for"),
        (
            lambda d: d["effects"][0].update(deviation=1.3),
            "effects[0].deviation: must be at most 1.2",
        ),
        (lambda d: d["effects"][3].update(constant="luck"), "effects[3].constant: must be one of"),
        (lambda d: d["effects"][3].update(level="moon"), "effects[3].level: must be one of all, a"),
        (
            lambda d: d["effects"].append(dict(d["effects"][0])),
            "compute_efficiency / all all: stands",
        ),
        (
            lambda d: d["effects"][0].update(level="link"),
            "compute_efficiency differs by all, architecture, gpu, engine_family, engine, compute",
        ),
        (
            lambda d: d["prediction_spread"].update(known=[1.1, 1.2]),
            "prediction_spread.known: must be a share from 1e-06 to 1, and one from 1 to",
        ),
        (
            lambda d: d["prediction_spread"].update(known=[1e-320, 1.2]),
            "prediction_spread.known: must be a share from 1e-06 to 1, and one from 1 to 1e+06",
        ),
        (lambda d: d["prediction_spread"].update(known=[1.0]), "prediction_spread.known: "),
    ],
)
def test_a_fault_of_the_constants_is_told_by_their_own_file(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    [fault] = faults(tmp_path, change)
    assert fault.startswith("mine.yaml: ")
    assert told in fault


def test_every_constant_out_of_bounds_is_told(tmp_path: Path) -> None:
    told = faults(tmp_path, lambda d: [effect.update(mean=-100.0) for effect in d["effects"]])
    assert len(told) == len(slower().effects)
    assert all(".mean: must be at least -" in fault for fault in told)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("share", [-1.0, 1.0])
def test_constants_at_their_bounds_are_still_numbers(tmp_path: Path, share: float) -> None:
    table = slower()
    far = [
        replace(e, mean=share * 10 * s, deviation=2 * s)
        for e in table.effects
        for s in [table.priors[e.constant].spread[e.level]]
    ]
    loaded = config_with(tmp_path, replace(table, effects=tuple(far)))
    lowest_usd_per_token(loaded)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("absent.yaml", "absent.yaml: file: does not exist; named under performance.constants of "),
        (5, "performance.constants: must be the name of a file (got 5)"),
        ({}, "performance.constants.format: is missing"),
    ],
)
def test_constants_that_cannot_be_read_are_faults(tmp_path: Path, value: Any, told: str) -> None:
    config_with(tmp_path, slower())
    with pytest.raises(InputError) as caught:
        load_config(tmp_path / "c.yaml", [*FEW, ("performance.constants", value)])
    assert told in str(caught.value)


def test_a_file_that_holds_no_fields_is_a_fault(tmp_path: Path) -> None:
    config_with(tmp_path, slower())
    (tmp_path / "mine.yaml").write_text("- 1", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.yaml: file: must hold fields"):
        load_config(tmp_path / "c.yaml", FEW)


def test_only_the_roofline_model_has_constants(tmp_path: Path) -> None:
    write_constants(slower(), tmp_path / "mine.yaml")
    medium = CONFIG.parent / "medium.yaml"
    with pytest.raises(InputError) as caught:
        load_config(medium, [("performance.constants", str(tmp_path / "mine.yaml"))])
    told = "performance.model: must be roofline where performance.constants are given (got 'flops')"
    assert told in str(caught.value)


def test_figures_of_the_flops_model_are_no_use_to_the_roofline_model() -> None:
    figures = {"RTX-4090": {"tflops": 1.0, "gb_per_s": 1.0, "efficiency": 0.5}}
    with pytest.raises(InputError, match=r"performance\.gpus: is not known to the roofline model"):
        load_config(CONFIG, [("performance.gpus", figures)])


def test_files_of_constants_cannot_be_swept() -> None:
    over = {"performance.constants": ["mine.yaml", "other.yaml"]}
    with pytest.raises(InputError, match=r"sweep\.over\.performance\.constants: cannot be swept"):
        load_config(CONFIG, [*FEW, ("sweep.over", over)])


def test_a_single_effect_can_be_swept(tmp_path: Path) -> None:
    loaded = config_with(tmp_path, slower())
    last = len(slower().effects) - 1
    field = f"performance.constants.effects.{last}.mean"
    swept = loaded.with_values([("sweep.over", {field: [-1.0, -0.5]})], "test")
    rates = [
        lowest_usd_per_token(variant)["throughput_tokens_per_s"] for _, variant in swept.variants()
    ]
    assert rates[0] == lowest_usd_per_token(loaded)["throughput_tokens_per_s"]
    assert rates[1] > rates[0]
