"""Two configs in, the fields in which they differ out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldChange:
    """A field of the config that differs; None where one of them does not have it."""

    field: str
    before: Any
    after: Any


def changed_fields(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> Iterator[FieldChange]:
    """Yield the fields that differ, by dotted name; GPUs of the pool go by their type."""
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key), after.get(key)
        if one == other:
            continue
        name = f"{prefix}{key}"
        if name == "pool":
            one, other = _by_type(one), _by_type(other)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from changed_fields(one, other, f"{name}.")
        else:
            yield FieldChange(name, one, other)


def _by_type(pool: Any) -> Any:
    """Return a pool by the types of its GPUs; what is no pool as it is."""
    if isinstance(pool, list) and all(isinstance(kind, Mapping) and "gpu" in kind for kind in pool):
        return {str(kind["gpu"]): kind for kind in pool}
    return pool


def changes_told(before: Any, after: Any, most: int = 3) -> str:
    """Name fields in which two instances differ, with both values; empty where none is known."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return ""
    changes = [c for c in changed_fields(before, after) if not c.field.startswith("sweep.")]
    texts = [f"{c.field}: {c.before} there, {c.after} now" for c in changes[:most]]
    left_out = [f"{len(changes) - most} more"] if len(changes) > most else []
    return "; ".join(texts + left_out)
