"""Config files for tests, sound but for what a test changes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import LoadedConfig, load_config
from pipeline.errors import InputError

# Two A100 and one T4: three GPUs.
SOUND: Mapping[str, Any] = {
    "name": "tiny",
    "model": {
        "name": "m",
        "num_hidden_layers": 6,
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_attention_heads": 4,
        "vocab_size": 100,
    },
    "workload": {"sequence_length": 16, "batch_size": 2},
    "pool": [
        {"gpu": "A100", "count": 2, "memory_gb": 4, "usd_per_hour": 1.0},
        {"gpu": "T4", "count": 1, "memory_gb": 2, "usd_per_hour": 0.2},
    ],
    "network": {"gb_per_s": 600},
}

PARAMETERS: Mapping[str, Any] = {
    "model_name": "m",
    "num_decoder_layers": 6,
    "d_model": 64,
    "d_hidden": 256,
    "vocab_size": 100,
    "num_attention_heads": 4,
    "layer_weight_memory_gb": 1.5,
    "sequence_length": 16,
    "batch_size": 2,
}
POOL = "gpu_type,count,memory_gb,dollar_per_hour\nA100,1,4,1.0\nT4,1,2,0.2\n"
MATRIX = ",gpu_0,gpu_1\ngpu_0,inf,600\ngpu_1,550,inf\n"

Change = Callable[[dict[str, Any]], object]


def write_yaml(folder: Path, change: Change | None = None) -> Path:
    """Write the sound config, changed in place, and return its path."""
    data = copy.deepcopy(dict(SOUND))
    if change is not None:
        change(data)
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path


def write_directory(
    folder: Path,
    parameters: Mapping[str, Any] = PARAMETERS,
    pool: str | None = POOL,
    matrix: str | None = MATRIX,
) -> Path:
    """Write a published directory, without the files that are None, and return its path."""
    directory = folder / "published"
    directory.mkdir()
    rows = ["parameter,value", *(f"{name},{value}" for name, value in parameters.items())]
    texts = {"config": "\n".join(rows), "gpu_pool": pool, "network_bandwidth": matrix}
    for name, text in texts.items():
        if text is not None:
            (directory / f"{name}.csv").write_text(text, encoding="utf-8")
    return directory


def load_changed(folder: Path, change: Change) -> LoadedConfig:
    """Load the sound config after a change."""
    return load_config(write_yaml(folder, change))


def faults_of(path: Path, assignments: Sequence[tuple[str, Any]] = ()) -> list[str]:
    """Return the faults of a config as they are printed, without the folder of its files."""
    with pytest.raises(InputError) as raised:
        load_config(path, assignments)
    folder = path.parent
    return [str(fault).replace(f"{folder}/", "") for fault in raised.value.faults]


def faults_after(folder: Path, change: Change) -> list[str]:
    """Return the faults of the sound config after a change."""
    return faults_of(write_yaml(folder, change))
