"""Sets of GPU ids as people write them: 25-34, or 0-7,16-23."""

from __future__ import annotations

import contextlib
import re

MAX_ID = 1_000_000
MAX_IDS = 1_000_000
_RANGE = re.compile(r"^\s*(\d{1,20})\s*(?:-\s*(\d{1,20})\s*)?$", re.ASCII)
_TOO_MANY = f"may name at most {MAX_IDS} ids in all"


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
    return frozenset(i for ids in _ranges(value) for i in ids)


def check_number_of_ids(overrides: object) -> object:
    """Raise ValueError where a list of overrides names more ids than could be kept.

    Only text is counted: a list of ids is as long as it was written.
    """
    total = 0
    for entry in overrides if isinstance(overrides, list) else ():
        for side in ("gpus", "to") if isinstance(entry, dict) else ():
            with contextlib.suppress(ValueError):
                text = entry.get(side)
                total += sum(map(len, _ranges(text))) if isinstance(text, str) else 0
    if total > MAX_IDS:
        raise ValueError(_TOO_MANY)
    return overrides


def _ranges(text: str) -> list[range]:
    """Read ranges that include both ends. Raises ValueError."""
    ranges: list[range] = []
    total = 0
    for part in text.split(","):
        match = _RANGE.match(part)
        if not match:
            raise ValueError("must be GPU ids, as 25-34 or 0-7,16-23")
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high or high > MAX_ID:
            raise ValueError(f"range {part.strip()} must ascend, within 0 to {MAX_ID}")
        ranges.append(range(low, high + 1))
        total += high + 1 - low
        if total > MAX_IDS:
            raise ValueError(_TOO_MANY)
    return ranges
