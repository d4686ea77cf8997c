"""Reads the model section of a config from a Hugging Face `config.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.yaml_file import read_text
from pipeline.errors import Fault, InputError, missing

COPIED = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "head_dim",
)
BYTES_PER_WEIGHT: Mapping[str, float] = {
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "int8": 1,
}


def read_hf_config(path: Path) -> dict[str, Any]:
    """Return the fields of a model section. Raises InputError."""
    file = str(path)
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError([missing(file, "file", f"is not valid JSON: {error}")]) from None
    if not isinstance(found, dict):
        raise InputError([Fault(file, "file", "must hold an object", found)])
    field = "dtype" if found.get("dtype") is not None else "torch_dtype"
    dtype = found.get(field)
    dtype = "bfloat16" if dtype is None else dtype
    if not isinstance(dtype, str) or dtype not in BYTES_PER_WEIGHT:
        known = ", ".join(BYTES_PER_WEIGHT)
        raise InputError([Fault(file, field, f"must be one of {known}", dtype)])
    fields = {key: found[key] for key in COPIED if found.get(key) is not None}
    name = found.get("_name_or_path") or path.resolve().parent.name
    return {"name": str(name), "bytes_per_weight": BYTES_PER_WEIGHT[dtype], **fields}
