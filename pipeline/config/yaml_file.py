"""Reads one YAML config into a document; what is no acceptable text is told as a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import texts
from pipeline.config.document import Document
from pipeline.errors import Fault, InputError, missing
from pipeline.texts import TextError

MAX_FILE_BYTES = 1024**2


def read_text(path: Path, max_bytes: int = MAX_FILE_BYTES) -> str:
    """Return the text of an input file. Raises InputError where it cannot be read."""
    try:
        return texts.read_text(path, max_bytes)
    except TextError as error:
        raise not_taken(error, str(path)) from None


def parse_yaml(text: str, file: str) -> Any:
    """Parse YAML. Raises InputError with line and column for what is no acceptable YAML."""
    try:
        return texts.parse_yaml(text)
    except TextError as error:
        raise not_taken(error, file) from None


def not_taken(error: TextError, file: str) -> InputError:
    """Return the fault of a text that was not taken."""
    return InputError([missing(file, error.where, error.reason)])


def read_yaml(path: Path) -> Document:
    """Read a YAML config. Raises InputError."""
    data = parse_yaml(read_text(path), str(path))
    if not isinstance(data, dict):
        raise InputError([Fault(str(path), "file", "must hold fields, as `name: ...`", data)])
    return Document(str(path), data)
