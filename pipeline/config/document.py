"""A config before it is checked: plain data, and for every field the file it came from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.config.matrix_labels import Labels
from pipeline.errors import Fault, InputError, missing
from pipeline.texts.plain_data import MAX_DEPTH, MAX_DIGITS
from pipeline.texts.plain_files import ABSENT

FieldPath = tuple[str | int, ...]


@dataclass
class Document:
    """Raw data of a config.

    origins: file and name there of the fields under a path. faults: what was found while reading.
    unread: files that gave nothing, so that what is absent because of them is no news. labels:
    those of a bandwidth matrix, by its file.
    """

    file: str
    data: dict[str, Any]
    origins: dict[FieldPath, tuple[str, str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    labels: dict[str, Labels] = field(default_factory=dict)

    def where(self, path: FieldPath) -> tuple[str, str]:
        """Return the file and the field name by which a user knows the field at `path`."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                file, name = self.origins[path[:length]]
                return file, name + dotted(path[length:], after=bool(name)) or "file"
        return self.file, dotted(path)

    def fault(self, path: FieldPath, reason: str, value: Any) -> Fault:
        """Return a fault of the field at `path`."""
        return Fault(*self.where(path), reason, value)

    def lacking(self, path: FieldPath, reason: str) -> Fault:
        """Return a fault of a field that should be at `path` and is not."""
        return missing(*self.where(path), reason)

    def note_unread(self, error: InputError, path: FieldPath = ()) -> None:
        """Keep the faults of a file that could not be read, to be reported with all others.

        path: of the field that names the file, which is told of a file that does not exist.
        """
        file, name = self.where(path)
        for fault in error.faults:
            if path and fault.reason == ABSENT:
                fault = replace(fault, reason=f"{ABSENT}; named under {name} of {file}")
            self.faults.append(fault)
        self.unread |= {fault.file for fault in error.faults}

    def news(self, faults: Iterable[Fault]) -> list[Fault]:
        """Return the faults that say more than what was found while reading."""
        known = {(noted.file, noted.field) for noted in self.faults}
        return [f for f in faults if f.file not in self.unread and (f.file, f.field) not in known]

    def with_values(
        self, values: Sequence[tuple[str, Any]], file: str, prefix: str = ""
    ) -> Document:
        """Return a copy with fields replaced, as `workload.batch_size` or `pool.A100.count`.

        file, prefix: where the values stand and what precedes their keys there. A path that leads
        through something that has no such part is noted among the faults.
        """
        origins, faults, unread = dict(self.origins), list(self.faults), set(self.unread)
        changed = Document(self.file, self.data, origins, faults, unread, self.labels)
        for key, value in values:
            try:
                path = path_of(changed.data, key)
                changed.data = _replaced(changed.data, path, value)
            except (LookupError, TypeError) as error:
                changed.faults.append(Fault(file, prefix + key, str(error.args[0]), value))
            else:
                beneath = [known for known in origins if known[: len(path)] == path]
                for known in beneath:
                    del origins[known]
                origins[path] = (file, prefix + key)
        return changed


def key_parts(key: str) -> list[str]:
    """Split a dotted key: `pool[0].count` and `pool.0.count` are the same."""
    return [part for part in re.split(r"[.\[\]]+", key) if part]


def path_of(data: Any, key: str) -> FieldPath:
    """Return the path that a dotted key means in the data, as `pool.A100.count`.

    Raises LookupError or TypeError where it leads through something that has no such part.
    """
    parts = key_parts(key)
    if not 0 < len(parts) <= MAX_DEPTH:
        raise LookupError("is no field name")
    path: list[str | int] = []
    for part in parts:
        step = _step(data, part)
        path.append(step)
        data = (data or {}).get(step) if isinstance(data, dict | None) else data[step]
    return tuple(path)


def _replaced(data: Any, path: FieldPath, value: Any) -> Any:
    """Return the data with one value replaced; what lies beside the path is shared, not copied."""
    if not path:
        return value
    step = path[0]
    if isinstance(data, dict | None):
        fields = data or {}
        return {**fields, step: _replaced(fields.get(step), path[1:], value)}
    return [_replaced(x, path[1:], value) if i == step else x for i, x in enumerate(data)]


def _step(container: Any, part: str) -> str | int:
    """Return the key or index that `part` means in a container; a pool is also known by name."""
    if isinstance(container, dict | None):  # beneath null as beneath what is absent
        return part
    if not isinstance(container, list):
        raise TypeError(f"has no part named {part!r}")
    if (
        part.isascii()
        and part.isdecimal()
        and len(part) <= MAX_DIGITS
        and int(part) < len(container)
    ):
        return int(part)
    names = [entry.get("gpu") if isinstance(entry, dict) else None for entry in container]
    if part in names:
        return names.index(part)
    known = [name for name in names if isinstance(name, str)] or [f"0 to {len(container) - 1}"]
    raise LookupError(f"has no part named {part!r}; there are {', '.join(known)}")


def dotted(path: FieldPath, after: bool = False) -> str:
    """Write a path as a user would: pool[0].count."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text or after else part
    return text
