"""A sweep small enough to solve by hand, and ways to run it without Ray.

One GPU of each of two types, a model of 4 layers of 1 GB. With b = s = 1 and D = 2 a layer takes
24·D² + 4·D = 104 operations, and the figures below make that 1200/k and 400/k tokens/s for k
layers. So, by hand:

    4 layers on Slow             100 tokens/s   $0.25/h
    4 layers on Fast             300 tokens/s   $0.50/h
    3 on Fast, 1 on Slow         400 tokens/s   $0.75/h   (2 on each: 200)

At `1+3` only the last is left.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.ballparks import BallparkSearch, ballpark_usd_per_hour
from pipeline.config import LoadedConfig, load_config
from pipeline.points import Problem, Task
from pipeline.results.schema import swept_column
from pipeline.results.store import Store
from pipeline.run import run_point
from pipeline.sweep import missing_tasks, problem_of, run_record

REFERENCE = Path(__file__).parent.parent / "configs" / "medium.yaml"
OPERATIONS_PER_LAYER = 104
FAST, SLOW = 1200.0, 400.0

SMALL: dict[str, Any] = {
    "name": "small",
    "model": {
        "name": "tiny",
        "num_hidden_layers": 4,
        "hidden_size": 2,
        "intermediate_size": 8,
        "num_attention_heads": 1,
        "vocab_size": 10,
        "layer_weight_gb": 1.0,
    },
    "workload": {"sequence_length": 1, "batch_size": 1},
    "pool": [
        {"gpu": "Fast", "count": 1, "memory_gb": 4.5, "usd_per_hour": 0.5},
        {"gpu": "Slow", "count": 1, "memory_gb": 4.5, "usd_per_hour": 0.25},
    ],
    "network": {"gb_per_s": 100},
    "limits": {"max_stages": 4, "tp_degrees": [1]},
    "performance": {
        "model": "flops",
        "gpus": {
            name: {
                "tflops": rate * OPERATIONS_PER_LAYER / 1e12,
                "gb_per_s": 1e6,
                "efficiency": 1.0,
            }
            for name, rate in (("Fast", FAST), ("Slow", SLOW))
        },
    },
    "baseline": {"gpu": "Slow"},
    "sweep": {
        "granularities": ["exact", [1, 3]],
        "budgets_usd_per_hour": [0.1, 0.25, 0.5, 0.75],
        "methods": ["enumeration", "ratio"],
    },
}

# (tokens/s, $/h) of every point of the small sweep, None where there is no placement.
ANSWERS: Mapping[tuple[str, str, float | None], tuple[float, float] | None] = {
    ("exact", "enumeration", 0.1): None,
    ("exact", "enumeration", 0.25): (100, 0.25),
    ("exact", "enumeration", 0.5): (300, 0.5),
    ("exact", "enumeration", 0.75): (400, 0.75),
    ("exact", "ratio", None): (300, 0.5),
    ("1+3", "enumeration", 0.1): None,
    ("1+3", "enumeration", 0.25): None,
    ("1+3", "enumeration", 0.5): None,
    ("1+3", "enumeration", 0.75): (400, 0.75),
    ("1+3", "ratio", None): (400, 0.75),
}


def write_config(file: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Write the small config, with fields replaced: `{"limits.max_stages": 1}`."""
    data = copy.deepcopy(SMALL)
    for key, value in (changes or {}).items():
        *sections, name = key.split(".")
        at = data
        for section in sections:
            at = at.setdefault(section, {})
        at[name] = value
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return file


def small_config(folder: Path, changes: Mapping[str, Any] | None = None) -> LoadedConfig:
    """Load the small config, with fields replaced."""
    return load_config(write_config(folder / "small.yaml", changes))


def small_problem(folder: Path, changes: Mapping[str, Any] | None = None) -> Problem:
    """Return the problem of the small config, with fields replaced."""
    return problem_of(small_config(folder, changes), {})


def store_for(loaded: LoadedConfig, directory: Path) -> Store:
    """Return the store of a sweep, with the columns of its swept fields."""
    over = loaded.config.sweep.over
    return Store(directory, [swept_column(name, values) for name, values in over.items()])


def without_searches(
    tasks: Iterator[Task | BallparkSearch],
    note: Callable[[str, float | None], None] = lambda *_: None,
) -> Iterator[Task]:
    """Yield the points among tasks and those that wait for a ballpark, found in this process."""
    for task in tasks:
        if isinstance(task, BallparkSearch):
            found = ballpark_usd_per_hour(task, run_point)
            note(task.problem.problem_id, found)
            yield from task.then(found)
        else:
            yield task


def run_without_ray(loaded: LoadedConfig, directory: Path, most: int | None = None) -> int:
    """Run what is missing in a folder, at most so many points; return how many were run."""
    store = store_for(loaded, directory)
    store.prepare(run_record(loaded))
    ran = 0
    missing = missing_tasks(loaded, store.done().ids, ballparks=store.ballparks)
    for task in without_searches(missing, store.note_ballpark):
        if ran == most:
            break
        rows = run_point(*task)
        store.append(rows.points, rows.segments)
        ran += 1
    store.finish(stopped=ran == most, failed=0)
    return ran


def write_published_directory(directory: Path) -> Path:
    """Write the small instance as the published system's three CSV files; returns the folder.

    The GPUs must be known ones there: an A100 that reaches 312·.6 TFLOP/s and a T4 of 65·.4.
    """
    directory.mkdir(parents=True)
    parameters = {
        "model_name": "tiny",
        "num_decoder_layers": 4,
        "d_model": 64,
        "d_hidden": 256,
        "vocab_size": 100,
        "num_attention_heads": 4,
        "layer_weight_memory_gb": 1.0,
        "sequence_length": 16,
        "batch_size": 2,
        "min_layers_per_stage": 1,
        "max_hourly_cost": 2.0,
    }
    rows = ["parameter,value", *(f"{name},{value}" for name, value in parameters.items())]
    (directory / "config.csv").write_text("\n".join(rows) + "\n")
    (directory / "gpu_pool.csv").write_text(
        "gpu_type,count,memory_gb,dollar_per_hour\nA100,1,4.5,1.0\nT4,1,4.5,0.2\n"
    )
    (directory / "network_bandwidth.csv").write_text(",g0,g1\ng0,0,100\ng1,100,0\n")
    return directory
