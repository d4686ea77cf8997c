"""The licences of everything that is installed with this package, from what each says of itself.

`python -m tests.licences` writes `docs/licences.md`. A package with a licence that is not in
PERMISSIVE or NOTED has to be looked at by someone before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from pipeline import __version__

PAGE = Path(__file__).parent.parent / "docs" / "licences.md"
PROJECT = "placement-pipeline"
# Those that ask for no more than to be named; SPDX identifiers.
PERMISSIVE = frozenset(
    [
        "MIT",
        "Apache-2.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "0BSD",
        "ISC",
        "PSF-2.0",
        "Zlib",
        "CC0-1.0",
    ]
)
# Not permissive, looked at, with why it may be used.
NOTED = {
    "MPL-2.0": "asks that changes to its own files are published; they are used unchanged, and "
    "are no part of what this project distributes",
}
# How licences are named by packages that give no SPDX expression.
NAMES = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD License": "BSD",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


@dataclass(frozen=True)
class Licensed:
    """A package, what it says of its licence, and whether users need it or only developers."""

    name: str
    licence: str
    is_for_users: bool

    @property
    def parts(self) -> tuple[str, ...]:
        """The licences of which it is made up, or among which one may choose."""
        return tuple(re.split(r" (?:AND|OR) ", self.licence))


def installed() -> Iterator[Licensed]:
    """Yield every package that users get with this one, then what developers get besides."""
    users = _closure(PROJECT, "")
    for name, found in sorted(users.items()):
        yield Licensed(name, licence_of(found), True)
    for name, found in sorted(_closure(PROJECT, "dev").items()):
        if name not in users:
            yield Licensed(name, licence_of(found), False)


def licence_of(found: Distribution) -> str:
    """Return what a package says of its licence as an SPDX expression; "unknown" if it cannot be.

    An expression counts first, then classifiers, then free text.
    """

    def said(field: str) -> list[str]:
        return [str(value).strip() for value in found.metadata.get_all(field) or ()]

    expressions = said("License-Expression")
    if expressions:
        return expressions[0]
    classifiers = [c for c in said("Classifier") if c.startswith("License :: OSI Approved ::")]
    if classifiers:
        names = [classifier.rpartition(" :: ")[2] for classifier in classifiers]
        return " OR ".join(NAMES.get(name, name) for name in names)
    text = "".join(said("License"))
    name = NAMES.get(text, text)
    return name if name in PERMISSIVE or name in NOTED else "unknown"


def _closure(project: str, extra: str) -> dict[str, Distribution]:
    """Return what a project needs with an extra, what that needs, and so on; not itself."""
    found: dict[str, Distribution] = {}
    asked: list[tuple[str, Sequence[str]]] = [(project, (extra,))]
    while asked:
        name, extras = asked.pop()
        wanted = distribution(name)
        for text in wanted.requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            applies = marker is None or any(marker.evaluate({"extra": e}) for e in extras or ("",))
            key = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if applies and key not in found:
                found[key] = distribution(requirement.name)
                asked.append((requirement.name, ("", *requirement.extras)))
    return found


def page(packages: Sequence[Licensed]) -> str:
    """Return the page of all licences."""
    lines = [
        "# Licences",
        "",
        f"`{PROJECT}` {__version__} is licensed under Apache-2.0. Its wheel has nobody else's "
        "code; "
        "what it needs is installed beside it, each under its own licence. The table is what the "
        "packages say of themselves, those of Python 3.11 to 3.13 with the versions of "
        "`constraints.txt`; `python -m tests.licences` writes it, and a test fails where a package "
        "has a licence that nobody has looked at.",
        "",
        "All are permissive, but for those under",
        "",
        *(f"- {name}, which {why}: {_under(name, packages)}." for name, why in NOTED.items()),
        "",
        "The wheels of NumPy and SciPy carry compiled libraries of others, among them GCC's "
        "runtime under the GPL with the exception that lets any program use it; their own licence "
        "files list them. The page that `placement report` writes holds the scripts of Vega, "
        "Vega-Lite and Vega-Embed (BSD-3-Clause), as `vl-convert-python` bundles them.",
    ]
    for title, is_for_users in (("What users get", True), ("What developers get besides", False)):
        lines += ["", f"## {title}", "", "| package | licence |", "|---|---|"]
        lines += [f"| {p.name} | {p.licence} |" for p in packages if p.is_for_users == is_for_users]
    return "\n".join(lines) + "\n"


def _under(licence: str, packages: Sequence[Licensed]) -> str:
    named = [
        f"`{p.name}`{'' if p.is_for_users else ' (developers)'}"
        for p in packages
        if licence in p.parts
    ]
    return ", ".join(named)


if __name__ == "__main__":
    PAGE.write_text(page(list(installed())), encoding="utf-8")
