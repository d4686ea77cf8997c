"""The configs that ship with the package go by name, wherever the repository is not."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load_config
from pipeline.config.packaged import (
    FOLDER,
    located,
    packaged_configs,
    packaged_path,
    write_copy,
)
from pipeline.errors import InputError

CONFIGS = Path(__file__).parents[2] / "configs"


def fault_of(given: Path) -> str:
    with pytest.raises(InputError) as raised:
        located(given)
    [fault] = raised.value.faults
    return str(fault)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_the_configs_of_the_package_are_those_of_the_repository() -> None:
    assert contents(FOLDER) == contents(CONFIGS)
    assert len(contents(CONFIGS)) > 5


def test_every_packaged_config_is_listed_once_with_a_sentence_and_loads_by_name() -> None:
    listed = packaged_configs()
    names = [config.name for config in listed]
    assert names == sorted({path.name.removesuffix(".yaml") for path in CONFIGS.iterdir()})
    for config in listed:
        assert 20 < len(config.about) < 120
        assert "\n" not in config.about
        assert load_config(config.name).config == load_config(config.path).config


def test_a_sentence_ends_where_the_first_of_the_comment_does() -> None:
    about = {config.name: config.about for config in packaged_configs()}
    assert about["medium"] == (
        "The reference instance: 64 GPUs of five types, a model of 40 layers, "
        "prefill of 32 × 4096 tokens"
    )
    assert about["medium-csv"] == "As CSV files: config.csv, gpu_pool.csv, network_bandwidth.csv"


def test_what_exists_wins_over_a_name_unless_the_name_says_packaged() -> None:
    assert located(Path("medium")) == packaged_path("medium")
    Path("medium").write_text("name: mine")
    assert located(Path("medium")) == Path("medium")
    assert located(Path("packaged:medium")) == packaged_path("medium")


def test_a_results_folder_named_like_a_config_does_not_hide_it(elsewhere: Path) -> None:
    (elsewhere / "medium").mkdir()
    assert located(Path("medium")) == packaged_path("medium")
    (elsewhere / "medium" / "config.csv").touch()
    assert located(Path("medium")) == Path("medium")
    (elsewhere / "other").mkdir()
    assert located(Path("other")) == Path("other")


def test_a_name_that_is_neither_lists_those_there_are() -> None:
    names = ", ".join(sorted(path.name.removesuffix(".yaml") for path in CONFIGS.iterdir()))
    assert fault_of(Path("medum")) == (
        f"medum: file: does not exist; configs in the package: {names}"
    )
    assert fault_of(Path("packaged:medum")) == (
        f"packaged:medum: file: no such config in the package, which has {names}"
    )


@pytest.mark.parametrize("path", ["configs/medium.yaml", "medium.yaml", "a/medium.yml"])
def test_a_lost_file_with_the_name_of_a_packaged_config_is_told_that_name(path: str) -> None:
    assert fault_of(Path(path)) == (
        f"{path}: file: does not exist; the config of that name in the package is medium"
    )


def test_any_other_path_is_left_to_whoever_reads_it() -> None:
    for path in ("mine.yaml", "a/medium", "/nowhere/mine.yaml"):
        assert located(Path(path)) == Path(path)


def test_a_name_too_long_for_the_file_system_is_a_fault() -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_config("a" * 5000)
    with pytest.raises(InputError, match="cannot be read"):
        load_config("a" * 5000 + ".yaml")


@pytest.mark.parametrize("name", ["medium", "medium-csv"])
def test_a_copy_is_the_same_config_and_overwrites_nothing(name: str, elsewhere: Path) -> None:
    target = elsewhere / "mine"
    write_copy(name, target)
    copy, ours = (load_config(path).config for path in (target, packaged_path(name)))
    assert copy.model_dump(exclude={"name"}) == ours.model_dump(exclude={"name"})
    before = contents(elsewhere)
    with pytest.raises(InputError, match="mine: file: exists already; choose another name"):
        write_copy(name, target)
    assert contents(elsewhere) == before


@pytest.mark.parametrize("target", ["absent/mine.yaml", "a" * 300])
def test_a_copy_that_cannot_be_written_is_a_fault(target: str, elsewhere: Path) -> None:
    with pytest.raises(InputError, match="file: cannot be written"):
        write_copy("medium", elsewhere / target)


def test_a_copy_onto_a_full_disk_is_a_fault(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copytree", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        write_copy("medium-csv", elsewhere / "mine")


def test_a_path_in_a_folder_that_may_not_be_entered_is_not_told_to_be_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stat, locked = os.stat, Path("locked/medium.yaml")

    def refuse(path: Any, **how: Any) -> os.stat_result:
        if str(path) == str(locked):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **how)

    monkeypatch.setattr("os.stat", refuse)
    assert located(locked) == locked
