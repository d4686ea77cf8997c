"""What can be wrong with a catalogue: an unknown name or a file that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.errors import SourceError
from pipeline.words import close_names


class CatalogueError(SourceError, LookupError):
    """A name that no catalogue holds, or a catalogue file at fault."""


def unknown(kind: str, name: str, known: Iterable[str], file: str) -> CatalogueError:
    """Error for an unknown name: the near names, and how to add one."""
    names = sorted(known)
    folded = {known_name.casefold(): known_name for known_name in names}
    near = close_names(name.casefold(), folded, n=5, cutoff=0.4)
    starts = [key for key in folded if key.startswith(name.casefold()) and key not in near]
    close = [folded[key] for key in (*starts, *near)][:6]
    hint = f"near names: {', '.join(close)}" if close else f"known: {', '.join(names)}"
    return CatalogueError(
        f"{kind}: {name}: is not in the catalogue; {hint}."
        f" To add one, write an entry with its sources into pipeline/catalogue/{file}."
    )
