"""What is timed: layouts of feed-forward blocks and of attention, and the loads on them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.model_shape import ModelShape

TOKENS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
SEQUENCES = (1, 4, 16, 64, 256)
# Lengths of the prompts of one step, and its tokens in all.
PROMPT_LENGTHS, PROMPT_STEP_TOKENS = (512, 2048, 8192, 16384), 16384
LATENT_RANK, ROPE_DIM, HEAD_DIM = 512, 64, 128


@dataclass(frozen=True)
class Block:
    """A gated feed-forward block: hidden size, width (of an expert), experts, active ones.

    experts 0 is a dense block; eight_bit: weights and the products' inputs in fp8 (e4m3).
    """

    hidden: int
    width: int
    experts: int = 0
    active: int = 0
    eight_bit: bool = False


@dataclass(frozen=True)
class Attention:
    """Attention on one GPU; kv_heads 0 is MLA with the ranks of DeepSeek-V3.

    window: tokens that a query sees, 0 for all; contexts: cached tokens of each sequence that
    decodes.
    """

    heads: int
    kv_heads: int
    contexts: tuple[int, ...] = (1024, 4096)
    sequences: tuple[int, ...] = SEQUENCES
    window: int = 0


HALF_BLOCKS = {
    "Llama-3.1-8B": Block(4096, 14336),
    "Qwen2.5-32B": Block(5120, 27648),
    "Mixtral-8x7B": Block(4096, 14336, 8, 2),
    "Qwen3-30B-A3B": Block(2048, 768, 128, 8),
    "DeepSeek-V3 / TP 8": Block(7168, 256, 256, 8),
}
BLOCKS = HALF_BLOCKS | {
    f"{name}, fp8": replace(block, eight_bit=True) for name, block in HALF_BLOCKS.items()
}
ATTENTIONS = {
    "32 heads": Attention(32, 32),
    "32 heads on 8": Attention(32, 8),
    "32 heads on 4": Attention(32, 4),
    "8 heads on 1": Attention(8, 1),
    "32 heads on 8, window 1024": Attention(32, 8, (1024, 4096, 16384), (16, 64), 1024),
    "MLA, 128 heads": Attention(128, 0, (1024, 4096, 16384)),
    "MLA, 16 heads": Attention(16, 0, (1024, 4096, 16384)),
}


def block_shape(block: Block) -> ModelShape:
    """Model of one layer with this feed-forward block."""
    return ModelShape(
        name="block",
        num_hidden_layers=1,
        hidden_size=block.hidden,
        intermediate_size=block.width,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=1000,
        head_dim=HEAD_DIM,
        num_experts=block.experts,
        experts_per_token=block.active,
        moe_intermediate_size=block.width if block.experts else 0,
        bytes_per_weight=1.0 if block.eight_bit else 2.0,
    )


def attention_shape(attention: Attention) -> ModelShape:
    """Model of one layer with this attention."""
    latent = not attention.kv_heads
    return ModelShape(
        name="attention",
        num_hidden_layers=1,
        hidden_size=4096,
        intermediate_size=14336,
        num_attention_heads=attention.heads,
        num_key_value_heads=attention.kv_heads or attention.heads,
        vocab_size=1000,
        head_dim=HEAD_DIM,
        kv_lora_rank=LATENT_RANK if latent else 0,
        q_lora_rank=1536 if latent else 0,
        qk_nope_head_dim=HEAD_DIM if latent else 0,
        qk_rope_head_dim=ROPE_DIM if latent else 0,
        v_head_dim=HEAD_DIM if latent else 0,
        sliding_window=attention.window,
        sliding_window_share=1.0 if attention.window else 0.0,
    )
