"""What parsed text may hold, whatever it was written in: no depth and no character without use."""

from __future__ import annotations

from typing import Any

from pipeline.texts.plain_files import TextError

MAX_DEPTH = 50
MAX_DIGITS = 400


def too_deep() -> TextError:
    """Return the error of lists and mappings that stand too deep in each other."""
    return TextError(f"nested more than {MAX_DEPTH} deep")


def check_plain(data: Any) -> None:
    """Raise TextError for data nested too deep, or with half a character.

    Half a character (one surrogate of a pair) can be escaped in JSON and YAML, and neither be
    printed nor written to any file.
    """
    level = _parts([data])
    for _ in range(MAX_DEPTH + 1):
        for value in level:
            if isinstance(value, str):
                _check_text(value)
        containers = [value for value in level if not isinstance(value, str)]
        if not containers:
            return
        level = [inner for container in containers for inner in _parts(container)]
    raise too_deep()


def _parts(container: dict[Any, Any] | list[Any]) -> list[Any]:
    """Return what may hold more data or text; a long list of numbers holds neither."""
    values = container if isinstance(container, list) else [*container, *container.values()]
    return [value for value in values if isinstance(value, str | dict | list)]


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(f"holds half a character, {text[error.start]!a}") from None
