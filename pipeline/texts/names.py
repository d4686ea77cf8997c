"""Names from outside, which tables and terminals are to show as they are."""

from __future__ import annotations

MAX_NAME_CHARACTERS = 200


def check_printable(text: str) -> str:
    """Return a text. Raises ValueError where a terminal would obey it."""
    if not text.isprintable():
        raise ValueError("must hold only characters that can be printed")
    return text


def check_name(text: str) -> str:
    """Return a name. Raises ValueError for one too long for a table, or that does not print."""
    if len(text) > MAX_NAME_CHARACTERS:
        raise ValueError(f"must be names of at most {MAX_NAME_CHARACTERS} characters")
    return check_printable(text)
