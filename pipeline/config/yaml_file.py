"""Reads one YAML config into a document; hostile or sloppy YAML is refused, not guessed at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.config.document import Document
from pipeline.errors import Fault, InputError, missing

MAX_FILE_BYTES = 64 * 1024**2
MAX_DEPTH = 50


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses repeated keys, aliases and deep nesting, and reads 1e3 as a number.

    Aliases are refused because a few lines of them can stand for billions of values.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise self._refused("aliases are not supported")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._refused(f"nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _refused(self, reason: str) -> yaml.MarkedYAMLError:
        """Return an error at the place that is being read."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        return yaml.MarkedYAMLError(None, None, reason, mark)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.MarkedYAMLError(None, None, "a key must be text", key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    None, None, f"key {key!r} stands here twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_text(path: Path) -> str:
    """Return the text of an input file. Raises InputError where it cannot be read."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError([missing(str(path), "file", f"is larger than {MAX_FILE_BYTES} bytes")])
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError([missing(str(path), "file", "does not exist")]) from None
    except UnicodeDecodeError:
        raise InputError([missing(str(path), "file", "is not UTF-8 text")]) from None
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise InputError([missing(str(path), "file", reason)]) from None


def parse_yaml(text: str, file: str) -> Any:
    """Parse YAML. Raises InputError with line and column for what is no acceptable YAML."""
    try:
        return yaml.load(text, _StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "file"
        raise InputError([missing(file, where, str(error.problem or error))]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError([missing(file, "file", f"is not valid YAML: {reason}")]) from None


def read_yaml(path: Path) -> Document:
    """Read a YAML config. Raises InputError."""
    data = parse_yaml(read_text(path), str(path))
    if not isinstance(data, dict):
        raise InputError([Fault(str(path), "file", "must hold fields, as `name: ...`", data)])
    return Document(str(path), data)
