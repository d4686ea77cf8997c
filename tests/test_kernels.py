"""The roofline model against parts of a layer that were timed on GPUs (tests/kernels)."""

from __future__ import annotations

import pytest

from tests.kernels.compare import GPUS, GROUPS, agreement, timed_gpus
from tests.kernels.layouts import ATTENTIONS, BLOCKS
from tests.kernels.rows import PROMPT_KERNEL, read_rows

# Kernels that engines need not take, or that servers do not bear out (docs/accuracy.md): how far
# the median may lie off.
APART = {
    "MLA, older kernel": (1 / 3, 0.6),
    "fp8 experts, 512 to 8192 tokens": (0.75, 0.95),
    "prompts": (1.3, 1.6),
    "prompts, MLA": (1.4, 1.7),
}


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in APART])
def test_parts_of_a_layer_take_what_the_model_says_within_a_third(group: str) -> None:
    for gpu in timed_gpus(group):
        found = agreement(gpu, group)
        assert found.lowest > 0.75
        assert found.highest < 1.3
        assert 0.8 < found.median < 1.15


@pytest.mark.parametrize("group", APART)
def test_parts_that_lie_apart_lie_as_far_as_is_said(group: str) -> None:
    lowest, highest = APART[group]
    for gpu in timed_gpus(group):
        assert lowest < agreement(gpu, group).median < highest


def test_every_layout_was_timed_on_every_gpu() -> None:
    timed = {(row.gpu, row.layout) for row in read_rows() if row.kernel != PROMPT_KERNEL}
    assert timed == {(gpu, layout) for gpu in GPUS for layout in (*BLOCKS, *ATTENTIONS)}


def test_prompts_of_every_attention_were_timed() -> None:
    assert {row.layout for row in read_rows() if row.kernel == PROMPT_KERNEL} == set(ATTENTIONS)
