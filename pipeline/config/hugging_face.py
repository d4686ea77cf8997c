"""Reads the model section of a config from a Hugging Face `config.json`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.yaml_file import not_taken, read_text
from pipeline.errors import Fault, InputError, missing
from pipeline.model_config import ModelConfigError, from_hf_config, text_fields
from pipeline.model_shape import ModelShape
from pipeline.texts import TextError, parse_json
from pipeline.weight_bytes import UnknownWeightTypeError, bytes_per_weight

# Fields whose faults are told by the schema, which names them as a user wrote them.
PLAIN = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "head_dim",
)
# Fields of experts that go by other names in a file.
EXPERTS: Mapping[str, str] = {
    "num_experts": "num_experts",
    "experts_per_token": "num_experts_per_tok",
    "moe_intermediate_size": "moe_intermediate_size",
    "shared_experts": "n_shared_experts",
    "first_dense_layers": "first_k_dense_replace",
}
NAMES: Mapping[str, str] = {**{name: name for name in PLAIN}, **EXPERTS}
NONE_BESIDE: Mapping[str, Any] = {}


def read_hf_config(path: Path, beside: Mapping[str, Any] = NONE_BESIDE) -> dict[str, Any]:
    """Return the fields of a model section. Raises InputError.

    beside: fields that are stated beside the file and go before its own, as in what follows from
    them.
    """
    file = str(path)
    if os.path.isdir(path):
        raise InputError([missing(file, "file", "is a folder; name the config.json in it")])
    try:
        found = parse_json(read_text(path))
    except TextError as error:
        raise not_taken(error, file) from None
    if not isinstance(found, dict):
        raise InputError([Fault(file, "file", "must hold an object", found)])
    stated = {NAMES[key]: beside[key] for key in NAMES if beside.get(key) is not None}
    text = {**text_fields(found), **stated}
    try:
        size = beside.get("bytes_per_weight") or bytes_per_weight(text)
    except UnknownWeightTypeError as error:
        raise InputError([Fault(file, error.field, str(error), error.value)]) from None
    name = str(found.get("_name_or_path") or _name_of(path))
    return {**_shape_fields(text, name, file, stated), "bytes_per_weight": size}


def _name_of(path: Path) -> str:
    """Return the file's own name, or its folder's where it is called as all such files are."""
    return path.resolve().parent.name if path.name == "config.json" else path.stem


def _shape_fields(
    text: dict[str, Any], name: str, file: str, stated: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a model's shape says beyond the usual, or its fields for the schema to check.

    stated: those of the text that stand beside the file.
    """
    try:
        return beyond_usual(from_hf_config({**text, "text_config": None}, name))
    except ModelConfigError as error:
        faults = [dataclasses.replace(each, file=file) for each in error.faults]
        if told := [fault for fault in faults if fault.field not in (*PLAIN, *stated)]:
            raise InputError(told) from None
        return {"name": name, **{own: text[key] for own, key in NAMES.items() if key in text}}


def beyond_usual(shape: ModelShape) -> dict[str, Any]:
    """Return the fields of a shape that are not what an absent field means."""
    usual = {field.name: field.default for field in dataclasses.fields(ModelShape)}
    return {key: value for key, value in vars(shape).items() if value != usual[key]}
