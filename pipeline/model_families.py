"""What the names in a `config.json` mean in each family of models, and what absent ones do.

Source: the configuration classes of `transformers`; of ChatGLM and DBRX those beside their weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Fields = Mapping[str, Any]

# Parts of a config whose fields are read as if they stood beside them.
SECTIONS = ("attn_config", "ffn_config")
# Names that older families have for the same figure.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "hidden_size": ("n_embd", "n_embed", "d_model"),
    "num_attention_heads": ("n_head", "n_heads", "num_heads"),
    "num_key_value_heads": ("num_kv_heads", "n_head_kv", "kv_n_heads", "multi_query_group_num"),
    "head_dim": ("kv_channels",),
    "vocab_size": ("padded_vocab_size",),
    "intermediate_size": ("ffn_dim", "ff_intermediate_size", "ffn_hidden_size", "n_inner"),
    "num_experts": ("num_local_experts", "n_routed_experts", "moe_num_experts"),
    "num_experts_per_tok": ("num_experts_per_token", "experts_per_token", "moe_top_k", "moe_k"),
    "n_shared_experts": ("moe_num_shared_experts",),
    "first_k_dense_replace": ("moe_layer_start_index",),
    "decoder_sparse_step": ("moe_layer_interval",),
}
_TIED: Fields = {"tie_word_embeddings": True}
_MULTI_QUERY: Fields = {**_TIED, "multi_query": True}
# Windows only where asked for; Qwen then has them behind so many layers without.
_NO_WINDOW: Fields = {"use_sliding_window": False}
_QWEN: Fields = {**_NO_WINDOW, "max_window_layers": 28}
_GEMMA_3: Fields = {
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "vocab_size": 262208,
    "sliding_window_pattern": 6,
}
# What an absent field means, where a family's class says something else than zero or no.
DEFAULTS: Mapping[str, Fields] = {
    "gpt2": _TIED,
    "gpt_neo": _TIED,
    "gpt_bigcode": _MULTI_QUERY,
    "opt": _TIED,
    "bloom": _TIED,
    "falcon": _MULTI_QUERY,
    "mpt": _TIED,
    "cohere": _TIED,
    "cohere2": {**_TIED, "sliding_window_pattern": 4},
    "gemma": _TIED,
    "gemma2": {**_TIED, "sliding_window_pattern": 2},
    "gemma3": {**_TIED, **_GEMMA_3},
    "gemma3_text": {**_TIED, **_GEMMA_3},
    "gpt_oss": {"sliding_window_pattern": 2},
    "exaone4": {"sliding_window_pattern": 4},
    "smollm3": {**_TIED, **_NO_WINDOW},
    "starcoder2": _TIED,
    "ernie4_5": _TIED,
    "ernie4_5_moe": _TIED,
    "qwen2": _QWEN,
    "qwen2_moe": _QWEN,
    "qwen2_vl": _QWEN,
    "qwen2_vl_text": _QWEN,
    "qwen2_5_vl": _QWEN,
    "qwen2_5_vl_text": _QWEN,
    "qwen3": _QWEN,
    "qwen3_moe": _NO_WINDOW,
}
PLAIN_FFN = (
    "gpt2",
    "gpt_neo",
    "gpt_neox",
    "gptj",
    "opt",
    "bloom",
    "mpt",
    "falcon",
    "gpt_bigcode",
    "codegen",
    "phi",
    "starcoder2",
    "nemotron",
    "persimmon",
    "arcee",
    "apertus",
)
# Families whose class makes an absent width four hidden sizes; in the others it is one model's own.
FOURFOLD_FFN = (
    "gpt2",
    "gpt_neo",
    "gptj",
    "codegen",
    "gpt_bigcode",
    "bloom",
    "falcon",
    "mpt",
)
# Families that no shape of a decoder describes, by what they are instead.
_OTHERS = {
    "has no attention layers": """
        mamba mamba2 falcon_mamba retnet xlstm rwkv rwkv5 rwkv6 rwkv7
    """,
    "has layers of another kind between those of attention": """
        jamba zamba zamba2 bamba falcon_h1 nemotron_h recurrent_gemma plamo2 lfm2 lfm2_moe phi4flash
        hymba
    """,
    "has layers of different shapes": """
        nemotron-nas deci openelm
    """,
    "is an encoder; it decodes nothing": """
        bert roberta roberta-prelayernorm xlm-roberta xlm-roberta-xl camembert distilbert albert
        electra mobilebert megatron-bert modernbert mpnet deberta deberta-v2 nomic_bert ernie
        eurobert esm longformer big_bird
    """,
    "has an encoder beside its decoder": """
        t5 mt5 umt5 longt5 switch_transformers t5gemma t5gemma2 bart mbart plbart led pegasus
        pegasus_x bigbird_pegasus marian m2m_100 nllb-moe fsmt prophetnet blenderbot
        blenderbot-small encoder-decoder whisper speech_to_text seamless_m4t seamless_m4t_v2
    """,
}
WHY_REFUSED = {name: reason for reason, names in _OTHERS.items() for name in names.split()}
# Families of which something is known by name; all others are read by their fields alone.
NAMED = {*DEFAULTS, *PLAIN_FFN, *FOURFOLD_FFN, *WHY_REFUSED}
