"""What a `config.json` says of the weights' type, turned into bytes of one weight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Fields = Mapping[str, Any]

BYTES_OF_DTYPE: Mapping[str, float] = {
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "int8": 1,
}
# Methods whose name says all. mxfp4: a scale of one byte for each 32 weights (OCP MX 1.0).
BYTES_OF_METHOD: Mapping[str, float] = {
    "fp8": 1,
    "fbgemm_fp8": 1,
    "mxfp4": 0.5 + 1 / 32,
}
# Methods that say how many bits, and how many weights share a scale.
BITS_METHODS = ("gptq", "awq", "auto-round", "compressed-tensors", "modelopt", "bitsandbytes")
METHODS = (*BYTES_OF_METHOD, *BITS_METHODS)
# Algorithms of modelopt. NVFP4: a scale of one byte for each 16 weights, as 2 for each 32.
BITS_AND_GROUP_OF_ALGORITHM: Mapping[str, tuple[int, int | None]] = {
    "FP8": (8, None),
    "NVFP4": (4, 32),
}
# The section that says how weights are quantized, and its name in older files.
SECTIONS = ("quantization_config", "compression_config")


class UnknownWeightTypeError(ValueError):
    """A type that has no known size; `field` names it, `value` is it."""

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(reason)
        self.field, self.value = field, value


def _one_of(names: Iterable[str]) -> str:
    return f"must be one of {', '.join(names)}"


def bytes_per_weight(text: Fields) -> float:
    """Return the bytes of one weight with its share of the scales.

    A quantized model states its type apart from `dtype`, which is then that of the activations.
    Raises UnknownWeightTypeError.
    """
    for section in SECTIONS:
        if text.get(section) is not None:
            return _quantized(section, text[section])
    field = "dtype" if text.get("dtype") is not None else "torch_dtype"
    dtype = text.get(field)
    dtype = "bfloat16" if dtype is None else dtype
    if not isinstance(dtype, str) or dtype.removeprefix("torch.") not in BYTES_OF_DTYPE:
        raise UnknownWeightTypeError(field, dtype, _one_of(BYTES_OF_DTYPE))
    return BYTES_OF_DTYPE[dtype.removeprefix("torch.")]


def _quantized(section: str, quantization: Any) -> float:
    """Return the bytes of a quantized weight: bits/8 + (16 bits of scale)/8 for each group."""
    if not isinstance(quantization, Mapping):
        raise UnknownWeightTypeError(section, quantization, "must hold fields, as quant_method")
    method = quantization.get("quant_method")
    if isinstance(method, str) and method in BYTES_OF_METHOD:
        return BYTES_OF_METHOD[method]
    if method not in BITS_METHODS:
        raise UnknownWeightTypeError(f"{section}.quant_method", method, _one_of(METHODS))
    if method == "bitsandbytes":
        return _in_blocks(section, quantization)
    field, bits, group = _bits_and_group(str(method), section, quantization)
    if not isinstance(bits, int | float) or isinstance(bits, bool) or not 1 <= bits <= 16:
        raise UnknownWeightTypeError(f"{section}.{field}", bits, "must be from 1 to 16, as 4 or 8")
    shared = group if isinstance(group, int) and group > 0 else 0
    return bits / 8 + (2 / shared if shared else 0)


def _in_blocks(section: str, quantization: Fields) -> float:
    """Return the bytes of a weight of bitsandbytes: blocks of 64 in 4 bits, rows of them in 8."""
    for field in ("load_in_4bit", "load_in_8bit"):
        if not isinstance(quantization.get(field), bool | None):
            reason = "must be one of true, false"
            raise UnknownWeightTypeError(f"{section}.{field}", quantization[field], reason)
    if quantization.get("load_in_4bit"):
        return 0.5 + 2 / 64
    if quantization.get("load_in_8bit"):
        return 1.0
    given = quantization.get("load_in_8bit")
    reason = "must be true where load_in_4bit is not"
    raise UnknownWeightTypeError(f"{section}.load_in_8bit", given, reason)


def _bits_and_group(method: str, section: str, quantization: Fields) -> tuple[str, Any, Any]:
    """Return the bits of a weight, after the field that says so, and how many share a scale."""
    groups = quantization.get("config_groups")
    if isinstance(groups, Mapping) and groups:
        name, first = next(iter(groups.items()))
        weights = first.get("weights") if isinstance(first, Mapping) else None
        stated = weights if isinstance(weights, Mapping) else {}
        field = f"config_groups.{name}.weights.num_bits"
        return field, stated.get("num_bits"), stated.get("group_size")
    if method == "modelopt":
        algorithm = quantization.get("quant_algo")
        known = BITS_AND_GROUP_OF_ALGORITHM.get(str(algorithm))
        if known is None:
            reason = _one_of(BITS_AND_GROUP_OF_ALGORITHM)
            raise UnknownWeightTypeError(f"{section}.quant_algo", algorithm, reason)
        return "quant_algo", *known
    return "bits", quantization.get("bits"), quantization.get("group_size")
