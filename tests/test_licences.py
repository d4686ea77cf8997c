"""Nothing is installed with this package under a licence that nobody has looked at."""

from email.message import Message
from importlib.metadata import Distribution
from types import SimpleNamespace
from typing import cast

import pytest

from tests.licences import NOTED, PAGE, PERMISSIVE, Licensed, installed, licence_of, page

PACKAGES = list(installed())


def saying(**fields: str) -> Distribution:
    """Return a package that says this of itself."""
    metadata = Message()
    for name, value in fields.items():
        metadata[name.replace("_", "-")] = value
    return cast(Distribution, SimpleNamespace(metadata=metadata))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_package_has_a_licence_that_was_looked_at(package: Licensed) -> None:
    known = PERMISSIVE | NOTED.keys()
    assert set(package.parts) <= known, f"look at the licence of {package.name}: {package.licence}"


def test_the_page_lists_every_package_with_its_licence() -> None:
    text = PAGE.read_text(encoding="utf-8")
    absent = [p.name for p in PACKAGES if f"| {p.name} | {p.licence} |" not in text]
    assert absent == [], "run python -m tests.licences"


def test_packages_of_packages_are_among_them() -> None:
    names = {package.name: package.is_for_users for package in PACKAGES}
    # requests comes with Ray, certifi with requests; pluggy comes with pytest.
    assert names["certifi"] is True
    assert names["pluggy"] is False


def test_an_expression_counts_before_classifiers_and_these_before_text() -> None:
    osi = "License :: OSI Approved :: "
    both = saying(License_Expression="MIT OR Zlib", Classifier=f"{osi}BSD License")
    assert licence_of(both) == "MIT OR Zlib"
    assert licence_of(saying(Classifier=f"{osi}BSD License", License="mine")) == "BSD"
    assert licence_of(saying(License="Apache 2.0")) == "Apache-2.0"


def test_a_licence_that_cannot_be_made_out_or_is_not_listed_stops_the_test() -> None:
    assert licence_of(saying(License="all rights reserved")) == "unknown"
    assert licence_of(saying()) == "unknown"
    strict = Licensed("strict", licence_of(saying(License_Expression="GPL-3.0-only")), True)
    assert not set(strict.parts) <= PERMISSIVE | NOTED.keys()


def test_the_page_names_those_that_are_not_permissive() -> None:
    text = page([Licensed("free", "MIT", True), Licensed("files", "MPL-2.0 AND MIT", False)])
    assert ": `files` (developers)." in text
    assert "| free | MIT |" in text
