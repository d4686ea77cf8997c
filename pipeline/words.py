"""Figures and names as people read them: prices, differences, durations, what may be meant."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence

# Nobody mistypes a longer name, and comparing two of them takes the product of their lengths.
MAX_COMPARED_CHARACTERS = 40
# A pool of a hundred may ask for each of its own; whoever brings more names than these knows them.
MAX_COMPARED_NAMES = 200


def per_million(usd_per_token: float) -> str:
    """Write a price per token as $ per million tokens."""
    return f"${usd_per_token * 1e6:.6f}"


def per_hour(usd: float) -> str:
    """Write a cost in plain dollars, with as many of its decimals as tell something."""
    decimals = 4 if abs(usd) >= 0.0001 else 12
    return f"${usd:,.{decimals}f}".rstrip("0").rstrip(".") + "/h"


def enough_per_hour(usd: float) -> str:
    """Write a cost as `per_hour` does, rounded up: as a budget it suffices."""
    unit = 1e-4 if abs(usd) >= 0.0001 else 1e-12
    return per_hour(math.ceil(round(usd / unit, 6)) * unit)


def target_sentence(usd_per_million_tokens: float, met: bool) -> str:
    """Say whether a price to beat is met."""
    verb = "met" if met else "missed"
    return f"The target of ${usd_per_million_tokens:g} per million tokens is {verb}."


def signed(difference: float) -> str:
    """Write a difference with one decimal and its sign; one that rounds to nothing without."""
    return f"{difference:+.1f}" if round(difference, 1) else "0.0"


def signed_percent(value: float | None) -> str:
    """Write a difference in percent as `signed` does; a dash where there is none."""
    return "–" if value is None else f"{signed(value)} %"


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it, with two or three digits: 230 ms, 45 s, 3.5 h."""
    value, unit = seconds, "s"
    if seconds >= 5400:
        value, unit = seconds / 3600, "h"
    elif seconds >= 90:
        value, unit = seconds / 60, "min"
    elif seconds < 0.9995:
        value, unit = seconds * 1000, "ms"
    return f"{value:.{1 if 0 < value < 10 else 0}f} {unit}"


def short_time(seconds: float) -> str:
    """Write a time in ms below a second, else in seconds with two decimals: 18 ms, 9.99 s."""
    return duration(seconds) if seconds < 0.9995 else f"{seconds:.2f} s"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun, in the plural where there is not one; else noun + s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or f'{noun}s'}"


def listed(words: list[str]) -> str:
    """Join words with commas and a final `and`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def id_range(ids: Sequence[int]) -> str:
    """Write consecutive ids as first–last."""
    return str(ids[0]) if len(ids) == 1 else f"{ids[0]}–{ids[-1]}"


def short_name(name: str, among: Sequence[str]) -> str:
    """Return the last part of a field's dotted name, or all of it where another ends alike."""
    last = name.rpartition(".")[2]
    alike = [other for other in among if other.rpartition(".")[2] == last]
    return last if len(alike) == 1 else name


def other_spelling(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that differs by case or outer spaces alone; None for a known one."""
    names, wanted = set(known), folded(name)
    alike = (other for other in names if folded(other) == wanted)
    return None if name in names else max(alike, default=None)


def folded(name: str) -> str:
    """Return what two names share that differ by case or outer spaces alone."""
    return name.strip().casefold()


def close_names(name: str, known: Iterable[str], n: int, cutoff: float = 0.6) -> list[str]:
    """Return up to n of the known names that may have been meant, the nearest first.

    None where there are more names than can be compared in little time.
    """
    short = [other for other in known if len(other) <= MAX_COMPARED_CHARACTERS]
    if len(name) > MAX_COMPARED_CHARACTERS or len(short) > MAX_COMPARED_NAMES:
        return []
    return difflib.get_close_matches(name, short, n=n, cutoff=cutoff)
