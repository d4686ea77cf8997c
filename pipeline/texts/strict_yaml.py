"""Turns YAML into plain data; hostile or sloppy YAML is refused, not guessed at."""

from __future__ import annotations

import re
from typing import Any

import yaml

from pipeline.texts.plain_data import MAX_DEPTH, MAX_DIGITS, check_plain, too_deep
from pipeline.texts.plain_files import TextError

# A value takes the parser some 35 µs and a kilobyte.
MAX_VALUES = 50_000
# To YAML 1.1 1:30 is 90, 1_0 is 10 and 017 is 15: not what most would write these for.
_AMBIGUOUS = re.compile(r".*[:_]|[-+]?0[0-9]+$")


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses what is repeated, tagged or too much, and reads 1e3 as a number.

    Aliases are refused because a few lines of them can stand for billions of values; tags because
    what their constructors make of a text that does not suit them is anybody's guess.
    """

    depth = 0
    values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise self._refused("aliases are not supported")
        if getattr(event, "tag", None) is not None:
            raise self._refused(f"tags are not supported, as {event.tag[:40]}")
        self.depth += 1
        self.values += 1
        if self.depth > MAX_DEPTH:
            raise self._refused(too_deep().reason)
        if self.values > MAX_VALUES:
            raise self._refused(f"more than {MAX_VALUES} values; a large matrix belongs into a CSV")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _refused(self, reason: str) -> yaml.MarkedYAMLError:
        """Return an error at the place that is being read."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        return yaml.MarkedYAMLError(None, None, reason, mark)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                # {usd_per_hour: 0,3} has a key 3 with nothing behind it.
                is_bare = isinstance(value_node, yaml.ScalarNode) and not value_node.value
                hint = "; is a decimal comma meant?" if is_bare else ""
                reason = f"a key must be text (got {_start(key)}){hint}"
                raise yaml.MarkedYAMLError(None, None, reason, key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    None, None, f"key {_start(key)} stands here twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> Any:
        """Return a number, or the text where only YAML 1.1 takes it for that number.

        One too long to be meant would take hours to read or to write.
        """
        if len(node.value) > MAX_DIGITS:
            reason = f"a number of more than {MAX_DIGITS} characters"
            raise yaml.MarkedYAMLError(None, None, reason, node.start_mark)
        if _AMBIGUOUS.match(node.value):
            return node.value
        if node.tag.endswith("int"):
            return self.construct_yaml_int(node)
        return self.construct_yaml_float(node)

    def construct_date(self, node: yaml.ScalarNode) -> Any:
        """Return the text: no field is a date, and a name may look like one."""
        return node.value


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$", re.ASCII),
    list("-+0123456789."),
)
for _kind in ("int", "float"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _StrictLoader.construct_number)
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _StrictLoader.construct_date)


def parse_yaml(text: str) -> Any:
    """Return the data of a YAML text. Raises TextError, with line and column where it can."""
    try:
        data = yaml.load(text, _StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "file"
        raise TextError(str(error.problem or error), where) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TextError(f"is not valid YAML: {reason}") from None
    check_plain(data)
    return data


def _start(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= 40 else f"{text[:37]}..."
