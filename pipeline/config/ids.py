"""Sets of GPU ids as people write them: 25-34, or 0-7,16-23."""

from __future__ import annotations

import re

MAX_ID = 1_000_000
_RANGE = re.compile(r"^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$")


def parse_gpu_ids(value: object) -> frozenset[int]:
    """Read ids from a number, a list of numbers, or text of ranges that include both ends.

    Raises ValueError for anything else.
    """
    if isinstance(value, bool):
        raise ValueError("must be GPU ids, as 25-34")
    if isinstance(value, int):
        value = str(value)
    if isinstance(value, list) and all(type(item) is int for item in value):
        value = ",".join(map(str, value))
    if not isinstance(value, str):
        raise ValueError("must be GPU ids, as 25-34")
    ids: set[int] = set()
    for part in value.split(","):
        match = _RANGE.match(part)
        if not match:
            raise ValueError("must be GPU ids, as 25-34 or 0-7,16-23")
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high or high > MAX_ID:
            raise ValueError(f"range {part.strip()} must ascend, within 0 to {MAX_ID}")
        ids.update(range(low, high + 1))
    return frozenset(ids)
