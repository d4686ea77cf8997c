"""A model's Hugging Face `config.json` in, its shape out.

Field names and what an absent field means: the configuration classes of `transformers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pipeline.errors import Fault, SourceError, missing, one_line_each
from pipeline.model_families import (
    ALIASES,
    DEFAULTS,
    FOURFOLD_FFN,
    NAMED,
    PLAIN_FFN,
    SECTIONS,
    WHY_REFUSED,
    Fields,
)
from pipeline.model_shape import ModelShape
from pipeline.words import other_spelling


class ModelConfigError(SourceError, ValueError):
    """A model config that cannot be read; carries every fault found, not only the first."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(self.faults)

    def message(self) -> str:
        """Return a line for each fault."""
        return one_line_each(self.faults)


_REQUIRED = ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
_FLAGS = (
    "tie_word_embeddings",
    "use_sliding_window",
    "multi_query",
    "new_decoder_architecture",
)
_COUNTS = (
    "intermediate_size",
    "num_key_value_heads",
    "head_dim",
    "moe_intermediate_size",
    "kv_lora_rank",
    "q_lora_rank",
    "num_experts",
    "num_experts_per_tok",
    "sliding_window",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "n_shared_experts",
    "shared_expert_intermediate_size",
    "first_k_dense_replace",
    "decoder_sparse_step",
    "interleave_moe_layer_step",
    "intermediate_size_mlp",
    "max_window_layers",
)
_MAY_BE_ZERO = _COUNTS[4:]
# The layers are gone through one by one.
_MOST = {"num_hidden_layers": 10_000}
_MOST_OF_ALL = 1_000_000_000


def text_fields(config: Fields) -> dict[str, Any]:
    """Return the fields of the language model, each under its present name.

    Those of a `text_config` go before those beside it; absent ones take what the family's class
    assumes.
    """
    nested = config.get("text_config")
    given = {**config, **nested} if isinstance(nested, Mapping) else dict(config)
    for section in SECTIONS:
        inner = given.get(section)
        given = {**inner, **given} if isinstance(inner, Mapping) else given
    stated = {key: value for key, value in given.items() if value is not None}
    fields = {**DEFAULTS.get(str(stated.get("model_type")), {}), **stated}
    for name, aliases in ALIASES.items():
        known = [fields[alias] for alias in aliases if alias in fields]
        if known:
            fields.setdefault(name, known[0])
    if fields.get("multi_query") is True and not fields.get("new_decoder_architecture"):
        fields["num_key_value_heads"] = 1
    return fields


def from_hf_config(config: Fields, name: str, bytes_per_weight: float = 2.0) -> ModelShape:
    """Shape of a model from the contents of its Hugging Face `config.json`.

    Raises ModelConfigError, which lists every fault as `name: field: reason (got value)`.
    """
    text = text_fields(config)
    faults = _faults(name, text)
    if faults:
        raise ModelConfigError(faults)
    layers, share = text["num_hidden_layers"], _window_share(text)
    width = text.get("intermediate_size", 4 * text["hidden_size"])
    mla = text.get("kv_lora_rank", 0)
    shape = ModelShape(
        name=name,
        num_hidden_layers=layers,
        hidden_size=text["hidden_size"],
        intermediate_size=text.get("intermediate_size_mlp", width),
        num_attention_heads=text["num_attention_heads"],
        num_key_value_heads=text.get("num_key_value_heads", text["num_attention_heads"]),
        vocab_size=text["vocab_size"],
        bytes_per_weight=bytes_per_weight,
        head_dim=text.get("head_dim"),
        gated_ffn=text.get("model_type") not in PLAIN_FFN,
        kv_lora_rank=mla,
        q_lora_rank=text.get("q_lora_rank", 0) if mla else 0,
        qk_nope_head_dim=text.get("qk_nope_head_dim", 0) if mla else 0,
        qk_rope_head_dim=text.get("qk_rope_head_dim", 0) if mla else 0,
        v_head_dim=text.get("v_head_dim", 0) if mla else 0,
        sliding_window=text.get("sliding_window", 0) if share else 0,
        sliding_window_share=share,
        tie_word_embeddings=text.get("tie_word_embeddings", False),
    )
    return _with_experts(shape, text, width) if text.get("num_experts") else shape


