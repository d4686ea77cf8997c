"""What can be wrong with a catalogue: an unknown name or a file that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable

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


def unknown(kind: str, name: str, known: Iterable[str], advice: str) -> UnknownNameError:
    """Error for an unknown name: the near names, and what does instead."""
    names = sorted(known)
    folded = {known_name.casefold(): known_name for known_name in names}
    near = close_names(name.casefold(), folded, n=5, cutoff=0.4)
    starts = [key for key in folded if key.startswith(name.casefold()) and key not in near]
    close = [folded[key] for key in (*starts, *near)][:6]
    hint = f"near names: {', '.join(close)}" if close else f"known: {', '.join(names)}"
    return UnknownNameError(kind, name, f"is not in the catalogue; {hint}", advice)
