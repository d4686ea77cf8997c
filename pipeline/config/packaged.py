"""From the name of a config that ships with the package to its files.

They are the files of `configs/` in the repository: `pipeline/configs` is a link to it there, and
a folder that holds them in an installed package.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.csv_directory import CONFIG_FILE
from pipeline.errors import InputError, missing

PREFIX = "packaged:"
FOLDER = Path(__file__).parent.parent / "configs"
YAML_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class PackagedConfig:
    """A config that ships with the package, with a sentence on what it describes."""

    name: str
    path: Path
    about: str


def packaged_configs() -> tuple[PackagedConfig, ...]:
    """Return every config that ships with the package, by name."""
    return tuple(PackagedConfig(name, path, _about(path)) for name, path in _paths().items())


def packaged_path(name: str) -> Path:
    """Return the path of a packaged config. Raises InputError, with the names there are."""
    paths = _paths()
    if name not in paths:
        reason = f"no such config in the package, which has {', '.join(paths)}"
        raise InputError([missing(f"{PREFIX}{name}", "file", reason)])
    return paths[name]


def located(given: Path) -> Path:
    """Return the path of a config that is given as a path or as the name of a packaged one.

    What exists at the path wins, but for a directory without a config in it, such as a results
    folder of the config's name. `packaged:NAME` is never a path. Raises InputError for a name
    that is neither.
    """
    text, paths = str(given), _paths()
    if text.startswith(PREFIX):
        return packaged_path(text.removeprefix(PREFIX))
    if not _is_absent(text):
        is_config = not os.path.isdir(text) or os.path.exists(given / CONFIG_FILE)
        return given if is_config or text not in paths else paths[text]
    if text in paths:
        return paths[text]
    is_yaml = given.suffix in YAML_SUFFIXES
    if is_yaml and given.stem in paths:
        reason = f"does not exist; the config of that name in the package is {given.stem}"
        raise InputError([missing(text, "file", reason)])
    if not is_yaml and given.name == text:
        reason = f"does not exist; configs in the package: {', '.join(paths)}"
        raise InputError([missing(text, "file", reason)])
    return given


def _is_absent(path: str) -> bool:
    """Tell whether nothing is there; what the user may not look at is told when it is read."""
    try:
        os.stat(path)
    except PermissionError:
        return False
    except (OSError, ValueError):
        return True
    return False


def write_copy(name: str, target: Path) -> None:
    """Copy a packaged config to a new file or, one of CSV files, to a new directory.

    Raises InputError for a name that does not exist, and where it cannot be written.
    """
    source = packaged_path(name)
    try:
        if source.is_dir():
            shutil.copytree(source, target, copy_function=shutil.copyfile)
        else:
            with open(target, "x", encoding="utf-8") as file:
                file.write(source.read_text(encoding="utf-8"))
    except FileExistsError:
        reason = "exists already; choose another name"
        raise InputError([missing(str(target), "file", reason)]) from None
    except (OSError, ValueError) as error:
        reason = f"cannot be written: {getattr(error, 'strerror', None) or error}"
        raise InputError([missing(str(target), "file", reason)]) from None


def _paths() -> dict[str, Path]:
    """Return the path of every packaged config, by name."""
    found = {path.name if path.is_dir() else path.stem: path for path in FOLDER.iterdir()}
    return dict(sorted(found.items()))


def _about(path: Path) -> str:
    """Return the first sentence of a config's opening comment; of a directory, its files."""
    if path.is_dir():
        return f"As CSV files: {', '.join(sorted(file.name for file in path.iterdir()))}"
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    return " ".join(comment).partition(". ")[0].rstrip(".")
