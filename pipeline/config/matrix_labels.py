"""Finds what the labels of a bandwidth matrix say against reading it by position.

GPUs have ids, and row i is taken for GPU i whatever its label. So a table that was sorted as text,
gpu_10 before gpu_2, would give a wrong answer without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

DIGITS = "0123456789"
# What stands between the name of a type and a number, and the digits of a number that is an id.
BETWEEN = " _-.:#"
MOST_DIGITS = 9
WAY_OUT = "leave labels empty where they are no ids"


class Labels(NamedTuple):
    """The index column and the header row of a matrix; empty labels are none."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]


class LabelFault(NamedTuple):
    """A label that contradicts its position."""

    axis: str
    reason: str
    label: str


def label_faults(labels: Labels, pool: Sequence[tuple[str, int]]) -> Iterator[LabelFault]:
    """Yield the first label of each axis that is out of place.

    pool: name and count of every GPU type, in the order of the ids.
    """
    is_sound = True
    for axis, own in labels._asdict().items():
        found = next((fault for rule in RULES for fault in rule(axis, own, pool)), None)
        if found is not None:
            is_sound = False
            yield found._replace(reason=f"{found.reason}; {WAY_OUT}")
    if is_sound:
        yield from _orders_differ(labels)


def _stands_twice(
    axis: str, labels: Sequence[str], pool: Sequence[tuple[str, int]]
) -> Iterator[LabelFault]:
    """A label is one of one GPU, unless it is the name of the GPU's type."""
    types, seen = dict(pool), set[str]()
    for label in filter(None, labels):
        if label in seen and label not in types:
            yield LabelFault(axis, "must be labels, each once", label)
        seen.add(label)


def _numbers_descend(
    axis: str, labels: Sequence[str], pool: Sequence[tuple[str, int]]
) -> Iterator[LabelFault]:
    """Of labels that differ only in their last number, that number counts up.

    Only where the numbers leave none out, as ids do; those of hosts and addresses may.
    """
    types = dict(pool)
    numbered: dict[str, list[tuple[int, str]]] = {}
    for label in labels:
        before = label.rstrip(DIGITS)
        digits = label[len(before) :]
        if 0 < len(digits) <= MOST_DIGITS and label not in types:
            numbered.setdefault(before, []).append((int(digits), label))
    for own in numbered.values():
        numbers = [number for number, _ in own]
        if max(numbers) - min(numbers) + 1 != len(set(numbers)):
            continue
        for (number, label), (following, next_label) in pairwise(own):
            if following <= number:
                reason = "must be in the order of the GPU ids"
                yield LabelFault(axis, f"{reason}; this one stands behind {label!r}", next_label)


def _is_another_type(
    axis: str, labels: Sequence[str], pool: Sequence[tuple[str, int]]
) -> Iterator[LabelFault]:
    """A label that names a type of the pool, as A100_0, stands for a GPU of that type."""
    ends = accumulate(count for _, count in pool)
    ids = {name: range(end - count, end) for (name, count), end in zip(pool, ends, strict=True)}
    for gpu, label in enumerate(labels):
        before = label.rstrip(DIGITS)
        name = label if label in ids else before.rstrip(BETWEEN)
        if name == before != label:
            continue  # A1000 may be GPU 1000 of something, or GPU 0 of A100
        if name in ids and gpu not in ids[name]:
            has = f"{name} has the ids {ids[name][0]}-{ids[name][-1]}"
            reason = f"must be in the order of the pool, in which {has}"
            yield LabelFault(axis, f"{reason}; this one stands for id {gpu}", label)


def _orders_differ(labels: Labels) -> Iterator[LabelFault]:
    """Labels that are the same on both axes are so in the same order."""
    rows, columns = (list(filter(None, own)) for own in labels)
    if set(rows) == set(columns):
        for row, column in zip(rows, columns, strict=False):
            if row != column:
                reason = f"must be in the order of the columns, where {column!r} stands here"
                yield LabelFault("rows", reason, row)
                return


RULES = (_stands_twice, _numbers_descend, _is_another_type)
"""Every rule that the labels of an axis must keep."""
