"""Reads the model section of a config from a Hugging Face `config.json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.yaml_file import not_taken, read_text
from pipeline.errors import Fault, InputError, missing
from pipeline.model_shape import ModelConfigError, ModelShape, from_hf_config
from pipeline.texts import TextError, parse_json

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
        found = parse_json(read_text(path))
    except TextError as error:
        raise not_taken(error, file) from None
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
    stated = {"name": str(name), "bytes_per_weight": BYTES_PER_WEIGHT[dtype], **fields}
    return {**stated, **_particulars(found, file)}


# Fields that say what is particular about a model: experts, latent attention, windows.
PARTICULAR = (
    "num_experts",
    "experts_per_token",
    "shared_experts",
    "moe_intermediate_size",
    "first_dense_layers",
    "kv_lora_rank",
    "q_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "sliding_window",
    "sliding_window_share",
    "tie_word_embeddings",
    "gated_ffn",
)


def _particulars(found: dict[str, Any], file: str) -> dict[str, Any]:
    """Return what is particular about a model, where its config says so.

    Faults of the plain fields are left to the schema, which names them as a user wrote them.
    """
    try:
        shape = from_hf_config(found, "")
    except ModelConfigError as error:
        told = [text for text in error.faults if text.split(": ")[1] not in COPIED]
        if told:
            raise InputError([_fault(file, text) for text in told]) from None
        return {}
    plain = {field.name: field.default for field in dataclasses.fields(ModelShape)}
    values = {key: getattr(shape, key) for key in PARTICULAR}
    return {key: value for key, value in values.items() if value != plain[key]}


def _fault(file: str, text: str) -> Fault:
    """Return a fault of a model's shape, `: field: reason (got value)`, as one of its file."""
    _, field, reason = text.split(": ", 2)
    return missing(file, field, reason)
