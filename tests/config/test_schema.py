"""The sections themselves: documented, strict, frozen, and the same after a round trip."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from pipeline.config import Config, load_config
from pipeline.config import schema as sections
from tests.builders import REFERENCE_CONFIG
from tests.config.builders import load_changed


def all_sections() -> Iterator[type[BaseModel]]:
    for section in vars(sections).values():
        if isinstance(section, type) and issubclass(section, sections.Section):
            yield section


@pytest.mark.parametrize("section", list(all_sections()))
def test_every_section_and_field_says_what_it_means(section: type[BaseModel]) -> None:
    assert section.__doc__
    if section is not Config:
        lacking = [name for name, field in section.model_fields.items() if not field.description]
        assert lacking == []


def test_a_config_cannot_be_changed() -> None:
    config = load_config(REFERENCE_CONFIG).config
    with pytest.raises(ValidationError, match="frozen"):
        config.name = "other"  # type: ignore[misc]


def test_a_config_survives_being_written_as_json(tmp_path: Path) -> None:
    exceptions = [{"gpus": "0-1", "gb_per_s": 5}, {"gpus": 0, "to": [2], "gb_per_s": 0}]
    config = load_changed(
        tmp_path, lambda data: data["network"].update(overrides=exceptions)
    ).config
    written = json.loads(json.dumps(config.model_dump(mode="json")))
    assert Config.model_validate(written) == config
