"""What a `config.json` says of the weights' type, turned into bytes of one weight."""

from __future__ import annotations

from collections.abc import Mapping
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


class UnknownWeightTypeError(ValueError):
    """A type that has no known size; `field` names it, `value` is it."""

    def __init__(self, field: str, value: object, known: tuple[str, ...]) -> None:
        super().__init__(f"must be one of {', '.join(known)}")
        self.field, self.value = field, value


def bytes_per_weight(text: Fields) -> float:
    """Return the bytes of one weight with its share of the scales.

    A quantized model states its type apart from `dtype`, which is then that of the activations.
    Raises UnknownWeightTypeError.
    """
    quantization = text.get("quantization_config")
    if isinstance(quantization, Mapping):
        return _quantized(quantization)
    field = "dtype" if text.get("dtype") is not None else "torch_dtype"
    dtype = text.get(field)
    dtype = "bfloat16" if dtype is None else dtype
    if not isinstance(dtype, str) or dtype.removeprefix("torch.") not in BYTES_OF_DTYPE:
        raise UnknownWeightTypeError(field, dtype, tuple(BYTES_OF_DTYPE))
    return BYTES_OF_DTYPE[dtype.removeprefix("torch.")]


def _quantized(quantization: Fields) -> float:
    """Return the bytes of a quantized weight: bits/8 + (16 bits of scale)/8 for each group."""
    method = quantization.get("quant_method")
    if isinstance(method, str) and method in BYTES_OF_METHOD:
        return BYTES_OF_METHOD[method]
    if method not in BITS_METHODS:
        raise UnknownWeightTypeError("quantization_config.quant_method", method, METHODS)
    field, bits, group = _bits_and_group(str(method), quantization)
    if not isinstance(bits, int | float) or isinstance(bits, bool) or not 1 <= bits <= 16:
        raise UnknownWeightTypeError(f"quantization_config.{field}", bits, ("2", "3", "4", "8"))
    shared = group if isinstance(group, int) and group > 0 else 0
    return bits / 8 + (2 / shared if shared else 0)


def _bits_and_group(method: str, quantization: Fields) -> tuple[str, Any, Any]:
    """Return the bits of a weight, after the field that says so, and how many share a scale."""
    if method == "bitsandbytes":  # blocks of 64 weights in 4 bits, rows of them in 8
        in_4_bits = quantization.get("load_in_4bit")
        if not isinstance(in_4_bits, bool | None):
            field = "quantization_config.load_in_4bit"
            raise UnknownWeightTypeError(field, in_4_bits, ("true", "false"))
        return "load_in_4bit", *((4, 64) if in_4_bits else (8, None))
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
            names = tuple(BITS_AND_GROUP_OF_ALGORITHM)
            raise UnknownWeightTypeError("quantization_config.quant_algo", algorithm, names)
        return "quant_algo", *known
    return "bits", quantization.get("bits"), quantization.get("group_size")
