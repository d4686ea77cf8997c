"""What a release says of itself is said once, or the same everywhere."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.versions import package_versions
from tests.wheel import SUPPORTED

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_stands_in_the_package_alone_and_is_what_rows_and_installer_say() -> None:
    assert "version" not in PROJECT["project"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "pipeline.__version__"}
    assert version("placement-pipeline") == __version__
    assert package_versions().startswith(f"placement-pipeline {__version__}, pyomo ")


def test_the_changelog_opens_with_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+?)\] - \d{4}-\d{2}-\d{2}$", changelog, re.MULTILINE)
    assert versions[0] == __version__
    assert versions == sorted(versions, key=lambda v: [int(n) for n in v.split(".")], reverse=True)


def test_the_pythons_declared_are_those_that_the_wheel_is_tried_on() -> None:
    prefix = "Programming Language :: Python :: 3."
    declared = [c for c in PROJECT["project"]["classifiers"] if c.startswith(prefix)]
    assert tuple(c.rpartition(" ")[2] for c in declared) == SUPPORTED
    assert PROJECT["project"]["requires-python"] == f">={SUPPORTED[0]}"
    checked = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[0]
    assert f"Python {SUPPORTED[0]} to {SUPPORTED[-1]}" in checked


def test_every_file_that_the_package_reads_is_declared_as_its_data() -> None:
    package = ROOT / "pipeline"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["pipeline"]
    declared = {file for pattern in patterns for file in package.glob(pattern) if file.is_file()}
    folders = (package, package / "configs", *(package / "configs").iterdir())
    present = {
        file
        for folder in {*folders, *package.rglob("*")}
        if folder.is_dir() and "__pycache__" not in folder.parts
        for file in folder.iterdir()
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    assert present == declared
