"""Names from outside, which tables and terminals are to show as they are."""

from __future__ import annotations

MAX_NAME_CHARACTERS = 200


def check_printable(text: str, which: str = "") -> str:
    """Return a text. Raises ValueError where a terminal would obey it.

    which: of several texts, the end of the reason that tells this one.
    """
    if not text.isprintable():
        raise ValueError(f"must hold only characters that can be printed{which}")
    return text


def check_name(text: str, which: str = "") -> str:
    """Return a name. Raises ValueError for one too long for a table, or that does not print."""
    if len(text) > MAX_NAME_CHARACTERS:
        raise ValueError(f"must be names of at most {MAX_NAME_CHARACTERS} characters{which}")
    return check_printable(text, which)
