"""Turns JSON into plain data; what is no number, repeated, too deep or too much is refused."""

from __future__ import annotations

import json
from typing import Any

from pipeline.errors import shown
from pipeline.texts.plain_data import check_plain, too_deep
from pipeline.texts.plain_files import TextError

# What stands before every value but the only one of its list or mapping; a mapping of one value
# takes some two hundred bytes. The largest matrix has a million values.
BEFORE_VALUES, MAX_VALUES = ",[{", 5_000_000


def parse_json(text: str) -> Any:
    """Return the data of a JSON text. Raises TextError."""
    if sum(map(text.count, BEFORE_VALUES)) > MAX_VALUES:
        raise TextError(f"holds more than {MAX_VALUES} values")
    try:
        data = json.loads(text, parse_constant=_refused, object_pairs_hook=_object)
    except RecursionError:
        raise TextError(f"is not valid JSON: {too_deep().reason}") from None
    except ValueError as error:
        if isinstance(error, TextError):
            raise
        raise TextError(f"is not valid JSON: {error}") from None
    check_plain(data)
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; of a key that stands twice Python would take the later value."""
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise TextError(f"key {shown(key)} stands here twice")
        made[key] = value
    return made


def _refused(name: str) -> None:
    """Refuse NaN and the infinities, which JSON does not have."""
    raise TextError(f"is not valid JSON: {name} is no number")
