"""Plain data as JSON that people can read too: what holds no further parts stands on one line."""

from __future__ import annotations

import json
import re
from typing import Any

# A line break after a bracket is never part of a text: texts hold none as they are.
_INNERMOST = re.compile(r"([\[{])\n\s+([^\[\]{}]*?)\n\s+([\]}])")


def readable_json(value: Any) -> str:
    """Return JSON with one line for every innermost list and mapping, as a row of a matrix."""
    text = json.dumps(value, indent=2, allow_nan=False)
    return _INNERMOST.sub(_on_one_line, text)


def _on_one_line(found: re.Match[str]) -> str:
    opening, inside, closing = found.groups()
    return opening + re.sub(r",\n\s+", ", ", inside) + closing