def _with_experts(shape: ModelShape, text: Fields, width: int) -> ModelShape:
    """Add the experts of a model that has some; width: what `intermediate_size` says.

    Experts that every token takes are stated as a number, or as one wide expert of so many
    widths. Layers without experts count wherever they stand.
    """
    expert_width = text.get("moe_intermediate_size", width)
    shared_width = text.get("shared_expert_intermediate_size", 0)
    shared = text.get("n_shared_experts", -(-shared_width // expert_width))
    if "intermediate_size_mlp" in text:  # Llama 4: one shared expert, as wide as the others
        shared = 1
    return replace(
        shape,
        num_experts=text["num_experts"],
        experts_per_token=text["num_experts_per_tok"],
        shared_experts=shared,
        moe_intermediate_size=expert_width,
        first_dense_layers=_dense_layers(text),
    )


def _dense_layers(text: Fields) -> int:
    """Count the layers without experts: the first ones, those listed, and those between steps."""
    layers = range(text["num_hidden_layers"])
    first = text.get("first_k_dense_replace", 0)
    listed = text.get("mlp_only_layers")
    dense = {i for i in listed if type(i) is int} if isinstance(listed, list) else set()
    step = text.get("decoder_sparse_step", text.get("interleave_moe_layer_step", 1)) or 1
    return sum(i < first or i in dense or (i + 1) % step != 0 for i in layers)


def _window_share(text: Fields) -> float:
    """Share of the layers that attend over a sliding window only, counted layer by layer."""
    if not text.get("sliding_window") or text.get("use_sliding_window") is False:
        return 0.0
    kinds, pattern = text.get("layer_types"), text.get("sliding_window_pattern")
    layers = text["num_hidden_layers"]
    if isinstance(kinds, list) and kinds:
        return float(sum(kind == "sliding_attention" for kind in kinds) / len(kinds))
    if text.get("use_sliding_window") and "max_window_layers" in text:
        return float(max(layers - text["max_window_layers"], 0) / layers)
    if isinstance(pattern, str) and pattern:  # L for a local layer, G for a global one, over again
        return float(sum(pattern[i % len(pattern)] == "L" for i in range(layers)) / layers)
    if isinstance(pattern, int) and pattern > 0:  # the last of each so many is a global one
        return float((layers - layers // pattern) / layers)
    return 1.0


def _faults(name: str, text: Fields) -> list[Fault]:
    """Every fault of a config, told under the model's name."""
    if other := _other_than_decoder(name, text):
        return [other]
    faults = [missing(name, key, "is required") for key in _REQUIRED if key not in text]
    pattern = text.get("sliding_window_pattern")
    numbers = {key: text.get(key) for key in (*_REQUIRED, *_COUNTS)}
    if isinstance(pattern, int):
        numbers["sliding_window_pattern"] = pattern
    elif pattern is not None and not isinstance(pattern, str):
        reason = "must be a positive whole number, or letters"
        faults.append(Fault(name, "sliding_window_pattern", reason, pattern))
    for key, value in numbers.items():
        least, most = 0 if key in _MAY_BE_ZERO else 1, _MOST.get(key, _MOST_OF_ALL)
        if value is not None and not (type(value) is int and value >= least):
            reason = "must be a positive whole number"
            faults.append(Fault(name, _as_written(key, text), reason, value))
        elif value is not None and value > most:
            faults.append(Fault(name, _as_written(key, text), f"must be at most {most}", value))
    faults += [
        Fault(name, key, "must be true or false", text[key])
        for key in _FLAGS
        if not isinstance(text.get(key, False), bool)
    ]
    if not isinstance(text.get("layer_types", []), list):
        faults.append(Fault(name, "layer_types", "must be a list", text["layer_types"]))
    return faults or _contradictions(name, text)


def _other_than_decoder(name: str, text: Fields) -> Fault | None:
    """Return the fault of a model whose figures, all sound, are not those of attention layers.

    A family by another spelling of its name would be read as none that is known.
    """
    family, kinds = text.get("model_type"), text.get("layer_types")
    if isinstance(family, str) and (written := other_spelling(family, NAMED)):
        return Fault(name, "model_type", f"must be written {written}", family)
    if isinstance(family, str) and family in WHY_REFUSED:
        return Fault(name, "model_type", WHY_REFUSED[family], family)
    if text.get("is_encoder_decoder") is True:
        return Fault(name, "is_encoder_decoder", "must be false", True)
    for kind in kinds if isinstance(kinds, list) else []:
        if not str(kind).endswith("attention"):
            return Fault(name, "layer_types", "must all be of attention", kind)
    return None


def _needs_width(text: Fields) -> bool:
    """Tell whether an absent `intermediate_size` would have to be guessed."""
    if text.get("model_type") in FOURFOLD_FFN:
        return False
    has_own = text.get("num_experts") and text.get("moe_intermediate_size")
    return not has_own or _dense_layers(text) > 0


def _as_written(key: str, text: Fields) -> str:
    """Return the name under which a config states a figure."""
    older = (alias for alias in ALIASES.get(key, ()) if alias in text)
    return next((alias for alias in older if text[alias] is text[key]), key)


def _contradictions(name: str, text: Fields) -> list[Fault]:
    """Faults of figures that are sound each by itself and do not go together."""
    faults = []
    heads, kv_heads = text["num_attention_heads"], text.get("num_key_value_heads")
    if kv_heads and heads % kv_heads:
        reason = f"must divide num_attention_heads {heads}"
        faults.append(Fault(name, "num_key_value_heads", reason, kv_heads))
    if not text.get("head_dim") and text["hidden_size"] % heads:
        reason = f"must be a multiple of num_attention_heads {heads} where head_dim is absent"
        faults.append(Fault(name, "hidden_size", reason, text["hidden_size"]))
    if "intermediate_size" not in text and _needs_width(text):
        faults.append(
            missing(name, "intermediate_size", "is required; state it beside the file, in model")
        )
    experts, active = text.get("num_experts"), text.get("num_experts_per_tok")
    if experts and not active:
        faults.append(missing(name, "num_experts_per_tok", "is required with experts"))
    if experts and active and active > experts:
        reason = f"must be at most {experts} experts"
        faults.append(Fault(name, "num_experts_per_tok", reason, active))
    return faults
