"""The configs that ship with the project load, and the two forms of the reference one agree."""

from pathlib import Path

import pytest

from pipeline.config import load_config

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = sorted(path for path in CONFIGS.iterdir() if path.is_dir() or path.suffix == ".yaml")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_config_is_sound(path: Path) -> None:
    assert load_config(path).instance.num_layers > 0


def test_the_published_directory_and_the_yaml_file_are_one_instance() -> None:
    ours = load_config(CONFIGS / "medium.yaml").instance
    published = load_config(CONFIGS / "medium-csv").instance
    assert published.pool == ours.pool
    assert published.model == ours.model
    assert published.workload == ours.workload
    assert published.limits == ours.limits
    assert published.baseline == ours.baseline
    size = range(64)
    assert all(
        published.network.between(i, j) == ours.network.between(i, j)
        for i in size
        for j in size
        if i != j
    )
