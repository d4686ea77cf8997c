"""What can be wrong with a catalogue: an unknown name or a file that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pipeline.errors import SourceError
from pipeline.words import close_names


class CatalogueError(SourceError, LookupError):
    """A name that no catalogue holds, or a catalogue file at fault."""


class UnknownNameError(CatalogueError):
    """A name that no catalogue holds: why it is not taken, and what does instead.

    Whoever names another field, or knows more of what does instead, tells `reason` alone.
    """

    def __init__(self, kind: str, name: str, reason: str, advice: str) -> None:
        super().__init__(kind, name, reason, advice)
        self.kind, self.name, self.reason, self.advice = kind, name, reason, advice

    def message(self) -> str:
        """Return `kind: name: reason. advice.`."""
        return f"{self.kind}: {self.name}: {self.reason}. {self.advice}."


def unknown(
    kind: str,
    name: str,
    known: Iterable[str],
    advice: str,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> UnknownNameError:
    """Error for an unknown name: the near names, and what does instead.

    aliases: what else may be written, with the name that is meant and told.
    """
    meant = {other: other for other in known} | dict(aliases)
    spelled = {spelling.casefold(): meant[spelling] for spelling in sorted(meant)}
    starts = [key for key in spelled if key.startswith(name.casefold())]
    near = close_names(name.casefold(), spelled, n=10, cutoff=0.4)
    close = list(dict.fromkeys(spelled[key] for key in (*starts, *near)))[:6]
    names = sorted(set(meant.values()))
    hint = f"near names: {', '.join(close)}" if close else f"known: {', '.join(names)}"
    return UnknownNameError(kind, name, f"is not in the catalogue; {hint}", advice)
