"""Values, texts and changes that a hostile or careless hand puts into a file."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]

NUMBERS: Sequence[Any] = (
    *(0, -1, 1, 2, 3, 7, 8, 10, 16, 40, 1000, 10_000, 99_999, 100_000, 100_001, 10**6, 2**31),
    *(2**40, 2**63, 10**20, 10**400, -(10**400)),
    *(0.0, -0.0, 0.1, 0.5, 0.999, 1.5, 1e-9, 1e-30, 1e-300, 5e-324, 1e3, 1e9, 1e18, 1e300, 1e308),
    *(float("inf"), float("-inf"), float("nan")),
)
WORDS: Sequence[Any] = (
    *("", " ", "x", "A100", "V100", "T4", "H100", "L4", "exact", "coarsest", "wide", "auto"),
    *("1+39", "5+10", "1+99999999999", "0-3", "0-1000000", "25-34,0", "9" * 5000, "1+" * 3000),
    *("../../etc/passwd", "/dev/zero", "/dev/null", "/proc/self/mem", ".", "..", "c.yaml"),
    *("a\0b", "a\nb", "\x1b[31mred", "\u202egnp", "\ud800", "é" * 50, "名前", "🦙", "<b>&"),
    *("%s{0}", "$(touch x)", "[red]x[/]", "x" * 3000, "null", "true", "1e3", "around_fine"),
)
NOTHING: Sequence[Any] = (None, True, False, [], {}, [[]], [None], {"": None}, {"gpu": "A100"})

scalars = (
    st.sampled_from([*NUMBERS, *WORDS, *NOTHING])
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
small_numbers = st.sampled_from([n for n in NUMBERS if isinstance(n, int | float)])


def paths(data: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the path of every value in nested data, its own sections before their parts."""
    entries = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in entries:
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*at, key))


def found(data: Any, path: Path) -> Any:
    """Return the value at a path."""
    for part in path:
        data = data[part]
    return data


@st.composite
def changed(draw: st.DrawFn, data: Any, extra: Sequence[Path] = (), most: int = 3) -> Any:
    """Return a copy of nested data with up to `most` changes; extra: paths that may be added."""
    data = copy.deepcopy(data)
    for _ in range(draw(st.sampled_from([1, 1, 1, most]))):
        known = [*paths(data), *extra]
        if known:
            _change(draw, data, draw(st.sampled_from(known)))
    return data


def _change(draw: st.DrawFn, data: Any, path: Path) -> None:
    """Change the value at a path: replace it, drop it, scale it, copy it or wrap it."""
    *sections, last = path
    for part in sections:
        if isinstance(data, dict):
            data = data.setdefault(part, {})
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return
    is_entry = isinstance(data, list) and isinstance(last, int) and last < len(data)
    if not is_entry and not isinstance(data, dict):
        return
    old = data[last] if is_entry else data.get(last)
    way = draw(st.sampled_from(["value", "number", "number", "drop", "scale", "copy", "wrap"]))
    if way == "drop" and (is_entry or last in data):
        del data[last]
    elif way == "copy" and is_entry:
        data.extend([copy.deepcopy(old)] * draw(st.sampled_from([1, 2, 50])))
    elif way == "scale" and isinstance(old, int | float) and not isinstance(old, bool):
        data[last] = _scaled(old, draw(small_numbers))
    elif way == "wrap":
        data[last] = draw(st.sampled_from([[old], {"x": old}, [old, old], str(old)]))
    else:
        data[last] = draw(small_numbers if way == "number" else values)


def _scaled(old: float, factor: float) -> Any:
    try:
        return old * factor
    except OverflowError:
        return factor


# Pieces that stand anywhere in a text.
SNIPPETS: Sequence[bytes] = (
    *(b"\xef\xbb\xbf", b"\r\n", b"\r", b"\0", b"\xe9", b"\xff\xfe", b"\t", b"\x1b[2J", b"\x07"),
    *(b"&a ", b"*a", b"<<: *a", b"!!python/object/apply:os.system ['touch x'] ", b"!!int ''"),
    *(b"!!float ''", b"!!bool x", b"!!timestamp x", b"!!set {a, b}", b"!!binary =", b"!!omap [1]"),
    *(b"!!null x", b"!!str 1", b"!<x> 1", b"! 1", b"%YAML 1.1\n---\n", b"--- \n", b"...\n"),
    *(b"[" * 200, b"{a: " * 200, b"- " * 200, b"? " * 60, b"0x" + b"f" * 5000, b"0b_", b"0x_"),
    *(b"1" + b":59" * 400, b"1:2:3.4", b"0o7", b"2001-99-99", b"2001-01-01T00:00:00+99:99"),
    *(b"=: 1", b"~: 1", b".nan: 1", b"'", b'"', b'"\\ud800"', b'"\\x00"', b"|\n", b">\n", b": "),
    *(b"#", b",", b",,,,,", b'"a,b"', b"\n\n", b"1e400", b"nan", b"inf", b"-inf", b"1_000"),
    *(b"9" * 5000, b"x" * 70_000, b"name: again\n", b"a: &x [*x]\n", "١٢".encode(), b"\xc2\x85"),
)


@st.composite
def damaged(draw: st.DrawFn, text: bytes, most: int = 2) -> bytes:
    """Return a text with pieces put in, cut out or copied, or its end cut off."""
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(text)))
        way = draw(st.sampled_from(["in", "in", "line", "cut", "end", "copy", "byte"]))
        if way == "in":
            text = text[:at] + draw(st.sampled_from(SNIPPETS)) + text[at:]
        elif way == "line":
            at = text.rfind(b"\n", 0, at) + 1
            text = text[:at] + draw(st.sampled_from(SNIPPETS)) + b"\n" + text[at:]
        elif way == "cut":
            text = text[:at] + text[at + draw(st.integers(1, 20)) :]
        elif way == "end":
            text = text[:at]
        elif way == "copy":
            text = text[:at] + text[max(at - 40, 0) : at] * 3 + text[at:]
        elif text:
            at = min(at, len(text) - 1)
            text = text[:at] + bytes([draw(st.integers(0, 255))]) + text[at + 1 :]
    return text
