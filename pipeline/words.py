"""Figures as people read them: prices, differences, durations."""

from __future__ import annotations


def per_million(usd_per_token: float) -> str:
    """Write a price per token as $ per million tokens."""
    return f"${usd_per_token * 1e6:.6f}"


def signed_percent(value: float | None) -> str:
    """Write a difference in percent with its sign; a dash where there is none."""
    return "–" if value is None else f"{value:+.1f} %"


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it, with two or three digits: 0.23 s, 45 s, 3.5 h."""
    value, unit = seconds, "s"
    if seconds >= 5400:
        value, unit = seconds / 3600, "h"
    elif seconds >= 90:
        value, unit = seconds / 60, "min"
    digits = 2 if value < 1 else 1 if value < 10 else 0
    return f"{value:.{digits}f} {unit}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun, in the plural where there is not one; else noun + s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or f'{noun}s'}"


def listed(words: list[str]) -> str:
    """Join words with commas and a final `and`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
