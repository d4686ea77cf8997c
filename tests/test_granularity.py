"""Names of granularities, and which sizes can cover a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.granularity import (
    PRESETS,
    can_sum_to,
    canonical_name,
    granularity,
    parse_granularity,
)

# Source: DESIGN.md §6, fitted to the 40 layers of the reference instance.
REFERENCE_SIZES = {
    "coarsest": (1, 10, 20, 40),
    "coarse": (1, 5, 10, 20, 30, 40),
    "moderate": (1, 3, 5, 8, 10, 15, 20, 25, 30, 35, 40),
    "fine": (1, 2, 4, 5, 8, 10, 15, 16, 20, 25, 30, 32, 35, 40),
    "exact": tuple(range(1, 41)),
}


def test_presets_have_their_published_sizes() -> None:
    assert {name: granularity(name, 40).sizes for name in PRESETS} == REFERENCE_SIZES


def test_a_preset_drops_sizes_above_the_model_and_adds_the_model_itself() -> None:
    assert granularity("coarse", 12).sizes == (1, 5, 10, 12)
    assert granularity("coarsest", 80).sizes == (1, 10, 20, 40, 80)
    assert granularity("exact", 3).sizes == (1, 2, 3)


def test_sizes_listed_one_by_one_are_kept_as_they_are_but_sorted() -> None:
    assert granularity("40+5+10+5", 12).sizes == (5, 10, 40)


def test_a_granularity_has_one_name_however_its_sizes_are_written() -> None:
    assert {canonical_name(text) for text in ("5+10", "10+5", "10+05+ 5+10")} == {"5+10"}
    assert [canonical_name(name) for name in PRESETS] == list(PRESETS)


@pytest.mark.parametrize("text", ["coarser", "", "5+", "5,10", "2.5", "5++10", "1_0", "٣+1", "1２"])
def test_what_is_neither_a_preset_nor_sizes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be one of coarsest, .*, or sizes joined by \+"):
        parse_granularity(text)


@pytest.mark.parametrize("text", ["0", "5+0", "-3+5"])
def test_a_size_below_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        parse_granularity(text)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(1, 40))
def test_sizes_can_sum_to_what_repeated_addition_reaches(sizes: list[int], layers: int) -> None:
    reached = {0}
    for total in range(1, layers + 1):
        if any(total - size in reached for size in sizes):
            reached.add(total)
    assert can_sum_to(sizes, layers) == (layers in reached)


def test_no_sizes_cover_nothing() -> None:
    assert not can_sum_to([], 4)
