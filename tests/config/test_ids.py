"""GPU ids as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.ids import check_number_of_ids, parse_gpu_ids


@pytest.mark.parametrize(
    ("written", "ids"),
    [
        ("25-34", set(range(25, 35))),
        ("0-2, 7", {0, 1, 2, 7}),
        (" 3 - 4 ", {3, 4}),
        (5, {5}),
        ([2, 0], {0, 2}),
        ("4-4", {4}),
    ],
)
def test_ids_are_numbers_lists_or_ranges_with_both_ends(written: object, ids: set[int]) -> None:
    assert parse_gpu_ids(written) == ids


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), min_size=1, max_size=5))
def test_ranges_may_overlap(ranges: list[tuple[int, int]]) -> None:
    text = ",".join(f"{low}-{low + more}" for low, more in ranges)
    expected = {i for low, more in ranges for i in range(low, low + more + 1)}
    assert parse_gpu_ids(text) == expected


@pytest.mark.parametrize(
    "written", ["", "a", "1-", "-1", "1,,2", "1-2-3", -1, 1.0, True, None, [], [1.0], [True], ["1"]]
)
def test_anything_else_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="must be GPU ids, as 25-34"):
        parse_gpu_ids(written)


@pytest.mark.parametrize("written", ["3-2", "0-1000001", 1_000_001])
def test_ranges_must_ascend_within_what_a_pool_can_hold(written: object) -> None:
    with pytest.raises(ValueError, match="must ascend, within 0 to 1000000"):
        parse_gpu_ids(written)


def test_ids_are_counted_before_they_are_made() -> None:
    with pytest.raises(ValueError, match="may name at most 1000000 ids in all"):
        parse_gpu_ids(",".join(["0-999999"] * 2))
    half = {"gpus": "0-499999", "to": "0-499999"}
    assert check_number_of_ids([half]) == [half]
    with pytest.raises(ValueError, match="may name at most 1000000 ids in all"):
        check_number_of_ids([half, {"gpus": "0"}])
