"""One hostile input as data: the files that lie in a folder, and the arguments beside them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Special:
    """Something that stands where a file belongs: a link to `target`, a fifo, or a folder."""

    kind: str
    target: str = ""


Content = bytes | Special


@dataclass(frozen=True)
class Case:
    """One input of one target. files: by path relative to the folder that the target is given."""

    target: str
    files: Mapping[str, Content]
    arguments: tuple[str, ...] = ()

    def lay_out(self, folder: Path) -> None:
        """Write the files into a folder."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif content.kind == "link":
                path.symlink_to(content.target)
            elif content.kind == "fifo":
                os.mkfifo(path)
            else:
                path.mkdir(exist_ok=True)

    def to_json(self) -> str:
        """Return the case as text that `from_json` reads."""
        files = {name: _encoded(content) for name, content in self.files.items()}
        data = {"target": self.target, "arguments": self.arguments, "files": files}
        return json.dumps(data, indent=1) + "\n"


def from_json(text: str) -> Case:
    """Return the case that `to_json` wrote."""
    data = json.loads(text)
    files = {name: _decoded(entry) for name, entry in data["files"].items()}
    return Case(data["target"], files, tuple(data["arguments"]))


def _encoded(content: Content) -> dict[str, str]:
    """Text stays readable where it is text."""
    if isinstance(content, Special):
        return {"kind": content.kind, "target": content.target}
    try:
        return {"text": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _decoded(entry: Mapping[str, Any]) -> Content:
    if "kind" in entry:
        return Special(entry["kind"], entry["target"])
    if "text" in entry:
        return str(entry["text"]).encode("utf-8")
    return base64.b64decode(entry["base64"])
