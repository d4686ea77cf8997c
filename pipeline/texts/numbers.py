"""Numbers as everybody reads them: Python also takes 1_0 for 10, and digits of other scripts."""

from __future__ import annotations


def is_plain(text: str) -> bool:
    """Tell whether Python reads a number in this text as all others do, where it reads one."""
    return text.isascii() and "_" not in text
