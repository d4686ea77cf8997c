"""Text from outside made into plain data: bounded in size and depth, so that none can blow up."""

from pipeline.texts.names import check_name, check_printable
from pipeline.texts.numbers import is_plain
from pipeline.texts.plain_files import TextError, read_bytes, read_text
from pipeline.texts.strict_csv import parse_csv
from pipeline.texts.strict_json import parse_json
from pipeline.texts.strict_yaml import parse_yaml

__all__ = [
    "TextError",
    "check_name",
    "check_printable",
    "is_plain",
    "parse_csv",
    "parse_json",
    "parse_yaml",
    "read_bytes",
    "read_text",
]
